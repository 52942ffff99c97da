"""The DNS server that is put under load, as a program: dnslib's, with a thread for each query.

python -m tests.benchmarks.served none | hook | text | dnstap DESTINATION

It is the same server each time, and differs in its logger: none; one whose hooks do nothing; a line
of text for each query and response, by the standard library; `DnstapLogger`, which is all that a
user changes. It keeps to one core, says on which port it listens, serves until SIGTERM, and prints
the books of its handler.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from typing import Any, Dict

from dnslib.server import DNSLogger, DNSServer
from dnslib.zoneresolver import ZoneResolver

from dnstap_logging import DnstapHandler
from dnstap_logging.integrations.dnslib import DnstapLogger

SERVER_CORE, CLIENT_CORE = 0, 1
STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}
NAMES = ("www", "mail", "ns1", "ns2", "ftp", "api", "cdn", "img")
ZONE = "$ORIGIN example.org.\n$TTL 300\n" + "".join(
    f"{name} IN A 192.0.2.{number}\n" for number, name in enumerate(NAMES, 1)
)


class Hook(DNSLogger):  # type: ignore[misc]  # dnslib has no types
    """Do nothing with each query and response: what dnslib takes for calling a logger."""

    def __init__(self) -> None:
        super().__init__("recv,send")

    def log_recv(self, handler: Any, data: bytes) -> None:
        """Do nothing."""

    def log_send(self, handler: Any, data: bytes) -> None:
        """Do nothing."""


class TextLogger(DNSLogger):  # type: ignore[misc]  # dnslib has no types
    """Write a line of text for each query and response.

    Args:
        logger: gets the lines.
    """

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__("recv,send")
        self._logger = logger

    def log_recv(self, handler: Any, data: bytes) -> None:
        """Log a query."""
        self._line("CLIENT_QUERY", handler, data)

    def log_send(self, handler: Any, data: bytes) -> None:
        """Log a response."""
        self._line("CLIENT_RESPONSE", handler, data)

    def _line(self, kind: str, handler: Any, data: bytes) -> None:
        ends = handler.client_address, handler.server.server_address
        self._logger.info("%s %s %s UDP %s", kind, *ends, data)


def make_logger(variant: str, destination: str) -> DNSLogger:
    """Return a variant's logger for dnslib."""
    logger = logging.getLogger("dns")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if variant == "dnstap":
        logger.addHandler(DnstapHandler(destination))
        return DnstapLogger(logger)
    if variant == "text":
        handler = logging.FileHandler(destination)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(handler)
        return TextLogger(logger)
    if variant == "hook":
        return Hook()
    return DNSLogger("-request,-reply,-truncated,-error")


def keep_to(core: int) -> None:
    """Bind this process to one core of those that it may use, if there are two and it can be done.

    A server and its clients that are moved between cores cost now more, now less: up to a third of
    what is measured. Bound to one each, they cost the same within a few hundredths.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[core]})


def books() -> Dict[str, float]:
    """Close the handlers; return what became of the records."""
    found: Dict[str, float] = {"logged": 0, "written": 0}
    for handler in logging.getLogger("dns").handlers:
        handler.close()
        if isinstance(handler, DnstapHandler):
            stats = handler.stats()
            found = {"logged": stats.logged, "written": stats.written}
    return found


def main(variant: str, destination: str = "") -> None:
    """Serve until SIGINT or SIGTERM."""
    # Blocked here, and so in all threads, the signals wait until sigwait() below asks for them.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    keep_to(SERVER_CORE)
    logger = make_logger(variant, destination)
    server = DNSServer(ZoneResolver(ZONE), "127.0.0.1", 0, logger=logger)
    server.start_thread()
    cpu = time.process_time()
    print(server.server.server_address[1], flush=True)
    signal.sigwait(STOP_SIGNALS)
    server.stop()
    server.server.server_close()
    found = books()
    print(json.dumps({**found, "cpu": time.process_time() - cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
