"""What a spool costs: with a healthy collector, while there is none, and when it comes back.

The collector is fstrm_capture on a unix socket, another one for each contender and round, and each
capture is counted afterwards.
"""

from __future__ import annotations

import functools
import itertools
import logging
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional

from dnstap_logging import DnstapHandler, DnstapReader
from tests.benchmarks.contenders import (
    CLOSE_TIMEOUT,
    IDENTITY,
    VERSION,
    log_by_adapter,
    logger_with,
)
from tests.benchmarks.figures import Figure, Quantities, Scale, Section, alternate, medians
from tests.benchmarks.throughput import check
from tests.situations.interop.collectors import FstrmCapture

ROOM = 1 << 30
"""Bytes that a spool may have: more than a million records."""

POLL = 0.002  # seconds between two looks at the counters of a drain


def handler_for(socket: Path, spool: Optional[Path]) -> DnstapHandler:
    """Return our handler, with a spool or without; it waits for room and for its last record."""
    return DnstapHandler(
        f"unix://{socket}",
        identity=IDENTITY,
        version=VERSION,
        overflow="block",
        close_timeout=CLOSE_TIMEOUT,
        max_reconnect_interval=0.2,
        spool=spool,
        spool_bytes=ROOM,
    )


def send(spooled: bool, messages: int) -> Quantities:
    """Log that many messages into fstrm_capture; return microseconds for each.

    "call" is the CPU time of the logging thread alone, so without its waiting for the other one.
    The connection is there before: what comes while it is made would go to disk.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        socket, capture = folder / "dnstap.sock", folder / "capture.fstrm"
        with FstrmCapture(f"unix://{socket}", capture) as collector:
            handler = handler_for(socket, folder / "spool" if spooled else None)
            with logger_with(handler) as logger:
                log_by_adapter(logger, 1)
                while not handler.stats().written:
                    time.sleep(POLL)
                cpu, wall, call = time.process_time(), time.perf_counter(), time.thread_time()
                log_by_adapter(logger, messages)
                call = time.thread_time() - call
                handler.close()
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            collector.stop()
        check(capture, messages + 1)
    found = {"cpu": cpu, "wall": wall, "call": call}
    return {quantity: seconds / messages * 1e6 for quantity, seconds in found.items()}


def store_and_drain(records: int) -> Dict[str, Quantities]:
    """Store that many records, drain them, send the same payloads directly; return the rates."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        socket, capture = folder / "dnstap.sock", folder / "capture.fstrm"
        handler = handler_for(socket, folder / "spool")
        with logger_with(handler) as logger:
            stored = store(logger, handler, records)
            with FstrmCapture(f"unix://{socket}", capture) as collector:
                drained = drain(handler)
                handler.close()
                collector.stop()
        check(capture, records)
        return {
            "stored": {"rate": stored},
            "drained": {"rate": drained},
            "sent directly": {"rate": send_directly(capture, folder)},
        }


def store(logger: logging.Logger, handler: DnstapHandler, records: int) -> float:
    """Log without a collector until all is on disk; return records a second."""
    started = time.perf_counter()
    log_by_adapter(logger, records)
    if not handler.flush(CLOSE_TIMEOUT):
        raise RuntimeError(f"not everything was stored: {handler.stats()}")
    return records / (time.perf_counter() - started)


def drain(handler: DnstapHandler) -> float:
    """Wait until the collector has the spool; return records a second, without the connecting."""
    started, now = time.perf_counter(), handler.stats()
    while now.spooled or now.in_flight or not now.written:
        looked = time.perf_counter()
        time.sleep(POLL)
        if not now.written:
            started = looked
        now = handler.stats()
    return now.written / (time.perf_counter() - started)


def send_directly(capture: Path, folder: Path) -> float:
    """Send a capture's payloads by `emit_payload`; return records a second, up to the FINISH."""
    with DnstapReader(capture) as reader:
        payloads = [payload for _, payload in reader.frames()]
    socket, copy = folder / "direct.sock", folder / "direct.fstrm"
    with FstrmCapture(f"unix://{socket}", copy) as collector:
        handler = handler_for(socket, None)
        started = time.perf_counter()
        for payload in payloads:
            handler.emit_payload(payload)
        handler.close()
        wall = time.perf_counter() - started
        collector.stop()
    check(copy, len(payloads))
    return len(payloads) / wall


def measure(scale: Scale) -> Section:
    """Measure both: a healthy collector, and one that comes late."""
    ways: Dict[str, Callable[[], Quantities]] = {
        "healthy, without a spool": functools.partial(send, False, scale.messages),
        "healthy, with a spool": functools.partial(send, True, scale.messages),
    }
    details = alternate(ways, scale.rounds)
    rounds = [store_and_drain(scale.spooled) for _ in itertools.repeat(None, scale.spool_rounds)]
    for name in rounds[0]:
        details[name] = medians([each[name] for each in rounds])
    return Section(
        "a spool, over a unix socket into fstrm_capture: microseconds, and records a second",
        figures(details),
        details,
    )


def figures(details: Dict[str, Quantities]) -> List[Figure]:
    """Return the lines of the table."""
    without, spooled = details["healthy, without a spool"], details["healthy, with a spool"]
    rate = {name: details[name]["rate"] for name in ("stored", "drained", "sent directly")}
    return [
        Figure("spool, healthy: CPU / without a spool", spooled["cpu"] / without["cpu"], "x", 1.05),
        Figure("spool, healthy: the call / without a spool", spooled["call"] / without["call"]),
        Figure("spool, no collector: stored", rate["stored"] / 1000, "thousand/s"),
        Figure("spool, drained: rate / emit_payload", rate["drained"] / rate["sent directly"]),
    ]
