"""How a TCP connection ended, from TCP_INFO, on Linux."""

from __future__ import annotations

import socket
import sys

__all__ = ["was_reset"]

_TCP_CLOSE = 7  # in linux/tcp_states.h; a value of tcpi_state, the first byte of TCP_INFO


def was_reset(sock: socket.socket) -> bool:
    """Return whether a connection whose end was just read was reset, and not closed in order.

    After an orderly end we may still send, so the state is CLOSE_WAIT; after a reset it is CLOSE. A
    reset that came after an orderly end leaves its error (EPIPE) on the socket, as long as nothing
    was sent since; a reset that the read itself returned leaves none.

    Returns:
        False: it was not, or this system does not say.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        return state == _TCP_CLOSE and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except OSError:
        return False  # TLS over something else than TCP
