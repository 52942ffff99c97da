"""The quick way of decoding: what emitters send takes it, and it says what the plain way says."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from typing import Any, Callable, Dict, List, Tuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnstap_logging.codec import decoding
from dnstap_logging.codec.decoding import decode, decode_plainly, decode_type_and_time
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.exceptions import DecodeError
from dnstap_logging.message.check import message_from_snapshot
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.snapshot import take_snapshot
from dnstap_logging.text.line import own_time
from tests.benchmarks.reading import traffic
from tests.codec.strategies import extras

HEAD = b"\x0a\x03ns1\x12\x031.0"
KINDS = b"\x08\x05\x10\x01\x18\x01"
TIME = b"\x40\x80\xe2\xcf\xaa\x06\x4d\x01\x00\x00\x00"
QUERY = b"\x52\x04wire"
END = b"\x78\x01"


def field(tag: bytes, content: bytes) -> bytes:
    """Return a field with a length; of two bytes where one would do not."""
    size = len(content)
    return tag + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])) + content


def payload(body: bytes, head: bytes = HEAD, end: bytes = END) -> bytes:
    """Return a payload, by hand."""
    return head + field(b"\x72", body) + end


def outcome(way: Callable[[bytes], Tuple[Any, ...]], data: bytes) -> Tuple[object, object]:
    """Return a message with the types of its fields, or an error's text."""
    try:
        message = way(data)
    except DecodeError as error:
        return None, str(error)
    return message, list(map(type, message))


def type_and_time(data: bytes) -> Tuple[object, object]:
    """Return what `decode_type_and_time` has to, by way of the message."""
    message = decode_plainly(data)
    return message.message_type, own_time(message)


def assert_the_same(data: bytes) -> None:
    """Decode a payload in both ways, and what is counted of it."""
    assert outcome(decode, data) == outcome(decode_plainly, data), data
    assert outcome(decode_type_and_time, data) == outcome(type_and_time, data), data


def no_plain_way(data: bytes) -> DnstapMessage:
    """Stand in for the plain way where it must not be needed."""
    raise AssertionError(f"the plain way was taken for {data!r}")


PLAIN_IPV4 = b"\x22\x04\xc0\x00\x02\x01\x2a\x04\xc0\x00\x02\x35"
IPV6 = b"\x22\x10" + bytes(range(16)) + b"\x2a\x10" + bytes(range(1, 17))


