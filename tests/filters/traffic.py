"""Real DNS traffic on loopback: a server that logs what it gets and sends, and its capture."""

from __future__ import annotations

import logging
import socket
import socketserver
import struct
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Tuple, Type

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import dns.rrset

from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReader
from tests.helpers.support import assert_balanced

CLIENT = "127.1.2.3"  # on Linux, all of 127.0.0.0/8 is loopback: a client unlike its server
SERVER = "127.0.0.1"
TIMEOUT = 20.0

Answer = Callable[[dns.message.Message], dns.message.Message]


def answer(query: dns.message.Message) -> dns.message.Message:
    """Answer with an address, and with the query's client subnets, narrowed to a scope."""
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    name = query.question[0].name
    response.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.80"))
    subnets = [
        dns.edns.ECSOption(option.address, option.srclen, option.srclen)
        for option in query.options
        if isinstance(option, dns.edns.ECSOption)
    ]
    if query.edns >= 0:
        response.use_edns(0, options=subnets)
    return response


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads = True
    server: Server


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    server: Server


class _Udp6(_Udp):
    address_family = socket.AF_INET6


class _UdpRequest(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        wire, sock = self.request
        response = self.server.server.serve(wire, self.client_address, "UDP")  # type: ignore[attr-defined]
        sock.sendto(response, self.client_address)


class _TcpRequest(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        (size,) = struct.unpack("!H", self.rfile.read(2))
        wire = self.rfile.read(size)
        response = self.server.server.serve(wire, self.client_address, "TCP")  # type: ignore[attr-defined]
        self.wfile.write(struct.pack("!H", len(response)) + response)


class Server:
    """A DNS server that logs both sides of every exchange before the client has the answer.

    Args:
        logger: what it logs to.
        answer: makes the response to a query.
        changes: extras of all records that differ from the usual ones.
        ipv6: whether it listens on ::1, by UDP alone.
    """

    def __init__(
        self,
        logger: logging.Logger,
        answer: Answer = answer,
        changes: Optional[Dict[str, Any]] = None,
        ipv6: bool = False,
    ) -> None:
        self.logger = logger
        self.answer = answer
        self.changes = changes or {}
        self.host = "::1" if ipv6 else SERVER
        udp = (_Udp6 if ipv6 else _Udp)((self.host, 0), _UdpRequest)
        self.address: Tuple[Any, ...] = udp.server_address
        self.port = int(self.address[1])
        self.servers: List[Any] = [udp]
        if not ipv6:
            self.servers.append(_Tcp((self.host, 0), _TcpRequest))

    def __enter__(self) -> Server:
        for each in self.servers:
            each.server = self
            threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        for each in self.servers:
            each.shutdown()
            each.server_close()

    def serve(self, wire: bytes, client: Tuple[Any, ...], protocol: str) -> bytes:
        """Log a query, answer it, log the response."""
        common = {
            "dns_query_address": client,
            "dns_response_address": self.address,
            "dns_socket_protocol": protocol,
            **self.changes,
        }
        query = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": wire}
        self.logger.info("query", extra={**common, **query})
        reply = self.answer(dns.message.from_wire(wire)).to_wire()
        response = {"dns_message_type": "CLIENT_RESPONSE", "dns_response_message": reply}
        self.logger.info("response", extra={**common, **response})
        return reply

    def ask(
        self, query: dns.message.Message, tcp: bool = False, source: Optional[str] = CLIENT
    ) -> dns.message.Message:
        """Ask the server as a client does."""
        source = None if self.host != SERVER else source
        if tcp:
            port = self.servers[1].server_address[1]
            return dns.query.tcp(query, self.host, timeout=TIMEOUT, port=port, source=source)
        return dns.query.udp(query, self.host, timeout=TIMEOUT, port=self.port, source=source)


def query_for(name: str, kind: str = "A", **edns: Any) -> dns.message.Message:
    """Return a query, with EDNS where options or a payload size are given."""
    return dns.message.make_query(name, dns.rdatatype.from_text(kind), **edns)


def subnet_query(subnet: str, name: str = "www.example.org.") -> dns.message.Message:
    """Return a query with a client subnet such as 192.0.2.1/32."""
    return query_for(name, use_edns=0, options=[dns.edns.ECSOption.from_text(subnet)])


def subnets_in(wire: Optional[bytes]) -> List[str]:
    """Return the client subnets of a DNS message, read by dnspython, with their scopes."""
    assert wire is not None
    options = dns.message.from_wire(wire).options
    return [
        f"{option.address}/{option.srclen}/{option.scopelen}"
        for option in options
        if isinstance(option, dns.edns.ECSOption)
    ]


def read_capture(path: Path) -> List[DnstapMessage]:
    """Return all messages of a capture that was closed in order."""
    with DnstapReader(path) as reader:
        messages = list(reader)
        assert reader.complete, "the capture has no STOP"
    return messages


def close_and_read(handler: DnstapHandler) -> List[DnstapMessage]:
    """Close a handler, check its books and return what is in its capture."""
    handler.close()
    assert_balanced(handler.stats())
    return read_capture(Path(handler._options.address.path))


def names_of(messages: List[DnstapMessage]) -> List[str]:
    """Return type and question of messages as text, in their order."""
    found = []
    for message in messages:
        wire = message.query_message or message.response_message
        name = dns.message.from_wire(wire).question[0].name if wire else None
        found.append(f"{message.message_type.name} {name}")
    return found


KEY = bytes.fromhex("1522178d33a4cf80 130a5b1649907d10 d8988f8379796527 62574c2d2a842202")
"""The key of the sample that comes with the original implementation."""
