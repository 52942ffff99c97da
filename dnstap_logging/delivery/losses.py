"""What lines say of records: which were dropped, which wait.

Made by the diagnostics' thread when they are said.
"""

from __future__ import annotations

from typing import Dict

from .queue import RecordQueue
from .stats import Stats

__all__ = ["STUCK", "LossReport", "records", "say_stuck", "what_waits"]

STUCK = "the writer thread did not stop in time"


class LossReport:
    """Make the line about dropped records: what was lost since the last one."""

    # Each of these records has a line of its own, which says what was wrong with it.
    _APART = ("invalid", "too_large")

    def __init__(self, queue: RecordQueue) -> None:
        self._queue = queue
        self._said: Dict[str, int] = {}

    def __call__(self) -> str:
        """Return the line, or "" when nothing was lost since the last one."""
        stats = self._queue.snapshot()
        lost = {
            cause: number - self._said.get(cause, 0)
            for cause, number in stats.dropped.items()
            if cause not in self._APART and number > self._said.get(cause, 0)
        }
        if not lost:
            return ""
        self._said = dict(stats.dropped)
        number = sum(lost.values())
        causes = ", ".join(f"{cause} {count}" for cause, count in lost.items())
        return (
            f"dropped {records(number)} ({causes}); "
            f"in all {sum(stats.dropped.values())} of {stats.logged} logged"
        )


def say_stuck(losses: LossReport) -> str:
    """Return the line of a close() that gave up on a stuck writer thread, with what that cost."""
    lost = losses()
    return f"{STUCK}; {lost}" if lost else STUCK


def what_waits(stats: Stats) -> str:
    """Return how much waits for a session, in memory and in the spool."""
    waiting = f"{records(stats.queued + stats.in_flight)} waiting"
    if stats.spooled:
        return f"{waiting}, {stats.spooled} stored"
    # Of earlier processes: how many records these are is known when they are read.
    return f"{waiting}, {stats.spooled_bytes} bytes stored" if stats.spooled_bytes else waiting


def records(number: int) -> str:
    """Return "1 record" or "2 records"."""
    return f"{number} record{'' if number == 1 else 's'}"
