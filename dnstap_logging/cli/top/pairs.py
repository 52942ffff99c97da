"""Queries that wait for their responses, in a table that is bounded in size and time.

Pure: time is that of the messages. No locks.
"""

from __future__ import annotations

from typing import Dict, Hashable, NamedTuple, Optional

__all__ = ["PairCounts", "Pairs"]


class PairCounts(NamedTuple):
    """What became of the queries, and where responses came from.

    Every query is in one of the first five: their sum is the number of queries.

    Attributes:
        answered: their response came.
        unanswered: it did not come in time.
        waiting: it may still come.
        repeated: the same query was waiting already, as after a client's timeout.
        forgotten: the table was full, and the query was its oldest.
        unasked: responses whose query was not seen, or had been given up.
    """

    answered: int
    unanswered: int
    waiting: int
    repeated: int
    forgotten: int
    unasked: int


class Pairs:
    """Find the query of each response.

    Args:
        capacity: how many queries wait at most.
        patience: nanoseconds after which a query that waits is given up.
    """

    def __init__(self, capacity: int, patience: int) -> None:
        self._capacity = capacity
        self._patience = patience
        # A dict keeps its order: the first one is the one that waits longest.
        self._waiting: Dict[Hashable, int] = {}
        self._answered = self._unanswered = self._repeated = self._forgotten = self._unasked = 0

    def counts(self) -> PairCounts:
        """Return what has become of the queries."""
        return PairCounts(
            self._answered,
            self._unanswered,
            len(self._waiting),
            self._repeated,
            self._forgotten,
            self._unasked,
        )

    def query(self, key: Hashable, time: int) -> None:
        """Let a query wait from this time on, in nanoseconds."""
        self._give_up(time)
        if key in self._waiting:
            self._repeated += 1
            return
        if len(self._waiting) >= self._capacity:
            del self._waiting[next(iter(self._waiting))]
            self._forgotten += 1
        self._waiting[key] = time

    def response(self, key: Hashable, time: int) -> Optional[int]:
        """Return the time of a response's query; None if none is waiting."""
        self._give_up(time)
        asked = self._waiting.pop(key, None)
        if asked is None:
            self._unasked += 1
        else:
            self._answered += 1
        return asked

    def _give_up(self, now: int) -> None:
        """Let go of the queries that have waited too long, seen from this message's time.

        Not from the latest time seen: one sender's clock that is ahead would be the end of every
        later query.
        """
        waiting, oldest = self._waiting, now - self._patience
        while waiting:
            key = next(iter(waiting))
            if waiting[key] >= oldest:
                return
            del waiting[key]
            self._unanswered += 1
