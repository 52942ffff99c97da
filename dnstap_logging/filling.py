"""Fill in what differs between two records of one kind: the innermost part of the hot path.

`make_fill` takes the protobuf message of a first record and returns a function that fills it again
for each further one. That function is a closure, because its variables are read faster than
attributes, and it is one piece, because calls cost more than what would be in them.

Belongs to whoever drives the delivery, which is the writer thread.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, FrozenSet, List, Mapping, Optional, Tuple

from . import proto
from .extras import FIELDS, Snapshot
from .message import SocketFamily
from .values import (
    MAX_PORT,
    MAX_SECONDS,
    MAX_WIRE_MESSAGE,
    NS,
    as_endpoint,
    as_text_octets,
)

__all__ = ["FILLED", "STEADY", "Fill", "Hosts", "make_fill"]

# Fields whose values are the same in many records: a template is for one set of them.
STEADY = (
    "message_type", "socket_family", "socket_protocol", "http_protocol", "identity", "version"
)  # fmt: skip
# Fields that are filled in. A policy is in neither: it is seldom, and goes the plain way.
_RARE = ("query_port", "response_port", "query_zone", "extra")
FILLED = (
    "query_message", "response_message", "query_time", "response_time",
    "query_address", "response_address", *_RARE
)  # fmt: skip

MAX_HOSTS = 4096
"""Addresses remembered in packed form, of some 200 bytes each."""

MAX_ARENA = 1 << 15
"""Bytes filled into one protobuf message before a new one takes its place.

protobuf's C core keeps every value ever assigned in the message's arena, which is freed only with
the message; Clear() does not free it. At this size a new message costs less than 1 % per record."""

FIXED_ARENA = 64
"""Bytes counted for the two addresses of a record, at most 16 each and rounded up."""

_FAMILIES = {4: SocketFamily.INET, 16: SocketFamily.INET6}
CREATION = -1  # in place of a position: the time is the record's creation
_NOTHING = object()  # in place of a value: equal to none

PLAIN_SECONDS = 10**9
"""A time before this (2001) is left to the plain way: so early, a float of seconds holds fractions
that could be rounded up to a whole second."""
MIN_TIME, MAX_TIME = PLAIN_SECONDS * NS, MAX_SECONDS * NS

Fill = Callable[[Snapshot], Optional[bytes]]
"""Returns the payload of a record, or None if it has to go the plain way. It has to, too, where
this raises, which may be whatever a value's own methods raise."""


def make_fill(
    first: bytes,
    values: Tuple[object, ...],
    at: Mapping[str, int],
    fixed: FrozenSet[str],
    hosts: Hosts,
    full: bool,
    max_frame_size: int,
) -> Fill:
    """Make what fills in the records of one kind.

    Args:
        first: the payload of a first record, encoded the plain way.
        values: of the same record.
        at: the positions of the values that are filled in.
        fixed: the names of all other fields that have a value.
        hosts: the addresses known so far.
        full: whether the DNS messages themselves are sent.
        max_frame_size: bytes of the longest payload.
    """
    dnstap = proto.Dnstap.FromString(first)
    body: Any = dnstap.message  # Any: enumerators are set by their numbers
    serialize = dnstap.SerializeToString
    query_message, response_message = at.get("query_message"), at.get("response_message")
    own_time = "query_time" if body.type % 2 else "response_time"
    times = {own_time: CREATION, **at}
    query_time, response_time = times.get("query_time"), times.get("response_time")
    query_address = at.get("query_address")
    query_is_tuple = query_address is not None and type(values[query_address]) is tuple
    query_has_port = query_is_tuple and _sets_port("query", at, fixed)
    response = _Responder(body, values, at, fixed, hosts) if "response_address" in at else None
    has_extra = dnstap.HasField("extra") and "extra" not in at and "extra" not in fixed
    rare = [(name, at[name]) for name in _RARE if name in at]
    # The family is that of the addresses, unless one of them, or itself, is fixed.
    family_is_fixed = not fixed.isdisjoint(("socket_family", "query_address", "response_address"))
    first_size = size = len(body.query_address or body.response_address)
    # The seconds that are filled in, and their beginnings in nanoseconds; at first, near no time.
    query_second = response_second = query_start = response_start = -math.inf
    room = MAX_ARENA

    def renew() -> None:
        """Start again with a new message, as it was after the first record."""
        nonlocal dnstap, body, serialize, size, room
        nonlocal query_second, response_second, query_start, response_start
        dnstap = proto.Dnstap.FromString(first)
        body, serialize = dnstap.message, dnstap.SerializeToString
        if response is not None:
            response.fill_into(body)
        size = first_size
        query_second = response_second = query_start = response_start = -math.inf
        room = MAX_ARENA

    def fill(snapshot: Snapshot) -> Optional[bytes]:
        nonlocal size, query_second, response_second, query_start, response_start, room
        created, _, values, extra, _ = snapshot
        if room < 0:
            renew()
        room -= FIXED_ARENA
        if query_address is not None:
            value: Any = values[query_address]
            if (type(value) is tuple) is not query_is_tuple:
                return None
            packed = hosts[value[0] if query_is_tuple else value]
            if query_is_tuple:
                port = value[1]
                if not 0 <= port <= MAX_PORT:
                    return None
                if query_has_port:
                    body.query_port = port
            # The family is set when it changes: a tenth of the whole, if it were each time.
            if len(packed) != size:
                if family_is_fixed:
                    return None
                size = len(packed)
                body.socket_family = _FAMILIES[size]
            body.query_address = packed
        if response is not None:
            value = values[response.at]
            # Of a server's own end it is the same object each time: a fifth of the whole saved.
            if value is not response.last and not response.take(value):
                return None
            if response.size != size:
                if family_is_fixed or query_address is not None:
                    return None
                size = response.size
                body.socket_family = _FAMILIES[size]
        if query_message is not None:
            wire = values[query_message]
            if type(wire) is not bytes or len(wire) > MAX_WIRE_MESSAGE:
                return None
            if full:
                body.query_message = wire
                room -= len(wire)
        if response_message is not None:
            wire = values[response_message]
            if type(wire) is not bytes or len(wire) > MAX_WIRE_MESSAGE:
                return None
            if full:
                body.response_message = wire
                room -= len(wire)
        if query_time is not None:
            time = created if query_time == CREATION else values[query_time]
            # Most are of the same second as the last one, whose seconds are there already: a fifth
            # of the whole saved, too.
            if type(time) is int and 0 <= time - query_start < NS:
                body.query_time_nsec = time - query_start
            elif type(time) is float and 0 <= time - query_second < 1:
                body.query_time_nsec = int((time - query_second) * NS + 0.5)
            else:
                query_second, body.query_time_nsec = split_time(time)
                body.query_time_sec = query_second
                query_start = query_second * NS
        if response_time is not None:
            time = created if response_time == CREATION else values[response_time]
            # As above.
            if type(time) is int and 0 <= time - response_start < NS:
                body.response_time_nsec = time - response_start
            elif type(time) is float and 0 <= time - response_second < 1:
                body.response_time_nsec = int((time - response_second) * NS + 0.5)
            else:
                response_second, body.response_time_nsec = split_time(time)
                body.response_time_sec = response_second
                response_start = response_second * NS
        if rare:
            filled = _fill_rare(dnstap, values, rare)
            if filled is None:
                return None
            room -= filled
        if extra is not None or has_extra:
            if not has_extra or not extra:
                return None
            text = as_text_octets(extra)
            dnstap.extra = text
            room -= len(text)
        payload = serialize()
        return payload if len(payload) <= max_frame_size else None

    return fill


