"""Every way to log a DNS message that somebody else has made, as a function of the message.

Through each filter on a dnstap handler, and through each integration: what a DNS server's thread
does for a message before it goes on.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

from dnstap_logging import DnstapAdapter, DnstapHandler, SocketProtocol
from dnstap_logging.filters import (
    AnonymizingFilter,
    MessageTypeFilter,
    QnameFilter,
    RcodeFilter,
    SamplingFilter,
)
from dnstap_logging.integrations.dnslib import DnstapLogger
from dnstap_logging.integrations.exchange import Exchange
from dnstap_logging.integrations.recorded_sockets import RecordedDatagrams
from dnstap_logging.integrations.socketserver import DnstapMixin
from dnstap_logging.integrations.tap import Tap

__all__ = ["FILTERS", "INTEGRATIONS", "Call", "filtered", "integrated"]

CLIENT = ("192.0.2.1", 5353)
KEY = bytes(range(32))

Call = Callable[[bytes], object]

FILTERS: Dict[str, Callable[[], List[logging.Filter]]] = {
    "no filter": list,
    "MessageTypeFilter": lambda: [MessageTypeFilter("CLIENT_*")],
    "QnameFilter, include": lambda: [QnameFilter(include=["a.example", "b.example"])],
    "QnameFilter, exclude": lambda: [QnameFilter(exclude=["a.example", "b.example"])],
    "RcodeFilter": lambda: [RcodeFilter(exclude=["NXDOMAIN", "BADVERS"])],
    "SamplingFilter": lambda: [SamplingFilter(1)],
    "AnonymizingFilter": lambda: [AnonymizingFilter()],
    "AnonymizingFilter, all removed": lambda: [AnonymizingFilter(0, 0)],
    "AnonymizingFilter, pseudonyms": lambda: [AnonymizingFilter(key=KEY)],
    "all filters": lambda: [
        MessageTypeFilter("CLIENT_*"),
        QnameFilter(exclude=["a.example", "b.example"]),
        RcodeFilter(exclude=["NXDOMAIN", "BADVERS"]),
        SamplingFilter(1),
        AnonymizingFilter(key=KEY),
    ],
}
"""Filters as they stand on a handler."""


@contextlib.contextmanager
def _logger(path: Path, filters: List[logging.Filter]) -> Iterator[logging.Logger]:
    handler = DnstapHandler(path, mode="w", queue_size=100, overflow="block")
    for each in filters:
        handler.addFilter(each)
    logger = logging.Logger("hostile", logging.INFO)
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        handler.close()


@contextlib.contextmanager
def filtered(name: str, path: Path) -> Iterator[Call]:
    """Log by the adapter through one of `FILTERS`, into a capture file."""
    with _logger(path, FILTERS[name]()) as logger:
        tap = DnstapAdapter(logger, {"dns_socket_protocol": "TCP"})
        yield lambda wire: tap.client_response(wire, query_message=wire, query_address=CLIENT)


class _Handler(DnstapMixin):
    """As much of a request handler as `DnstapMixin` and dnslib's logger look at."""

    client_address = CLIENT

    def __init__(self, sock: socket.socket, protocol: str) -> None:
        self.protocol = protocol
        self.request: Any = sock if protocol == "tcp" else (b"", sock)


def _by_mixin(logger: logging.Logger, sock: socket.socket, protocol: str, wire: bytes) -> None:
    """Log queries of one connection and a response, as a server's handler does."""
    handler: Any = type("Handler", (_Handler,), {"dnstap_logger": logger})(sock, protocol)
    handler.dnstap_query(wire)
    handler.dnstap_query(wire)  # of several, the questions are compared
    handler.dnstap_response(wire)


def _by_dnslib(logger: logging.Logger, sock: socket.socket, protocol: str, wire: bytes) -> None:
    tap = DnstapLogger(logger)
    handler = _Handler(sock, protocol)
    tap.log_recv(handler, wire)
    tap.log_send(handler, wire)


class _Received:
    """A socket that something was received by."""

    def __init__(self, sock: socket.socket, wire: bytes) -> None:
        self._sock = sock
        self._wire = wire

    def recvfrom(self, size: int) -> Any:
        return self._wire, CLIENT

    def sendto(self, data: bytes, address: Any) -> int:
        return len(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def _by_exchange(logger: logging.Logger, sock: socket.socket, protocol: str, wire: bytes) -> None:
    """Log what `DnstapClient` and `DnstapUpstream` do of a query and a response."""
    exchange = Exchange(Tap(logger, "FORWARDER"), SocketProtocol.UDP)
    recorded = RecordedDatagrams(_Received(sock, wire), exchange)
    recorded.sendto(wire, ("127.0.0.1", 53))
    recorded.recvfrom(65535)
    exchange.finish()


INTEGRATIONS: Dict[str, Callable[[logging.Logger, socket.socket, bytes], None]] = {
    "DnstapMixin, UDP": lambda logger, sock, wire: _by_mixin(logger, sock, "udp", wire),
    "DnstapMixin, TCP": lambda logger, sock, wire: _by_mixin(logger, sock, "tcp", wire),
    "dnslib's DnstapLogger, UDP": lambda logger, sock, wire: _by_dnslib(logger, sock, "udp", wire),
    "dnslib's DnstapLogger, TCP": lambda logger, sock, wire: _by_dnslib(logger, sock, "tcp", wire),
    "DnstapClient and DnstapUpstream": lambda logger, sock, wire: _by_exchange(
        logger, sock, "udp", wire
    ),
}
"""What integrations do of the messages of one conversation."""


@contextlib.contextmanager
def integrated(name: str, path: Path) -> Iterator[Call]:
    """Log by one of `INTEGRATIONS`, into a capture file."""
    kind = socket.SOCK_STREAM if "TCP" in name else socket.SOCK_DGRAM
    with _logger(path, []) as logger, socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        yield functools.partial(INTEGRATIONS[name], logger, sock)
