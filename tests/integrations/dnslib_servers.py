"""dnslib's own server on loopback, and what it told its logger's text side."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Iterator, List, Tuple

from dnslib import DNSError, DNSRecord
from dnslib.server import BaseResolver, DNSLogger, DNSServer, TCPServer

from tests.integrations.servers import DEADLINE, Seen, Server

BIND_ATTEMPTS = 20


class Noting(DNSLogger):  # type: ignore[misc]
    """A DNSLogger of the user's: notes what the server handled, by dnslib's own hooks."""

    def __init__(self) -> None:
        super().__init__("+recv,+send", logf=lambda line: None)
        self.received: List[Seen] = []
        self.sent: List[Seen] = []
        self.calls: List[str] = []

    def log_recv(self, handler: Any, data: bytes) -> None:
        self.received.append(Seen(handler.client_address, bytes(data)))

    def log_send(self, handler: Any, data: bytes) -> None:
        self.sent.append(Seen(handler.client_address, bytes(data)))

    def log_request(self, handler: Any, request: DNSRecord) -> None:
        self.calls.append("request")

    def log_reply(self, handler: Any, reply: DNSRecord) -> None:
        self.calls.append("reply")

    def log_truncated(self, handler: Any, reply: DNSRecord) -> None:
        self.calls.append("truncated")

    def log_error(self, handler: Any, e: object) -> None:
        # A text, where a client closes its connection without any query.
        self.calls.append("error" if isinstance(e, DNSError) else "no query")


class Addresses(BaseResolver):  # type: ignore[misc]
    """Answer with that many addresses."""

    def __init__(self, count: int = 1) -> None:
        self.count = count

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        from dnslib import RR

        reply = request.reply()
        for number in range(self.count):
            reply.add_answer(*RR.fromZone(f"{request.q.qname} 60 A 192.0.2.{number + 1}"))
        return reply


class PatientTCPServer(TCPServer):  # type: ignore[misc]
    """dnslib's own, where many clients may wait to be accepted: else their system has them wait."""

    request_queue_size = 128


@contextlib.contextmanager
def dns_server(
    logger: Any, resolver: Any = None, host: str = "127.0.0.1", **options: Any
) -> Iterator[Server]:
    """Run a DNSServer of dnslib on a free port."""
    options.setdefault("port", 0)
    if options.get("tcp"):
        options["server"] = PatientTCPServer
    dns = DNSServer(resolver or Addresses(), address=host, logger=logger, **options)
    dns.server.handle_error = lambda *args: None  # no traceback for a client that went away
    thread = threading.Thread(target=dns.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Server(dns.server)
    finally:
        dns.server.shutdown()
        thread.join(DEADLINE)
        dns.server.server_close()


@contextlib.contextmanager
def udp_and_tcp(logger: Any, resolver: Any = None) -> Iterator[Tuple[Server, Server]]:
    """Run two DNSServers on one port, as upstreams do."""
    for attempt in range(1, BIND_ATTEMPTS + 1):
        with contextlib.ExitStack() as stack:
            tcp = stack.enter_context(dns_server(logger, resolver, tcp=True))
            try:
                udp = stack.enter_context(dns_server(logger, resolver, port=tcp.port))
            except OSError:  # somebody else has this port for UDP
                if attempt == BIND_ATTEMPTS:
                    raise
                continue
            yield udp, tcp
            return
