r"""Several destinations at once: everything to a file, and a sample without full addresses far
away.

Each handler has its own filters, queue and thread: the file gets everything, whatever happens to
the collector. The collector gets a sample of the exchanges, in which the clients' addresses are
cut to their networks; Dnstap.extra has the sample's rate.

    python examples/several_destinations.py --file dns.fstrm --address tcp://192.0.2.9:6000 \
        --rate 100 --port 5300
    dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import logging.config
import signal
import socketserver
import threading
from typing import Any, Dict

from _zone import answer

from dnstap_logging.integrations.socketserver import DnstapMixin

STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
LOGGING: Dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,  # or the library's own diagnostics are switched off
    "filters": {
        "sample": {"()": "dnstap_logging.filters.SamplingFilter", "rate": 10, "state_rate": True},
        "anonymous": {
            "()": "dnstap_logging.filters.AnonymizingFilter",
            "ipv4_prefix": 24,
            "ipv6_prefix": 48,
        },
    },
    "handlers": {
        "full": {"class": "dnstap_logging.DnstapHandler", "address": "dns.fstrm"},
        "sampled": {
            "class": "dnstap_logging.DnstapHandler",
            "address": "tcp://127.0.0.1:6000",
            # In this order: the sample is by the whole address, the copy that goes out has it cut.
            "filters": ["sample", "anonymous"],
        },
    },
    "loggers": {"dns": {"level": "INFO", "handlers": ["full", "sampled"], "propagate": False}},
}


class UdpHandler(DnstapMixin, socketserver.BaseRequestHandler):
    """Answers one datagram."""

    dnstap_logger = "dns"

    def handle(self) -> None:
        """Answer it."""
        wire, sock = self.request
        self.dnstap_query(wire)
        reply = answer(wire)
        if reply is not None:
            sock.sendto(reply, self.client_address)
            self.dnstap_response(reply)


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="A DNS server whose dnstap goes to two places.")
    parser.add_argument("--file", help="the capture that gets everything (dns.fstrm)")
    parser.add_argument("--address", help="the collector (tcp://127.0.0.1:6000)")
    parser.add_argument("--rate", type=int, help="it gets 1 in RATE exchanges (10)")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP (a free one)")
    options = parser.parse_args()
    if options.file:
        LOGGING["handlers"]["full"]["address"] = options.file
    if options.address:
        LOGGING["handlers"]["sampled"]["address"] = options.address
    if options.rate:
        LOGGING["filters"]["sample"]["rate"] = options.rate

    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logging.config.dictConfig(LOGGING)
    with socketserver.ThreadingUDPServer((options.host, options.port), UdpHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("listening on {} port {}, UDP".format(*server.server_address), flush=True)
        signal.sigwait(STOP_SIGNALS)
        server.shutdown()
    # At the end of the program, logging closes the handlers, which deliver what is still queued.


if __name__ == "__main__":
    main()
