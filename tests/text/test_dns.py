"""The texts of messages: DNS content, lines, JSON, YAML; and that nothing hostile gets through."""

from __future__ import annotations

import json
import struct
from typing import Any, Callable, Dict, List

import dns.edns
import dns.message
import dns.rdata
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging import (
    DnstapMessage,
    HttpProtocol,
    MessageType,
    Policy,
    PolicyAction,
    PolicyMatch,
    SocketProtocol,
)
from dnstap_logging.cli.dns_content import dns_text
from dnstap_logging.cli.template import VALUES, Template
from dnstap_logging.text.dns import format_dns
from dnstap_logging.text.json import format_json
from dnstap_logging.text.quiet import format_quiet
from dnstap_logging.text.yaml import format_yaml

HEADER = b"\x00\x01\x81\x80\x00\x01\x00\x01\x00\x00\x00\x01"
QUESTION = b"\3www\7example\0\0\1\0\1"
ANSWER = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
OPT = b"\0\0\x29\x04\xd0\0\0\x80\0"


def with_option(code: int, value: bytes) -> bytes:
    """Return a response with one EDNS option."""
    option = struct.pack("!HH", code, len(value)) + value
    return HEADER + QUESTION + ANSWER + OPT + struct.pack("!H", len(option)) + option


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [
        (3, b"ns\x1b1", "NSID: 6e731b31  (n)(s)(\\x1b)(1)"),
        (8, b"\0\1\x18\0\xc0\0\2", "SUBNET: 192.0.2.0/24/0"),
        (8, b"\0\2\x20\0\x20\x01\x0d\xb8", "SUBNET: [2001:db8::]/32/0"),
        (10, b"12345678", "COOKIE: 3132333435363738"),
        (12, b"\0\0", "PADDING: 0000"),
        (15, b"\0\x16no \x1b[31m\nreach", "EDE: 22: (no \\x1b[31m\\nreach)"),
        (65001, b"\1", "OPT65001: 01"),
    ],
)
def test_edns_options(code: int, value: bytes, shown: str) -> None:
    """Options are shown in one line each, with what control characters they hold escaped."""
    lines = format_dns(with_option(code, value)).splitlines()

    assert lines[3:6] == [
        ";; OPT PSEUDOSECTION:",
        "; EDNS: version 0; flags: do; udp: 1232",
        f"; {shown}",
    ]


@pytest.mark.parametrize(
    ("code", "value"), [(8, b""), (8, b"\0\3\x18\0\1"), (8, b"\0\1\x18\0\1\2\3\4\5"), (15, b"\0")]
)
def test_options_that_cannot_be_read(code: int, value: bytes) -> None:
    """A malformed option makes the message unreadable, as it does for the dnstap tool."""
    with pytest.raises(ValueError, match="that is none"):
        format_dns(with_option(code, value))


def test_without_a_library() -> None:
    """Without what renders records, header, EDNS and question are there, and how many are not."""
    assert format_dns(with_option(10, b"12345678")) == (
        ";; opcode: QUERY, status: NOERROR, id: 1\n"
        ";; flags: qr rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1\n"
        "\n"
        ";; OPT PSEUDOSECTION:\n"
        "; EDNS: version 0; flags: do; udp: 1232\n"
        "; COOKIE: 3132333435363738\n"
        "\n"
        ";; QUESTION SECTION:\n"
        ";www.example.\tIN\t A\n"
        "\n"
        ";; 1 record not shown: install dnspython to see them\n"
    )


def test_extended_response_code() -> None:
    """The response code is that of header and EDNS together."""
    message = dns.message.make_response(dns.message.make_query("a.", "A", use_edns=0))
    message.set_rcode(16)

    assert ", status: BADVERS, " in format_dns(message.to_wire())


def test_records_that_cannot_be_read() -> None:
    """A record that is not as its type demands makes the message unreadable, by one ValueError."""
    three_octets = ANSWER.replace(b"\0\4\xc0\0\2\1", b"\0\3\xc0\0\2")
    wire = HEADER[:-1] + b"\0" + QUESTION + three_octets

    with pytest.raises(ValueError, match="a record that cannot be read"):
        dns_text()(wire)


