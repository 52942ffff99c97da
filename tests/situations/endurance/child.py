"""What a measured process does: ``python -m tests.situations.endurance.child NAME COUNT ...``.

At each mark everything is written, and the process waits until its memory was looked at.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

from dnstap_logging import (
    DnstapAdapter,
    DnstapHandler,
    MessageType,
    Policy,
    RotatingDnstapHandler,
    Stats,
    TimedRotatingDnstapHandler,
)
from dnstap_logging.filters import AnonymizingFilter, QnameFilter, RcodeFilter, SamplingFilter
from tests.situations.endurance.measure import MARKS, PATIENCE
from tests.situations.endurance.traffic import client, query, response

QUEUE_SIZE = 1000
"""Records that may wait: so few that the queue, which is fuller now and emptier then, does not show
in what is measured."""

MAX_BYTES = 1 << 20
SERVER = ("192.0.2.53", 53)
CONSTANTS = {"dns_response_address": SERVER, "dns_socket_protocol": "UDP"}
UNUSUAL = 40
"""One in this many records differs from the others, and takes another path."""

MISSPELT = 1000
"""One in this many records has an unknown key; finding a similar one takes long."""

logger = logging.getLogger("dns")


def numbers(count: int, settle: Callable[[], object]) -> Iterator[int]:
    """Yield numbers; at each mark settle, and wait until the memory was looked at."""
    step = max(1, count // MARKS)
    for number in range(step * MARKS):
        if number % step == 0:
            mark(settle)
        yield number
    mark(settle)


def mark(settle: Callable[[], object]) -> None:
    """Have the memory looked at."""
    settle()
    print("mark", flush=True)
    sys.stdin.readline()


@contextlib.contextmanager
def attached(handler: DnstapHandler) -> Iterator[Callable[[], None]]:
    """Log to a handler; yield what waits until all is written."""
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)

    def flush() -> None:
        if not handler.flush(PATIENCE):
            raise RuntimeError(f"not written in {PATIENCE:.0f} s: {handler.stats()}")

    try:
        yield flush
    finally:
        logger.removeHandler(handler)
        handler.close()
        check(handler.stats())


def check(stats: Stats) -> None:
    """Make sure that the records went where they should."""
    lost = {cause: number for cause, number in stats.dropped.items() if number}
    if set(lost) - {"invalid", "too_large"} or stats.written < stats.logged * 9 // 10:
        raise RuntimeError(f"too little was written: {stats!r}")


def make_handler(kind: str, folder: str, address: str) -> DnstapHandler:
    """Make a handler by a word."""
    path = Path(folder) / "capture.fstrm"
    common: Dict[str, Any] = {
        "queue_size": QUEUE_SIZE,
        "overflow": "block",
        "close_timeout": PATIENCE,
        "reconnect_interval": 0.01,
        "max_reconnect_interval": 0.02,
    }
    if kind == "tls":
        common["cafile"] = str(Path(folder) / "ca.pem")
    if kind == "rotating":
        return RotatingDnstapHandler(path, maxBytes=MAX_BYTES, backupCount=2, **common)
    if kind == "timed":
        return TimedRotatingDnstapHandler(path, when="S", backupCount=2, **common)
    return DnstapHandler(path if kind == "file" else address, **common)


# -- records -----------------------------------------------------------------------------------


def by_adapter(count: int, handler: DnstapHandler) -> None:
    """Log queries and responses by an adapter."""
    tap = DnstapAdapter(logger, CONSTANTS)
    with attached(handler) as flush:
        for number in numbers(count, flush):
            pair = number // 2
            if number % UNUSUAL == 0:
                log_unusual(tap, pair)
            elif number % 2:
                tap.client_response(response(pair), query_address=client(pair))
            else:
                tap.client_query(query(pair), query_address=client(pair))


def log_unusual(tap: DnstapAdapter, number: int) -> None:
    """Log what takes another way than most records do."""
    wire, end = query(number), client(number)
    kind = number // UNUSUAL % 8
    if kind == 0:
        tap.resolver_query(bytearray(wire), query_address=end, query_zone="example.com")
    elif kind == 1:
        tap.client_query(wire, query_address=(end[0], 70000))  # left out, and counted
    elif kind == 2:
        tap.client_response(
            wire, query_address=end, policy=Policy("RPZ", rule=f"n{number}.example")
        )
    elif kind == 3:
        tap.forwarder_query(wire, query_address=f"2001:db8::{number & 65535:x}", dns_extra=end[0])
    elif kind == 4:
        tap.stub_query(wire, query_address=end, socket_protocol="DOH", http_protocol="HTTP2")
    elif kind == 5:
        tap.client_query(bytes(65536))  # too large
    elif kind == 6:
        tap.auth_response(wire, query_message=wire * 50, identity=f"ns{number % 1000}")
    else:
        tap.client_query(wire, query_address=end, extra={"dns_" + end[0]: number})


def by_logger(count: int, handler: DnstapHandler) -> None:
    """Log queries and responses by logger.info with extras."""
    handler.setFormatter(logging.Formatter("%(message)s"))
    with attached(handler) as flush:
        for number in numbers(count, flush):
            pair = number // 2
            extra = {**CONSTANTS, "dns_query_address": client(pair)}
            if number % 2:
                extra["dns_message_type"] = MessageType.CLIENT_RESPONSE
                extra["dns_response_message"] = response(pair)
            else:
                extra["dns_message_type"] = "CLIENT_QUERY"
                extra["dns_query_message"] = query(pair)
            if number % MISSPELT == 0:
                extra[f"dns_key_{pair}"] = pair
            logger.info("%d", pair, extra=extra)


FILTERS: Dict[str, Callable[[], logging.Filter]] = {
    "anonymizing": AnonymizingFilter,
    "pseudonyms": lambda: AnonymizingFilter(key=bytes(range(32))),
    "sampling": lambda: SamplingFilter(2, state_rate=True),
    "rcode": lambda: RcodeFilter(["NOERROR"]),
    "qname": lambda: QnameFilter(exclude=["n00000001.example.com"]),
}


# -- what happens to handlers ------------------------------------------------------------------


def reconnects(count: int, handler: DnstapHandler) -> None:
    """Log until the collector has ended the session, again and again."""
    tap = DnstapAdapter(logger, CONSTANTS)
    changed = threading.Event()
    with attached(handler):
        for number in numbers(count, lambda: None):
            ended, began = handler.stats().disconnects, time.monotonic()
            while handler.stats().disconnects == ended:
                tap.client_query(query(number))
                if time.monotonic() - began > PATIENCE:
                    raise RuntimeError(f"no new session in {PATIENCE:.0f} s: {handler.stats()}")
                changed.wait(0.001)


def rollovers(count: int, handler: Any) -> None:
    """Roll over behind each record."""
    tap = DnstapAdapter(logger, CONSTANTS)
    with attached(handler) as flush:
        for number in numbers(count, flush):
            tap.client_query(query(number))
            handler.doRollover()


def renewals(count: int, kind: str, folder: str, address: str) -> None:
    """Make a handler for each record, as a program that is configured again and again does."""
    tap = DnstapAdapter(logger, CONSTANTS)
    for number in numbers(count, lambda: None):
        with attached(make_handler(kind, folder, address)):
            tap.client_query(query(number))


def main(name: str, count: int, kind: str, folder: str, address: str) -> None:
    """Do the work with this name."""
    if name == "renewals":
        renewals(count, kind, folder, address)
        return
    if name in SERVERS:
        SERVERS[name](count, make_handler(kind, folder, address))
        return
    handler = make_handler(kind, folder, address)
    if name in FILTERS:
        handler.addFilter(FILTERS[name]())
        by_logger(count, handler)
        return
    work = {"adapter": by_adapter, "logger": by_logger}
    work.update(reconnects=reconnects, rollovers=rollovers)
    work[name](count, handler)


if __name__ == "__main__":
    from tests.situations.endurance.servers import SERVERS

    main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
