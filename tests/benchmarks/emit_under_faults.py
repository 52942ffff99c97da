"""How long a log call takes at worst, whatever the collector does.

The same calls are timed one by one with a collector that reads, one that stands still, one that is
not there, and one that is restarted all the time. What stands above a healthy collector's numbers
is what a fault costs a DNS server's thread; there should be nothing. It judges nothing by itself.

    python -m tests.benchmarks.emit_under_faults
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Callable, ContextManager, Dict, Iterator, List, NamedTuple

from dnstap_logging import DnstapAdapter, DnstapHandler, Stats
from tests.benchmarks.traffic import CONSTANTS, EXTRA, WIRE
from tests.situations.interop.collectors import FstrmCapture

SETTLE = 0.05
"""Seconds between two ends of the collector that is restarted."""

CONNECT_TIMEOUT = 20.0
"""Seconds that the first record may take to the collector."""

Log = Callable[[], object]
Peer = Callable[[FstrmCapture, Callable[[], object]], ContextManager[None]]


class Timing(NamedTuple):
    """The times of the calls, in microseconds, and what became of the records."""

    median: float
    p999: float
    longest: float
    stats: Stats


@contextlib.contextmanager
def healthy(collector: FstrmCapture, connect: Callable[[], object]) -> Iterator[None]:
    """It reads all the time."""
    with collector:
        connect()
        yield


@contextlib.contextmanager
def stalled(collector: FstrmCapture, connect: Callable[[], object]) -> Iterator[None]:
    """It is stopped (SIGSTOP): its connection is open, and the kernel takes some for it."""
    with collector:
        connect()
        collector.pause()
        yield


@contextlib.contextmanager
def absent(collector: FstrmCapture, connect: Callable[[], object]) -> Iterator[None]:
    """It is not there."""
    yield


@contextlib.contextmanager
def reconnecting(collector: FstrmCapture, connect: Callable[[], object]) -> Iterator[None]:
    """It is killed and started again, some times a second."""
    ended = threading.Event()

    def restart() -> None:
        while not ended.is_set():
            with collector:
                ended.wait(SETTLE)

    thread = threading.Thread(target=restart)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


PEERS: Dict[str, Peer] = {
    "healthy": healthy,
    "stalled": stalled,
    "absent": absent,
    "reconnecting": reconnecting,
}


def ways(logger: logging.Logger) -> Dict[str, Log]:
    """Return the two ways to log one query."""
    tap = DnstapAdapter(logger, CONSTANTS)
    return {
        "logger.info": lambda: logger.info("query", extra=EXTRA),
        "adapter": lambda: tap.client_query(WIRE, query_address=EXTRA["dns_query_address"]),
    }


def measure(peer: str, way: str, calls: int) -> Timing:
    """Time that many calls with one kind of peer."""
    with tempfile.TemporaryDirectory() as folder:
        collector = FstrmCapture(f"unix://{folder}/dnstap.sock", Path(folder) / "capture.fstrm")
        handler = DnstapHandler(
            collector.address, close_timeout=0, reconnect_interval=0.01, max_reconnect_interval=0.02
        )
        logger = logging.Logger("bench", logging.INFO)
        logger.addHandler(handler)
        log = ways(logger)[way]
        with PEERS[peer](collector, lambda: (log(), handler.flush(CONNECT_TIMEOUT))):
            times = time_calls(log, calls)
            handler.close()
    times.sort()
    return Timing(
        times[len(times) // 2], times[len(times) * 999 // 1000], times[-1], handler.stats()
    )


def time_calls(log: Log, calls: int) -> List[float]:
    """Return the time of each call in microseconds; the garbage collector is not timed."""
    clock = time.perf_counter
    times = [0.0] * calls
    log()
    gc.collect()
    gc.disable()
    try:
        for index in range(calls):
            started = clock()
            log()
            times[index] = (clock() - started) * 1e6
    finally:
        gc.enable()
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.emit_under_faults", description=main.__doc__
    )
    parser.add_argument("--calls", type=int, default=100_000, help="log calls of each row")
    calls = parser.parse_args().calls
    logging.getLogger("dnstap_logging").setLevel(logging.CRITICAL)
    print(
        f"Python {platform.python_version()}, {calls:,} calls each, {sys.platform}; microseconds, "
        "and their ratio to a healthy peer"
    )
    print(f"{'call':12} {'peer':13} {'median':>15} {'99.9 %':>16} {'longest':>18}  written dropped")
    for way in ("logger.info", "adapter"):
        reference = None
        for peer in PEERS:
            timing = measure(peer, way, calls)
            reference = reference or timing
            columns = [
                f"{mine:{width}.1f} ({mine / best:5.2f})"
                for mine, best, width in zip(timing[:3], reference[:3], (7, 8, 10))
            ]
            stats = timing.stats
            dropped = sum(stats.dropped.values())
            print(f"{way:12} {peer:13} {' '.join(columns)} {stats.written:8} {dropped:7}")


if __name__ == "__main__":
    main()