@pytest.mark.parametrize(
    "data",
    [
        payload(KINDS + QUERY),
        payload(KINDS + PLAIN_IPV4 + b"\x30\xb9\x29\x38\x35" + TIME + QUERY),
        payload(KINDS + IPV6 + b"\x30\xff\xff\x03\x38\x35" + TIME + QUERY, head=b""),
        payload(KINDS + PLAIN_IPV4 + TIME + field(b"\x52", bytes(500)), head=b"\x12\x00\x1a\x02xy"),
        payload(
            KINDS + PLAIN_IPV4 + TIME + b"\x60" + TIME[1:6] + b"\x6d\xff\xc9\x9a\x3b" + b"\x72\x00"
        ),
        payload(KINDS + b"\x72\x04wire"),
        payload(b"\x08\x06\x10\x09\x18\x63" + QUERY),
    ],
    ids=["bare", "ipv4", "ipv6", "extra", "response", "untimed", "of the future"],
)
def test_usual_payloads_take_the_quick_way(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """What emitters send is not decoded plainly, and the message is the same."""
    expected = decode_plainly(data)
    monkeypatch.setattr(decoding, "decode_plainly", no_plain_way)

    assert decode(data) == expected
    assert decode_type_and_time(data) == (expected.message_type, own_time(expected))


def test_our_own_traffic_takes_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark's messages never take the plain way."""
    payloads = list(traffic(1000))
    expected = list(map(decode_plainly, payloads))
    monkeypatch.setattr(decoding, "decode_plainly", no_plain_way)

    assert list(map(decode, payloads)) == expected


@pytest.mark.parametrize(
    "data",
    [
        payload(KINDS + b"\x30\xff\xff\x04" + QUERY),
        payload(KINDS + b"\x30\x80\x80\x00" + QUERY),
        payload(KINDS + b"\x38\xff\xff\x04" + QUERY),
        payload(KINDS + b"\x38\xb5\x00" + QUERY),
        payload(KINDS + TIME[:-4] + b"\x00\xca\x9a\x3b" + QUERY),
        payload(KINDS + b"\x40\xff\xff\xff\xff\x7f\x4d\x00\x00\x00\x00" + QUERY),
        payload(KINDS + TIME[:6] + QUERY),
        payload(KINDS + b"\x4d\x00\x00\x00\x00" + QUERY),
        payload(KINDS + b"\x60" + TIME[1:6] + b"\x6d\x00\xca\x9a\x3b" + b"\x72\x04wire"),
        payload(b"\x08\x0f\x10\x01\x18\x01" + QUERY),
        payload(b"\x08\x85\x10\x01\x18\x01" + QUERY),
        payload(b"\x10\x01\x18\x01\x08\x05" + QUERY),
        payload(b"\x08\x05" + QUERY),
        payload(KINDS + QUERY + b"\x72\x04wire"),
        payload(KINDS + QUERY + b"\x52\x04wire"),
        payload(KINDS + QUERY + b"\x5a\x01\x00"),
        payload(KINDS + QUERY + b"\x7a\x02\x18\x01"),
        payload(KINDS + QUERY + b"\x80\x01\x01"),
        payload(KINDS + b"\x52\x05wire"),
        payload(KINDS + b"\x52\x03wire"),
        payload(KINDS + b"\x52\x84\x00wire"),
        payload(KINDS + b"\x22\x03abc" + QUERY),
        payload(KINDS + b"\x22\x00" + QUERY),
        payload(KINDS + QUERY, end=b""),
        payload(KINDS + QUERY, end=b"\x78\x02"),
        payload(KINDS + QUERY, end=b"\x78\x01\x78\x01"),
        payload(KINDS + QUERY, end=b"\x0a\x01x\x78\x01"),
        payload(KINDS + QUERY, head=b"\x78\x02"),
        payload(KINDS + QUERY, head=b"\x0a\x02x\x12"),
        payload(KINDS + QUERY, head=b"\x0a\x01a\x0a\x01b"),
        payload(KINDS + QUERY, head=b"\x72\x02\x30\x35"),
        payload(KINDS + QUERY, head=field(b"\x0a", payload(KINDS + QUERY))),
        payload(KINDS + QUERY, head=field(b"\x0a", payload(KINDS + QUERY))[:-1]),
        payload(KINDS + QUERY)[:-3] + b"x" + END,
        HEAD + b"\x72\x80\x00" + KINDS + QUERY + END,
        HEAD + b"\x72\x8c\x00" + KINDS + QUERY + END,
    ],
)
def test_unusual_payloads(data: bytes) -> None:
    """Whatever is out of order, twice, overlong or too short is what protobuf makes of it."""
    assert_the_same(data)


@given(extras())
def test_messages_of_every_kind(values: Dict[str, Any]) -> None:
    """Both ways give the same fields, of the same types, for good extras of any kind."""
    assert_the_same(
        Encoder(b"ns1", b"").encode(message_from_snapshot(take_snapshot(values, 0.0), []), [])
    )


PIECES: List[bytes] = [
    HEAD, b"\x0a\x01a", b"\x1a\x00", KINDS, b"\x08\x06", b"\x10\x02", PLAIN_IPV4, IPV6, b"\x30\x35",
    b"\x38\xff\xff\x03", TIME, QUERY, b"\x60" + TIME[1:6] + b"\x6d" + bytes(4), b"\x72\x01w", END,
]  # fmt: skip


@given(
    st.lists(st.sampled_from(PIECES), max_size=3),
    st.lists(st.sampled_from(PIECES), max_size=8),
    st.lists(st.sampled_from(PIECES), max_size=2),
    st.data(),
)
@example([HEAD], [KINDS, QUERY], [END], None)
def test_pieces_in_any_order(
    head: List[bytes], body: List[bytes], end: List[bytes], data: Any
) -> None:
    """Fields in any order and number, some bytes changed: the same message, or the same error."""
    made = bytearray(payload(b"".join(body), b"".join(head), b"".join(end)))
    if data is not None:
        for _ in range(data.draw(st.integers(0, 2))):
            made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    assert_the_same(bytes(made))


def test_every_byte_changed() -> None:
    """A usual payload with any one bit changed, or cut anywhere, is what protobuf makes of it."""
    whole = payload(KINDS + PLAIN_IPV4 + b"\x30\xff\xff\x03\x38\x35" + TIME + QUERY)
    for at in range(len(whole)):
        assert_the_same(whole[:at])
        for bit in range(8):
            changed = bytearray(whole)
            changed[at] ^= 1 << bit
            assert_the_same(bytes(changed))


def test_what_is_kept_is_bounded() -> None:
    """A sender cannot fill the memory with always new pieces: the oldest are discarded."""
    for number in range(3 * decoding.MOST_SEEN):
        seconds = struct.pack("5B", *((number >> 7 * n & 127) | 128 for n in range(4)), 6)
        head = b"\x0a\x04" + struct.pack(">I", number)
        time_of_it = b"\x40" + seconds + TIME[6:]
        assert_the_same(payload(KINDS + time_of_it + QUERY, head))

    for seen in (decoding._heads, decoding._seconds, decoding._kinds, decoding._ports):
        assert 0 < len(seen) <= decoding.MOST_SEEN
    assert len(decoding._lengths) <= 1 << 14


def test_long_pieces_are_not_kept() -> None:
    """A thousand identities of 50,000 bytes each take no memory once they are read."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(decoding.MOST_SEEN):
            body = field(b"\x72", KINDS + TIME + QUERY)
            head = b"\x0a\xd0\x86\x03" + struct.pack(">I", number) * 12_500
            assert decode(head + body + END).identity == head[4:]
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert after - before < 1 << 20, "50 MB, if they were all kept"


def test_no_payload_takes_long() -> None:
    """A megabyte made of beginnings that lead nowhere is refused in the time of reading it."""
    beginning = b"\x72\x7f" + KINDS + PLAIN_IPV4 + b"\x30\xff\xff"
    source = random.Random(0)
    hostile = beginning * (1_000_000 // len(beginning)) + bytes(source.choices(b"\x72\x08", k=1000))
    started = time.monotonic()

    assert outcome(decode, hostile)[0] is None
    assert time.monotonic() - started < 5
