"""Reading DNS messages: what dnspython writes, and one ValueError for all that cannot be read."""

from __future__ import annotations

from typing import Any, Callable

import dns.edns
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.dnswire.message import (
    CLASSES,
    OPT,
    RCODES,
    TYPES,
    read_body,
    read_header,
    read_options,
    read_question,
    read_questions,
    read_rcode,
)
from tests.helpers.cpu_time import cpu_time
from tests.helpers.hostile_messages import hostile_message

NAME = b"\3wWw\7example\3org\0"


def response(**edns: Any) -> bytes:
    """Return a response with compressed names in several sections."""
    query = dns.message.make_query("wWw.example.org.", "MX", **edns)
    made = dns.message.make_response(query)
    for section, owner, kind, data in (
        (made.answer, "wWw.example.org.", "MX", "10 mail.example.org."),
        (made.authority, "example.org.", "NS", "ns.example.org."),
        (made.additional, "mail.example.org.", "A", "192.0.2.25"),
    ):
        section.append(dns.rrset.from_text(owner, 60, "IN", kind, data))
    if edns:
        made.use_edns(0, payload=1232, options=edns["options"])
    made.id, made.flags = 4660, made.flags | 0x0400
    return made.to_wire()


def test_header_and_question() -> None:
    """Header and question are as they were written, the name's case included."""
    wire = response()
    header, question = read_header(wire), read_question(wire)

    assert header == (4660, 0x8500, 1, 1, 1, 1)
    assert (header.opcode, header.rcode) == (0, 0)
    assert question == (NAME, 15, 1)


def test_body_and_options() -> None:
    """Every record and option is found where it is."""
    options = [dns.edns.GenericOption(65001, b"abc"), dns.edns.GenericOption(65002, b"")]
    wire = response(use_edns=0, options=options)

    records, end = read_body(wire + b"rest")

    assert end == len(wire) == records[-1].end
    assert [record.kind for record in records] == [15, 2, 1, OPT]
    assert [record.ttl for record in records] == [60, 60, 60, 0]
    assert records[2].network == 1
    assert wire[records[2].data : records[2].end] == bytes([192, 0, 2, 25])
    opt = records[3]
    assert opt.network == 1232
    assert wire[opt.start] == 0
    found = [(each.code, wire[each.data : each.end]) for each in read_options(wire, opt)]
    assert found == [(65001, b"abc"), (65002, b"")]
    assert read_options(wire, opt)[0].start == opt.data


@pytest.mark.parametrize("code", [0, 3, 15, 16, 23, 255, 4095])
def test_response_codes(code: int) -> None:
    """A response code has twelve bits, eight of them in the OPT record."""
    made = dns.message.make_response(dns.message.make_query("example.org.", "A", use_edns=0))
    made.set_rcode(dns.rcode.Rcode.make(code))
    wire = made.to_wire()

    assert read_rcode(wire) == code
    assert read_rcode(wire[:-1]) == code & 15, "an OPT record that is cut"
    assert read_header(wire).rcode == code & 15


def test_a_response_code_behind_octets_like_those_of_opt() -> None:
    """OPT's type in a name, with or without an upper part behind it, is not an OPT record."""
    end = bytes.fromhex("00010001000029 04d0 01000000 0000".replace(" ", ""))
    header = bytes.fromhex("000180030001000000000001")

    assert read_rcode(header + b"\5\0\x29\0\0\0\0" + end) == 19
    assert read_rcode(header + b"\5\0\x29\0\0\1\0" + end.replace(b"\1\0\0\0\0", bytes(5))) == 3


@pytest.mark.parametrize("size", [b"\n\n", b"\0\x29", b"\x29\0", b"\0\0"])
@pytest.mark.parametrize("upper", [1, 10, 0x29, 255])
def test_a_response_code_whatever_octets_are_around(size: bytes, upper: int) -> None:
    """The sender's payload size, between OPT's type and the upper part, may be any number."""
    header = bytes.fromhex("000180030001000000000001")
    question = b"\2\0\x29\0\0\1\0\1"
    opt = b"\0\0\x29" + size + bytes([upper, 0, 0, 0, 0, 0])

    assert read_rcode(header + question + opt) == upper << 4 | 3


