"""The queries of one connection and when they came, so that responses can carry the time.

One object for each request handler. Several threads may use it: a server may answer out of order
from threads of its own.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Deque, Dict, Optional, Tuple

from ..dnswire.message import read_question

__all__ = ["PendingQueries"]

MAX_QUERIES = 1000
"""Queries remembered on one connection: a client that has more of them open is not serious. Of the
oldest, the responses come without a query time."""

MAX_REPEATS = 100
"""Times remembered of one query that is asked again and again before it is answered."""


class _Query:
    """The times at which one query came, and whether that of the first has its response."""

    __slots__ = ("answered", "times")

    def __init__(self) -> None:
        self.times: Deque[Any] = deque(maxlen=MAX_REPEATS)
        self.answered = False


class PendingQueries:
    """Remember when queries came.

    A response belongs to the query of the same ID and question; one without a question, or with
    another, to the latest query of the same ID. Several responses to one query, as in a zone
    transfer, all get its time, unless the query was asked again meanwhile.
    """

    __slots__ = ("_first", "_lock", "_queries")

    def __init__(self) -> None:
        # The first query as it came: where no other comes, as on UDP, its question is never read.
        self._first: Optional[Tuple[bytes, object, bool]] = None
        self._queries: Dict[Tuple[bytes, object], _Query] = {}
        self._lock = threading.Lock()

    def add(self, wire: bytes, time: object) -> None:
        """Remember a query and its time."""
        with self._lock:
            if self._first is None and not self._queries:
                self._first = wire, time, False
                return
            if self._first is not None:
                first, its_time, answered = self._first
                self._first = None
                self._add(first, its_time).answered = answered
            self._add(wire, time)

    def _add(self, wire: bytes, time: object) -> _Query:
        key = _identity(wire)
        query = self._queries.pop(key, None) or _Query()
        if query.answered:
            query.times.popleft()
            query.answered = False
        query.times.append(time)
        self._queries[key] = query  # at the end: the oldest stand first
        if len(self._queries) > MAX_QUERIES:
            del self._queries[next(iter(self._queries))]
        return query

    def time_of(self, wire: bytes) -> Any:
        """Return the time of the query that a response belongs to, or None."""
        with self._lock:
            if self._first is not None:
                first, time, _ = self._first
                if first[:2] != wire[:2]:
                    return None
                self._first = first, time, True
                return time
            key = _identity(wire)
            query = self._queries.get(key) or self._latest_of(key[0])
            if query is None:
                return None
            if query.answered and len(query.times) > 1:
                query.times.popleft()
            query.answered = True
            return query.times[0]

    def _latest_of(self, number: bytes) -> Any:
        for key in reversed(self._queries):
            if key[0] == number:
                return self._queries[key]
        return None


def _identity(wire: bytes) -> Tuple[bytes, object]:
    """Return what a response has in common with its query: the ID, and the first question.

    The name is in lower case, since a server may answer in another case than it was asked. The
    question is None where there is none, as in many an error's response.
    """
    try:
        name, kind, network = read_question(wire)
    except ValueError:
        return wire[:2], None
    return wire[:2], (name.lower(), kind, network)