def test_unknown_classes_and_types_are_not_remembered() -> None:
    """Ever new pairs of class and type, which senders may make up, take no memory for good."""
    wire = HEADER[:-1] + b"\0" + QUESTION
    text = dns_text()
    known = len(dns.rdata._rdata_classes)
    for number in range(300):
        record = b"\xc0\x0c" + struct.pack(">HHIH", 65280, 1000 + number, 60, 4) + b"abcd"

        shown = f"www.example.\t60\tCLASS{1000 + number}\tTYPE65280\t\\# 4 61626364"
        assert shown in text(wire + record)

    assert len(dns.rdata._rdata_classes) == known


ANY_BYTES = st.none() | st.binary(max_size=60)
DNS_BYTES = st.none() | st.one_of(
    st.binary(max_size=80),
    st.binary(max_size=80).map(lambda tail: HEADER + QUESTION + tail),
    st.binary(max_size=80).map(lambda tail: HEADER + QUESTION + ANSWER + tail),
    st.tuples(st.integers(0, 20), st.binary(max_size=40)).map(lambda each: with_option(*each)),
    st.tuples(st.sampled_from([1, 2, 6, 16, 41, 46, 64, 250, 257]), st.binary(max_size=40)).map(
        lambda each: HEADER[:-1] + b"\0" + QUESTION + b"\xc0\x0c" + struct.pack(
            "!HHIH", each[0], 1, 0, len(each[1])) + each[1]
    ),
)  # fmt: skip
ADDRESS = st.none() | st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
TIME = st.none() | st.integers(0, 253402300800 * 10**9 - 1)
PORT = st.none() | st.integers(0, 65535)
POLICY = st.builds(
    lambda *values: Policy._make(values),
    st.none() | st.text(max_size=20),
    ANY_BYTES,
    st.none() | st.sampled_from(PolicyAction),
    st.none() | st.sampled_from(PolicyMatch),
    ANY_BYTES,
)


@st.composite
def messages(draw: Callable[[Any], Any]) -> DnstapMessage:
    """Return any message as the decoder could hand it out, with whatever bytes in its fields."""
    fields: Dict[str, Any] = {
        "message_type": draw(st.sampled_from(MessageType)),
        "socket_protocol": draw(st.none() | st.sampled_from(SocketProtocol)),
        "http_protocol": draw(st.none() | st.sampled_from(HttpProtocol)),
        "policy": draw(st.none() | POLICY),
        **{name: draw(ADDRESS) for name in ("query_address", "response_address")},
        **{name: draw(PORT) for name in ("query_port", "response_port")},
        **{name: draw(TIME) for name in ("query_time", "response_time")},
        **{name: draw(DNS_BYTES) for name in ("query_message", "response_message")},
        **{name: draw(ANY_BYTES) for name in ("query_zone", "extra", "identity", "version")},
    }
    return DnstapMessage._make(map(fields.get, DnstapMessage._fields))


@given(messages())
def test_any_message(message: DnstapMessage) -> None:
    """Whatever is in a message, every form of it is text, without a control character."""
    renderers: List[Callable[[bytes], str]] = [format_dns, dns_text()]
    template = Template(" ".join(f"{{{name}}}" for name in VALUES))
    assert_safe(format_quiet(message))
    assert_safe(template.format(message))
    for render in renderers:
        for full in (False, True):
            line = format_json(message, render, full)
            assert_safe(line)
            assert json.loads(line)["message"]["type"] == message.message_type.name
        document = format_yaml(message, render)
        for line in document.split("\n"):
            assert_safe(line.replace("\t", " "))
        parsed = next(iter(yaml.load_all(document, Loader=yaml.BaseLoader)))
        assert parsed["message"]["type"] == message.message_type.name


def assert_safe(line: str) -> None:
    """Check that a line is one line, and does nothing to a terminal."""
    assert line.isprintable(), repr(line)