def _sets_port(side: str, at: Mapping[str, int], fixed: FrozenSet[str]) -> bool:
    """Tell whether socket addresses set the port: one of its own wins over theirs."""
    port = f"{side}_port"
    return port not in at and port not in fixed


def _fill_rare(
    dnstap: proto.Dnstap, values: Tuple[object, ...], rare: List[Tuple[str, int]]
) -> Optional[int]:
    """Fill in what most records do not have; return its bytes, None if that cannot be done."""
    filled = 0
    for name, at in rare:
        value = values[at]
        if value is None:
            return None
        converted = FIELDS[name].convert(value)
        if converted == b"":  # left out, if it is the extra
            return None
        setattr(dnstap if name == "extra" else dnstap.message, name, converted)
        if isinstance(converted, bytes):
            filled += len(converted)
    return filled


def split_time(time: object) -> Tuple[int, int]:
    """Return seconds and nanoseconds of a usual time; raise for any other."""
    if type(time) is int and MIN_TIME <= time < MAX_TIME:
        return divmod(time, NS)
    if type(time) is float and PLAIN_SECONDS <= time < MAX_SECONDS:
        seconds = int(time)
        return seconds, int((time - seconds) * NS + 0.5)
    raise ValueError("not a usual time")


class _Responder:
    """The responder's end of the socket in a template.

    Args:
        body: the message to fill.
        values: of a first record.
        at: the positions of the values that are filled in.
        fixed: the names of all other fields that have a value.
        hosts: the addresses known so far.

    Attributes:
        at: the position of the address.
        last: the value that is filled in now, or what is no value.
        size: the bytes of its address.
    """

    __slots__ = ("_body", "_has_port", "_hosts", "_is_tuple", "at", "last", "size")

    def __init__(
        self,
        body: Any,
        values: Tuple[object, ...],
        at: Mapping[str, int],
        fixed: FrozenSet[str],
        hosts: Hosts,
    ) -> None:
        self._body = body
        self._hosts = hosts
        self.at = at["response_address"]
        self._is_tuple = type(values[self.at]) is tuple
        self._has_port = self._is_tuple and _sets_port("response", at, fixed)
        self.last: object = _NOTHING
        self.size = 0

    def fill_into(self, body: Any) -> None:
        """Fill in this message from now on."""
        self._body = body
        self.last = _NOTHING

    def take(self, value: Any) -> bool:
        """Fill in an address, and its port; tell whether that could be done."""
        if (type(value) is tuple) is not self._is_tuple:
            return False
        host = value[0] if self._is_tuple else value
        packed = self._hosts[host]
        self.last = _NOTHING  # until it is filled in whole
        if self._is_tuple:
            port = value[1]
            if not 0 <= port <= MAX_PORT:
                return False
            if self._has_port:
                self._body.response_port = port
        self._body.response_address = packed
        self.last = value
        self.size = len(packed)
        return True


class Hosts(Dict[object, bytes]):
    """The packed form of addresses seen before, by their text, or whatever they were given as.

    Raises for what is no address, or means that none is known.
    """

    def __missing__(self, host: object) -> bytes:
        packed = as_endpoint(host).address
        if packed is None:
            raise ValueError("no address is known")
        if len(self) >= MAX_HOSTS:
            self.clear()
        self[host] = packed
        return packed
