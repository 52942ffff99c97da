"""Queries that wait for their responses, in a table that is bounded in size and time.

Pure: time is that of the messages. No locks.

Most responses repeat the id, the question and the addresses of their query. Some do not: a FORMERR
often has no question, some libraries drop it when they truncate, and some emitters log another
source port, or leave out an address. Such a response belongs to a query with the same role and id,
if its question, addresses and server's port do not contradict the query's.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import Dict, Iterator, NamedTuple, Optional, Tuple, Union

__all__ = ["Exchange", "PairCounts", "Pairs"]

MAX_CANDIDATES = 64
"""Queries that are looked at for a response, the latest first: more have the same id only where the
id says nothing (DNS over HTTPS and QUIC have 0), and a flood of them must not take time."""


class Exchange(NamedTuple):
    """What a query and its response have in common; None or empty where it is not known.

    Attributes:
        role: the message type, queries and responses alike.
        message_id: of the DNS message, two octets.
        question: type and name.
        client: the address that the query came from.
        client_port: its port.
        server: the address that the query went to.
        server_port: its port.
    """

    role: int
    message_id: bytes
    question: bytes
    client: Optional[bytes]
    client_port: Optional[int]
    server: Optional[bytes]
    server_port: Optional[int]

    def agrees_with(self, query: Exchange) -> bool:
        """Return whether this may be the response to a query; its port may be another one."""
        return (
            self.role == query.role
            and self.message_id == query.message_id
            and (not self.question or self.question == query.question)
            and _agree(self.client, query.client)
            and _agree(self.server, query.server)
            and _agree(self.server_port, query.server_port)
        )


Same = Union[bytes, int, None]


def _agree(one: Same, other: Same) -> bool:
    return not one or not other or one == other


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


class _Likes:
    """Queries by what they have in common with responses that do not say all.

    By hashes, which take half the memory of what they are made of; what is found is compared.
    Nearly always there is one query, and no collection is made for it.
    """

    def __init__(self) -> None:
        self._found: Dict[int, Union[Exchange, Dict[Exchange, None]]] = {}

    def add(self, query: Exchange) -> None:
        for likeness in _likenesses(query):
            found = self._found.setdefault(likeness, query)
            if found is query:
                continue
            if isinstance(found, dict):
                found[query] = None
            else:
                self._found[likeness] = {found: None, query: None}

    def remove(self, query: Exchange) -> None:
        for likeness in _likenesses(query):
            found = self._found[likeness]
            if isinstance(found, dict):
                del found[query]
            if not isinstance(found, dict) or not found:
                del self._found[likeness]

    def latest(self, likeness: int) -> Iterator[Exchange]:
        """Yield the queries, the latest first."""
        found = self._found.get(likeness, {})
        return reversed(found) if isinstance(found, dict) else iter((found,))


class Pairs:
    """Find the query of each response.

    Args:
        capacity: how many queries wait at most.
        patience: nanoseconds after which a query that waits is given up.
    """

    def __init__(self, capacity: int, patience: int) -> None:
        self._capacity = capacity
        self._patience = patience
        # The first one is the one that waits longest. Not a dict: to find its first key takes time
        # in proportion to those that were removed before it.
        self._waiting: OrderedDict[Exchange, int] = OrderedDict()
        self._likes = _Likes()
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

    def query(self, query: Exchange, time: int) -> None:
        """Let a query wait from this time on, in nanoseconds."""
        self._give_up(time)
        if query in self._waiting:
            self._repeated += 1
            return
        if len(self._waiting) >= self._capacity:
            self._remove(next(iter(self._waiting)))
            self._forgotten += 1
        self._waiting[query] = time
        self._likes.add(query)

    def response(
        self, response: Exchange, time: int, query_time: Optional[int] = None
    ) -> Optional[int]:
        """Return the time of a response's query.

        None: no query is waiting, or it could be one of several, of which then the one that has
        waited longest counts as answered.

        Args:
            response: what it says.
            time: when it was given.
            query_time: when its query was, if it says so.
        """
        self._give_up(time)
        found, certain = response, True
        if response not in self._waiting:
            likely = self._most_likely(response, time, query_time)
            if likely is None:
                self._unasked += 1
                return None
            found, certain = likely
        asked = self._remove(found)
        self._answered += 1
        return asked if certain else None

    def _most_likely(
        self, response: Exchange, time: int, query_time: Optional[int]
    ) -> Optional[Tuple[Exchange, bool]]:
        """Return the query that fits best, and whether no other one fits as well."""
        best: Optional[Tuple[Tuple[object, ...], Exchange]] = None
        certain = True
        for query in self._candidates(response):
            asked = self._waiting[query]
            if not response.agrees_with(query) or (asked > time and asked != query_time):
                continue
            rank = _likelihood(response, query, asked, query_time)
            if best is None or rank >= best[0]:
                certain = best is None or rank != best[0]
                best = rank, query
        return best and (best[1], certain)

    def _candidates(self, response: Exchange) -> Iterator[Exchange]:
        if not response.message_id:
            return iter(())  # as of all messages that are logged without the DNS message
        with_question, without = _likenesses(response)
        likeness = with_question if response.question else without
        return islice(self._likes.latest(likeness), MAX_CANDIDATES)

    def _remove(self, query: Exchange) -> int:
        """Let a query wait no longer; return its time."""
        self._likes.remove(query)
        return self._waiting.pop(query)

    def _give_up(self, now: int) -> None:
        """Let go of the queries that have waited too long, seen from this message's time.

        Not from the latest time seen: one sender's clock that is ahead would be the end of every
        later query.
        """
        waiting, oldest = self._waiting, now - self._patience
        while waiting:
            query = next(iter(waiting))
            if waiting[query] >= oldest:
                return
            self._remove(query)
            self._unanswered += 1


def _likenesses(exchange: Exchange) -> Tuple[int, int]:
    """Return what a response has in common that has a question, and one that has none."""
    return hash(exchange[:3]), hash(exchange[:2])


def _likelihood(
    response: Exchange, query: Exchange, asked: int, query_time: Optional[int]
) -> Tuple[object, ...]:
    """Return how well a query fits that agrees with a response: the greater, the better."""
    return (
        asked == query_time,
        response.question == query.question,
        response.client == query.client,
        response.server == query.server,
        response.client_port == query.client_port,
        0 if query_time is None else -abs(asked - query_time),
    )
