"""What has been sent and not been read yet, as far as the system knows: Linux does."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Optional

try:
    import fcntl
    import termios
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["outstanding", "outstanding_on_unix"]

SO_MEMINFO = 55
"""The memory that a socket uses (Linux since 4.12); Python does not name it."""

# In linux/sock_diag.h: what TIOCOUTQ returns for a unix socket, and the send buffer, never 0.
SK_MEMINFO_WMEM_ALLOC, SK_MEMINFO_SNDBUF = 2, 3

_INT = struct.Struct("i")
_MEMINFO = struct.Struct("9I")


def outstanding(descriptor: int) -> Optional[int]:
    """Return the bytes that the peer's kernel, or on a unix socket its program, has not taken.

    On TCP, what the peer's kernel has not acknowledged; its program may have read less. On a unix
    socket, the memory of the peer's queue, which is more than its bytes; 0 once the peer is gone
    (tcp(7), unix(7)). None: this system does not know.
    """
    if fcntl is None or not sys.platform.startswith("linux"):
        return None
    try:
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(_INT.size))
    except OSError:
        return None
    return int(_INT.unpack(answer)[0])


def outstanding_on_unix(sock: socket.socket) -> Optional[int]:
    """Return the same of a unix socket, without letting another thread run (see `cookie_of`)."""
    if sys.platform.startswith("linux"):
        try:
            answer = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)
            memory = _MEMINFO.unpack(answer)
        except (OSError, struct.error):  # an older kernel
            return outstanding(sock.fileno())
        if memory[SK_MEMINFO_SNDBUF]:
            return int(memory[SK_MEMINFO_WMEM_ALLOC])
    return outstanding(sock.fileno())
