"""Who logs what in the benchmarks: ours, and what it is compared with.

* floor: `logger.info` with a handler that does nothing. Nobody who uses logging can go below it.
* text: the standard library's `FileHandler`, one formatted line: what Python DNS servers do today.
* parts: what a user would build of the parts at hand (`parts.py`).
* info, adapter: ours, by `logger.info` with five dns extras, and by `DnstapAdapter.client_query`.

All log the same queries in the same order. A contender's handler has brought everything to its
destination when its `close` returns, and none may drop a record.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from itertools import cycle, islice
from pathlib import Path
from typing import Callable, Dict, Iterator, NamedTuple

from dnstap_logging import DnstapAdapter, DnstapHandler
from tests.benchmarks.parts import FileStream, PartsHandler
from tests.benchmarks.traffic import CONSTANTS, extras, queries

IDENTITY, VERSION = "ns1.example.org", "benchmark 1.0"
CLOSE_TIMEOUT = 600  # seconds: whoever measures waits for the last record

QUERIES = queries()
EXTRAS = extras(QUERIES)

LINE = (
    "%(asctime)s %(dns_message_type)s %(dns_query_address)s %(dns_response_address)s "
    "%(dns_socket_protocol)s %(dns_query_message)s"
)


class Floor(logging.Handler):
    """A handler that does nothing."""

    def emit(self, record: logging.LogRecord) -> None:
        """Do nothing."""


def make_floor(folder: Path) -> logging.Handler:
    """Return the handler that does nothing."""
    return Floor()


def make_text(folder: Path) -> logging.Handler:
    """Return the standard library's file handler, writing one line of the same data."""
    handler = logging.FileHandler(folder / "text.log")
    handler.setFormatter(logging.Formatter(LINE))
    return handler


def make_parts(folder: Path) -> logging.Handler:
    """Return the handler made of parts, writing a capture."""
    return PartsHandler(FileStream(folder / "capture.fstrm"), IDENTITY, VERSION)


def make_dnstap(folder: Path) -> logging.Handler:
    """Return our handler, writing a capture."""
    return lossless(str(folder / "capture.fstrm"))


def lossless(address: str) -> DnstapHandler:
    """Return our handler; "block", so that it pays for every record."""
    return DnstapHandler(
        address,
        identity=IDENTITY,
        version=VERSION,
        overflow="block",
        close_timeout=CLOSE_TIMEOUT,
    )


def waiting() -> DnstapHandler:
    """Return our handler without a collector: its queue fills, and its thread only waits."""
    with tempfile.TemporaryDirectory() as gone:
        return DnstapHandler(f"unix://{gone}/dnstap.sock", close_timeout=0)


def log_by_info(logger: logging.Logger, messages: int) -> None:
    """Log that many queries with `logger.info`."""
    info = logger.info
    for extra in islice(cycle(EXTRAS), messages):
        info("query", extra=extra)


def log_by_adapter(logger: logging.Logger, messages: int) -> None:
    """Log that many queries with an adapter, which has the server's own end as constants."""
    client_query = DnstapAdapter(logger, CONSTANTS).client_query
    for wire, client in islice(cycle(QUERIES), messages):
        client_query(wire, query_address=client)


class Contender(NamedTuple):
    """A way to log: what makes its handler in a folder, and what logs that many messages."""

    make_handler: Callable[[Path], logging.Handler]
    log: Callable[[logging.Logger, int], None]


CONTENDERS: Dict[str, Contender] = {
    "floor": Contender(make_floor, log_by_info),
    "text": Contender(make_text, log_by_info),
    "parts": Contender(make_parts, log_by_info),
    "info": Contender(make_dnstap, log_by_info),
    "adapter": Contender(make_dnstap, log_by_adapter),
}


@contextlib.contextmanager
def logger_with(handler: logging.Handler) -> Iterator[logging.Logger]:
    """Return a logger with this handler alone, which is closed at the end."""
    logger = logging.Logger("dns", logging.INFO)
    logger.addHandler(handler)
    try:
        yield logger
    finally:
        handler.close()
