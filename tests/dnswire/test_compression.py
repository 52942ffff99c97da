"""Names inside DNS messages: what dnspython reads there, and nothing that takes long."""

from __future__ import annotations

import dns.exception
import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.dnswire.compression import MessageNames

NAME = b"\3www\7example\3org\0"
CHAIN = b"\0" + b"".join((0xC000 | max(0, at - 2)).to_bytes(2, "big") for at in range(1, 257, 2))
"""The root, and 128 pointers, each to what is before it."""


def test_names() -> None:
    """A name is whole, whether it is written out, ends in a pointer or is one."""
    names = MessageNames(NAME + b"\4mail\xc0\x04" + b"\xc0\x11" + b"\0")

    assert names.read(17) == (b"\4mail\7example\3org\0", 24)
    assert names.read(24) == (b"\4mail\7example\3org\0", 26)
    assert names.read(0) == (NAME, 17)
    assert names.read(26) == (b"\0", 27)
    assert names.read(16) == (b"\0", 17)


@pytest.mark.parametrize(
    ("wire", "position", "error"),
    [
        (NAME[:-1], 0, IndexError),
        (b"\3ab", 0, IndexError),
        (b"\xc0", 0, IndexError),
        (b"\xc0\x00", 0, ValueError),
        (b"\xc0\x02\0", 0, ValueError),
        (b"\1a\xc0\x00", 0, ValueError),
        (b"\xc0\x02\xc0\x00", 2, ValueError),
        (b"\x40" + bytes(70), 0, ValueError),
        (b"\x80" + bytes(70), 0, ValueError),
        (b"\1a" * 128 + b"\0", 0, ValueError),
        (b"\1a" * 127 + b"\0" + b"\1b\xc0\0", 255, ValueError),
        (CHAIN, len(CHAIN) - 2, ValueError),
    ],
    ids=["cut", "cut label", "cut pointer", "to itself", "ahead", "loop", "two", "64", "128",
         "long", "long by a pointer", "chain"],
)  # fmt: skip
def test_what_is_no_name(wire: bytes, position: int, error: type) -> None:
    """Cut, pointing ahead or around, too long: an error, and again when it is asked again."""
    names = MessageNames(wire)
    for _ in range(2):
        with pytest.raises(error):
            names.read(position)


def test_the_longest_chain() -> None:
    """As many pointers as a name can have labels lead to it."""
    names = MessageNames(CHAIN)

    assert names.read(len(CHAIN) - 4) == (b"\0", len(CHAIN) - 2)


def test_the_longest_names() -> None:
    """A name of 255 octets is one, also where its last octets are elsewhere."""
    tail = b"\1a" * 126 + b"\0"
    names = MessageNames(tail + b"\1b\xc0\0")

    assert names.read(len(tail)) == (b"\1b" + tail, len(tail) + 4)


PIECES = st.lists(
    st.sampled_from([b"\0", b"\1a", b"\2bc", b"\3www", b"\xc0\0", b"\xc0\5", b"\xc0\x0c", b"\x3f"]),
    min_size=1,
    max_size=30,
).map(b"".join)


def end_of(wire: bytes, position: int) -> int:
    """Return where a name ends: behind its first pointer, or its last label.

    Not what dnspython says: for it, labels that a pointer leads to and that reach beyond the
    pointer belong to the name.
    """
    while 0 < wire[position] < 0xC0:
        position += 1 + wire[position]
    return position + (2 if wire[position] else 1)


def test_labels_that_reach_beyond_their_pointer() -> None:
    """A name ends with its pointer, also if what this leads to goes on behind it."""
    names = MessageNames(b"\0\0\0\3www\3www\xc0\5\2bc\xc0\x0c\0")

    assert names.read(16) == (b"\5\2bc\xc0\x0c\0", 18)


@given(PIECES, st.data())
def test_as_dnspython(wire: bytes, data: st.DataObject) -> None:
    """Whatever dnspython reads is read, to the same octets, in whatever order they are asked."""
    names = MessageNames(wire)
    places = st.lists(st.integers(0, len(wire) - 1), min_size=1, max_size=10)
    for position in data.draw(places):
        try:
            expected, _ = dns.name.from_wire(wire, position)
        except dns.exception.DNSException:
            continue
        assert names.read(position) == (expected.to_wire(), end_of(wire, position))
