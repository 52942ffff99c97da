"""The filters that choose by message type, question and response code."""

from __future__ import annotations

import logging
from typing import Any, Callable, Dict, List, Union

import dns.flags
import dns.message
import dns.rcode
import dnslib
import pytest

from dnstap_logging import DnstapHandler, MessageType
from dnstap_logging.filters import MessageTypeFilter, QnameFilter, RcodeFilter
from tests.filters.traffic import Server, answer, close_and_read, names_of, query_for

Choosing = Union[MessageTypeFilter, QnameFilter, RcodeFilter]


def record(**extras: Any) -> logging.LogRecord:
    """Return a record with these dns extras."""
    extras = {f"dns_{name}": value for name, value in extras.items()}
    return logging.makeLogRecord({"name": "dns", "msg": "text", **extras})


def header(rcode: int = 0, questions: int = 0) -> bytes:
    """Return the header of a response, alone."""
    return bytes((0, 1, 0x80, rcode, 0, questions, 0, 0, 0, 0, 0, 0))


def answer_nothing_below(domain: str) -> Callable[[dns.message.Message], dns.message.Message]:
    """Return a server's answers: NXDOMAIN for the names of a domain."""

    def nxdomain(query: dns.message.Message) -> dns.message.Message:
        if not query.question[0].name.is_subdomain(dns.name.from_text(domain)):
            return answer(query)
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.NXDOMAIN)
        return response

    return nxdomain


def logged_through(
    filter_: Choosing, logger: logging.Logger, handler: DnstapHandler, on_logger: bool
) -> List[str]:
    """Ask a real server for three names; return what its capture has of that."""
    (logger if on_logger else handler).addFilter(filter_)
    with Server(logger, answer_nothing_below("gone.example.org.")) as server:
        for name in ("www.example.org.", "WWW.Gone.Example.ORG.", "www.example.com."):
            server.ask(query_for(name))
    return names_of(close_and_read(handler))


@pytest.mark.parametrize("on_logger", [False, True], ids=["handler", "logger"])
@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (
            MessageTypeFilter(["CLIENT_QUERY"]),
            [
                "CLIENT_QUERY www.example.org.",
                "CLIENT_QUERY WWW.Gone.Example.ORG.",
                "CLIENT_QUERY www.example.com.",
            ],
        ),
        (
            QnameFilter(include=["example.org"], exclude=["gone.example.org"]),
            ["CLIENT_QUERY www.example.org.", "CLIENT_RESPONSE www.example.org."],
        ),
        (RcodeFilter(include=["NXDOMAIN"]), ["CLIENT_RESPONSE WWW.Gone.Example.ORG."]),
        (
            RcodeFilter(exclude=["NOERROR"]),
            [
                "CLIENT_QUERY www.example.org.",
                "CLIENT_QUERY WWW.Gone.Example.ORG.",
                "CLIENT_RESPONSE WWW.Gone.Example.ORG.",
                "CLIENT_QUERY www.example.com.",
            ],
        ),
    ],
    ids=["type", "qname", "rcode include", "rcode exclude"],
)
def test_real_traffic(
    logger: logging.Logger,
    handler: DnstapHandler,
    chosen: Choosing,
    expected: List[str],
    on_logger: bool,
) -> None:
    """What a server logs is chosen, on its logger as well as on the handler."""
    assert logged_through(chosen, logger, handler, on_logger) == expected


def class_name(value: object) -> str:
    """Name a test by a class: an object's repr is another one in each process."""
    return type(value).__name__


