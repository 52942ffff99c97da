r"""dnstap over TLS where both sides show a certificate: a DNS server, and its collector.

With --listen it is the collector, which takes only clients whose certificate the authority in
--cafile has signed. With --address it is a DNS server that sends there.

    python examples/tls_client_certificates.py --listen tls://127.0.0.1:6000 \
        --cafile ca.pem --certfile collector.pem --keyfile collector.key
    python examples/tls_client_certificates.py --address tls://127.0.0.1:6000 \
        --cafile ca.pem --certfile server.pem --keyfile server.key --port 5300
    dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import signal
import socketserver
import ssl
import threading

from _zone import answer

from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReceiver
from dnstap_logging.integrations.socketserver import DnstapMixin
from dnstap_logging.text import format_line

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
logger = logging.getLogger("dns")


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


def serve(options: argparse.Namespace) -> None:
    """Answer queries, and log them to the collector."""
    handler = DnstapHandler(
        options.address,
        cafile=options.cafile,  # who may be the collector: its name is verified too
        certfile=options.certfile,  # who we are
        keyfile=options.keyfile,
    )
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    with socketserver.ThreadingUDPServer((options.host, options.port), UdpHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("listening on {} port {}, UDP".format(*server.server_address), flush=True)
        signal.sigwait(STOP_SIGNALS)
        server.shutdown()
    # At the end of the program, logging closes the handler, which delivers what is still queued.


def collect(options: argparse.Namespace) -> None:
    """Print what comes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.certfile, options.keyfile)
    context.load_verify_locations(options.cafile)
    context.verify_mode = ssl.CERT_REQUIRED  # without it, clients need no certificate
    with DnstapReceiver(options.listen, show, ssl_context=context) as receiver:
        print(f"collecting on {receiver.address}", flush=True)
        signal.sigwait(STOP_SIGNALS)


def show(message: DnstapMessage) -> None:
    """Print one message."""
    print(format_line(message), flush=True)


def main() -> None:
    """Serve or collect until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="dnstap over TLS with client certificates.")
    side = parser.add_mutually_exclusive_group(required=True)
    side.add_argument("--listen", help="collect here: tls://127.0.0.1:0")
    side.add_argument("--address", help="serve, and send dnstap there: tls://127.0.0.1:6000")
    parser.add_argument("--cafile", required=True, help="who has signed the other's certificate")
    parser.add_argument("--certfile", required=True, help="our own certificate")
    parser.add_argument("--keyfile", help="its key, if it is not in that file")
    parser.add_argument("--host", default="127.0.0.1", help="of the server (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="of the server, UDP (a free one)")
    options = parser.parse_args()

    # Blocked here, and so in all threads, the signals wait until sigwait() asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    if options.listen:
        collect(options)
    else:
        serve(options)


if __name__ == "__main__":
    main()
