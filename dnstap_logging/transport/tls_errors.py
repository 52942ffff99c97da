"""What the errors of an ``ssl.SSLSocket`` mean for the transport that uses it.

``ssl`` is imported only once a TLS socket has failed: a plain connection must not need it.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Optional

from .waiting import READABLE, WRITABLE

__all__ = ["alert_behind", "send_tls", "wanted_by_tls"]


def send_tls(sock: socket.socket, portion: memoryview, flags: int) -> int:
    """Send on a TLS socket, with the errors of a plain one."""
    import ssl

    try:
        return sock.send(portion, flags)
    except ssl.SSLEOFError as error:
        # Python 3.10 to 3.12 take every error of TCP for an end of TLS.
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error


def wanted_by_tls(error: OSError) -> int:
    """Return the event that TLS waits for; 0: the call cannot go on.

    TLS may have to read before it can write, and the other way round.
    """
    import ssl

    if isinstance(error, ssl.SSLWantReadError):
        return READABLE
    return WRITABLE if isinstance(error, ssl.SSLWantWriteError) else 0


def alert_behind(error: OSError, sock: socket.socket) -> Optional[OSError]:
    """Return the alert with which a TLS peer said why, before it reset the connection.

    A TLS 1.3 server refuses a client's certificate when the client has shaken hands already:
    then a send fails first, and the reason lies unread.
    """
    import ssl

    if not isinstance(error, (ConnectionError, ssl.SSLEOFError)):
        return None
    try:
        sock.recv(1)
    except ssl.SSLError as answer:
        # An alert has a reason; an end of the stream, or nothing to read, is not one.
        no_alert = (
            ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError, ssl.SSLZeroReturnError
        )  # fmt: skip
        return None if isinstance(answer, no_alert) else answer
    except OSError:
        return None
    return None
