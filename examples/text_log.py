"""A text log and dnstap: the same log calls, two handlers, or one of them in JSON.

The readable line is made only where a handler formats it; the dnstap handler never does. With
--json the lines come from python-json-logger (3.1 or newer), which has every dns extra as a field.

    python examples/text_log.py --address unix:///run/dnstap.sock --port 5300
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
    "formatters": {
        "plain": {"format": "%(message)s"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(levelname)s %(message)s",
        },
    },
    "handlers": {
        "text": {
            "class": "logging.StreamHandler",
            "stream": "ext://sys.stdout",
            "formatter": "plain",
        },
        "dnstap": {
            "class": "dnstap_logging.DnstapHandler",
            "address": "unix:///run/dnstap.sock",
        },
    },
    "loggers": {"dns": {"level": "INFO", "handlers": ["text", "dnstap"], "propagate": False}},
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
    parser = argparse.ArgumentParser(description="A DNS server with a text log and dnstap.")
    parser.add_argument("--json", action="store_true", help="the text log in JSON")
    parser.add_argument("--host", default="127.0.0.1", help="IPv4 address (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="for UDP (a free one)")
    parser.add_argument("--address", help="the collector (unix:///run/dnstap.sock)")
    options = parser.parse_args()
    if options.address:
        LOGGING["handlers"]["dnstap"]["address"] = options.address
    if options.json:
        LOGGING["handlers"]["text"]["formatter"] = "json"
    else:
        del LOGGING["formatters"]["json"]  # python-json-logger need not be installed

    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logging.config.dictConfig(LOGGING)
    with socketserver.ThreadingUDPServer((options.host, options.port), UdpHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print("listening on {} port {}, UDP".format(*server.server_address), flush=True)
        signal.sigwait(STOP_SIGNALS)
        server.shutdown()
    # At the end of the program, logging closes the handler, which delivers what is still queued.


if __name__ == "__main__":
    main()
