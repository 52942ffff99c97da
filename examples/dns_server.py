"""A small DNS server that shows every query and every answer to a dnstap collector.

It answers for the zone example.org, over UDP and TCP, one thread for each query, with the server of
``dnstap-logging demo``, which is nothing but `socketserver` and dnslib. Here is what makes it speak
dnstap: the `LOGGING` configuration, and the two calls of `logger.info` in `respond`. Run it, and
ask it something:

    python examples/dns_server.py --address unix:///run/dnstap.sock --port 5300
    dig @127.0.0.1 -p 5300 www.example.org
"""

from __future__ import annotations

import argparse
import logging
import logging.config
import signal
import sys
import threading
import time
from typing import Any, Callable, Dict, NoReturn, Tuple

import dnstap_logging
from dnstap_logging.cli.demo.server import DnsServer, answer

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
        with DnsServer(respond, options.host, options.port) as server:
            print(f"listening on {server.host} port {server.port}, UDP and TCP", flush=True)
            threading.Event().wait()
    except (OSError, OverflowError) as error:
        parser.error(f"cannot listen on {options.host} port {options.port}: {error}")
    except KeyboardInterrupt:
        handler.close()
        print(handler.stats(), file=sys.stderr)


if __name__ == "__main__":
    main()
