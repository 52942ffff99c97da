"""Domain names between text and wire format, checked against dnspython."""

from __future__ import annotations

from typing import List

import dns.name
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging.dnswire.names import check_wire_name, name_from_text, read_name

# A busy machine says nothing about the code.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=6).filter(
    lambda labels: sum(map(len, labels)) + len(labels) < 255
)


def wire_of(labels: List[bytes]) -> bytes:
    """Return labels in wire format."""
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


@relaxed
@given(LABELS)
def test_text_and_wire_agree_with_dnspython(labels: List[bytes]) -> None:
    """What dnspython prints is read back to the same octets, and what we print it reads."""
    wire = wire_of(labels)
    name = dns.name.Name([*labels, b""])

    assert check_wire_name(wire) == wire
    assert name_from_text(name.to_text()) == wire
    text, end = read_name(b"??" + wire + b"rest", 2)
    assert end == 2 + len(wire)
    assert dns.name.from_text(text) == name
    assert name_from_text(text) == wire
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        (r"a\.b.c", b"\3a.b\1c\0"),
        (r"a\046b", b"\3a.b\0"),
        (r"a\\b", b"\3a\\b\0"),
        (r"\000\255.", b"\2\0\xff\0"),
        (r"a\.", b"\2a.\0"),
        (r"a\..", b"\2a.\0"),
        ("_dmarc.x", b"\6_dmarc\1x\0"),
        ("*.x", b"\1*\1x\0"),
    ],
)
def test_escapes(text: str, wire: bytes) -> None:
    r"""\\X is X itself and \\DDD an octet in decimal (RFC 1035, 5.1)."""
    assert name_from_text(text) == wire


@pytest.mark.parametrize("text", ["a\\", r"a\1", r"a\25", r"a\256", r"a\2x5", "..", ".a", "a..b"])
def test_refused_text(text: str) -> None:
    """Broken escapes and empty labels are no names."""
    with pytest.raises(ValueError, match=r"label|backslash"):
        name_from_text(text)


@relaxed
@given(st.text())
def test_any_text_is_a_name_or_refused(text: str) -> None:
    """Nothing but ValueError, and what is taken is a name."""
    try:
        wire = name_from_text(text)
    except ValueError:
        return
    assert check_wire_name(wire) == wire


@relaxed
@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_are_read_or_refused(wire: bytes, position: int) -> None:
    """Nothing but ValueError or IndexError, no endless loop, and only visible ASCII comes out."""
    try:
        text, end = read_name(wire, position)
    except (ValueError, IndexError):
        return
    assert position < end <= len(wire)
    assert text.isprintable()
    assert name_from_text(text) == wire[position:end]


@relaxed
@given(st.binary(max_size=300))
def test_any_bytes_are_a_wire_name_or_not(wire: bytes) -> None:
    """check_wire_name agrees with dnspython on what is a whole, uncompressed name."""
    try:
        _, used = dns.name.from_wire(wire, 0)
        expected = used == len(wire) and name_from_text(dns.name.from_wire(wire, 0)[0].to_text())
    except Exception:  # noqa: BLE001 - whatever dnspython says of garbage
        expected = False
    try:
        found = check_wire_name(wire)
    except ValueError:
        found = False
    assert found == (wire if expected == wire else False)
