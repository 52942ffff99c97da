"""What the errors of an ``ssl.SSLSocket`` mean for its transport; imports ssl late, as `tls`."""

from __future__ import annotations

import errno
import os
import socket
from typing import Optional

from .waiting import READABLE, WRITABLE

__all__ = ["alert_behind", "send_tls", "wanted_by_tls"]


def send_tls(sock: socket.socket, portion: memoryview, flags: int) -> int:
    """Send on a TLS socket; a broken connection raises what a plain socket raises."""
    import ssl

    try:
        return sock.send(portion, flags)
    except ssl.SSLEOFError as error:
        # Python 3.10 to 3.12 raise this for every error of TCP.
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error


def wanted_by_tls(error: OSError) -> int:
    """Return the event that TLS waits for; 0: the call failed.

    TLS may have to read before it can write, and the other way round.
    """
    import ssl

    if isinstance(error, ssl.SSLWantReadError):
        return READABLE
    return WRITABLE if isinstance(error, ssl.SSLWantWriteError) else 0


def alert_behind(error: OSError, sock: socket.socket) -> Optional[OSError]:
    """Return the alert that a TLS peer sent before it reset the connection.

    A TLS 1.3 server refuses a client's certificate after the client's handshake is over: then a
    send fails first, and the alert is still unread.
    """
    import ssl

    if not isinstance(error, (ConnectionError, ssl.SSLEOFError)):
        return None
    try:
        sock.recv(1)
    except ssl.SSLError as answer:
        # Not an end of the stream, or nothing to read.
        no_alert = (
            ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError, ssl.SSLZeroReturnError
        )  # fmt: skip
        return None if isinstance(answer, no_alert) else answer
    except OSError:
        return None
    return None
