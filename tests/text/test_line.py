"""A message as one line: realistic messages, and garbage that must not reach a terminal."""

from __future__ import annotations

from typing import Any, Optional

import dns.message
import dns.rcode
import dns.update
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging.codec.decoding import decode
from dnstap_logging.exceptions import DecodeError
from dnstap_logging.message.enums import MessageType
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.text import format_line

# A busy machine says nothing about the code.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

TIME = 1_700_000_000_123_456_789
LATER = TIME + 2_000_000


def query(
    name: str = "www.example.com.", kind: Any = "A", network: Any = "IN"
) -> dns.message.Message:
    """Return a query of dnspython's making."""
    return dns.message.make_query(name, kind, network, use_edns=False)


def reply(rcode: dns.rcode.Rcode, **arguments: Any) -> dns.message.Message:
    """Return a response of dnspython's making."""
    message = dns.message.make_response(query(**arguments))
    message.set_rcode(rcode)
    return message


def question_of(wire: Any) -> str:
    """Return what a line says after the size of a query."""
    return format_line(DnstapMessage("CLIENT_QUERY", query_message=wire)).split("b ", 1)[1]


def test_client_query() -> None:
    """A query over UDP, with everything that a server knows."""
    message = DnstapMessage(
        "CLIENT_QUERY",
        query_address=("192.0.2.1", 5353),
        response_address=("192.0.2.53", 53),
        socket_protocol="UDP",
        query_time=TIME,
        query_message=query(),
    )

    assert format_line(message) == (
        "2023-11-14T22:13:20.123456Z CQ 192.0.2.1:5353 -> 192.0.2.53:53 UDP 33b"
        " www.example.com. IN A"
    )


def test_client_response() -> None:
    """A response has the time, size and code of the response."""
    message = DnstapMessage(
        "CLIENT_RESPONSE",
        query_address=("2001:db8::1", 5353),
        response_address=("2001:db8::53", 53),
        socket_protocol="DOT",
        query_time=TIME,
        response_time=LATER,
        query_message=bytes(5),
        response_message=reply(dns.rcode.NXDOMAIN, kind="AAAA"),
    )

    assert format_line(message) == (
        "2023-11-14T22:13:20.125456Z CR [2001:db8::1]:5353 <- [2001:db8::53]:53 DOT 33b"
        " www.example.com. IN AAAA NXDOMAIN"
    )


