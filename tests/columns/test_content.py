"""What the columns say of DNS messages: what dnspython and the rest of the package read."""

from __future__ import annotations

import struct
from typing import Any, List, Optional

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rrset
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnstap_logging.cli.template import Template
from dnstap_logging.columns.content import NO_CONTENT, Content, Edns, read_content
from dnstap_logging.dnswire.message import OPT, read_body, read_options
from dnstap_logging.message.message import DnstapMessage
from tests.helpers.cpu_time import too_slow
from tests.helpers.hostile_messages import HOSTILE, SHORT, hostile_message

NAME = b"\3wWw\7example\3org\0"
QUESTION = NAME + b"\0\1\0\1"
EMPTY_OPT = b"\0\0\x29\4\xd0\1\0\x80\0\0\0"


def wire(rest: bytes = b"", counts: Any = (1, 0, 0, 0), flags: int = 0x8180) -> bytes:
    """Return a message with an id of 4660 and what follows its header."""
    return struct.pack("!6H", 4660, flags, *counts) + rest


def answered(name: str = "wWw.example.org.", **edns: Any) -> dns.message.Message:
    """Return a response with records in each section."""
    made = dns.message.make_response(dns.message.make_query(name, "MX", use_edns=0))
    for section, owner, kind, data in (
        (made.answer, name, "MX", "10 mail.example.org."),
        (made.authority, "example.org.", "NS", "ns.example.org."),
        (made.additional, "mail.example.org.", "A", "192.0.2.25"),
    ):
        section.append(dns.rrset.from_text(owner, 60, "IN", kind, data))
    made.use_edns(**edns)
    made.id = 4660
    return made


def test_all_of_a_response() -> None:
    """Each field is what dnspython wrote, wherever the records are."""
    made = answered(
        edns=0,
        ednsflags=dns.flags.DO,
        payload=1232,
        options=[dns.edns.GenericOption(10, b"12345678"), dns.edns.GenericOption(65001, b"")],
    )
    made.set_rcode(dns.rcode.BADVERS)
    made.flags |= dns.flags.AA | dns.flags.RA | dns.flags.AD

    assert read_content(made.to_wire()) == Content(
        4660, "QUERY", "wWw.example.org.", "IN", "MX", "BADVERS", "qr aa rd ra ad", 1,
        Edns(0, 1232, True, (10, 65001)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\0", "."),
        (b"\4a.b\\\0", "a\\.b\\\\."),
        (b"\3a\0b\0", "a\\000b."),
        (b"\1\0\1\0\0", "\\000.\\000."),
        (b"\3\xc3\xbc \0", "\\195\\188\\032."),
        (b'\3";@\0', '\\"\\;\\@.'),
        (b"\x3f" + b"x" * 63 + b"\0", "x" * 63 + "."),
        (b"\1a" * 127 + b"\0", "a." * 127),
    ],
)
def test_names(octets: bytes, text: str) -> None:
    """Names are escaped as `read` does it, the root is a dot, and the end is never mistaken."""
    found = read_content(wire(octets + b"\0\x1c\0\3" + EMPTY_OPT, (1, 0, 0, 1)))

    assert (found.qname, found.qtype, found.qclass) == (text, "AAAA", "CH")
    assert found.edns == Edns(0, 1232, True, ())


@pytest.mark.parametrize(
    "octets",
    [
        wire(b"", (0, 0, 0, 0)),
        wire(QUESTION, (0, 0, 0, 0)),
        wire(b""),
        wire(NAME),
        wire(QUESTION[:-1]),
        wire(b"\3ww"),
        wire(b"\xc0\x0c\0\1\0\1"),
        wire(b"\x40" + b"x" * 64 + b"\0\0\1\0\1"),
        wire(b"\1a" * 128 + b"\0\0\1\0\1"),
    ],
)
def test_without_a_question(octets: bytes) -> None:
    """A question that is not there, or not whole, is None; the header is read all the same."""
    found = read_content(octets)

    assert found == Content(4660, "QUERY", None, None, None, "NOERROR", "qr rd ra", 0, None)


@pytest.mark.parametrize("length", range(12))
def test_without_a_header(length: int) -> None:
    """Of a cut header, only the id can be read."""
    found = read_content(wire()[:length])

    assert found == (Content(4660) if length > 1 else NO_CONTENT)


NUMBERS = [
    ("opcode", 0x2800, "UPDATE"),
    ("opcode", 0x1800, "OPCODE3"),
    ("flags", 0x0000, ""),
    ("flags", 0x87F0, "qr aa tc rd ra z ad cd"),
    ("rcode", 0x8003, "NXDOMAIN"),
    ("rcode", 0x800C, "RCODE12"),
]


