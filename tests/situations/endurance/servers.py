"""DNS servers and clients that log by the integrations, and ask each other by real sockets."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from typing import Any, Callable, Dict, Iterator, Tuple

import dns.message
import dnslib.server

from dnstap_logging import DnstapHandler
from dnstap_logging.integrations.dnslib import DnstapLogger, DnstapUpstream
from dnstap_logging.integrations.dnspython import DnstapClient
from dnstap_logging.integrations.socketserver import DnstapMixin
from tests.situations.endurance.child import PATIENCE, attached, numbers
from tests.situations.endurance.traffic import query

QUERIES_A_CONNECTION = 5
HERE = ("127.0.0.1", 0)
Address = Tuple[str, int]


def answer_to(wire: bytes) -> bytes:
    """Return a response without records."""
    return wire[:2] + b"\x81\x80" + wire[4:]


class Plain(socketserver.BaseRequestHandler):
    """Answer by UDP, and log nothing."""

    def handle(self) -> None:
        wire, sock = self.request
        sock.sendto(answer_to(wire), self.client_address)


class Datagrams(DnstapMixin, socketserver.BaseRequestHandler):
    """Answer by UDP."""

    dnstap_logger = "dns"

    def handle(self) -> None:
        wire, sock = self.request
        self.dnstap_query(wire)
        answer = answer_to(wire)
        self.dnstap_response(answer)
        sock.sendto(answer, self.client_address)


class Stream(DnstapMixin, socketserver.StreamRequestHandler):
    """Answer by TCP, for as long as the client asks."""

    dnstap_logger = "dns"

    def handle(self) -> None:
        while True:
            length = self.rfile.read(2)
            if not length:
                return
            wire = self.rfile.read(*struct.unpack(">H", length))
            self.dnstap_query(wire)
            answer = answer_to(wire)
            self.dnstap_response(answer)
            self.wfile.write(struct.pack(">H", len(answer)) + answer)


class Resolver(dnslib.server.BaseResolver):  # type: ignore[misc]
    """Answer without a record."""

    def resolve(self, request: Any, handler: Any) -> Any:
        return request.reply()


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[Address]:
    """Run a server in a thread."""
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address  # type: ignore[misc]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask_by_udp(count: int, handler: DnstapHandler, server: socketserver.BaseServer) -> None:
    """Ask a server, one query after the other."""
    with attached(handler) as flush, serving(server) as address:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(address)
            for number in numbers(count, flush):
                sock.send(query(number))
                sock.recv(4096)


def socketserver_udp(count: int, handler: DnstapHandler) -> None:
    """Serve UDP by socketserver."""
    ask_by_udp(count, handler, socketserver.UDPServer(HERE, Datagrams))


def socketserver_tcp(count: int, handler: DnstapHandler) -> None:
    """Serve TCP by socketserver, some queries on each connection."""
    server = socketserver.TCPServer(HERE, Stream)
    with attached(handler) as flush, serving(server) as address:
        for number in numbers(count // QUERIES_A_CONNECTION, flush):
            with socket.create_connection(address, PATIENCE) as sock, sock.makefile("rb") as file:
                for each in range(QUERIES_A_CONNECTION):
                    wire = query(number * QUERIES_A_CONNECTION + each)
                    sock.sendall(struct.pack(">H", len(wire)) + wire)
                    file.read(*struct.unpack(">H", file.read(2)))


def dnslib_udp(count: int, handler: DnstapHandler) -> None:
    """Serve UDP by dnslib."""
    server = dnslib.server.DNSServer(Resolver(), *HERE, logger=DnstapLogger("dns")).server
    ask_by_udp(count, handler, server)


def dnslib_upstream(count: int, handler: DnstapHandler) -> None:
    """Forward by dnslib."""
    upstream = DnstapUpstream("dns")
    with attached(handler) as flush, serving(socketserver.UDPServer(HERE, Plain)) as (host, port):
        for number in numbers(count, flush):
            upstream.send_wire(query(number), host, port, timeout=PATIENCE)


def dnspython_udp(count: int, handler: DnstapHandler) -> None:
    """Ask by dnspython."""
    ask = DnstapClient("dns").udp
    with attached(handler) as flush, serving(socketserver.UDPServer(HERE, Plain)) as (host, port):
        for number in numbers(count, flush):
            wanted = dns.message.make_query(f"n{number:08x}.example.com", "A", use_edns=0)
            ask(wanted, host, port=port, timeout=PATIENCE)


SERVERS: Dict[str, Callable[[int, DnstapHandler], None]] = {
    "socketserver-udp": socketserver_udp,
    "socketserver-tcp": socketserver_tcp,
    "dnslib-server": dnslib_udp,
    "dnslib-upstream": dnslib_upstream,
    "dnspython": dnspython_udp,
}