@pytest.mark.parametrize(
    "each", [MessageTypeFilter("TOOL_*"), QnameFilter("x.example"), RcodeFilter(3)], ids=class_name
)
def test_records_without_dns_extras_pass(each: Choosing) -> None:
    """On a logger, they let the program's other records pass."""
    assert each.filter(logging.makeLogRecord({"msg": "started"}))


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ("CLIENT_*", {"CLIENT_QUERY", "CLIENT_RESPONSE"}),
        (["client_query"], {"CLIENT_QUERY"}),
        (MessageType.TOOL_QUERY, {"TOOL_QUERY"}),
        ([5, "aut?_query"], {"CLIENT_QUERY", "AUTH_QUERY"}),
        (("[st]*_RESPONSE",), {"STUB_RESPONSE", "TOOL_RESPONSE"}),
        ({"*"}, {each.name for each in MessageType}),
    ],
)
def test_message_types(types: Any, expected: List[str]) -> None:
    """Types are given by members, names, numbers and patterns; records have them in any form."""
    each = MessageTypeFilter(types)

    for form in (lambda member: member, lambda member: member.name.lower(), int):
        passed = {
            member.name for member in MessageType if each.filter(record(message_type=form(member)))
        }
        assert passed == expected


@pytest.mark.parametrize("extras", [{}, {"message_type": "NO_SUCH"}, {"message_type": object()}])
def test_mistaken_types_are_left_to_the_handler(extras: Dict[str, Any]) -> None:
    """A record without a usable type passes, so that the handler can count the mistake."""
    assert MessageTypeFilter("TOOL_QUERY").filter(record(query_address="192.0.2.1", **extras))


def questions(*names: bytes) -> bytes:
    """Return a query with several questions, whose names are in wire format."""
    counts = len(names).to_bytes(2, "big") + bytes(6)
    return b"\0\1\1\0" + counts + b"".join(name + b"\0\1\0\1" for name in names)


ORG, COM = b"\3www\7example\3org\0", b"\3WWW\7Example\3COM\0"
AT_ORG = b"\xc0\x10"  # example.org in the first question of ORG


@pytest.mark.parametrize(
    ("names", "include", "exclude", "passes"),
    [
        ([ORG, COM], "example.org", (), True),
        ([ORG, COM], "example.com", (), True),
        ([ORG, COM], "example.net", (), False),
        ([ORG, COM], (), "example.org", False),
        ([ORG, COM], (), "example.com", False),
        ([ORG, COM], (), "example.net", True),
        ([ORG, COM], "example.org", "example.com", False),
        ([ORG, COM], "example.com", "example.org", False),
        ([ORG, COM, b"\0"], ".", (), True),
        ([COM, b"\0"], "example.org", (), False),
        ([ORG, b"\4mail" + AT_ORG], "mail.example.org", (), True),
        ([ORG, b"\4mail" + AT_ORG], (), "mail.example.org", False),
        ([ORG, AT_ORG, b"\xc0\x21"], "example.com", (), False),
        ([b"\1x\0", AT_ORG], "x", (), True),
        ([ORG, b"\xc0\x50"], "example.org", (), True),
        ([ORG, b"\xc0\x50", COM], "example.com", (), False),
    ],
)
def test_several_questions(names: List[bytes], include: Any, exclude: Any, passes: bool) -> None:
    """The names of all questions count, compressed ones too, as far as they can be read."""
    each = QnameFilter(include, exclude)

    assert each.filter(record(query_message=questions(*names))) is passes
    assert each.filter(record(response_message=questions(*names))) is passes


def test_a_second_question_that_is_cut() -> None:
    """What cannot be read hides nothing of what can."""
    each = record(query_message=questions(ORG, COM)[:-1])

    assert QnameFilter(include="example.org").filter(each)
    assert not QnameFilter(exclude="example.org").filter(each)
    assert not QnameFilter(include="example.com").filter(each)


WIRE = query_for("a.b.Example.org.").to_wire()


