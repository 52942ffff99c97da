"""DNS messages that are made to be expensive: for all that reads what came from the network.

Each is as long as it is asked for, up to the 65,535 octets that DNS over TCP allows, so that the
time that somebody takes for a long one can be compared with that for a short one. Some can be read
by the letter of RFC 1035 and some cannot; that is not what they are about.
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, List

__all__ = ["HOSTILE", "LONG", "SHORT", "hostile_message"]

LONG = 65535  # octets: the longest DNS message (RFC 1035, 4.2.2)
SHORT = 8192

HEADER_SIZE = 12
POINTERS_END = 0x4000  # a compression pointer has 14 bits (RFC 1035, 4.1.4)
LONG_NAME = b"\1a" * 127 + b"\0"  # 255 octets, 127 labels
QUESTION = b"\3www\7example\3org\0\0\1\0\1"
TO_QUESTION = b"\xc0\x0c"
ADDRESS = b"\xc6\x33\x64\x4d"  # 198.51.100.77
ADDRESS_6 = b"\x20\1\x0d\xb8\0\1\0\2\0\3\0\4\0\5\0\6"
A, NS, SOA, NULL, MX, TXT, RP, OPT, APL, NSEC, HIP, SVCB, TSIG, XPF = (
    1, 2, 6, 10, 15, 16, 17, 41, 42, 47, 55, 64, 250, 65422
)  # fmt: skip


def header(
    questions: int = 0, answers: int = 0, authorities: int = 0, additionals: int = 0
) -> bytes:
    """Return the header of a response."""
    counts = (questions, answers, authorities, additionals)
    return struct.pack("!6H", 0x1234, 0x8180, *[min(count, 0xFFFF) for count in counts])


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    """Return a record."""
    return owner + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def option(code: int, data: bytes = b"") -> bytes:
    """Return an EDNS option."""
    return struct.pack("!HH", code, len(data)) + data


def subnet(code: int = 8, number: int = 0) -> bytes:
    """Return a client subnet of a whole address; each number's is another."""
    address = (int.from_bytes(ADDRESS, "big") + number & 0xFFFFFFFF).to_bytes(4, "big")
    return option(code, struct.pack("!HBB", 1, 32, 0) + address)


def pointer(target: int) -> bytes:
    """Return a compression pointer."""
    return struct.pack("!H", 0xC000 | target)


