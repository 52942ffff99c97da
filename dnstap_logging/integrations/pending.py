"""The queries of one connection and when they came, so that responses can carry the time.

Kept in the attributes of a request handler. Several threads may use it, since a server may answer
out of order. Most handlers see only one query, as all of UDP do. For that one there is no lock, and
its question is not read.
"""

from __future__ import annotations

import threading
from typing import Any, Dict, List, Optional, Tuple

from ..dnswire.message import read_question

__all__ = ["PendingQueries", "remember", "time_of"]

MAX_QUERIES = 1000
"""Queries remembered on one connection: a client that has more of them open is not serious. Of the
oldest, the responses come without a query time."""

MAX_REPEATS = 100
"""Times remembered of one query that is asked again and again before it is answered."""

FIRST, ALL = "_dnstap_first_query", "_dnstap_queries"
"""The attributes of a request handler: its first query, and from the second one on all of them."""

ANSWERED = 0
"""The place in the times of a query that says whether that of the first has its response."""


def remember(attributes: Dict[str, Any], wire: bytes, time: object) -> None:
    """Remember a query and its time in a request handler's attributes."""
    query = wire, [False, time]
    first = attributes.setdefault(FIRST, query)
    if first is not query:
        queries = attributes.get(ALL)
        if queries is None:
            # Of two threads that come at once, both go on with the same.
            queries = attributes.setdefault(ALL, PendingQueries(first))
        queries.add(wire, time)


def time_of(attributes: Dict[str, Any], wire: bytes) -> Any:
    """Return the time of the query that a response belongs to, or None."""
    queries = attributes.get(ALL)
    if queries is not None:
        return queries.time_of(wire)
    first, times = attributes.get(FIRST, (b"", ()))
    if not times or first[:2] != wire[:2]:
        return None
    # In this order: another thread may be adding a repeated query to these times.
    time = times[1]
    times[ANSWERED] = True
    return time


class PendingQueries:
    """Remember when queries came.

    A response belongs to the query of the same ID and question; one without a question, or with
    another, to the latest query of the same ID. Several responses to one query, as in a zone
    transfer, all get its time, unless the query was asked again meanwhile.

    Args:
        first: a query and its times that are known already.
    """

    __slots__ = ("_lock", "_queries")

    def __init__(self, first: Optional[Tuple[bytes, List[Any]]] = None) -> None:
        self._queries: Dict[Tuple[bytes, object], List[Any]] = {}
        if first is not None:
            self._queries[_identity(first[0])] = first[1]
        self._lock = threading.Lock()

    def add(self, wire: bytes, time: object) -> None:
        """Remember a query and its time."""
        key = _identity(wire)
        with self._lock:
            times = self._queries.pop(key, None) or [False]
            # First: a thread that knows only the first query reads its times without the lock.
            times.append(time)
            if times[ANSWERED]:
                del times[1]
                times[ANSWERED] = False
            if len(times) > MAX_REPEATS + 1:
                del times[1]
            self._queries[key] = times  # at the end: the oldest stand first
            if len(self._queries) > MAX_QUERIES:
                del self._queries[next(iter(self._queries))]

    def time_of(self, wire: bytes) -> Any:
        """Return the time of the query that a response belongs to, or None."""
        key = _identity(wire)
        with self._lock:
            times = self._queries.get(key) or self._latest_of(key[0])
            if times is None:
                return None
            if times[ANSWERED] and len(times) > 2:
                del times[1]
            times[ANSWERED] = True
            return times[1]

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
