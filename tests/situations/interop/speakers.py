"""Peers that are no dnstap collector: each listens on a port and does the wrong thing."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from types import TracebackType
from typing import Callable, List, Optional, Type

from tests.helpers.support import ACCEPT, CONTENT_TYPE, control

SLICE = 0.1
PATIENCE = 20.0

HTTP_REFUSAL = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
FOUR_GIB = b"\xff\xff\xff\xff"
FLOOD = bytes(1024 * 1024)
FLOODS = 64

Behaviour = Callable[[socket.socket], None]
"""What a peer does with a connection; afterwards it is closed."""


def read_something(sock: socket.socket) -> bytes:
    """Wait for the peer's first bytes, as a server does."""
    return sock.recv(65536)


def speak_http(sock: socket.socket) -> None:
    """Be an HTTP server: answer what is no request."""
    read_something(sock)
    sock.sendall(HTTP_REFUSAL)


def stay_silent(sock: socket.socket) -> None:
    """Read everything and never answer, until the peer closes."""
    while read_something(sock):
        pass


def accept_another_type(sock: socket.socket) -> None:
    """Be a Frame Streams reader for something else."""
    read_something(sock)
    sock.sendall(control(ACCEPT, b"protobuf:another.Thing"))
    stay_silent(sock)


def close_at_once(sock: socket.socket) -> None:
    """Be a load balancer without a server behind it."""


def close_after_ready(sock: socket.socket) -> None:
    """Read what comes, and hang up."""
    read_something(sock)


def announce_four_gib(sock: socket.socket) -> None:
    """Announce a data frame of 4 GiB, and begin to send it."""
    read_something(sock)
    sock.sendall(FOUR_GIB)
    for _ in range(FLOODS):
        sock.sendall(FLOOD)


def accept_then_announce_four_gib(sock: socket.socket) -> None:
    """Shake hands well, and then announce a data frame of 4 GiB, which no reader may send."""
    read_something(sock)
    sock.sendall(control(ACCEPT, CONTENT_TYPE))
    announce_four_gib(sock)  # which waits for START first


def announce_a_large_control_frame(sock: socket.socket) -> None:
    """Announce a control frame of 4 GiB."""
    read_something(sock)
    sock.sendall(b"\0\0\0\0" + FOUR_GIB)
    stay_silent(sock)


def speak_tls(context: ssl.SSLContext) -> Behaviour:
    """Be a TLS server."""

    def behave(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            stay_silent(tls)

    return behave


def send_a_tls_alert(sock: socket.socket) -> None:
    """Be a TLS server that dislikes the version: a fatal alert (RFC 8446, 6)."""
    read_something(sock)
    sock.sendall(b"\x15\x03\x03\x00\x02\x02\x46")
    stay_silent(sock)


class Speaker:
    """Listen on 127.0.0.1; treat one connection after the other to the same behaviour."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SLICE)
        self.port: int = self._listener.getsockname()[1]
        self.arrivals: List[float] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Speaker:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._closing.set()
        self._thread.join(PATIENCE)
        self._listener.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                sock, _ = self._listener.accept()
            except socket.timeout:
                continue
            self.arrivals.append(time.monotonic())
            sock.settimeout(PATIENCE)
            with sock:
                try:
                    self._behave(sock)
                except OSError:
                    pass  # the other side hung up: it did not like what it heard
