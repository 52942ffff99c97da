"""Messages over time: bins that grow wider as the time gets longer, and the rate of now.

No I/O and no locks; the caller passes the time.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Iterator, List, NamedTuple, Tuple

__all__ = ["Bin", "Rates", "Timeline"]

MILLISECOND = 1_000_000
SECOND = 1000 * MILLISECOND
DAY = 86400 * SECOND

MAX_BINS = 300
"""More than a screen has columns, and few enough to draw and to keep."""


class Bin(NamedTuple):
    """How many queries and responses there were from ``start`` (nanoseconds) on, for one width."""

    start: int
    queries: int
    responses: int


def _widths() -> Iterator[int]:
    """Yield the widths of a bin that people read easily; each is a multiple of the one before."""
    yield from (10 * MILLISECOND, 100 * MILLISECOND, 500 * MILLISECOND)
    for seconds in (1, 5, 15, 60, 300, 900, 3600, 14400):
        yield seconds * SECOND
    width = DAY
    while True:
        yield width
        width *= 10


class Timeline:
    """Count messages in at most 300 bins, which together are as long as the traffic.

    Attributes:
        width: of a bin, in nanoseconds.
    """

    def __init__(self) -> None:
        self._widths = _widths()
        self.width = next(self._widths)
        self._bins: Dict[int, List[int]] = {}  # start / width: queries, responses
        self._first = self._last = 0

    def add(self, time: int, is_query: bool) -> None:
        """Count a message of this time, in nanoseconds."""
        number = time // self.width
        found = self._bins.get(number)
        if found is None:
            number = self._make_room(time)
            found = self._bins.setdefault(number, [0, 0])
        found[not is_query] += 1

    def bins(self) -> List[Bin]:
        """Return all bins from the first to the last, also those without messages."""
        if not self._bins:
            return []
        numbers = range(self._first, self._last + 1)
        return [Bin(n * self.width, *self._bins.get(n, (0, 0))) for n in numbers]

    def _make_room(self, time: int) -> int:
        """Widen the bins until a time fits; return the number of its bin."""
        number = time // self.width
        if not self._bins:
            self._first = self._last = number
            return number
        first, last = min(self._first, number), max(self._last, number)
        while last - first >= MAX_BINS:
            self._widen()
            number = time // self.width
            first, last = min(self._first, number), max(self._last, number)
        self._first, self._last = first, last
        return number

    def _widen(self) -> None:
        wider = next(self._widths)
        factor = wider // self.width
        merged: Dict[int, List[int]] = {}
        for number, (queries, responses) in self._bins.items():
            found = merged.setdefault(number // factor, [0, 0])
            found[0] += queries
            found[1] += responses
        self._bins, self.width = merged, wider
        self._first, self._last = min(merged), max(merged)


class Rates:
    """The messages of each of the last seconds, from a total that is looked at now and then.

    Args:
        seconds: how many are kept.
    """

    def __init__(self, seconds: int = 120) -> None:
        self._samples: Deque[Tuple[float, int]] = deque(maxlen=seconds + 1)

    def look(self, now: float, total: int) -> None:
        """Take the total at this time, in seconds; at most one a second is kept."""
        if not self._samples or now - self._samples[-1][0] >= 1.0:
            self._samples.append((now, total))

    def history(self) -> List[float]:
        """Return the messages a second of each interval, the latest last."""
        samples = list(self._samples)
        return [
            (total - before) / (time - since)
            for (since, before), (time, total) in zip(samples, samples[1:])
        ]

    def now(self, span: int = 3) -> float:
        """Return the messages a second of the last seconds; 0 before the first is over."""
        samples = list(self._samples)[-span - 1 :]
        if len(samples) < 2:
            return 0.0
        (since, before), (time, total) = samples[0], samples[-1]
        return (total - before) / (time - since)
