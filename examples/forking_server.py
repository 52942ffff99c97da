"""A DNS server on socketserver's ForkingMixIn: a process for each query, which delivers its log.

ForkingMixIn ends its children by os._exit(), which skips logging's end: what they had queued would
be lost. `finish_request` is the place to prevent that: it runs in the child, and after it there is
nothing left but to close the request.

    python examples/forking_server.py --address unix:///run/dnstap.sock --port 5300
    dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import selectors
import signal
import socketserver
from typing import Any

from _zone import answer

from dnstap_logging import DnstapHandler
from dnstap_logging.integrations.socketserver import DnstapMixin

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
LOOK_INTERVAL = 0.2  # seconds after which the idle server looks for its end
logger = logging.getLogger("dns")


class DeliveringForkingMixIn(socketserver.ForkingMixIn):
    """Forks for each request, and delivers what the child logged before it ends."""

    timeout = 0  # main() calls handle_request() only when there is one

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer the request, in the child."""
        try:
            super().finish_request(request, client_address)
        finally:
            logging.shutdown()  # flushes and closes all handlers, in a bounded time


class UdpServer(DeliveringForkingMixIn, socketserver.UDPServer):
    """A process for each datagram."""


class TcpServer(DeliveringForkingMixIn, socketserver.TCPServer):
    """A process for each connection."""

    allow_reuse_address = True


class UdpHandler(DnstapMixin, socketserver.BaseRequestHandler):
    """Answers one datagram."""

    dnstap_logger = logger

    def handle(self) -> None:
        """Answer it."""
        wire, sock = self.request
        self.dnstap_query(wire)
        reply = answer(wire)
        if reply is not None:
            sock.sendto(reply, self.client_address)
            self.dnstap_response(reply)


class TcpHandler(DnstapMixin, socketserver.StreamRequestHandler):
    """Answers one connection, with as many queries as the client likes, each after its length."""

    dnstap_logger = logger
    timeout = 2.0  # seconds without a query after which the connection is closed

    def handle(self) -> None:
        """Answer them until the client goes, or says nothing for too long."""
        try:
            while len(length := self.rfile.read(2)) == 2:
                wire = self.rfile.read(int.from_bytes(length, "big"))
                self.dnstap_query(wire)
                reply = answer(wire)
                if reply is None:
                    return
                self.wfile.write(len(reply).to_bytes(2, "big") + reply)
                self.dnstap_response(reply)
        except OSError:
            return


def main() -> None:
    """Serve until SIGINT or SIGTERM, without threads: a process that has some should not fork."""
    parser = argparse.ArgumentParser(description="A forking DNS server with dnstap.")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP and TCP (a free one)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    # Blocked in the children too: a signal does not end them before they have delivered.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))
    with UdpServer((options.host, options.port), UdpHandler) as udp:
        with TcpServer(udp.server_address, TcpHandler) as tcp:
            selector = selectors.DefaultSelector()
            for server in (udp, tcp):
                selector.register(server, selectors.EVENT_READ)
            print("listening on {} port {}, UDP and TCP".format(*udp.server_address), flush=True)
            while not signal.sigpending() & STOP_SIGNALS:
                for key, _ in selector.select(LOOK_INTERVAL):
                    key.fileobj.handle_request()
                for server in (udp, tcp):
                    server.service_actions()  # takes leave of children that have ended
    # server_close(), at the end of each with, waits for the children.


if __name__ == "__main__":
    main()