@pytest.mark.parametrize(
    ("domain", "inside"),
    [
        ("example.org", True),
        ("EXAMPLE.ORG.", True),
        ("a.b.example.org", True),
        ("x.a.b.example.org", False),
        ("ple.org", False),
        ("b.example.com", False),
        (".", True),
        (b"\7example\3org\0", True),
        (bytearray(b"\7example\3org\0"), True),
        (dns.name.from_text("b.example.org"), True),
    ],
)
def test_domains(domain: Any, inside: bool) -> None:
    """A domain is itself and what is below it, label by label, whatever the case."""
    asked = record(message_type="CLIENT_QUERY", query_message=WIRE)

    assert QnameFilter(domain).filter(asked) is inside
    assert QnameFilter(include=[domain]).filter(asked) is inside
    assert QnameFilter(exclude=(domain,)).filter(asked) is not inside
    assert QnameFilter(include=".", exclude=[domain, "other.example"]).filter(asked) is not inside
    assert QnameFilter().filter(asked)


@pytest.mark.parametrize(
    "form",
    [
        {"query_message": WIRE},
        {"query_message": bytearray(WIRE)},
        {"query_message": memoryview(WIRE)},
        {"query_message": dns.message.from_wire(WIRE)},
        {"query_message": dnslib.DNSRecord.parse(WIRE)},
        {"response_message": dns.message.make_response(dns.message.from_wire(WIRE))},
        {"query_message": b"", "response_message": WIRE},
        {"query_message": header(), "response_message": WIRE},
        {"query_message": 12, "response_message": WIRE},
    ],
    ids=[
        "bytes",
        "bytearray",
        "memoryview",
        "dnspython",
        "dnslib",
        "response",
        "empty",
        "no question",
        "wrong",
    ],
)
def test_questions_in_every_form(form: Dict[str, Any]) -> None:
    """The question is found in all that the handler accepts, in either message."""
    asked = record(message_type="CLIENT_RESPONSE", **form)

    assert QnameFilter("example.org").filter(asked)
    assert not QnameFilter(exclude="example.org").filter(asked)


@pytest.mark.parametrize(
    "wire",
    [None, b"", WIRE[:20], header(), header(questions=1) + b"\xc0\x0c\0\1\0\1", "text", object()],
    ids=["none", "empty", "cut", "no question", "compressed", "text", "object"],
)
def test_questions_that_cannot_be_read(wire: Any) -> None:
    """Nothing raises; such a record is in no domain."""
    asked = record(message_type="CLIENT_QUERY", query_message=wire)

    assert not QnameFilter(".").filter(asked)
    assert QnameFilter(exclude=".").filter(asked)


def extended(code: int) -> bytes:
    """Return a response whose code needs EDNS."""
    response = dns.message.make_response(query_for("example.org", use_edns=0))
    response.set_rcode(dns.rcode.Rcode.make(code))
    return response.to_wire()


@pytest.mark.parametrize(
    ("code", "wire"),
    [
        ("NOERROR", header(0)),
        ("servfail", header(2)),
        (3, header(3)),
        (dns.rcode.REFUSED, header(5)),
        ("DSOTYPENI", header(11)),
        ("BADVERS", extended(16)),
        ("BadCookie", extended(23)),
        (4095, extended(4095)),
        ("FORMERR", header(1) + b"\0\x29 the rest is garbage"),
    ],
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else str(value),
)
def test_response_codes(code: Any, wire: bytes) -> None:
    """Codes are given by name or number, and read with the extension of EDNS."""
    answered = record(message_type="CLIENT_RESPONSE", response_message=wire)

    assert RcodeFilter(code).filter(answered)
    assert RcodeFilter(include=[code, "YXDOMAIN"]).filter(answered)
    assert not RcodeFilter(include="YXDOMAIN").filter(answered)
    assert not RcodeFilter(exclude=[code]).filter(answered)
    assert not RcodeFilter(code, exclude=code).filter(answered)
    assert RcodeFilter().filter(answered)


@pytest.mark.parametrize(
    "wire", [None, header()[:11], 0, object()], ids=["none", "cut", "int", "object"]
)
def test_no_response_code(wire: Any) -> None:
    """What has no response code is not included, and not excluded either."""
    answered = record(message_type="CLIENT_RESPONSE", query_message=WIRE, response_message=wire)

    assert not RcodeFilter("NOERROR").filter(answered)
    assert RcodeFilter(exclude="NOERROR").filter(answered)
