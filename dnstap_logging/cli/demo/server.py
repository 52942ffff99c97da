"""A small DNS server for the zone example.org: the demo's, and that of examples/dns_server.py.

UDP and TCP, a thread for each query, with `socketserver` and dnslib. Nothing here is about dnstap:
what is done with a query is the caller's.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import Any, Callable, List, Optional, Tuple

from dnslib import EDNS0, QTYPE, RCODE, RR, TXT, DNSError, DNSHeader, DNSLabel, DNSRecord

from ...dnswire.message import HEADER_SIZE

__all__ = ["DnsServer", "Respond", "answer"]

Respond = Callable[[bytes, Callable[[bytes], object], str, Tuple[Any, ...], Tuple[Any, ...]], None]
"""Responds to a query: its bytes, what sends the answer, the protocol, the client, the server."""

ZONE_FILE = """
$ORIGIN example.org.
$TTL 300
@     IN SOA   ns1 hostmaster 1 3600 900 604800 300
@     IN NS    ns1
@     IN MX    10 mail
@     IN TXT   "a small zone"
ns1   IN A     192.0.2.53
ns1   IN AAAA  2001:db8::53
mail  IN A     192.0.2.25
host  IN A     192.0.2.80
host  IN AAAA  2001:db8::80
www   IN CNAME host
"""
ZONE: List[RR] = RR.fromZone(ZONE_FILE)
# An answer of 4 KiB, too large for UDP: clients get TC=1 and come again over TCP.
ZONE += [RR("large.example.org", QTYPE.TXT, rdata=TXT(f"{n:02} " * 66), ttl=300) for n in range(20)]
ORIGIN = DNSLabel("example.org.")
SOA = next(record for record in ZONE if record.rtype == QTYPE.SOA)

MIN_UDP_SIZE = 512  # what every client takes over UDP (RFC 1035, 4.2.1)
MAX_UDP_SIZE = 1232  # what crosses nearly every network without fragments (RFC 9715)
QR_FLAG = 0x80  # in the third byte of a response (RFC 1035, 4.1.1)
PORT_ATTEMPTS = 20


def answer(wire: bytes, protocol: str) -> Optional[bytes]:
    """Return the answer to a query, or None for what deserves none."""
    if len(wire) < HEADER_SIZE or wire[2] & QR_FLAG:
        return None
    try:
        query = DNSRecord.parse(wire)
    except DNSError:
        number = int.from_bytes(wire[:2], "big")
        return bytes(DNSRecord(DNSHeader(id=number, qr=1, rd=0, rcode=RCODE.FORMERR)).pack())
    if len(query.questions) != 1:
        return None
    reply = look_up(query)
    max_size = MIN_UDP_SIZE
    for record in query.ar:
        if record.rtype == QTYPE.OPT:
            max_size = min(max(MIN_UDP_SIZE, record.edns_len), MAX_UDP_SIZE)
            reply.add_ar(EDNS0(udp_len=MAX_UDP_SIZE))
    packed = bytes(reply.pack())
    if protocol == "UDP" and len(packed) > max_size:
        reply.header.tc = 1
        reply.rr, reply.auth = [], []
        packed = bytes(reply.pack())
    return packed


def look_up(query: DNSRecord) -> DNSRecord:
    """Return the reply to a query, from the zone."""
    reply = query.reply(ra=0)
    name, kind = query.q.qname, query.q.qtype
    if not name.matchSuffix(ORIGIN):
        reply.header.aa, reply.header.rcode = 0, RCODE.REFUSED
        return reply
    here = [record for record in ZONE if record.rname == name]
    for record in here:
        if record.rtype in (kind, QTYPE.CNAME) or kind == QTYPE.ANY:
            reply.add_answer(record)
            if record.rtype == QTYPE.CNAME != kind:
                target = record.rdata.label
                reply.add_answer(*(r for r in ZONE if r.rname == target and r.rtype == kind))
    if not reply.rr:
        reply.add_auth(SOA)
    if not here:
        reply.header.rcode = RCODE.NXDOMAIN
    return reply


class UdpHandler(socketserver.BaseRequestHandler):
    """One query that came in one datagram."""

    server: UdpServer

    def handle(self) -> None:
        """Answer it."""
        wire, self.sock = self.request
        here = self.server.socket.getsockname()
        self.server.respond(wire, self.send, "UDP", self.client_address, here)

    def send(self, reply: bytes) -> None:
        """Send the answer."""
        self.sock.sendto(reply, self.client_address)


class TcpHandler(socketserver.StreamRequestHandler):
    """One connection, with as many queries as the client likes, each after its length."""

    server: TcpServer
    timeout = 2.0  # seconds without a query after which the connection is closed

    def handle(self) -> None:
        """Answer them until the client goes."""
        here = self.request.getsockname()
        try:
            while len(prefix := self.rfile.read(2)) == 2:
                size = int.from_bytes(prefix, "big")
                if len(wire := self.rfile.read(size)) < size:
                    return
                self.server.respond(wire, self.send, "TCP", self.client_address, here)
        except OSError:
            return  # the client went away, or said nothing for too long

    def send(self, reply: bytes) -> None:
        """Send one answer."""
        self.wfile.write(len(reply).to_bytes(2, "big") + reply)


class UdpServer(socketserver.ThreadingUDPServer):
    """Starts a thread for each datagram; server_close() waits for them."""

    def __init__(self, where: Tuple[str, int], respond: Respond) -> None:
        self.address_family = _family(where[0])
        self.respond = respond
        super().__init__(where, UdpHandler)


class TcpServer(socketserver.ThreadingTCPServer):
    """Starts a thread for each connection; server_close() waits for them."""

    allow_reuse_address = True

    def __init__(self, where: Tuple[str, int], respond: Respond) -> None:
        self.address_family = _family(where[0])
        self.respond = respond
        super().__init__(where, TcpHandler)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class DnsServer:
    """Both servers on one port, running from construction until `close`.

    Args:
        respond: called for each query, in a thread of its own.
        host: an IPv4 or IPv6 address.
        port: 0 takes a free one.

    Raises:
        OSError: the address cannot be had.
    """

    def __init__(self, respond: Respond, host: str = "127.0.0.1", port: int = 0) -> None:
        self._servers = _bind(host, port, respond)
        self.host, self.port = self._servers[0].server_address[:2]
        # Looks for its end ten times a second, so that closing is quick.
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
            for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop, and wait for the queries that are being answered."""
        for server, thread in zip(self._servers, self._threads):
            server.shutdown()
            thread.join()
            server.server_close()

    def __enter__(self) -> DnsServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _bind(host: str, port: int, respond: Respond) -> Tuple[TcpServer, UdpServer]:
    """Return a TCP and a UDP server on one port; with port 0, one that is free for both."""
    for attempt in range(1, PORT_ATTEMPTS + 1):
        tcp = TcpServer((host, port), respond)
        try:
            return tcp, UdpServer((host, tcp.server_address[1]), respond)
        except OSError:
            tcp.server_close()
            if port or attempt == PORT_ATTEMPTS:
                raise
    raise AssertionError("the loop returns or raises")
