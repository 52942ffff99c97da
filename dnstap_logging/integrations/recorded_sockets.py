"""Sockets that tell an `Exchange` what goes through them, and leave all else to the real ones.

For clients that take a socket, as dnspython's queries do: non-blocking, used by one query at a
time. What fails there fails with the real socket's own exception; what fails here is reported.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from typing import Any, Optional, Tuple

from ..dnswire.message import TCP_LENGTH
from .exchange import Exchange, ends_of

__all__ = ["RecordedDatagrams", "RecordedStream"]

_UNDERWAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY)


class _Recorded:
    """What both have in common: everything else is the real socket's."""

    def __init__(self, sock: Any, exchange: Exchange) -> None:
        self._sock = sock
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def __enter__(self) -> Any:
        self._sock.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._sock.__exit__(*exc_info)


class RecordedDatagrams(_Recorded):
    """A UDP socket."""

    def sendto(self, data: bytes, address: Tuple[Any, ...]) -> int:
        """Send a query."""
        started = time.time_ns()
        sent: int = self._sock.sendto(data, address)
        self._exchange.query(data, started, ends_of(self._sock, address))
        return sent

    def recvfrom(self, size: int) -> Tuple[bytes, Any]:
        """Receive what may be the response; who asks again did not take the last one for it."""
        self._exchange.response(None, 0)
        data, source = self._sock.recvfrom(size)
        self._exchange.response(data, time.time_ns(), source)
        return data, source


class RecordedStream(_Recorded):
    """A TCP or TLS socket on which one message each way is preceded by its length.

    Args:
        sock: the socket.
        exchange: what is told.
        destination: where the first `send` connects to; None: the socket is connected, or its
            user connects it.
    """

    def __init__(
        self, sock: Any, exchange: Exchange, destination: Optional[Tuple[Any, ...]] = None
    ) -> None:
        super().__init__(sock, exchange)
        self._destination = destination
        self._connecting = False
        self._started = 0
        self._sent = bytearray()
        self._received = bytearray()

    def send(self, data: bytes) -> int:
        """Send a part of a query, after connecting if that is still to do.

        Raises:
            BlockingIOError: the connection is not there yet; try again when the socket is
                writable, as after any other would-block.
        """
        if self._destination is not None:
            self._connect(self._destination)
            self._destination = None
        self._started = self._started or time.time_ns()
        sent: int = self._sock.send(data)
        self._sent += data[:sent]
        wire = _whole_message(self._sent)
        if wire is not None:
            self._exchange.query(wire, self._started, ends_of(self._sock))
        return sent

    def recv(self, size: int) -> bytes:
        """Receive a part of the response."""
        data: bytes = self._sock.recv(size)
        self._received += data
        wire = _whole_message(self._received)
        if wire is not None:
            self._exchange.response(wire, time.time_ns())
        return data

    def _connect(self, destination: Tuple[Any, ...]) -> None:
        if self._connecting:
            error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        else:
            error = self._sock.connect_ex(destination)
        if error in _UNDERWAY:
            self._connecting = True
            raise BlockingIOError(error, os.strerror(error))
        if error:
            raise OSError(error, os.strerror(error))


def _whole_message(data: bytearray) -> Optional[bytes]:
    if len(data) < TCP_LENGTH.size:
        return None
    end = TCP_LENGTH.size + TCP_LENGTH.unpack_from(data)[0]
    return bytes(data[TCP_LENGTH.size : end]) if len(data) >= end else None