def test_a_response_code_behind_many_octets_like_those_of_opt() -> None:
    """To look at 32,000 of them takes far less than to read the records of such a message."""
    octets, records = hostile_message("octets of OPT"), hostile_message("many empty records")

    assert read_rcode(octets) == 0
    took = min(cpu_time(read_rcode, octets) for _ in range(5))
    assert took < min(cpu_time(read_body, records) for _ in range(5)) / 2


QUERY = bytes.fromhex("000101000001000000000000")
ONE_RECORD = bytes.fromhex("000101000000000000000001")


@pytest.mark.parametrize(
    ("read", "wire"),
    [
        (read_header, bytes(11)),
        (read_rcode, bytes(11)),
        (read_question, bytes(12)),
        (read_question, QUERY + NAME[:-1]),
        (read_question, QUERY + NAME + b"\0\1\0"),
        (read_question, QUERY + b"\xc0\0\0\1\0\1"),
        (read_question, QUERY + b"\1a" * 128 + bytes(9)),
        (read_body, bytes(11)),
        (read_body, QUERY),
        (read_body, QUERY + b"\xc0\x0c\0\1\0\1"),
        (read_body, QUERY + b"\x40" + bytes(80)),
        (read_body, ONE_RECORD + bytes(10)),
        (read_body, ONE_RECORD + bytes(9) + b"\0\1"),
    ],
    ids=["short", "no code", "no question", "cut name", "cut class", "compressed", "long name",
         "short body", "cut body", "pointing ahead", "label of 64", "cut record", "cut data"],
)  # fmt: skip
def test_what_cannot_be_read(read: Callable[[bytes], object], wire: bytes) -> None:
    """Cut, absent, compressed in the question, pointing ahead: always a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        read(wire)


def test_the_longest_name() -> None:
    """A name of 255 octets is read, one of 256 is refused."""
    longest = b"\1a" * 127 + b"\0"

    assert read_question(QUERY + longest + b"\0\1\0\1").name == longest
    with pytest.raises(ValueError, match="at most 255"):
        read_question(QUERY + b"\2bc" + b"\1a" * 126 + b"\0" + b"\0\1\0\1")


def test_questions() -> None:
    """All questions are read, compressed names of later ones decompressed; then what is wrong."""
    two = bytes.fromhex("000101000003000000000000") + NAME + b"\0\1\0\1"
    two += b"\4mail\xc0\x10" + b"\0\x0f\0\3"

    assert list(read_questions(QUERY + NAME + b"\0\1\0\1")) == [(NAME, 1, 1)]
    found = read_questions(two)
    assert next(found) == (NAME, 1, 1)
    assert next(found) == (b"\4mail\7example\3org\0", 15, 3)
    with pytest.raises(ValueError, match="ends inside"):
        next(found)
    with pytest.raises(ValueError, match="no question"):
        next(read_questions(bytes(12)))


def test_a_record_with_a_name_that_is_too_long() -> None:
    """Labels without an end are not a name."""
    owner = b"\1a" * 127 + b"\0"
    rest = bytes.fromhex("00010001000000000000")

    assert len(read_body(ONE_RECORD + owner + rest)[0]) == 1
    with pytest.raises(ValueError, match="at most 255"):
        read_body(ONE_RECORD + b"\1a" + owner + rest)


@given(
    st.binary(max_size=120), st.sampled_from(["0001", "0000"]), st.sampled_from(["0002", "ffff"])
)
def test_garbage(rest: bytes, questions: str, additionals: str) -> None:
    """Nothing but ValueError is raised, and nothing is found outside of the message."""
    wire = bytes.fromhex(f"00010100{questions}00000000{additionals}") + rest
    try:
        records, end = read_body(wire)
        options = [read_options(wire, record) for record in records]
    except ValueError:
        return
    assert end <= len(wire)
    assert all(record.data <= record.end <= end for record in records)
    assert all(each.end <= record.end for record, found in zip(records, options) for each in found)


def test_tables() -> None:
    """The names are those of dnspython, which has them from the same registry."""
    for number, name in TYPES.items():
        assert dns.rdatatype.to_text(number) == name
    for number, name in CLASSES.items():
        assert dns.rdataclass.to_text(number) == name
    for number, name in RCODES.items():
        assert dns.rcode.to_text(dns.rcode.Rcode.make(number)) == name
