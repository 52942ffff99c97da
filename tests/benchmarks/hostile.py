"""The longest log call that a DNS message of 64 KB can cause, through each filter and integration.

The messages are made to be expensive (`tests/helpers/hostile_messages.py`); each is logged some
times, and the quickest counts, since what else runs on the machine is not the message's doing. The
time is that of the logging thread: on the clock, and on a CPU. It judges nothing by itself.

    make bench-hostile
"""

from __future__ import annotations

import argparse
import logging
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, ContextManager, List, NamedTuple

from tests.helpers.hostile_calls import FILTERS, INTEGRATIONS, Call, filtered, integrated
from tests.helpers.hostile_messages import HOSTILE, LONG, SHORT, hostile_message

TRIES = 5


class Longest(NamedTuple):
    """The longest call, by one way to log: milliseconds on the clock and on a CPU, and of what."""

    clock: float
    cpu: float
    message: str


def quickest(log: Call, wire: bytes, tries: int) -> List[float]:
    """Return the milliseconds of the quickest call: on the clock, and on a CPU."""
    times = []
    for _ in range(tries):
        started, cpu_started = time.perf_counter(), time.thread_time()
        log(wire)
        cpu_ended, ended = time.thread_time(), time.perf_counter()
        times.append([(ended - started) * 1e3, (cpu_ended - cpu_started) * 1e3])
    return [min(column) for column in zip(*times)]


def longest(log: Call, size: int, tries: int) -> Longest:
    """Log all messages of a size; return the longest call of them."""
    calls = [Longest(*quickest(log, hostile_message(name, size), tries), name) for name in HOSTILE]
    return max(calls)


def rows(tries: int) -> List[str]:
    """Measure, and return the lines of the table."""
    ways: List[Callable[[Path], ContextManager[Call]]] = []
    names: List[str] = []
    for name in FILTERS:
        ways.append(lambda path, name=name: filtered(name, path))  # type: ignore[misc]
        names.append(name)
    for name in INTEGRATIONS:
        ways.append(lambda path, name=name: integrated(name, path))  # type: ignore[misc]
        names.append(name)
    lines = []
    for name, way in zip(names, ways):
        with tempfile.TemporaryDirectory() as folder, way(Path(folder) / "capture.fstrm") as log:
            short, long = longest(log, SHORT, tries), longest(log, LONG, tries)
        lines.append(
            f"{name:34}{short.clock:9.2f} {long.clock:9.2f} {long.cpu:9.2f}   {long.message}"
        )
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="make bench-hostile", description=main.__doc__)
    parser.add_argument("--tries", type=int, default=TRIES, help="of each call; the best counts")
    tries = parser.parse_args().tries
    logging.getLogger("dnstap_logging").setLevel(logging.CRITICAL)
    print(
        f"Python {platform.python_version()}, {sys.platform}; {len(HOSTILE)} hostile messages each;"
        " milliseconds of the longest log call"
    )
    print(f"{'through':34}{'8 KB':>9} {'64 KB':>9} {'its CPU':>9}   with 64 KB of")
    for line in rows(tries):
        print(line, flush=True)


if __name__ == "__main__":
    main()
