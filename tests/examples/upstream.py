"""A DNS server of the tests' own, which keeps what it got and sent, and from which end."""

from __future__ import annotations

import selectors
import socket
import threading
from types import TracebackType
from typing import Any, List, Optional, Tuple, Type

import dns.message
import dns.rrset

from tests.examples.clients import LOOPBACK, Exchange

SLICE = 0.05
BIND_ATTEMPTS = 20
SILENT = "silent.example.org."
"""The name that is never answered."""


def _bind() -> Tuple[socket.socket, socket.socket]:
    """Return a TCP and a UDP socket on one port, one that is free for both."""
    for _ in range(BIND_ATTEMPTS):
        tcp = socket.create_server((LOOPBACK, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:  # somebody else has this port for UDP
            tcp.close()
            udp.close()
        else:
            return tcp, udp
    raise AssertionError(f"no port was free for TCP and UDP in {BIND_ATTEMPTS} attempts")


class Upstream:
    """Answers every name with one address, on UDP and TCP; running inside its ``with``."""

    def __init__(self) -> None:
        self.exchanges: List[Exchange] = []
        self._tcp, self._udp = _bind()
        self.host, self.port = self._udp.getsockname()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Upstream:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._ending.set()
        self._thread.join()
        self._udp.close()
        self._tcp.close()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._udp, selectors.EVENT_READ, self._take_datagram)
            selector.register(self._tcp, selectors.EVENT_READ, self._take_connection)
            while not self._ending.is_set():
                for key, _ in selector.select(SLICE):
                    key.data()

    def _take_datagram(self) -> None:
        query, client = self._udp.recvfrom(65535)
        response = self._answer(query, client, "UDP")
        if response is not None:
            self._udp.sendto(response, client)

    def _take_connection(self) -> None:
        sock, client = self._tcp.accept()
        with sock, sock.makefile("rb") as stream:
            query = stream.read(int.from_bytes(stream.read(2), "big"))
            response = self._answer(query, client, "TCP")
            if response is not None:
                sock.sendall(len(response).to_bytes(2, "big") + response)

    def _answer(self, wire: bytes, client: Any, protocol: str) -> Optional[bytes]:
        query = dns.message.from_wire(wire)
        name = query.question[0].name.to_text()
        response = None
        if name != SILENT:
            reply = dns.message.make_response(query)
            reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
            response = reply.to_wire()
        server = (self.host, self.port)
        self.exchanges.append(Exchange(wire, response, client, server, protocol))
        return response
