"""The keys that come most often in a stream, in bounded memory.

The frequent-items summary of Misra and Gries, emptied in batches: a flood of names that come once
each costs as little memory as quiet traffic does, and what comes often stays. Pure; no locks.
"""

from __future__ import annotations

import heapq
from typing import Any, Dict, Generic, List, NamedTuple, TypeVar

__all__ = ["Busiest", "Counted"]

K = TypeVar("K")


class Counted(NamedTuple):
    """A key, and how often it came: at least ``times``, at most ``times + missed``."""

    key: Any
    times: int
    missed: int


class Busiest(Generic[K]):
    """Count keys, and keep those that come often.

    It holds at most twice ``capacity`` keys; when there are more, the rarer half is dropped. Until
    that happens, every count is exact. Afterwards, with N keys added:

    - a key that came more than N / (capacity + 1) times is always kept;
    - a count is never too high, and too low by at most N / (capacity + 1); `Counted.missed` bounds
      it for each key, and is 0 for all that were there before the first was dropped.

    Args:
        capacity: how many keys are kept when room is made.

    Attributes:
        missed: how often a key may have come that is not kept; at most N / (capacity + 1).
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._most: Dict[K, int] = {}  # how often each may have come
        self._missed: Dict[K, int] = {}  # of the keys that came first when `missed` was above 0
        self.missed = 0

    def __len__(self) -> int:
        return len(self._most)

    def add(self, key: K) -> None:
        """Count a key once more."""
        most = self._most
        if key in most:
            most[key] += 1
            return
        most[key] = self.missed + 1
        if self.missed:
            self._missed[key] = self.missed
        if len(most) > 2 * self._capacity:
            self._let_go()

    def top(self, length: int) -> List[Counted]:
        """Return the keys with the highest counts, the highest first, at most so many."""
        missed = self._missed.get
        rows = [
            Counted(key, most - missed(key, 0), missed(key, 0)) for key, most in self._most.items()
        ]
        return heapq.nsmallest(length, rows, key=lambda row: (-row.times, row.key))

    def _let_go(self) -> None:
        """Keep those that may have come most often; note how often a dropped one may have come."""
        most = self._most
        ranked = sorted(most, key=most.__getitem__, reverse=True)
        self.missed = most[ranked[self._capacity]]
        for key in ranked[self._capacity :]:
            del most[key]
            self._missed.pop(key, None)
