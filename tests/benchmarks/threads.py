"""Whether a message costs the same, however many threads log and however many messages there are.

CPU of the whole process for a message, to a file, without a loss: the threads share a number of
messages. The figure is the dearest setting over the cheapest.
"""

from __future__ import annotations

import functools
import threading
from typing import Callable, Dict, List

from tests.benchmarks.contenders import CONTENDERS, Contender
from tests.benchmarks.cost import log_to_file
from tests.benchmarks.figures import Figure, Quantities, Scale, Section, alternate

GOAL = 1.3
LARGE = 1_000_000
"""From this many messages on, one round is enough, because it takes long."""


def shared_by(contender: Contender, threads: int) -> Contender:
    """Return a contender that logs from that many threads at once."""

    def log(logger: object, messages: int) -> None:
        workers = [
            threading.Thread(target=contender.log, args=(logger, messages // threads))
            for _ in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return Contender(contender.make_handler, log)


def by_threads(name: str, scale: Scale) -> Dict[str, Quantities]:
    """Measure one contender with each number of threads."""
    messages = scale.messages - scale.messages % max(scale.threads)
    return alternate(
        {
            f"{name}, threads: {threads}": functools.partial(
                log_to_file, shared_by(CONTENDERS[name], threads), messages
            )
            for threads in scale.threads
        },
        scale.rounds,
    )


def by_count(scale: Scale) -> Dict[str, Quantities]:
    """Measure the adapter with each number of messages."""
    ways: Dict[int, Callable[[], Quantities]] = {
        count: functools.partial(log_to_file, CONTENDERS["adapter"], count)
        for count in scale.counts
    }
    few = alternate({f"adapter, messages: {n:,}": ways[n] for n in ways if n < LARGE}, scale.rounds)
    many = alternate({f"adapter, messages: {n:,}": ways[n] for n in ways if n >= LARGE}, 1)
    return {**few, **many}


def measure(scale: Scale) -> Section:
    """Measure all settings."""
    adapter, info = by_threads("adapter", scale), by_threads("info", scale)
    counts = by_count(scale)
    details = {**adapter, **info, **counts}
    first, last = min(scale.threads), max(scale.threads)
    figures = [
        Figure(
            f"{first} to {last} threads, adapter: dearest / cheapest",
            spread(adapter),
            "x",
            GOAL,
        ),
        Figure(
            f"{first} to {last} threads, logger.info: dearest / cheapest", spread(info), "x", GOAL
        ),
        Figure(
            f"{min(scale.counts):,} to {max(scale.counts):,} messages: dearest / cheapest",
            spread(counts),
            "x",
            GOAL,
        ),
    ]
    return Section("threads and numbers of messages: microseconds", figures, details)


def spread(measured: Dict[str, Quantities]) -> float:
    """Return the dearest over the cheapest."""
    cpu: List[float] = [found["cpu"] for found in measured.values()]
    return max(cpu) / min(cpu)