@pytest.mark.parametrize(("field", "flags", "text"), NUMBERS)
def test_numbers(field: str, flags: int, text: str) -> None:
    """Numbers have the names of the registries, or their own."""
    assert getattr(read_content(wire(QUESTION, flags=flags)), field) == text


def test_types_without_a_name() -> None:
    """Types and classes that have no name are those of RFC 3597."""
    found = read_content(wire(NAME + b"\xff\1\0\7"))

    assert (found.qtype, found.qclass) == ("TYPE65281", "CLASS7")


@pytest.mark.parametrize("end", [b"", b"\0", b"\0\1\0\5", b"\0\1\0\0\0"])
def test_options_that_cannot_be_read(end: bytes) -> None:
    """Options that do not fill their record are None, if they are not none at all."""
    opt = EMPTY_OPT[:-2] + struct.pack("!H", len(end)) + end
    found = read_content(wire(QUESTION + opt, (1, 0, 0, 1))).edns

    assert found == Edns(0, 1232, True, None if end else ())


def test_the_first_opt_counts() -> None:
    """Of two OPT records, the first is taken, as for `read --rcode`."""
    second = EMPTY_OPT.replace(b"\4\xd0\1", b"\2\0\2")
    found = read_content(wire(QUESTION + EMPTY_OPT + second, (1, 0, 0, 2)))

    assert (found.rcode, found.edns) == ("BADVERS", Edns(0, 1232, True, ()))


def expected_edns(octets: bytes) -> Optional[Edns]:
    """Return what the readers of records say."""
    try:
        records, _ = read_body(octets)
    except ValueError:
        return None
    opt = next((each for each in records if each.kind == OPT), None)
    if opt is None:
        return None
    options: Any = None
    try:
        options = tuple(each.code for each in read_options(octets, opt))
    except ValueError:
        pass
    return Edns(opt.ttl >> 16 & 255, opt.network, bool(opt.ttl & 0x8000), options)


TEMPLATE = Template("{id} {qname} {qclass} {qtype} {rcode}")


def check(octets: bytes) -> None:
    """Compare with what the rest of the package reads."""
    found = read_content(octets)
    message = DnstapMessage("CLIENT_RESPONSE")._replace(response_message=octets)
    shown = [found.message_id, found.qname, found.qclass, found.qtype, found.rcode]
    line = " ".join("-" if each is None else str(each) for each in shown)

    assert line == TEMPLATE.format(message)
    if len(octets) >= 12:
        assert found.edns == expected_edns(octets)


GOOD: List[bytes] = [
    answered().to_wire(),
    answered(edns=0, options=[dns.edns.GenericOption(10, b"12345678")]).to_wire(),
    answered(".", edns=0).to_wire(),
    wire(b"\3a\0b\0\0\1\0\1" + EMPTY_OPT, (1, 0, 0, 1)),
    wire(QUESTION + b"\xc0\x0c\0\1\0\1" + EMPTY_OPT, (2, 0, 0, 1)),
    wire(EMPTY_OPT, (0, 0, 0, 1)),
    wire(QUESTION + b"\xc0\x0c" + EMPTY_OPT[1:], (1, 1, 0, 0)),
]


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_all_that_can_be_cut_or_changed(number: int) -> None:
    """However a message is cut, or one of its octets changed, `read` says the same of it."""
    good = GOOD[number]
    for length in range(len(good) + 1):
        check(good[:length])
    for place in range(len(good)):
        for octet in (0, 1, 0x29, 0x3F, 0x40, 0xC0, 0xFF, good[place] ^ 1):
            check(good[:place] + bytes((octet,)) + good[place + 1 :])
    check(good + b"\0\0\x29")


@given(st.binary(max_size=64), st.integers(0, len(GOOD) - 1), st.integers(0, 64))
@example(b"\0\0\x29", 0, 12)
def test_any_octets(octets: bytes, number: int, place: int) -> None:
    """Any octets at all, alone or within a message, are read as `read` reads them."""
    good = GOOD[number]

    check(octets)
    check(good[:12] + octets)
    check(good[:place] + octets + good[place:])


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_messages(kind: str) -> None:
    """Messages that are made to be expensive are read as `read` reads them."""
    check(hostile_message(kind, SHORT))


def test_the_time_of_hostile_messages() -> None:
    """Time is in proportion to a message's octets."""
    assert too_slow(read_content, most=0.1) == []
