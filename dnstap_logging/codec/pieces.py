"""The pieces of payloads, cached by the values that they are made of.

Most records of a program differ only in client, time and DNS message, so the pieces of all other
values are used again: looking one up takes a twentieth of the time of making it. A piece depends
only on its value, so all encoders share the caches. Values that raise are not cached. Used by
writer threads.
"""

from __future__ import annotations

import socket
from typing import Any, Callable, Dict, Generic, Optional, Tuple, TypeVar

from ..message.enums import MessageType, SocketFamily, SocketProtocol
from ..message.values import (
    MAX_WIRE_MESSAGE,
    as_address,
    as_domain_name,
    as_endpoint,
    as_message_type,
    as_port,
    as_socket_protocol,
)
from .table import MESSAGE, varint

__all__ = [
    "BEGINNINGS",
    "PORT_HIGH",
    "PORT_LOW",
    "QUERY_ENDPOINTS",
    "QUERY_HOSTS",
    "QUERY_LENGTHS",
    "QUERY_SECONDS",
    "RESPONSE_ENDPOINTS",
    "RESPONSE_LENGTHS",
    "RESPONSE_SECONDS",
    "SMALL_PORTS",
    "ZONES",
    "Memo",
    "Unusual",
]

MAX_REMEMBERED = 4096
"""Pieces remembered of each kind, of some 200 bytes each: a program has a few thousand clients
that come again, a hostile one sends from new ones each time."""

PLAIN_SECONDS = 10**9
"""Times before this (2001) are left to `message_from_snapshot`: float seconds hold fractions there
that could be rounded up to a whole second, and an int is most likely not of nanoseconds."""

Key = TypeVar("Key")
Value = TypeVar("Value")


class Unusual(Exception):
    """A value that has no piece here."""


class Memo(Dict[Key, Value], Generic[Key, Value]):
    """What a function returned for the keys seen last.

    Keys that are equal must have equal pieces, whatever their types: 1 equals True.

    Args:
        make: returns the piece of a key; what it raises is raised.
        most: keys that are remembered; when there are more, all are forgotten.
    """

    __slots__ = ("_make", "_most")

    def __init__(self, make: Callable[[Key], Value], most: int = MAX_REMEMBERED) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, key: Key) -> Value:
        value = self._make(key)
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value


# -- type, family and protocol -----------------------------------------------------------------

Beginning = Tuple[bool, bool, Tuple[bytes, bytes, bytes]]
"""Whether the message is a query; whether it went over DOH; and its first three fields: without a
family, with INET, with INET6."""


class _Beginnings(Memo[Tuple[Any, Any], Beginning]):
    """Remembers by names only, since 5, 5.0 and five enumerators are equal keys."""

    __slots__ = ()

    def __missing__(self, key: Tuple[Any, Any]) -> Beginning:
        names = _name(key[0], MessageType), _name(key[1], SocketProtocol)
        return super().__missing__(key) if names == key else self[names]


def _name(value: Any, kind: Any) -> Optional[str]:
    if value is None or type(value) is str:
        return value
    if type(value) is kind or type(value) is int:
        return str(kind(value).name)
    if type(value) is socket.SocketKind:
        return value.name
    raise Unusual


def _beginning(key: Tuple[Any, Any]) -> Beginning:
    message_type = as_message_type(key[0])
    protocol = None if key[1] is None else as_socket_protocol(key[1])
    first = MESSAGE["type"].piece(message_type)
    last = b"" if protocol is None else MESSAGE["socket_protocol"].piece(protocol)
    inet, inet6 = map(MESSAGE["socket_family"].piece, SocketFamily)
    is_doh = protocol is SocketProtocol.DOH
    return message_type.is_query, is_doh, (first + last, first + inet + last, first + inet6 + last)


BEGINNINGS = _Beginnings(_beginning)

# -- what there is for each side ---------------------------------------------------------------


def _host_piece(side: str) -> Callable[[Any], Tuple[int, bytes]]:
    """Return what makes a host's family, 0 where it is unknown, and the field of its address."""
    tag = MESSAGE[f"{side}_address"].tag
    four, sixteen = tag + varint(4), tag + varint(16)

    def make(host: Any) -> Tuple[int, bytes]:
        if host == "":  # means unknown in a socket address, and nothing elsewhere
            raise Unusual
        packed = as_address(host)
        if packed is None:
            return 0, b""
        if len(packed) == 4:
            return 1, four + packed
        return 2, sixteen + packed

    return make


def _endpoint_piece(side: str) -> Callable[[Any], Tuple[int, bytes, bytes]]:
    """Return what makes the family, the field of the address and that of the port."""
    make_host = _host_piece(side)
    port_piece = MESSAGE[f"{side}_port"].piece

    def make(value: Any) -> Tuple[int, bytes, bytes]:
        address, port = as_endpoint(value)
        family, piece = (0, b"") if address is None else make_host(address)
        return family, piece, b"" if port is None else port_piece(port)

    return make


def _seconds_piece(side: str) -> Callable[[int], bytes]:
    """Return what makes the seconds of a time, and the tag of its nanoseconds."""
    seconds, nanoseconds = MESSAGE[f"{side}_time_sec"], MESSAGE[f"{side}_time_nsec"]

    def make(second: int) -> bytes:
        if second < PLAIN_SECONDS:
            raise Unusual
        return seconds.piece(second) + nanoseconds.tag

    return make


def _length_piece(side: str) -> Callable[[int], bytes]:
    """Return what makes the beginning of a DNS message's field."""
    tag = MESSAGE[f"{side}_message"].tag

    def make(length: int) -> bytes:
        if length > MAX_WIRE_MESSAGE:
            raise Unusual
        return tag + varint(length)

    return make


QUERY_HOSTS = Memo(_host_piece("query"))
QUERY_ENDPOINTS = Memo(_endpoint_piece("query"))
RESPONSE_ENDPOINTS = Memo(_endpoint_piece("response"))
QUERY_SECONDS = Memo(_seconds_piece("query"))
RESPONSE_SECONDS = Memo(_seconds_piece("response"))
QUERY_LENGTHS = Memo(_length_piece("query"))
RESPONSE_LENGTHS = Memo(_length_piece("response"))
ZONES: Memo[Any, bytes] = Memo(lambda zone: MESSAGE["query_zone"].piece(as_domain_name(zone)))

# Clients use all 65,536 ports: their pieces are joined from the entries of two small tables.
SMALL_PORTS: Memo[int, bytes] = Memo(lambda port: MESSAGE["query_port"].piece(as_port(port)))
PORT_LOW = tuple([MESSAGE["query_port"].tag + bytes((low | 128,)) for low in range(128)])
PORT_HIGH = tuple([varint(high) for high in range(512)])
