"""How much of what the kernel took has not gone any further: SIOCOUTQ, where there is one."""

from __future__ import annotations

import struct
import sys
from typing import Optional

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["outstanding"]

_INT = struct.Struct("i")


def outstanding(descriptor: int) -> Optional[int]:
    """Return the bytes that the other end's kernel, or on unix sockets its program, has not taken.

    On TCP, what the peer's kernel has not acknowledged; it may have acknowledged what its program
    has not read. On a unix socket, the memory of what lies in the peer's queue, which is more than
    its bytes; 0 once the peer is gone (tcp(7), unix(7)).

    Returns:
        None: this system does not tell.
    """
    if fcntl is None or not sys.platform.startswith("linux"):
        return None
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_INT.size))
    except OSError:
        return None
    number: int = _INT.unpack(answer)[0]
    return number
