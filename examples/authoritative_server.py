"""An authoritative DNS server on socketserver, UDP and TCP, that logs AUTH_* messages.

`DnstapMixin` and two calls are all that a request handler needs: addresses, ports, protocol and
times come from its socket.

    python examples/authoritative_server.py --address unix:///run/dnstap.sock --port 5300
    dig @127.0.0.1 -p 5300 +norecurse www.example.org
"""

from __future__ import annotations

import argparse
import logging
import signal
import socketserver
import threading

from _zone import answer

from dnstap_logging import DnstapHandler
from dnstap_logging.integrations.socketserver import DnstapMixin

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
logger = logging.getLogger("dns")


class UdpHandler(DnstapMixin, socketserver.BaseRequestHandler):
    """Answers one datagram."""

    dnstap_logger = logger
    dnstap_role = "AUTH"

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
    dnstap_role = "AUTH"
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


class UdpServer(socketserver.ThreadingUDPServer):
    """Starts a thread for each datagram; its end waits for them."""


class TcpServer(socketserver.ThreadingTCPServer):
    """Starts a thread for each connection; its end waits for them."""

    allow_reuse_address = True


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="An authority for example.org, with dnstap.")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP and TCP (a free one)")
    parser.add_argument("--address", default="unix:///run/dnstap.sock", help="the collector")
    options = parser.parse_args()

    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logger.setLevel(logging.INFO)
    logger.addHandler(DnstapHandler(options.address))
    with UdpServer((options.host, options.port), UdpHandler) as udp:
        with TcpServer(udp.server_address, TcpHandler) as tcp:
            for server in (udp, tcp):
                threading.Thread(target=server.serve_forever, daemon=True).start()
            print("listening on {} port {}, UDP and TCP".format(*udp.server_address), flush=True)
            signal.sigwait(STOP_SIGNALS)
            udp.shutdown()
            tcp.shutdown()
    # At the end of the program, logging closes the handler, which delivers what is still queued.


if __name__ == "__main__":
    main()
