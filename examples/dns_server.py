"""A small DNS server that shows every query and every answer to a dnstap collector.

It answers for the zone example.org, over UDP and TCP, one thread for each query, with nothing but
`socketserver` and dnslib. Its dnstap part is the `LOGGING` configuration, and the two calls of
`logger.info` in `respond`. Run it, and ask it something:

    python examples/dns_server.py --address unix:///run/dnstap.sock --port 5300
    dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import logging.config
import signal
import socket
import socketserver
import sys
import threading
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, NoReturn, Optional, Tuple, Type

from dnslib import EDNS0, QTYPE, RCODE, RR, TXT, DNSError, DNSHeader, DNSLabel, DNSRecord

import dnstap_logging

LOGGING: Dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,  # or the library's own diagnostics are switched off
    "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain"},
        "dnstap": {
            "class": "dnstap_logging.DnstapHandler",
            "address": "unix:///run/dnstap.sock",
            "identity": "ns1.example.org",
        },
    },
    "loggers": {
        # propagate: False, or every query would also go to the handlers of the root logger.
        "dns": {"level": "INFO", "handlers": ["dnstap"], "propagate": False},
        "dnstap_logging": {"level": "INFO", "handlers": ["console"]},
    },
}

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
DNS_HEADER_SIZE = 12
QR_FLAG = 0x80  # in the third byte of a response (RFC 1035, 4.1.1)
PORT_ATTEMPTS = 20

logger = logging.getLogger("dns")


def respond(
    wire: bytes,
    send: Callable[[bytes], object],
    protocol: str,
    client: Tuple[Any, ...],
    server: Tuple[Any, ...],
) -> None:
    """Answer one query, and log both messages as they went over the wire."""
    exchange = {
        "dns_socket_protocol": protocol,
        "dns_query_address": client,
        "dns_response_address": server,
        "dns_query_time": time.time_ns(),
    }
    query = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": wire}
    logger.info("query", extra={**query, **exchange})

    reply = answer(wire, protocol)
    if reply is None:
        return
    send(reply)
    response = {"dns_message_type": "CLIENT_RESPONSE", "dns_response_message": reply}
    logger.info("response", extra={**response, **exchange})


def answer(wire: bytes, protocol: str) -> Optional[bytes]:
    """Return the answer to a query, or None for what deserves none."""
    if len(wire) < DNS_HEADER_SIZE or wire[2] & QR_FLAG:
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

    def handle(self) -> None:
        """Answer it."""
        wire, self.sock = self.request
        respond(wire, self.send, "UDP", self.client_address, self.server.server_address)

    def send(self, reply: bytes) -> None:
        """Send the answer."""
        self.sock.sendto(reply, self.client_address)


class TcpHandler(socketserver.StreamRequestHandler):
    """One connection, with as many queries as the client likes, each after its length."""

    timeout = 2.0  # seconds without a query after which the connection is closed

    def handle(self) -> None:
        """Answer them until the client goes."""
        try:
            while len(prefix := self.rfile.read(2)) == 2:
                size = int.from_bytes(prefix, "big")
                if len(wire := self.rfile.read(size)) < size:
                    return
                respond(wire, self.send, "TCP", self.client_address, self.server.server_address)
        except OSError:
            return  # the client went away, or said nothing for too long

    def send(self, reply: bytes) -> None:
        """Send one answer."""
        self.wfile.write(len(reply).to_bytes(2, "big") + reply)


class FamilyOfHost:
    """Makes a socket of the family that the address is of."""

    def __init__(self, address: Tuple[str, int], handler: Type[object]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)  # type: ignore[call-arg]


class UdpServer(FamilyOfHost, socketserver.ThreadingUDPServer):
    """Starts a thread for each datagram; server_close() waits for them."""


class TcpServer(FamilyOfHost, socketserver.ThreadingTCPServer):
    """Starts a thread for each connection; server_close() waits for them."""

    allow_reuse_address = True


class DnsServer:
    """Both servers on one port, running from construction until `close`.

    Args:
        host: an IPv4 or IPv6 address.
        port: 0 takes a free one.

    Raises:
        OSError: the address cannot be had.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._servers = _bind(host, port)
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

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()


def _bind(host: str, port: int) -> Tuple[TcpServer, UdpServer]:
    """Return a TCP and a UDP server on one port; with port 0, one that is free for both."""
    for attempt in range(1, PORT_ATTEMPTS + 1):
        tcp = TcpServer((host, port), TcpHandler)
        try:
            return tcp, UdpServer((host, tcp.server_address[1]), UdpHandler)
        except OSError:
            tcp.server_close()
            if port or attempt == PORT_ATTEMPTS:
                raise
    raise AssertionError("the loop returns or raises")


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the error and end with status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def configure(parser: argparse.ArgumentParser, config: Dict[str, Any]) -> None:
    """Configure logging; end with one line and status 2 where that cannot be done."""
    try:
        logging.config.dictConfig(config)
    except ValueError as error:
        # dictConfig says which handler it was; what is wrong with it is the cause.
        parser.error(f"{error}: {error.__cause__}" if error.__cause__ else str(error))


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = OneLineParser(description="A DNS server for example.org that speaks dnstap.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (a free one)")
    parser.add_argument("--address", help="the collector (unix:///run/dnstap.sock)")
    options = parser.parse_args()
    if options.address:
        LOGGING["handlers"]["dnstap"]["address"] = options.address
    configure(parser, LOGGING)
    handler = dnstap_logging.get_handler("dnstap")
    assert handler is not None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as with Ctrl-C
    signal.signal(signal.SIGHUP, lambda *_: handler.reopen())  # a new session, a new capture file
    try:
        with DnsServer(options.host, options.port) as server:
            print(f"listening on {server.host} port {server.port}, UDP and TCP", flush=True)
            threading.Event().wait()
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on {options.host} port {options.port}: {error}")
    except KeyboardInterrupt:
        handler.close()
        print(handler.stats(), file=sys.stderr)


if __name__ == "__main__":
    main()
