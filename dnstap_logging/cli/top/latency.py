"""How long answers took: a histogram that gives percentiles, in bounded memory. Pure; no locks."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional

__all__ = ["Bar", "Latencies", "cut"]

DIGITS = 3
"""Significant digits that are kept: a percentile is too low by less than one part in a hundred."""

STEPS = (1, 2, 5)
"""Where a decade of the chart is divided; each begins a bucket, so that the chart is exact."""


class Bar(NamedTuple):
    """How many latencies are at least ``low`` and below ``high``, in nanoseconds."""

    low: int
    high: int
    latencies: int


def cut(value: int) -> int:
    """Return a number of nanoseconds cut to its three first digits: 1234567 becomes 1230000."""
    surplus = len(str(value)) - DIGITS
    if surplus <= 0:
        return value
    scale: int = 10**surplus
    return value // scale * scale


class Latencies:
    """Collect latencies; give percentiles.

    A bucket for each number of three significant digits: 900 for each power of ten, so that
    everything a dnstap time can express fits in some 15,000 of them. Counts and the maximum are
    exact; a percentile is that of the nearest rank, cut to three digits.

    Attributes:
        count: how many were added.
        maximum: the largest, in nanoseconds; None before the first.
    """

    def __init__(self) -> None:
        self._buckets: Dict[int, int] = {}
        self.count = 0
        self.maximum: Optional[int] = None

    def add(self, nanoseconds: int) -> None:
        """Count a latency of 0 or more."""
        bucket = cut(nanoseconds)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1
        self.count += 1
        if self.maximum is None or nanoseconds > self.maximum:
            self.maximum = nanoseconds

    def percentile(self, percent: int) -> Optional[int]:
        """Return a percentile in nanoseconds; None if there are no latencies.

        Args:
            percent: from 1 to 100.
        """
        rank = (percent * self.count + 99) // 100
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return bucket
        return None

    def bars(self) -> List[Bar]:
        """Return the histogram in steps of 1, 2 and 5, from the first that is not empty on."""
        counts: Dict[int, int] = {}
        for bucket, count in self._buckets.items():
            low = _step(bucket)
            counts[low] = counts.get(low, 0) + count
        bars: List[Bar] = []
        low = min(counts, default=0)
        while bars or counts:
            high = _next_step(low)
            bars.append(Bar(low, high, counts.pop(low, 0)))
            low = high
            if not counts:
                break
        return bars


def _step(value: int) -> int:
    """Return the largest of 0, 1, 2, 5, 10, 20, 50, ... that is not above a number."""
    if not value:
        return 0
    scale: int = 10 ** (len(str(value)) - 1)
    return max(step for step in STEPS if step * scale <= value) * scale


def _next_step(low: int) -> int:
    if not low:
        return 1
    scale: int = 10 ** (len(str(low)) - 1)
    following = {1: 2, 2: 5, 5: 10}
    return following[low // scale] * scale
