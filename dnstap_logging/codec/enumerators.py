"""The enumerators of a Dnstap payload, as numbers, by the wire format of protobuf.

Its enumerations are closed: protobuf puts an enumerator that it does not know among the unknown
fields of the message, for which its versions have no common interface. Pure; any thread.
"""

from __future__ import annotations

from typing import Dict, Iterator, Tuple, Union

__all__ = ["read_enumerators"]

_MESSAGE = 14  # of Dnstap
_POLICY = 15  # of Message

_VARINT, _FIXED64, _BYTES, _GROUP, _END_OF_GROUP = range(5)  # wire types; fixed32 is the other one


def read_enumerators(payload: bytes) -> Tuple[Dict[int, int], Dict[int, int]]:
    """Return the varints in the message of a payload, and those in its policy, by their fields.

    Of a field that is there more than once, the last one counts, as protobuf says.

    Args:
        payload: one that protobuf can read.
    """
    message: Dict[int, int] = {}
    policy: Dict[int, int] = {}
    for number, body in _fields(payload):
        if number != _MESSAGE or not isinstance(body, bytes):
            continue
        for each, value in _fields(body):
            if isinstance(value, int):
                message[each] = value
            elif each == _POLICY:
                policy.update((at, no) for at, no in _fields(value) if isinstance(no, int))
    return message, policy


def _fields(data: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """Yield number and value of each varint and each length-delimited field outside of groups."""
    position, depth = 0, 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        value: Union[int, bytes, None] = None
        if kind == _VARINT:
            number, position = _varint(data, position)
            value = (number & 0xFFFFFFFF ^ 0x80000000) - 0x80000000  # an enumerator has 32 bits
        elif kind == _BYTES:
            size, position = _varint(data, position)
            value, position = data[position : position + size], position + size
        elif kind in (_GROUP, _END_OF_GROUP):
            depth += 1 if kind == _GROUP else -1
        else:
            position += 8 if kind == _FIXED64 else 4
        if value is not None and not depth:
            yield tag >> 3, value


def _varint(data: bytes, position: int) -> Tuple[int, int]:
    """Return a varint and where it ends."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