@pytest.mark.parametrize("member", MessageType)
def test_nothing_known(member: MessageType) -> None:
    """Where nothing but the type is known, every column says so; mnemonics are dnstap's."""
    mnemonic = "ARCFSTU"[(member - 1) // 2] + ("Q" if member.is_query else "R")
    expected = {"Q": f"- {mnemonic} - -> - - - -", "R": f"- {mnemonic} - <- - - - - -"}

    assert format_line(DnstapMessage(member)) == expected[mnemonic[1]]


def test_the_other_side_helps_out() -> None:
    """A response without its message is shown with the query's question and time."""
    message = DnstapMessage("RESOLVER_RESPONSE", query_message=query(), query_time=TIME)

    expected = "2023-11-14T22:13:20.123456Z RR - <- - - - www.example.com. IN A -"
    assert format_line(message) == expected


@pytest.mark.parametrize(
    ("protocol", "http", "shown"),
    [("DOH", "HTTP2", "DOH/HTTP2"), ("DOH", None, "DOH"), ("dnscryptudp", None, "DNSCryptUDP")],
)
def test_protocols(protocol: str, http: Optional[str], shown: str) -> None:
    """Protocols are shown by dnstap's names, DOH with the version of HTTP."""
    message = DnstapMessage("CLIENT_QUERY", socket_protocol=protocol, http_protocol=http)

    assert format_line(message).split()[5] == shown


def test_address_without_port() -> None:
    """A port without an address, and the other way round."""
    message = DnstapMessage("CLIENT_QUERY", query_address="::1", response_address=("0.0.0.0", 53))

    assert format_line(message) == "- CQ [::1] -> -:53 - - -"


@pytest.mark.parametrize(
    ("name", "kind", "network", "shown"),
    [
        (".", "NS", "IN", ". IN NS"),
        ("_dns.example.", "SVCB", "IN", "_dns.example. IN SVCB"),
        ("version.bind.", "TXT", "CH", "version.bind. CH TXT"),
        ("example.", 65280, "IN", "example. IN TYPE65280"),
        ("example.", "ANY", 17, "example. CLASS17 ANY"),
        ("WwW.eXample.", "A", "IN", "WwW.eXample. IN A"),
        (r"a\.b\032c\"\;.\000\200.", "A", "IN", r"a\.b\032c\"\;.\000\200. IN A"),
    ],
)
def test_questions(name: str, kind: Any, network: Any, shown: str) -> None:
    """Names are escaped, unknown numbers are shown as RFC 3597 says."""
    assert question_of(query(name, kind, network)) == shown


def test_update() -> None:
    """A message that is no query says what it is."""
    update = dns.update.UpdateMessage("example.com.")
    update.add("www", 60, "A", "192.0.2.1")

    assert question_of(update) == "UPDATE example.com. IN SOA"


def test_no_question() -> None:
    """A message may have no question at all."""
    assert question_of(dns.message.Message()) == "-"


@pytest.mark.parametrize(
    ("code", "shown"), [(0, "NOERROR"), (5, "REFUSED"), (11, "DSOTYPENI"), (12, "RCODE12")]
)
def test_rcodes(code: int, shown: str) -> None:
    """The response code is the header's, by name where it has one."""
    wire = bytearray(reply(dns.rcode.NOERROR).to_wire())
    wire[3] |= code
    message = DnstapMessage("CLIENT_RESPONSE", response_message=wire)

    assert format_line(message).split()[-1] == shown


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        bytes(11),
        bytes.fromhex("000001000001000000000000"),
        bytes.fromhex("000001000001000000000000") + b"\x03ab",
        bytes.fromhex("000001000001000000000000") + b"\x00\x00\x01\x00",
        bytes.fromhex("000001000001000000000000") + b"\xc0\x0c\x00\x01\x00\x01",
        bytes.fromhex("000001000001000000000000") + b"\x01a" * 200,
    ],
    ids=["empty", "short", "no name", "cut name", "cut type", "pointer to itself", "too long"],
)
def test_unreadable_question(wire: bytes) -> None:
    """A question that cannot be read is a dash, in queries and responses."""
    assert question_of(wire) == "-"
    response = format_line(DnstapMessage("CLIENT_RESPONSE", response_message=wire))
    assert response.split()[-2:] == ["-", "NOERROR" if len(wire) > 11 else "-"]


@relaxed
@given(st.sampled_from(MessageType), st.binary(max_size=100), st.binary(max_size=100))
def test_garbage(member: MessageType, first: bytes, second: bytes) -> None:
    """Garbage never raises and stays one printable line of ASCII."""
    header = bytes.fromhex("000001000001000000000000")
    for own, other in ((first, second), (header + first, second), (first, header + second)):
        line = format_line(DnstapMessage(member, query_message=own, response_message=other))
        assert line.isascii()
        assert line.isprintable(), ascii(line)


@relaxed
@given(st.binary(max_size=120))
def test_whatever_is_decoded_can_be_shown(payload: bytes) -> None:
    """So does every message that our own decoder lets through."""
    try:
        message = decode(b"\x78\x01\x72" + bytes([len(payload) + 2]) + b"\x08\x06" + payload)
    except DecodeError:
        return
    assert format_line(message).isprintable()


@pytest.mark.parametrize("time", [0, 253402300799_999_999_999])
def test_times_at_the_edges(time: int) -> None:
    """From the epoch to the end of the year 9999."""
    line = format_line(DnstapMessage("CLIENT_QUERY")._replace(query_time=time))

    assert line.split()[0] == ("1970-01-01T00:00:00.000000Z" if not time else LAST)


LAST = "9999-12-31T23:59:59.999999Z"
