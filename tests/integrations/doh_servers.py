"""DNS over HTTPS on loopback: HTTP/1.1 by the standard library, HTTP/2 by h2."""

from __future__ import annotations

import base64
import http.server
import ssl
import urllib.parse
from typing import Any, Dict, Iterator, Type

from tests.integrations.servers import Seen, Server, StreamHandler

DNS_MESSAGE = "application/dns-message"


class Http1(http.server.BaseHTTPRequestHandler, StreamHandler):  # type: ignore[misc]
    """Answer by HTTP/1.1, POST and GET."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.respond(self.rfile.read(int(self.headers["content-length"])))

    def do_GET(self) -> None:
        self.respond(query_of(self.path))

    def respond(self, wire: bytes) -> None:
        """Answer a query."""
        for answer in answered(self, wire):
            self.send_response(200 if answer else 500)
            self.send_header("content-type", DNS_MESSAGE)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def handle(self) -> None:
        http.server.BaseHTTPRequestHandler.handle(self)

    def log_message(self, *args: Any) -> None:
        return


class Http2(StreamHandler):
    """Answer by HTTP/2, POST only, as far as a test's client needs it."""

    def handle(self) -> None:
        # The client's HTTP library brings h2 along; nothing else needs it.
        from h2.config import H2Configuration
        from h2.connection import H2Connection
        from h2.events import DataReceived, StreamEnded

        connection = H2Connection(H2Configuration(client_side=False))
        connection.initiate_connection()
        self.request.sendall(connection.data_to_send())
        bodies: Dict[int, bytes] = {}
        while True:
            data = self.request.recv(65535)
            if not data:
                return
            for event in connection.receive_data(data):
                if isinstance(event, DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                elif isinstance(event, StreamEnded):
                    for answer in answered(self, bodies[event.stream_id]):
                        headers = [(":status", "200"), ("content-type", DNS_MESSAGE)]
                        connection.send_headers(event.stream_id, headers)
                        connection.send_data(event.stream_id, answer, end_stream=True)
            self.request.sendall(connection.data_to_send())


def answered(handler: Any, wire: bytes) -> Iterator[bytes]:
    """Note a query and its answers, as the other servers do."""
    dns: Server = handler.server.dns
    dns.received.append(Seen(handler.client_address, wire))
    for answer in handler.server.answer(wire):
        dns.sent.append(Seen(handler.client_address, answer))
        yield answer


def query_of(path: str) -> bytes:
    """Return the query in the path of a GET (RFC 8484, 4.1)."""
    (text,) = urllib.parse.parse_qs(urllib.parse.urlparse(path).query)["dns"]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def offering(context: ssl.SSLContext, handler: Type[Any]) -> ssl.SSLContext:
    """Have a server's context offer the HTTP that its handler speaks."""
    context.set_alpn_protocols(["h2"] if handler is Http2 else ["http/1.1"])
    return context
