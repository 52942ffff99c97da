"""DNS over HTTPS (RFC 8484) on http.server, in front of the authority of one zone.

The clients' side is logged as CLIENT_* with DOH and the version of HTTP, the authority's side as
RESOLVER_* with the zone that was asked. HTTP/1.1 only. Without --certfile it speaks plain HTTP,
which is for a proxy in front that does TLS, and for trying it out.

    python examples/doh_endpoint.py --authority 192.0.2.53 --zone example.org --port 8053
    curl 'http://127.0.0.1:8053/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA29yZwAAAQAB' | xxd
"""

from __future__ import annotations

import argparse
import base64
import logging
import signal
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Optional
from urllib.parse import parse_qs, urlsplit

import dns.exception
import dns.message
import dns.rcode

from dnstap_logging import DnstapAdapter, DnstapHandler
from dnstap_logging.integrations.dnspython import DnstapClient
from dnstap_logging.integrations.socketserver import DnstapMixin

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
PATH = "/dns-query"
DNS_MESSAGE = "application/dns-message"
MAX_MESSAGE = 65535
TIMEOUT = 2.0
logger = logging.getLogger("dns")


class Endpoint(DnstapMixin, BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    dnstap_logger = logger
    dnstap_protocol = "DOH"
    protocol_version = "HTTP/1.1"
    timeout = TIMEOUT  # without a request after which the connection is closed

    def do_GET(self) -> None:
        """Take the query from ?dns=, in base64url without padding."""
        url = urlsplit(self.path)
        text = parse_qs(url.query).get("dns", [""])[0]
        try:
            wire = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            wire = b""
        self.respond(url.path, wire)

    def do_POST(self) -> None:
        """Take the query from the body."""
        size = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != DNS_MESSAGE:
            self.send_error(415)
        elif not size.isdecimal():
            self.send_error(411)
        elif int(size) > MAX_MESSAGE:
            self.send_error(413)
        else:
            self.respond(self.path, self.rfile.read(int(size)))

    def respond(self, path: str, wire: bytes) -> None:
        """Answer one query."""
        if path != PATH:
            self.send_error(404)
            return
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            self.send_error(400)
            return
        self.dnstap_query(wire, http_protocol="HTTP1")
        reply = self.server.resolve(query).to_wire()
        self.send_response(200)
        self.send_header("Content-Type", DNS_MESSAGE)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)
        self.dnstap_response(reply, http_protocol="HTTP1")

    def log_message(self, format: str, *args: object) -> None:
        """Print no line for each request: dnstap has them."""


class Server(ThreadingHTTPServer):
    """The endpoint, and the resolver behind it."""

    daemon_threads = False  # the end waits for them

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__((options.host, options.port), Endpoint)
        # What this client asks has the zone that it asks for.
        zone = DnstapAdapter(logger, {"dns_query_zone": options.zone})
        self.client = DnstapClient(zone, role="RESOLVER")
        self.authority = {"where": options.authority, "port": options.authority_port}
        if options.certfile:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(options.certfile, options.keyfile)
            self.socket = context.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def resolve(self, query: dns.message.Message) -> dns.message.Message:
        """Return the authority's answer, or SERVFAIL."""
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(dns.rcode.SERVFAIL)
        answer = self.ask(query)
        if answer is not None:
            reply.set_rcode(answer.rcode())
            reply.answer, reply.authority = answer.answer, answer.authority
        return reply

    def ask(self, query: dns.message.Message) -> Optional[dns.message.Message]:
        """Ask the authority the same question, with an ID of our own and without recursion."""
        if len(query.question) != 1:
            return None
        question = query.question[0]
        ours = dns.message.make_query(question.name, question.rdtype, question.rdclass, flags=0)
        try:
            return self.client.udp_with_fallback(ours, timeout=TIMEOUT, **self.authority)[0]
        except (OSError, EOFError, dns.exception.DNSException):
            return None


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="DNS over HTTPS with dnstap.")
    parser.add_argument("--authority", required=True, help="IPv4 address of the zone's server")
    parser.add_argument("--authority-port", type=int, default=53, help="its port (%(default)s)")
    parser.add_argument("--zone", required=True, help="the zone that it has")
    parser.add_argument("--certfile", help="serve HTTPS with this certificate")
    parser.add_argument("--keyfile", help="its key, if it is not in that file")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for HTTP (a free one)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))
    with Server(options) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        scheme = "https" if options.certfile else "http"
        host, port = server.server_address
        print(f"listening on {host} port {port}, {scheme}://{host}:{port}{PATH}", flush=True)
        signal.sigwait(STOP_SIGNALS)
        server.shutdown()
    # At the end of the program, logging closes the handler, which delivers what is still queued.


if __name__ == "__main__":
    main()
