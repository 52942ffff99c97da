"""A forwarder that logs both of its sides: CLIENT_* and FORWARDER_* messages.

Where the upstream server does not answer in time, the client gets SERVFAIL, and the log has a
FORWARDER_QUERY without a response.

    python examples/forwarder.py --upstream 192.0.2.53 --address unix:///run/dnstap.sock --port 5300
    dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import socketserver
import threading
import time
from typing import Any, BinaryIO, Callable, Optional

import dns.exception
import dns.message
import dns.rcode

from dnstap_logging import DnstapAdapter, DnstapHandler

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
logger = logging.getLogger("dns")
tap = DnstapAdapter(logger)


class Upstream:
    """The server that knows the answers."""

    def __init__(self, host: str, port: int, timeout: float) -> None:
        self.address = (host, port)
        self.timeout = timeout

    def ask(self, wire: bytes, protocol: str) -> Optional[bytes]:
        """Return the answer to a query; None if there is none in time."""
        kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
        query = os.urandom(2) + wire[2:]  # an ID of our own, which nobody can guess
        with socket.socket(socket.AF_INET, kind) as sock:
            try:
                sock.settimeout(self.timeout)
                sock.connect(self.address)
                ends = {
                    "socket_protocol": protocol,
                    "query_address": sock.getsockname(),
                    "response_address": self.address,
                    "query_time": time.time_ns(),
                }
                tap.forwarder_query(query, **ends)
                reply = _exchange(sock, query, protocol)
            except OSError:  # also a timeout
                return None
            tap.forwarder_response(reply, **ends)
            return wire[:2] + reply[2:]


def _exchange(sock: socket.socket, query: bytes, protocol: str) -> bytes:
    """Send a query and return the answer; OSError if there is none."""
    if protocol == "TCP":
        sock.sendall(len(query).to_bytes(2, "big") + query)
        with sock.makefile("rb") as stream:
            reply = read_message(stream)
        if reply[:2] != query[:2]:
            raise ConnectionError("no answer to this query")
        return reply
    sock.send(query)
    while (reply := sock.recv(65535))[:2] != query[:2]:
        pass  # a late answer to another query
    return reply


def read_message(stream: BinaryIO) -> bytes:
    """Return the next message of a TCP stream; nothing at its end."""
    size = int.from_bytes(stream.read(2), "big")
    wire = stream.read(size)
    return wire if len(wire) == size else b""


def respond(
    wire: bytes, protocol: str, client: Any, server: Any, send: Callable[[bytes], object]
) -> None:
    """Answer one query, by asking upstream."""
    ends = {
        "socket_protocol": protocol,
        "query_address": client,
        "response_address": server.server_address,
        "query_time": time.time_ns(),
    }
    tap.client_query(wire, **ends)
    reply = server.upstream.ask(wire, protocol) or servfail(wire)
    if reply is not None:
        send(reply)
        tap.client_response(reply, **ends)


def servfail(wire: bytes) -> Optional[bytes]:
    """Return the answer that there is no answer; None to what is no query."""
    try:
        reply = dns.message.make_response(dns.message.from_wire(wire))
    except dns.exception.DNSException:
        return None
    reply.set_rcode(dns.rcode.SERVFAIL)
    return reply.to_wire()


class UdpHandler(socketserver.BaseRequestHandler):
    """Answers one datagram."""

    def handle(self) -> None:
        """Answer it."""
        wire, sock = self.request
        client = self.client_address
        respond(wire, "UDP", client, self.server, lambda reply: sock.sendto(reply, client))


class TcpHandler(socketserver.StreamRequestHandler):
    """Answers one connection, with as many queries as the client likes, each after its length."""

    timeout = 2.0  # seconds without a query after which the connection is closed

    def handle(self) -> None:
        """Answer them until the client goes, or says nothing for too long."""
        try:
            while wire := read_message(self.rfile):
                respond(wire, "TCP", self.client_address, self.server, self.send)
        except OSError:
            return

    def send(self, reply: bytes) -> None:
        """Send one answer."""
        self.wfile.write(len(reply).to_bytes(2, "big") + reply)


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="A DNS forwarder with dnstap.")
    parser.add_argument("--upstream", required=True, help="IPv4 address of the server to ask")
    parser.add_argument("--upstream-port", type=int, default=53, help="its port (%(default)s)")
    parser.add_argument("--timeout", type=float, default=2.0, help="for it, in s (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP and TCP (a free one)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))
    socketserver.TCPServer.allow_reuse_address = True
    with socketserver.ThreadingUDPServer((options.host, options.port), UdpHandler) as udp:
        with socketserver.ThreadingTCPServer(udp.server_address, TcpHandler) as tcp:
            for server in (udp, tcp):
                server.upstream = Upstream(options.upstream, options.upstream_port, options.timeout)
                threading.Thread(target=server.serve_forever, daemon=True).start()
            print("listening on {} port {}, UDP and TCP".format(*udp.server_address), flush=True)
            signal.sigwait(STOP_SIGNALS)
            udp.shutdown()
            tcp.shutdown()
    # The threads have ended; at the program's end logging closes the handler, and that delivers
    # what is still queued.


if __name__ == "__main__":
    main()
