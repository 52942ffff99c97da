"""What the traffic looks like: everything that is counted, and a snapshot of it.

Pure statistics, in memory that does not grow with the traffic. Several threads feed the traffic
through `SharedTraffic`, which has a lock. Messages come from the network: what cannot be read in
them is counted as unreadable.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple, TypeVar

from ...dnswire.message import RCODES, TYPES, read_question, read_rcode
from ...dnswire.names import read_name
from ...message.enums import MessageType, SocketProtocol
from ...message.message import DnstapMessage
from ...message.values import unmapped
from ...text.line import UNKNOWN, address_text, own_time, own_wire
from ..selecting import Selector
from ..tally import Tally
from .busiest import Busiest
from .latency import Bar, Latencies
from .pairs import Exchange, PairCounts, Pairs
from .timeline import Bin, Timeline

__all__ = ["Latency", "Ranking", "Row", "SharedTraffic", "Summary", "Traffic"]

KEPT = 4096
"""Names, and clients, that are kept when room is made: what comes more often than one message in
4,097 is always found. Twice as many, of 255 octets each, are some megabytes."""

MAX_WAITING = 65536
"""Queries that may wait for a response at the same time: some 40 MB; 6,500 lost ones a second."""

PATIENCE = 10_000_000_000
"""Nanoseconds after which a query counts as unanswered: stub resolvers try again after 5 s."""

_SERVED = frozenset(
    kind for kind in MessageType if kind.name.split("_")[0] in ("AUTH", "CLIENT", "UPDATE")
)
"""Types whose initiator is a client of the server that sends dnstap, not that server itself."""

_new_tuple = tuple.__new__

K = TypeVar("K")


class Row(NamedTuple):
    """A name or client and its messages: at least so many, ``missed`` more at most."""

    text: str
    messages: int
    missed: int


class Ranking(NamedTuple):
    """The busiest, the first of them first.

    Attributes:
        rows: at most as many as were asked for.
        missed: messages that anything which is not kept may have at most.
    """

    rows: List[Row]
    missed: int


class Latency(NamedTuple):
    """Nanoseconds from query to response, of so many; None where there are none."""

    measured: int
    p50: Optional[int]
    p95: Optional[int]
    p99: Optional[int]
    maximum: Optional[int]
    bars: List[Bar]


class Summary(NamedTuple):
    """A snapshot of the traffic; times are in nanoseconds since the epoch.

    Attributes:
        messages: dnstap messages.
        first: the earliest time of a message, or None.
        last: the latest.
        types: dnstap types and their messages, the most frequent first; so are the next three.
        rcodes: of the responses.
        protocols: of all messages.
        query_types: of all messages with a question.
        names: those asked for, without regard to case.
        clients: the initiators of what a server was asked.
        latency: from query to response.
        pairs: what became of the queries.
        width: of the bins of time, in nanoseconds.
        bins: queries and responses over time.
    """

    messages: int
    first: Optional[int]
    last: Optional[int]
    types: List[Tuple[str, int]]
    rcodes: List[Tuple[str, int]]
    protocols: List[Tuple[str, int]]
    query_types: List[Tuple[str, int]]
    names: Ranking
    clients: Ranking
    latency: Latency
    pairs: PairCounts
    width: int
    bins: List[Bin]

    @property
    def seconds(self) -> float:
        """How long the traffic lasted, by the times in the messages."""
        if self.first is None or self.last is None:
            return 0.0
        return (self.last - self.first) / 1e9

    @property
    def mean(self) -> Optional[float]:
        """Messages a second over that time; None where it has no length."""
        return self.messages / self.seconds if self.seconds else None


class Traffic:
    """Count messages.

    Args:
        kept: names, and clients, that are kept when room is made.
        max_waiting: queries that wait for a response at the same time.

    Attributes:
        messages: how many were added.
    """

    def __init__(self, *, kept: int = KEPT, max_waiting: int = MAX_WAITING) -> None:
        self.messages = 0
        self._first: Optional[int] = None
        self._last: Optional[int] = None
        self._time = 0  # of the latest message that has one
        self._types: Tally[MessageType] = Tally(MessageType)
        self._rcodes: Counter[Optional[int]] = Counter()
        self._protocols: Tally[SocketProtocol] = Tally()
        self._query_types: Counter[int] = Counter()
        self._names: Busiest[bytes] = Busiest(kept)
        self._clients: Busiest[bytes] = Busiest(kept)
        self._latencies = Latencies()
        self._pairs = Pairs(max_waiting, PATIENCE)
        self._timeline = Timeline()

    def add(self, message: DnstapMessage) -> None:
        """Count a message."""
        kind, client, time = message.message_type, message.query_address, own_time(message)
        self.messages += 1
        self._types.add(kind)
        self._protocols.add(message.socket_protocol)
        if client is not None and kind in _SERVED:
            self._clients.add(client if len(client) == 4 else unmapped(client))
        if time is not None:
            self._add_time(time, bool(kind & 1))
        wire = own_wire(message) or b""
        name, query_type, question = _question(wire)
        if question:
            self._names.add(name)
            self._query_types[query_type] += 1
        if not kind & 1:
            self._rcodes[_rcode(message.response_message)] += 1
            if not question and message.query_message:
                _, _, question = _question(message.query_message)
        self._pair(message, wire[:2], question)

    def _add_time(self, time: int, is_query: bool) -> None:
        self._time = time
        self._timeline.add(time, is_query)
        if self._first is None or time < self._first:
            self._first = time
        if self._last is None or time > self._last:
            self._last = time

    def _pair(self, message: DnstapMessage, message_id: bytes, question: bytes) -> None:
        """Let a query wait, or find the query of a response; take the latency."""
        kind, asked = message.message_type, message.query_time
        # Not by the class, which takes twice as long.
        exchange: Exchange = _new_tuple(
            Exchange,
            (
                (kind + 1) // 2,  # AUTH_QUERY belongs to AUTH_RESPONSE, and so on
                message_id,
                question,
                _known(message.query_address),
                message.query_port,
                _known(message.response_address),
                message.response_port,
            ),
        )
        if kind & 1:
            self._pairs.query(exchange, self._time if asked is None else asked)
            return
        answered = message.response_time
        found = self._pairs.response(exchange, self._time if answered is None else answered, asked)
        if asked is None or asked == answered:
            asked = found
        if asked is not None and answered is not None and answered >= asked:
            self._latencies.add(answered - asked)

    def summary(self, rows: int) -> Summary:
        """Return a snapshot.

        Args:
            rows: names, and clients, at most.
        """
        return Summary(
            self.messages,
            self._first,
            self._last,
            _by_count(self._types.named()),
            _ranked(self._rcodes, lambda code: _mnemonic(code, RCODES, "RCODE")),
            _by_count(self._protocols.named()),
            _ranked(self._query_types, lambda code: _mnemonic(code, TYPES, "TYPE")),
            _ranking(self._names, rows, lambda name: read_name(name, 0)[0]),
            _ranking(self._clients, rows, address_text),
            self._latency(),
            self._pairs.counts(),
            self._timeline.width,
            self._timeline.bins(),
        )

    def _latency(self) -> Latency:
        found = self._latencies
        p50, p95, p99 = map(found.percentile, (50, 95, 99))
        return Latency(found.count, p50, p95, p99, found.maximum, found.bars())


class SharedTraffic:
    """Count the messages that are wanted, from any thread.

    Args:
        wanted: returns whether a message is wanted; None: all are.
    """

    def __init__(self, wanted: Optional[Selector]) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()  # guards the traffic; held for no I/O
        self._traffic = Traffic()

    @property
    def messages(self) -> int:
        """How many were counted so far."""
        return self._traffic.messages

    def take(self, message: DnstapMessage) -> None:
        """Count a message, if it is wanted."""
        if self._wanted is None or self._wanted(message):
            with self._lock:
                self._traffic.add(message)

    def summary(self, rows: int) -> Summary:
        """Return a snapshot; as `Traffic.summary`."""
        with self._lock:
            return self._traffic.summary(rows)


def _question(wire: bytes) -> Tuple[bytes, int, bytes]:
    """Return name and type of a question, and both together; "" if there is none."""
    try:
        name, kind, _ = read_question(wire)
    except ValueError:
        return b"", 0, b""
    # Letters alone: the octets of length, at most 63, are no letters.
    name = name.lower()
    return name, kind, name + kind.to_bytes(2, "big")


def _known(address: Optional[bytes]) -> Optional[bytes]:
    """Return an address as it is on the wire, None for an unspecified one (0.0.0.0, ::)."""
    if address is None or not any(address):
        return None
    return address if len(address) == 4 else unmapped(address)


def _rcode(wire: Optional[bytes]) -> Optional[int]:
    try:
        return read_rcode(wire or b"")
    except ValueError:
        return None


def _ranked(counts: Dict[K, int], text: Callable[[K], str]) -> List[Tuple[str, int]]:
    return _by_count([(text(key), count) for key, count in counts.items() if count])


def _by_count(rows: List[Tuple[str, int]]) -> List[Tuple[str, int]]:
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _ranking(counts: Busiest[bytes], rows: int, text: Callable[[bytes], str]) -> Ranking:
    found = [Row(text(key), times, missed) for key, times, missed in counts.top(rows)]
    return Ranking(found, counts.missed)


def _mnemonic(code: Optional[int], names: Dict[int, str], prefix: str) -> str:
    return UNKNOWN if code is None else names.get(code, f"{prefix}{code}")
