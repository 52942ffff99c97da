"""The fields of dnstap.proto as protobuf writes them: numbers, wire types, and what writes a value.

A test compares the tables with the schema. Pure functions, for any thread; `encoding.py` puts the
pieces together. Protobuf's wire format: each field is a tag (its number and wire type), then a
varint, four bytes, or a length and so many bytes (protobuf.dev, "Encoding").
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, Final, NamedTuple, Type

from ..address import MAX_PORT
from ..message.enums import (
    E,
    HttpProtocol,
    MessageType,
    PolicyAction,
    PolicyMatch,
    SocketFamily,
    SocketProtocol,
)
from ..message.policy import Policy
from ..message.values import MAX_SECONDS, NS

__all__ = ["DNSTAP", "MESSAGE", "POLICY", "TYPE_IS_MESSAGE", "WireField", "varint"]

VARINT: Final = 0
LENGTH: Final = 2
FIXED32: Final = 5

_fixed32 = struct.Struct("<I").pack


def varint(number: int) -> bytes:
    """Return a number in base 128, lowest seven bits first; all bytes but the last have bit 7 set.

    Raises:
        ValueError: the number is negative.
    """
    if number < 0:
        raise ValueError(f"{number} is negative")
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


class WireField(NamedTuple):
    """One field of a protobuf message.

    Attributes:
        number: the field's number in dnstap.proto.
        wire_type: VARINT, LENGTH or FIXED32.
        write: returns a value's bytes behind the tag; raises TypeError or ValueError for a value
            that the field cannot have.
        tag: what the field begins with: its number and wire type.
    """

    number: int
    wire_type: int
    write: Callable[[object], bytes]
    tag: bytes

    def piece(self, value: object) -> bytes:
        """Return the whole field."""
        return self.tag + self.write(value)


def _field(number: int, wire_type: int, write: Callable[[object], bytes]) -> WireField:
    return WireField(number, wire_type, write, varint(number << 3 | wire_type))


# -- what writes the values --------------------------------------------------------------------


def _octets(value: object) -> bytes:
    if type(value) is not bytes:
        raise TypeError(f"{type(value).__name__} is not bytes")
    return varint(len(value)) + value


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is not str")
    octets = value.encode()
    return varint(len(octets)) + octets


def _number_below(end: int) -> Callable[[object], bytes]:
    def write(value: object) -> bytes:
        if type(value) is not int:
            raise TypeError(f"{type(value).__name__} is not int")
        if value >= end:
            raise ValueError(f"{value} is not below {end}")
        return varint(value)

    return write


def _enumerator(kind: Type[E]) -> Callable[[object], bytes]:
    def write(value: object) -> bytes:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is not a {kind.__name__}")
        if not value.is_known:
            raise ValueError(f"{value!r} is not in this dnstap.proto")
        return varint(int(value))

    return write


def _nanoseconds(value: object) -> bytes:
    if type(value) is not int or not 0 <= value < NS:
        raise ValueError(f"{value!r} is not a number of nanoseconds in a second")
    return _fixed32(value)


def _policy(value: object) -> bytes:
    if not isinstance(value, Policy):
        raise TypeError(f"{type(value).__name__} is not a Policy")
    octets = b"".join(
        [POLICY[name].piece(each) for name, each in zip(value._fields, value) if each is not None]
    )
    return varint(len(octets)) + octets


# -- the tables --------------------------------------------------------------------------------

POLICY: Dict[str, WireField] = {
    "type": _field(1, LENGTH, _text),
    "rule": _field(2, LENGTH, _octets),
    "action": _field(3, VARINT, _enumerator(PolicyAction)),
    "match": _field(4, VARINT, _enumerator(PolicyMatch)),
    "value": _field(5, LENGTH, _octets),
}

MESSAGE: Dict[str, WireField] = {
    "type": _field(1, VARINT, _enumerator(MessageType)),
    "socket_family": _field(2, VARINT, _enumerator(SocketFamily)),
    "socket_protocol": _field(3, VARINT, _enumerator(SocketProtocol)),
    "query_address": _field(4, LENGTH, _octets),
    "response_address": _field(5, LENGTH, _octets),
    "query_port": _field(6, VARINT, _number_below(MAX_PORT + 1)),
    "response_port": _field(7, VARINT, _number_below(MAX_PORT + 1)),
    "query_time_sec": _field(8, VARINT, _number_below(MAX_SECONDS)),
    "query_time_nsec": _field(9, FIXED32, _nanoseconds),
    "query_message": _field(10, LENGTH, _octets),
    "query_zone": _field(11, LENGTH, _octets),
    "response_time_sec": _field(12, VARINT, _number_below(MAX_SECONDS)),
    "response_time_nsec": _field(13, FIXED32, _nanoseconds),
    "response_message": _field(14, LENGTH, _octets),
    "policy": _field(15, LENGTH, _policy),
    "http_protocol": _field(16, VARINT, _enumerator(HttpProtocol)),
}

DNSTAP: Dict[str, WireField] = {
    "identity": _field(1, LENGTH, _octets),
    "version": _field(2, LENGTH, _octets),
    "extra": _field(3, LENGTH, _octets),
    "message": _field(14, LENGTH, _octets),
    "type": _field(15, VARINT, _number_below(2)),
}

TYPE_IS_MESSAGE: Final = DNSTAP["type"].piece(1)
"""Dnstap.type, which has one value, and stands behind the message."""
