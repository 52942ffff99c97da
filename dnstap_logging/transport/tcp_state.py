"""How a TCP connection ended, where the library above it does not say: TCP_INFO, on Linux."""

from __future__ import annotations

import socket
import sys

__all__ = ["was_reset"]

# TCP_CLOSE in linux/tcp_states.h, which tcpi_state, the first byte of TCP_INFO, is one of.
_TCP_CLOSE = 7


def was_reset(sock: socket.socket) -> bool:
    """Return whether a connection whose end was just read was reset, and not closed in order.

    After a peer's orderly end we may still send, so the state is CLOSE_WAIT. It is CLOSE only after
    a reset. One that follows an orderly end leaves its error (EPIPE) on the socket, as long as
    nothing was sent since; one that the read itself met leaves none.

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
