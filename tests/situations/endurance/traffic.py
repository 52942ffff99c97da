"""Traffic without end: each query has a name and a client of its own, and sizes are mixed.

Whatever is remembered by name, by client or by size shows as memory that grows.
"""

from __future__ import annotations

import struct
from typing import Iterator, List, NamedTuple, Tuple

from dnstap_logging.codec.proto import Dnstap
from dnstap_logging.framestream.frames import LENGTH

PADDING = (0, 7, 31, 120, 300, 700, 1300)
"""Bytes of EDNS padding (RFC 7830); a prime number of sizes, so that all kinds get all of them."""

FIRST_SECOND = 1_700_000_000
MESSAGES_A_SECOND = 1000
"""By the times in the messages: what waits for a response for seconds is given up early on."""

PAIRS = 500
"""Queries in a block, each with its response."""

UNANSWERED = 10
"""One in this many queries has no response."""

_ID, _NAME, _CLIENT, _SECOND = b"\xfe\xed", b"name-here", b"\xfa\xce\xfa\xce", 1_999_999_999
_UNKNOWN = b"\xff\x01\xff\x02"  # type and class


def padding(number: int) -> bytes:
    """Return an OPT record with padding."""
    size = PADDING[number % len(PADDING)]
    return b"\0" + struct.pack(">HHIHHH", 41, 1232, 0, size + 4, 12, size) + bytes(size)


def _wire(message_id: bytes, name: bytes, flags: int, answer: bytes, opt: bytes) -> bytes:
    header = message_id + struct.pack(">5H", flags, 1, bool(answer), 0, 1)
    question = bytes([len(name)]) + name + b"\7example\3com\0\0\1\0\1"
    return header + question + answer + opt


def query(number: int) -> bytes:
    """Return a query."""
    return _wire(struct.pack(">H", number & 65535), b"n%08x" % number, 0x100, b"", padding(number))


def response(number: int) -> bytes:
    """Return the response, with an address."""
    answer = b"\xc0\x0c" + struct.pack(">HHIHI", 1, 1, 60, 4, number)
    message_id = struct.pack(">H", number & 65535)
    return _wire(message_id, b"n%08x" % number, 0x8180, answer, padding(number // 3))


def client(number: int) -> Tuple[str, int]:
    """Return a client's socket address: another one for each of 16 million numbers."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 1024 + number % 60000


class _Place(NamedTuple):
    """Where a frame of a block holds what is different in each round."""

    pair: int
    message_id: int
    name: int
    client: int
    second: int
    unknown: int


class Blocks:
    """Make frames, a thousand at a time: the same block, filled in again for each round."""

    def __init__(self) -> None:
        self._block = bytearray()
        self._places: List[_Place] = []
        for pair in range(PAIRS):
            self._append(pair, is_query=True)
            self._append(pair, is_query=pair % UNANSWERED == 0)
        self._number = 0

    def _append(self, pair: int, is_query: bool) -> None:
        frame = _frame(pair, is_query)
        base = len(self._block)
        second = b"\x40" + _varint(_SECOND) if is_query else b"\x60" + _varint(_SECOND)
        marks = (_ID, _NAME, _CLIENT)
        found = [base + frame.index(mark) for mark in marks]
        unknown = frame.find(_UNKNOWN)
        at = base + unknown if unknown >= 0 else -1
        self._places.append(_Place(pair, *found, base + frame.index(second) + 1, at))
        self._block += frame

    def take(self, messages: int) -> Iterator[bytes]:
        """Yield blocks until there were that many messages, a multiple of 1000."""
        for _ in range(messages // len(self._places)):
            yield self._next()

    def _next(self) -> bytes:
        block, first = self._block, self._number
        self._number += PAIRS
        second = _varint(FIRST_SECOND + first * 2 // MESSAGES_A_SECOND)
        for pair, message_id, name, address, time, unknown in self._places:
            number = first + pair
            block[message_id : message_id + 2] = (number & 65535).to_bytes(2, "big")
            block[name : name + 9] = b"n%08x" % number
            block[address : address + 4] = number.to_bytes(4, "big")
            block[time : time + 5] = second
            if unknown >= 0:
                block[unknown + 2 : unknown + 4] = (number * 7 & 65535).to_bytes(2, "big")
        return bytes(block)


def _varint(value: int) -> bytes:
    octets = []
    while value > 127:
        octets.append(value & 127 | 128)
        value >>= 7
    return bytes([*octets, value])


def _frame(pair: int, is_query: bool) -> bytes:
    """Return a frame whose changing parts are marked."""
    dnstap = Dnstap(type=Dnstap.MESSAGE, identity=b"ns1.example", version=b"endurance")
    body = dnstap.message
    body.type = 5 if is_query else 6
    body.socket_family, body.socket_protocol = 1, 1
    body.query_address, body.query_port = _CLIENT, 5353
    body.response_address, body.response_port = b"\xc0\0\2\x35", 53
    if is_query:
        body.query_time_sec, body.query_time_nsec = _SECOND, 1000
        body.query_message = _wire(_ID, _NAME, 0x100, b"", padding(pair))
    else:
        body.response_time_sec, body.response_time_nsec = _SECOND, 500_000
        unknown = b"\xc0\x0c" + _UNKNOWN + struct.pack(">IH", 60, 4) + b"data"
        body.response_message = _wire(_ID, _NAME, 0x8180, unknown, padding(pair // 3))
    payload = dnstap.SerializeToString()
    return LENGTH.pack(len(payload)) + payload
