"""What one logged query costs, compared with others: up to a file, and the call alone."""

from __future__ import annotations

import functools
import tempfile
import time
from pathlib import Path
from typing import Dict, List

from tests.benchmarks.contenders import CONTENDERS, Contender, Floor, logger_with, waiting
from tests.benchmarks.figures import Figure, Quantities, Scale, Section, alternate

MICRO = 1e6

GO_MICROSECONDS = 2.2
"""CPU for a message of an emitter in Go of CoreDNS's design, on two cores as ours were."""

CALLS = 8000  # below the queue's size: it never fills
FIRST_CALLS = 200  # not timed: in them, what is remembered of a kind of call is worked out


def log_to_file(contender: Contender, messages: int) -> Quantities:
    """Log that many messages up to the last byte written; return microseconds for each."""
    with tempfile.TemporaryDirectory() as folder:
        with logger_with(contender.make_handler(Path(folder))) as logger:
            cpu, started = time.process_time(), time.perf_counter()
            contender.log(logger, messages)
            logger.handlers[0].close()
            wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"cpu": cpu / messages * MICRO, "wall": wall / messages * MICRO}


def call_alone(name: str, calls: int) -> Quantities:
    """Time calls in their own thread, while the queue is not full; return microseconds for each.

    Our handler has no collector, so its own thread has nothing to do but to wait.
    """
    log = CONTENDERS[name].log
    with logger_with(Floor() if name == "floor" else waiting()) as logger:
        log(logger, min(FIRST_CALLS, calls))
        started = time.thread_time()
        log(logger, calls)
        taken = time.thread_time() - started
    return {"call": taken / calls * MICRO}


def measure(scale: Scale) -> Section:
    """Measure all contenders, to a file and the call alone."""
    to_file = alternate(
        {
            name: functools.partial(log_to_file, contender, scale.messages)
            for name, contender in CONTENDERS.items()
        },
        scale.rounds,
    )
    calls = min(CALLS, scale.messages)
    alone = alternate(
        {name: functools.partial(call_alone, name, calls) for name in ("floor", "info", "adapter")},
        scale.rounds,
    )
    details = {name: {**found, **alone.get(name, {})} for name, found in to_file.items()}
    return Section("one query, to a file: microseconds", figures(details), details)


def figures(details: Dict[str, Quantities]) -> List[Figure]:
    """Return the lines of the table."""
    cpu = {name: found["cpu"] for name, found in details.items()}
    call = {name: found["call"] for name, found in details.items() if "call" in found}
    return [
        Figure("logger.info with 5 extras: CPU / floor", cpu["info"] / cpu["floor"], "x", 1.55),
        Figure("logger.info with 5 extras: CPU / text", cpu["info"] / cpu["text"]),
        Figure("logger.info with 5 extras: CPU / parts", cpu["info"] / cpu["parts"]),
        Figure("adapter: CPU / floor", cpu["adapter"] / cpu["floor"], "x", 0.5),
        Figure("adapter: CPU / parts", cpu["adapter"] / cpu["parts"]),
        Figure("adapter: the call alone / floor", call["adapter"] / call["floor"], "x", 0.28),
        Figure("adapter: CPU / 2.2 us, of an emitter in Go", cpu["adapter"] / GO_MICROSECONDS),
    ]
