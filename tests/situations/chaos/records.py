"""The records of a chaos run: each says who logged it, and no byte of it can change unnoticed."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

__all__ = ["Damaged", "Mark", "PAYLOAD_IDENTITY", "payload", "read_wire", "wire"]

HEADER = struct.Struct(">HHHHHH")
OPT = struct.Struct(">BHHIHHH")
"""Root name, type, class, ttl, size of the data; then the code and the size of its one option."""

OPT_TYPE, PADDING = 41, 12  # RFC 6891, RFC 7830

PAYLOAD_IDENTITY = b"ready made"
"""Dnstap.identity of the payloads that the program encodes by itself."""


class Damaged(Exception):
    """These bytes are not a record of this run."""


class Mark(NamedTuple):
    """Who logged a record.

    Attributes:
        process: "0" is the program; a forked child appends where it was forked.
        handler: the program's handlers are numbered.
        thread: its name.
        number: counts the records of this thread and this handler.
    """

    process: str
    handler: int
    thread: str
    number: int


def wire(mark: Mark, padding: int) -> bytes:
    """Return a DNS query with the mark as its name, and that many bytes of EDNS padding."""
    labels = [str(mark.number), mark.thread, str(mark.handler), mark.process, "chaos"]
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    question = name + struct.pack(">HH", 1, 1)
    header = HEADER.pack(mark.number & 0xFFFF, 0x0100, 1, 0, 0, 1)
    opt = OPT.pack(0, OPT_TYPE, 1232, 0, 4 + padding, PADDING, padding)
    pattern = zlib.crc32(name).to_bytes(4, "big")
    return header + question + opt + (pattern * (padding // 4 + 1))[:padding]


def read_wire(data: bytes) -> Mark:
    """Return the mark of a query; every other byte must be as `wire` made it."""
    try:
        labels, at = [], HEADER.size
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        number, thread, handler, process, _ = labels
        mark = Mark(process, int(handler), thread, int(number))
        padding = OPT.unpack_from(data, at + 5)[-1]
    except (IndexError, ValueError, struct.error) as error:
        raise Damaged(f"not a query of this run ({error}): {data[:80]!r}") from None
    if wire(mark, padding) != data:
        raise Damaged(f"the query of {mark} was changed: {data[:80]!r}")
    return mark


def payload(query: bytes) -> bytes:
    """Return a dnstap payload, encoded by hand: type 15, MESSAGE; in it CLIENT_QUERY."""
    message = b"\x08\x05" + _bytes_field(10, query)
    return _bytes_field(1, PAYLOAD_IDENTITY) + _bytes_field(14, message) + b"\x78\x01"


def _bytes_field(number: int, value: bytes) -> bytes:
    size, rest = b"", len(value)
    while rest > 0x7F:
        size += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return bytes([number << 3 | 2]) + size + bytes([rest]) + value