def repeated(unit: bytes, size: int) -> bytes:
    """Return as many whole units as fit into a size."""
    return unit * (size // len(unit))


def with_records(size: int, unit: Callable[[int], bytes], before: bytes = b"") -> bytes:
    """Return a question and as many records as fit, each made of its number.

    Args:
        size: of the message.
        unit: makes a record.
        before: a first record.
    """
    room = size - HEADER_SIZE - len(QUESTION) - len(before)
    records: List[bytes] = []
    while room >= 0:
        records.append(unit(len(records)))
        room -= len(records[-1])
    records.pop()
    count = len(records) + bool(before)
    return header(1, 0, 0, count) + QUESTION + before + b"".join(records)


def with_edns(size: int, unit: Callable[[int], bytes]) -> bytes:
    """Return a question and one OPT record with as many options as fit."""
    room = size - HEADER_SIZE - len(QUESTION) - 11
    options: List[bytes] = []
    while room >= 0:
        options.append(unit(len(options)))
        room -= len(options[-1])
    options.pop()
    return header(1, 0, 0, 1) + QUESTION + record(b"\0", OPT, b"".join(options))


def with_questions(size: int, unit: Callable[[int], bytes]) -> bytes:
    """Return one question with a long name, and as many others as fit."""
    first = LONG_NAME + b"\0\1\0\1"
    room = size - HEADER_SIZE - len(first)
    questions: List[bytes] = []
    while room >= 0:
        questions.append(unit(len(questions)))
        room -= len(questions[-1])
    questions.pop()
    return header(1 + len(questions)) + first + b"".join(questions)


def pointed_at(size: int, target: bytes, entry: int, unit: Callable[[bytes], bytes]) -> bytes:
    """Return a record of opaque data, and as many that point into it as fit.

    Args:
        size: of the message.
        target: the data.
        entry: where in the data they point to.
        unit: makes a record of a compression pointer.
    """
    opaque = record(b"\0", NULL, target)
    start = HEADER_SIZE + len(QUESTION) + 11
    return with_records(size, lambda number: unit(pointer(start + entry)), opaque)


def chain(size: int) -> bytes:
    """Return compression pointers, each to the one before, in half of a message."""
    start = HEADER_SIZE + len(QUESTION) + 11
    end = min(start + size // 2, POINTERS_END - 2)
    targets = range(start, end - 2, 2)
    return b"\0\0" + b"".join(map(pointer, targets))


def labels(size: int) -> bytes:
    """Return labels of one octet, in half of a message, far beyond the length of a name."""
    return b"\1a" * (min(size // 2, POINTERS_END - 64) // 2) + b"\0"


def chained(size: int, unit: Callable[[bytes], bytes]) -> bytes:
    """Return records that point to the end of a chain of pointers."""
    links = chain(size)
    return pointed_at(size, links, len(links) - 2, unit)


def umbrella(number: int) -> bytes:
    """Return what Cisco Umbrella's option holds, each number's another address."""
    address = (int.from_bytes(ADDRESS, "big") + number & 0xFFFFFFFF).to_bytes(4, "big")
    return option(20292, b"ODNS\1\0" + b"\0\x10" + address)


HOSTILE: Dict[str, Callable[[int], bytes]] = {
    # EDNS
    "many OPT records with subnets": lambda size: with_records(
        size, lambda number: record(b"\0", OPT, subnet(8, number))
    ),
    "many OPT records, then pointers": lambda size: with_records(
        size,
        lambda number: record(b"\0", OPT, subnet()) + record(b"\xc0\x20", A, ADDRESS),
    ),
    "many OPT records without options": lambda size: with_records(
        size, lambda number: record(b"\0", OPT, b"")
    ),
    "many subnets": lambda size: with_edns(size, lambda number: subnet(8, number)),
    "many subnets of the old code": lambda size: with_edns(
        size, lambda number: subnet(0x50FA, number)
    ),
    "many subnets of IPv6": lambda size: with_edns(
        size,
        lambda number: option(8, b"\0\2\x80\0" + ADDRESS_6[:12] + number.to_bytes(4, "big")),
    ),
    "many Umbrella options": lambda size: with_edns(size, umbrella),
    "many Umbrella fields": lambda size: with_edns(
        size,
        lambda number: option(20292, b"ODNS\1\0" + repeated(b"\0\x10" + ADDRESS, size - 64)),
    ),
    "many empty options": lambda size: with_edns(size, lambda number: option(8)),
    "many MAC addresses": lambda size: with_edns(
        size, lambda number: option(65001, b"\0\1\2\3\4\5")
    ),
    "a long error text": lambda size: with_edns(
        size, lambda number: option(15, b"\0\0" + repeated(b'\x1b\xff\\"', size - 64))
    ),
    "a long NSID": lambda size: with_edns(
        size, lambda number: option(3, repeated(b'\x1b\xff\\"', size - 64))
    ),
    "an OPT before pointers": lambda size: with_records(
        size,
        lambda number: record(b"\0", NULL, b"\xc0\x0c" * 100),
        record(b"\0", OPT, subnet()),
    ),
    "an OPT before many records": lambda size: with_records(
        size, lambda number: record(b"\0", A, b""), record(b"\0", OPT, subnet())
    ),
    # questions
    "many questions of the root": lambda size: (
        header(size // 5) + repeated(b"\0\0\1\0\1", size - HEADER_SIZE)
    ),
    "many questions that point to a long name": lambda size: with_questions(
        size, lambda number: TO_QUESTION + b"\0\1\0\1"
    ),
    "many questions below a long name": lambda size: with_questions(
        size, lambda number: b"\2" + struct.pack("!H", number) + b"\xc0\x10\0\1\0\1"
    ),
    "many questions in a chain": lambda size: with_questions(
        size,
        lambda number: (
            pointer(min(HEADER_SIZE + 259 + 6 * (number - 1), POINTERS_END - 1)) + b"\0\1\0\1"
            if number
            else TO_QUESTION + b"\0\1\0\1"
        ),
    ),
    "a question that never ends": lambda size: header(1) + b"\1a" * ((size - 12) // 2),
    "a name that is too long": lambda size: header(1) + b"\1a" * ((size - 18) // 2) + b"\0\0\1\0\1",
    # names in records
    "many owners that point to a long name": lambda size: pointed_at(
        size, LONG_NAME, 0, lambda to: record(to, A, ADDRESS)
    ),
    "many owners at the end of a chain": lambda size: chained(
        size, lambda to: record(to, A, ADDRESS)
    ),
    "many name servers at the end of a chain": lambda size: chained(
        size, lambda to: record(TO_QUESTION, NS, to)
    ),
    "many owners that point to endless labels": lambda size: pointed_at(
        size, labels(size), 0, lambda to: record(to, A, ADDRESS)
    ),
    "many name servers at endless labels": lambda size: pointed_at(
        size, labels(size), 0, lambda to: record(TO_QUESTION, NS, to)
    ),
    "many name servers with a long name": lambda size: pointed_at(
        size, LONG_NAME, 0, lambda to: record(TO_QUESTION, NS, to)
    ),
    "many names in one HIP": lambda size: pointed_at(
        size,
        LONG_NAME,
        0,
        lambda to: record(b"\0", HIP, b"\0\2\0\0" + to * ((size - 400) // 2)),
    ),
    "many names of control characters": lambda size: with_records(
        size, lambda number: record((b"\x3f" + b"\x1b" * 63) * 3 + b"\0", A, ADDRESS)
    ),
    # other records
    "many empty records": lambda size: with_records(size, lambda number: record(b"\0", A, b"")),
    "many addresses": lambda size: with_records(
        size, lambda number: record(TO_QUESTION, A, ADDRESS)
    ),
    "many unknown records": lambda size: with_records(
        size, lambda number: record(TO_QUESTION, 60000 + number % 5000, b"")
    ),
    "many unknown classes": lambda size: with_records(
        size, lambda number: TO_QUESTION + struct.pack("!HHIH", A, 1000 + number, 60, 4) + ADDRESS
    ),
    "a text of many strings": lambda size: with_records(
        size, lambda number: record(b"\0", TXT, bytes(size - 64))
    ),
    "a text of control characters": lambda size: with_records(
        size, lambda number: record(b"\0", TXT, repeated(b"\xff" + b"\x1b" * 255, size - 64))
    ),
    "a list of many networks": lambda size: with_records(
        size, lambda number: record(b"\0", APL, repeated(b"\0\1\x08\1\x0a", size - 64))
    ),
    "a service of many parameters": lambda size: with_records(
        size,
        lambda number: record(
            b"\0",
            SVCB,
            b"\0\1\0" + b"".join(struct.pack("!HH", key, 0) for key in range(100, size // 4)),
        ),
    ),
    "many XPF records": lambda size: with_records(
        size, lambda number: record(b"\0", XPF, b"\4\x11" + ADDRESS * 2 + b"\0\x35\0\x35")
    ),
    "many TSIG records": lambda size: with_records(
        size, lambda number: record(b"\0", TSIG, subnet())
    ),
    # counts and lengths
    "counts beyond the message": lambda size: (
        header(65535, 65535, 65535, 65535) + repeated(b"\0\0\x29\0\x08", size - HEADER_SIZE)
    ),
    "lengths beyond the message": lambda size: (
        header(0, 0, 0, 65535) + repeated(b"\0\0\x29\0\x08\0\0\0\0\xff\xff", size - HEADER_SIZE)
    ),
    "zeros": lambda size: header(0, 65535) + bytes(size - HEADER_SIZE),
    "ones": lambda size: b"\xff" * size,
    "pointers to the header": lambda size: header(65535) + repeated(b"\xc0\0", size - 12),
    "octets of OPT and subnet": lambda size: (
        header(1, 0, 0, 1) + QUESTION + repeated(b"\0\x29\0\x08", size - 64)
    ),
    "octets of OPT": lambda size: header(1) + QUESTION + repeated(b"\0\x29", size - 64),
}
"""What makes each message, by what it is made of."""


def hostile_message(name: str, size: int = LONG) -> bytes:
    """Return a message of `HOSTILE`, of this many octets at most."""
    wire = HOSTILE[name](size)
    assert size - 1024 <= len(wire) <= size, f"{name}: {len(wire)} octets instead of {size}"
    return wire


def with_length(wire: bytes) -> bytes:
    """Return a message as it is on TCP, if that is a message of a possible length still."""
    wire = wire[: LONG - 2]
    return struct.pack("!H", len(wire)) + wire
