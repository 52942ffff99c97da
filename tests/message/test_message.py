"""DnstapMessage, built and from a snapshot: what is accepted and refused, and how fields agree."""

from __future__ import annotations

import copy
import enum
import ipaddress
import math
import pickle
import socket
import time
from array import array
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, Dict, List, Optional, Tuple, Union

import dns.message
import dns.name
import dnslib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging.exceptions import InvalidMessage, MessageTooLarge
from dnstap_logging.message.check import Problem, message_from_snapshot
from dnstap_logging.message.enums import (
    HttpProtocol,
    MessageType,
    PolicyAction,
    SocketFamily,
    SocketProtocol,
)
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.policy import Policy
from dnstap_logging.message.snapshot import Unusable, take_snapshot

# A busy machine says nothing about the code.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WIRE = bytes.fromhex("12340100000100000000000003777777076578616d706c6503636f6d0000010001")
ZONE = b"\x07example\x03com\x00"
V4, V6 = bytes([192, 0, 2, 1]), bytes.fromhex("20010db8000000000000000000000001")
NOW = 1_700_000_000_123_456_789
CREATED = 1_700_000_000.5
CREATED_NS = 1_700_000_000_500_000_000
SERVICE_TIME = datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=timezone.utc)
SERVICE_NS = 1_700_000_000_123_456_000


class Text(str):
    """A str of a user's own type."""


class Octets(bytes):
    """Bytes of a user's own type."""


class Number(int):
    """An int of a user's own type."""


class Index:
    """An integer that is no int, like numpy's."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __index__(self) -> int:
        return self.number


class Kind(enum.Enum):
    """A user's own enumeration with dnstap's names."""

    CLIENT_QUERY = "whatever"


class Broken:
    """An object whose rendering raises."""

    def to_wire(self) -> bytes:
        """Raise an error whose text would spoil a terminal."""
        raise RuntimeError("no\nwire\x1b[31m")


class Renders:
    """An object whose rendering is not bytes."""

    def to_wire(self) -> object:
        """Return what is no wire format."""
        return "text"


def checked(
    extras: Dict[str, Any],
    formatted: Union[str, bytes, Unusable, None] = None,
    created: float = CREATED,
) -> Tuple[DnstapMessage, List[Problem]]:
    """Process a record: snapshot, then check."""
    problems: List[Problem] = []
    message = message_from_snapshot(take_snapshot(extras, created, formatted), problems)
    return message, problems


def lenient(field: str, value: object, **others: object) -> Tuple[DnstapMessage, List[Problem]]:
    """Check a record with its type and one more extra."""
    extras: Dict[str, Any] = {"dns_message_type": "CLIENT_QUERY"}
    extras.update({f"dns_{name}": other for name, other in others.items()})
    extras[f"dns_{field}"] = value
    return checked(extras)


def strict(field: str, value: object, **others: object) -> DnstapMessage:
    """Construct a message with its type and one more argument."""
    arguments: Dict[str, Any] = {"message_type": "CLIENT_QUERY", **others, field: value}
    return DnstapMessage(**arguments)


def address(packed: Optional[bytes], port: Optional[int] = None) -> Dict[str, object]:
    """Return the fields that a query address sets."""
    family = None
    if packed is not None:
        family = SocketFamily.INET if len(packed) == 4 else SocketFamily.INET6
    return {"query_address": packed, "query_port": port, "socket_family": family}


LONGEST_NAME = ".".join(["a" * 63] * 3 + ["b" * 61])
LONGEST_NAME_WIRE = (b"\x3f" + b"a" * 63) * 3 + b"\x3d" + b"b" * 61 + b"\0"

SOCKET_PROTOCOLS: Dict[SocketProtocol, Tuple[object, ...]] = {
    SocketProtocol.UDP: (socket.SOCK_DGRAM, "udp4", "UDP6", "DoUDP"),
    SocketProtocol.TCP: (socket.SOCK_STREAM, "tcp4", "TCP6", "DoTCP"),
    SocketProtocol.DOT: ("tls", "TLS", "ssl", "tcp-tls", "DNS over TLS", "dns-over-tls", "dot"),
    SocketProtocol.DOH: ("https", "HTTPS", "http", "DoH3", "DNS over HTTPS", "DNS over HTTP/3"),
    SocketProtocol.DOQ: ("quic", "QUIC", "DoQ", "DNS over QUIC", Text("Quic")),
    SocketProtocol.DNSCryptUDP: ("DNSCrypt UDP", "dnscrypt-udp", "DNSCRYPT_UDP"),
    SocketProtocol.DNSCryptTCP: ("DNSCrypt TCP", "dnscrypt-tcp", "DNSCRYPT_TCP"),
}

ACCEPTED: List[Tuple[str, object, Dict[str, object]]] = [
    # the message type
    ("message_type", MessageType.CLIENT_QUERY, {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", "CLIENT_QUERY", {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", "client_query", {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", Text("Client_Query"), {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", 5, {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", Number(14), {"message_type": MessageType.UPDATE_RESPONSE}),
    ("message_type", "client query", {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", "Client-Query", {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", "CQ", {"message_type": MessageType.CLIENT_QUERY}),
    ("message_type", "ur", {"message_type": MessageType.UPDATE_RESPONSE}),
    ("message_type", Kind.CLIENT_QUERY, {"message_type": MessageType.CLIENT_QUERY}),
    # DNS messages
    ("query_message", WIRE, {"query_message": WIRE}),
    ("query_message", bytearray(WIRE), {"query_message": WIRE}),
    ("query_message", memoryview(WIRE), {"query_message": WIRE}),
    ("query_message", memoryview(WIRE + WIRE)[::2], {"query_message": (WIRE + WIRE)[::2]}),
    ("query_message", memoryview(array("H", [258])), {"query_message": b"\x02\x01"}),
    ("query_message", Octets(WIRE), {"query_message": WIRE}),
    ("query_message", b"", {"query_message": b""}),
    ("query_message", b"\xff garbage", {"query_message": b"\xff garbage"}),
    ("query_message", bytes(65535), {"query_message": bytes(65535)}),
    ("query_message", dns.message.from_wire(WIRE), {"query_message": WIRE}),
    ("query_message", dnslib.DNSRecord.parse(WIRE), {"query_message": WIRE}),
    ("response_message", dns.message.from_wire(WIRE), {"response_message": WIRE}),
    # addresses
    ("query_address", "192.0.2.1", address(V4)),
    ("query_address", Text("192.0.2.1"), address(V4)),
    ("query_address", ipaddress.ip_address("192.0.2.1"), address(V4)),
    ("query_address", ipaddress.ip_interface("192.0.2.1/24"), address(V4)),
    ("query_address", V4, address(V4)),
    ("query_address", bytearray(V4), address(V4)),
    ("query_address", memoryview(V6), address(V6)),
    ("query_address", ("192.0.2.1", 5353), address(V4, 5353)),
    ("query_address", ["192.0.2.1", 5353], address(V4, 5353)),
    ("query_address", ("192.0.2.1", 0), address(V4, 0)),
    ("query_address", (V4, 53), address(V4, 53)),
    ("query_address", (ipaddress.ip_address("2001:db8::1"), 53), address(V6, 53)),
    ("query_address", "2001:db8::1", address(V6)),
    ("query_address", "2001:DB8:0:0::1", address(V6)),
    ("query_address", ipaddress.ip_address("2001:db8::1"), address(V6)),
    ("query_address", V6, address(V6)),
    ("query_address", ("2001:db8::1", 853, 0, 3), address(V6, 853)),
    ("query_address", ("fe80::1%eth0", 53, 0, 2), address(b"\xfe\x80" + bytes(13) + b"\1", 53)),
    ("query_address", "fe80::1%eth0", address(b"\xfe\x80" + bytes(13) + b"\1")),
    ("query_address", "::ffff:192.0.2.1", address(V4)),
    ("query_address", ("::ffff:192.0.2.1", 53, 0, 0), address(V4, 53)),
    ("query_address", bytes(10) + b"\xff\xff" + V4, address(V4)),
    ("query_address", ipaddress.ip_address("::ffff:192.0.2.1"), address(V4)),
    ("query_address", "0.0.0.0", address(None)),
    ("query_address", "::", address(None)),
    ("query_address", "::ffff:0.0.0.0", address(None)),
    ("query_address", ("0.0.0.0", 53), address(None, 53)),
    ("query_address", ("::", 53, 0, 0), address(None, 53)),
    ("query_address", ("", 53), address(None, 53)),
    ("response_address", ("192.0.2.1", 53), {"response_address": V4, "response_port": 53}),
    *[
        ("query_address", text, address(V4, 53))
        for text in (
            "192.0.2.1#53",
            "192.0.2.1@53",
            "192.0.2.1:53",
            "[192.0.2.1]:53",
            "192.0.2.1#00053",
            "::ffff:192.0.2.1#53",
            "[::ffff:192.0.2.1]:53",
            Text("192.0.2.1#53"),
        )
    ],
    *[
        ("query_address", text, address(V6, 53))
        for text in (
            "2001:db8::1#53",
            "2001:db8::1@53",
            "[2001:db8::1]:53",
            "[2001:db8::1]#53",
            "2001:db8::1%eth0#53",
            "[2001:db8::1%eth0]:53",
            "[2001:db8::1%eth0.7]@53",
        )
    ],
    ("query_address", "[2001:db8::1]", address(V6)),
    ("query_address", ("[2001:db8::1]", 53), address(V6, 53)),
    ("query_address", "0.0.0.0#53", address(None, 53)),
    ("query_address", "[::]:53", address(None, 53)),
    ("query_address", "192.0.2.1:65535", address(V4, 65535)),
    ("query_address", ("192.0.2.1", "53"), address(V4, 53)),
    ("query_address", ["2001:db8::1", "53", 0, 0], address(V6, 53)),
    ("query_address", ("", "53"), address(None, 53)),
    # ports
    ("query_port", "53", {"query_port": 53}),
    ("query_port", Text("0"), {"query_port": 0}),
    ("query_port", "65535", {"query_port": 65535}),
    ("query_port", 0, {"query_port": 0}),
    ("query_port", 65535, {"query_port": 65535}),
    ("query_port", Number(53), {"query_port": 53}),
    ("query_port", Index(53), {"query_port": 53}),
    ("query_port", socket.AF_INET, {"query_port": 2}),
    ("response_port", 53, {"response_port": 53}),
    # times
    ("query_time", NOW, {"query_time": NOW}),
    ("query_time", Number(NOW), {"query_time": NOW}),
    ("query_time", Index(NOW), {"query_time": NOW}),
    ("query_time", 10**17, {"query_time": 10**17}),
    ("query_time", 253402300799_999_999_999, {"query_time": 253402300799_999_999_999}),
    ("query_time", 0.0, {"query_time": 0}),
    ("query_time", 1700000000.25, {"query_time": 1_700_000_000_250_000_000}),
    ("query_time", SERVICE_TIME, {"query_time": SERVICE_NS}),
    (
        "query_time",
        SERVICE_TIME.astimezone(timezone(timedelta(hours=-9, minutes=-30))),
        {"query_time": SERVICE_NS},
    ),
    ("query_time", datetime(1970, 1, 1, tzinfo=timezone.utc), {"query_time": 0}),
    ("response_time", NOW, {"response_time": NOW}),
    # enumerations
    ("socket_family", SocketFamily.INET6, {"socket_family": SocketFamily.INET6}),
    ("socket_family", "inet", {"socket_family": SocketFamily.INET}),
    ("socket_family", 2, {"socket_family": SocketFamily.INET6}),
    ("socket_protocol", SocketProtocol.DOQ, {"socket_protocol": SocketProtocol.DOQ}),
    ("socket_protocol", "udp", {"socket_protocol": SocketProtocol.UDP}),
    ("socket_protocol", "TCP", {"socket_protocol": SocketProtocol.TCP}),
    ("socket_protocol", "DoT", {"socket_protocol": SocketProtocol.DOT}),
    ("socket_protocol", "DoH", {"socket_protocol": SocketProtocol.DOH}),
    ("socket_protocol", "dnscryptudp", {"socket_protocol": SocketProtocol.DNSCryptUDP}),
    ("socket_protocol", "DNSCRYPTTCP", {"socket_protocol": SocketProtocol.DNSCryptTCP}),
    ("socket_protocol", 7, {"socket_protocol": SocketProtocol.DOQ}),
    *[
        ("socket_family", value, {"socket_family": SocketFamily.INET})
        for value in (
            socket.AF_INET,
            "AF_INET",
            "af_inet",
            "IPv4",
            "ipv4",
            "v4",
            "4",
            4,
            Text("IP4"),
        )
    ],
    *[
        ("socket_family", value, {"socket_family": SocketFamily.INET6})
        for value in (socket.AF_INET6, "AF_INET6", "IPv6", "IPV6", "v6", "6", 6, Number(6))
    ],
    *[
        ("socket_protocol", value, {"socket_protocol": protocol})
        for protocol, values in SOCKET_PROTOCOLS.items()
        for value in values
    ],
    # the zone
    ("query_zone", ZONE, {"query_zone": ZONE}),
    ("query_zone", bytearray(ZONE), {"query_zone": ZONE}),
    ("query_zone", b"\0", {"query_zone": b"\0"}),
    ("query_zone", "example.com.", {"query_zone": ZONE}),
    ("query_zone", "example.com", {"query_zone": ZONE}),
    ("query_zone", "eXample.com", {"query_zone": b"\x07eXample\x03com\0"}),
    ("query_zone", ".", {"query_zone": b"\0"}),
    ("query_zone", LONGEST_NAME, {"query_zone": LONGEST_NAME_WIRE}),
    ("query_zone", dns.name.from_text("example.com."), {"query_zone": ZONE}),
    # the policy
    ("policy", Policy("RPZ", action="DROP"), {"policy": Policy("RPZ", action=PolicyAction.DROP)}),
    ("policy", {"type": "RPZ", "action": "drop"}, {"policy": Policy("RPZ", action=4)}),
    ("policy", {}, {"policy": Policy()}),
    # extra, identity, version
    ("extra", b"\xff\0", {"extra": b"\xff\0"}),
    ("extra", "é", {"extra": b"\xc3\xa9"}),
    ("extra", bytearray(b"x"), {"extra": b"x"}),
    ("extra", Text("x"), {"extra": b"x"}),
    ("extra", "a\udc80", {"extra": b"a\\udc80"}),
    ("extra", "", {"extra": None}),
    ("extra", b"", {"extra": None}),
    ("identity", "ns1", {"identity": b"ns1"}),
    ("identity", b"ns1", {"identity": b"ns1"}),
    ("identity", "", {"identity": b""}),
    ("version", "1.0", {"version": b"1.0"}),
    ("version", b"", {"version": b""}),
]

REFUSED: List[Tuple[str, object, str]] = [
    ("query_message", "text", "must be bytes, or a DNS message with to_wire() or pack(), not str"),
    ("query_message", 7, "not int"),
    ("query_message", [1, 2], "not list"),
    ("query_message", Broken(), "its to_wire() raised RuntimeError: no?wire?[31m"),
    ("query_message", Renders(), "its to_wire() returned str, not bytes"),
    ("query_address", "localhost", "an IP address is needed, names are not looked up"),
    ("query_address", "", "an IP address is needed"),
    *[
        ("query_address", text, "its port must be an integer from 0 to 65535")
        for text in (
            "192.0.2.1#65536",
            "192.0.2.1#",
            "192.0.2.1:-1",
            "192.0.2.1@ 53",
            "[2001:db8::1]:+53",
            "2001:db8::1#5_3",
            "192.0.2.1#\u0665\u0663",
            "fe80::1%eth0#x",
            "192.0.2.1:" + "9" * 5000,
        )
    ],
    *[
        ("query_address", text, "an IP address is needed, names are not looked up")
        for text in (
            "localhost:53",
            "[localhost]:53",
            ":53",
            "[]:53",
            "#53",
            "[[2001:db8::1]]:53",
            "[2001:db8::1]53",
            "[2001:db8::1",
            "2001:db8::1]:53",
            "2001:db8:0:0:0:0:0:1:53",
            "192.0.2.1#53#53",
            "192.0.2.1.53",
        )
    ],
    ("query_address", ("192.0.2.1#5", 53), "an IP address is needed, names are not looked up"),
    ("query_address", b"192.0.2.1#53", "a packed IP address has 4 or 16 bytes"),
    ("query_address", "192.0.2.256", "an IP address is needed"),
    ("query_address", "192.0.2.1\0", "an IP address is needed"),
    ("query_address", "x" * 1000, "an IP address is needed"),
    ("query_address", b"12345", "a packed IP address has 4 or 16 bytes"),
    ("query_address", b"", "a packed IP address has 4 or 16 bytes"),
    ("query_address", 3221225985, "must be an IP address"),
    ("query_address", ipaddress.ip_network("192.0.2.0/24"), "must be an IP address"),
    ("query_address", (), "a socket address is a tuple (host, port, ...)"),
    ("query_address", ("192.0.2.1",), "a socket address is a tuple (host, port, ...)"),
    ("query_address", ("192.0.2.1", 70000), "must be an integer from 0 to 65535"),
    ("query_address", ("192.0.2.1", "x"), "its port must be an integer from 0 to 65535"),
    ("query_address", ("192.0.2.1", b"53"), "its port must be an integer from 0 to 65535"),
    ("query_address", ("localhost", 53), "an IP address is needed"),
    ("query_port", -1, "must be an integer from 0 to 65535"),
    ("query_port", 65536, "must be an integer from 0 to 65535"),
    ("query_port", 10**5000, "must be an integer from 0 to 65535"),
    ("query_port", True, "must be an integer from 0 to 65535"),
    *[
        ("query_port", text, "must be an integer from 0 to 65535")
        for text in ("", "65536", "-1", "+53", " 53", "5_3", "0x35", "domain", "\u0665", "5" * 5000)
    ],
    ("query_port", b"53", "must be an integer from 0 to 65535"),
    ("query_port", 53.0, "must be an integer from 0 to 65535"),
    ("query_time", 1700000000, "looks like seconds: multiply by 1000000000, or give a float"),
    ("query_time", 0, "looks like seconds"),
    ("query_time", 10**17 - 1, "looks like microseconds: multiply by 1000"),
    ("query_time", -1, "before the epoch"),
    ("query_time", 253402300800 * 10**9, "year 10000"),
    ("query_time", -0.5, "before the epoch"),
    ("query_time", math.nan, "year 10000"),
    ("query_time", math.inf, "year 10000"),
    ("query_time", -math.inf, "before the epoch"),
    ("query_time", 253402300800.0, "year 10000"),
    ("query_time", datetime(2023, 11, 14), "has no time zone; use an aware datetime"),
    ("query_time", datetime(1969, 12, 31, tzinfo=timezone.utc), "before the epoch"),
    ("query_time", date(2023, 11, 14), "must be int nanoseconds, float seconds or"),
    ("query_time", "now", "must be int nanoseconds, float seconds or an aware datetime"),
    ("query_time", True, "must be int nanoseconds"),
    ("socket_family", socket.AF_UNIX, "must be a SocketFamily, its name ('INET') or number"),
    ("socket_family", 3, "(1 to 2)"),
    ("socket_family", "INTE6", "or number (1 to 2), did you mean INET6?"),
    ("socket_protocol", socket.SOCK_RAW, "must be a SocketProtocol"),
    ("socket_protocol", "UDPP", "or number (1 to 7), did you mean UDP?"),
    ("socket_protocol", b"UDP", "must be a SocketProtocol"),
    ("socket_protocol", "UDP" * 10**5, "must be a SocketProtocol"),
    ("http_protocol", b"\xff", "must be a HttpProtocol"),
    ("http_protocol", (1, 1), "must be a HttpProtocol"),
    ("http_protocol", 11, "must be a HttpProtocol"),
    ("socket_protocol", "SCTP", "must be a SocketProtocol, its name ('UDP') or number (1 to 7)"),
    ("socket_protocol", 8, "must be a SocketProtocol"),
    ("socket_protocol", 0, "must be a SocketProtocol"),
    ("socket_protocol", True, "must be a SocketProtocol"),
    ("socket_protocol", 1.0, "must be a SocketProtocol"),
    ("socket_protocol", HttpProtocol.HTTP1, "must be a SocketProtocol"),
    ("socket_protocol", [], "must be a SocketProtocol"),
    ("http_protocol", "HTTP4", "must be a HttpProtocol, its name ('HTTP1') or number (1 to 3)"),
    ("query_zone", "", "no empty label; '.' is the root"),
    ("query_zone", "a..b", "no empty label"),
    ("query_zone", ".a", "no empty label"),
    ("query_zone", "bücher.example", "A-labels (xn--...)"),
    ("query_zone", "a" * 64, "a label has at most 63 octets"),
    ("query_zone", LONGEST_NAME + "b", "a domain name has at most 255 octets"),
    ("query_zone", "a." * 10**6, "a domain name has at most 255 octets"),
    ("query_zone", b"example.com", "uncompressed wire format; write text as str"),
    ("query_zone", b"", "uncompressed wire format"),
    ("query_zone", ZONE[:-1], "uncompressed wire format"),
    ("query_zone", ZONE + b"\0", "uncompressed wire format"),
    ("query_zone", b"\3www\xc0\x0c", "uncompressed wire format"),
    ("query_zone", b"\1a" * 128 + b"\0", "a domain name has at most 255 octets"),
    ("query_zone", 7, "must be bytes, or a DNS name with to_wire(), not int"),
    ("query_zone", dns.name.from_text("relative", None), "its to_wire() raised"),
    ("policy", "RPZ", "must be a Policy or a mapping, not str"),
    ("policy", {"kind": "RPZ"}, "'kind' is no key of a policy"),
    ("policy", {"action": "BAN"}, "action='BAN': must be a PolicyAction"),
    ("extra", 7, "must be bytes or str, not int"),
    ("identity", ["ns1"], "must be bytes or str, not list"),
    ("version", 1.0, "must be bytes or str, not float"),
]


def row_id(value: object) -> str:
    """Name a row of the tables, the same in every run and without printing megabytes."""
    if isinstance(value, (str, bytes)):
        return ascii(value[:20])
    if isinstance(value, int):
        return hex(value)[:20]
    return ascii(value) if isinstance(value, float) else type(value).__name__


@pytest.mark.parametrize(("field", "value", "expected"), ACCEPTED, ids=row_id)
def test_constructor_accepts(field: str, value: object, expected: Dict[str, object]) -> None:
    """Each accepted form becomes its canonical value, of exactly its type, in the constructor."""
    message = strict(field, value)

    assert {name: getattr(message, name) for name in expected} == expected
    for name in expected:
        assert type(getattr(message, name)) is type(expected[name])


@pytest.mark.parametrize(("field", "value", "expected"), ACCEPTED, ids=row_id)
def test_check_accepts(field: str, value: object, expected: Dict[str, object]) -> None:
    """Each accepted form becomes the same in a record, without a problem."""
    message, problems = lenient(field, value)

    assert problems == []
    assert {name: getattr(message, name) for name in expected} == expected
    for name in expected:
        assert type(getattr(message, name)) is type(expected[name])


@pytest.mark.parametrize(("field", "value", "reason"), REFUSED, ids=row_id)
def test_constructor_refuses(field: str, value: object, reason: str) -> None:
    """Each unusable value raises; the text names the argument, the value and what is right."""
    with pytest.raises((ValueError, TypeError)) as caught:
        strict(field, value)

    text = str(caught.value)
    assert type(caught.value) in (ValueError, TypeError)
    assert text.startswith(f"{field}=")
    assert reason in text
    assert len(text) < 350
    assert text.isprintable(), ascii(text)


@pytest.mark.parametrize(("field", "value", "reason"), REFUSED, ids=row_id)
def test_check_leaves_out(field: str, value: object, reason: str) -> None:
    """Each unusable value leaves its field out, with one problem that names key and value.

    The message's own time is then the record's creation, as where none is given.
    """
    message, problems = lenient(field, value)

    assert getattr(message, field) == (CREATED_NS if field == "query_time" else None)
    assert [kind for kind, _ in problems] == [f"dns_{field}"]
    text = problems[0][1]
    assert text.startswith(f"dns_{field}=")
    assert " left out: " in text
    assert reason in text
    assert len(text) < 350
    assert text.isprintable(), ascii(text)


def test_a_good_record_is_not_changed_by_a_bad_extra() -> None:
    """Only the unusable field is missing."""
    message, problems = lenient("query_port", -1, query_message=WIRE, socket_protocol="UDP")

    assert (message.query_message, message.socket_protocol) == (WIRE, SocketProtocol.UDP)
    text = "dns_query_port=-1 left out: must be an integer from 0 to 65535"
    assert problems == [("dns_query_port", text)]


def test_none_means_not_given() -> None:
    """An extra that is None is the same as one that is not there."""
    extras: Dict[str, Any] = {f"dns_{name}": None for name in DnstapMessage._fields}
    message, problems = checked({**extras, "dns_message_type": 5}, "formatted")

    assert problems == []
    assert message == checked({"dns_message_type": 5}, "formatted")[0]


# -- the message type --------------------------------------------------------------------------


@pytest.mark.parametrize("member", MessageType)
def test_every_type_knows_whether_it_is_a_query(member: MessageType) -> None:
    """is_query says what the name says, for all 14."""
    assert member.is_query is member.name.endswith("_QUERY")


@pytest.mark.parametrize(
    "value",
    ["CLIENT_QERY", "", 0, 15, -5, True, 5.0, b"CLIENT_QUERY", SocketProtocol.UDP, [], object()],
    ids=row_id,
)
def test_unknown_type(value: Any) -> None:
    """An unknown type is no message: ValueError or TypeError, and InvalidMessage for a record."""
    right = "must be a MessageType, its name ('AUTH_QUERY') or number (1 to 14)"
    with pytest.raises((ValueError, TypeError)) as strictly:
        DnstapMessage(value)
    with pytest.raises(InvalidMessage) as leniently:
        checked({"dns_message_type": value, "dns_query_port": -1})

    assert right in str(strictly.value)
    assert str(strictly.value).startswith("message_type=")
    assert right in str(leniently.value)
    assert str(leniently.value).startswith("dns_message_type=")


@pytest.mark.parametrize("extras", [{}, {"dns_query_port": 53}, {"dns_message_type": None}])
def test_missing_type(extras: Dict[str, Any]) -> None:
    """Without a type there is no message; the text says which key is missing."""
    with pytest.raises(InvalidMessage, match=r"^dns_message_type is missing"):
        checked(extras)


def test_misspelt_type_key_is_named() -> None:
    """Where the type's own key is misspelt, the error names both."""
    with pytest.raises(InvalidMessage, match=r"dns_mesage_type .*did you mean dns_message_type\?"):
        checked({"dns_mesage_type": "CLIENT_QUERY"})


def test_constructor_needs_a_type() -> None:
    """None is no message type."""
    with pytest.raises(TypeError, match=r"^message_type=None: must be a MessageType"):
        DnstapMessage(None)  # type: ignore[arg-type]


# -- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("size", [65536, 1_000_000])
@pytest.mark.parametrize("field", ["query_message", "response_message"])
def test_too_large_dns_message(field: str, size: int, kind: Any) -> None:
    """A DNS message over 65,535 bytes costs the record; the text says how long it is."""
    with pytest.raises(MessageTooLarge, match=rf"^dns_{field}=.*{size:,} bytes.*65,535"):
        lenient(field, kind(size))
    with pytest.raises(ValueError, match=rf"^{field}=.*{size:,} bytes.*65,535"):
        strict(field, kind(size))


# -- addresses, family, ports ------------------------------------------------------------------


def test_explicit_port_wins() -> None:
    """The port's own extra wins over the socket address's."""
    message, problems = lenient("query_address", ("192.0.2.1", 1), query_port=2)

    assert (message.query_address, message.query_port, problems) == (V4, 2, [])


def test_unusable_port_is_not_replaced() -> None:
    """An unusable port leaves the field out, the one of the socket address does not step in."""
    message, problems = lenient("query_address", ("192.0.2.1", 1), query_port=-1)

    assert (message.query_address, message.query_port) == (V4, None)
    assert [kind for kind, _ in problems] == ["dns_query_port"]


OTHER_SIDE: Dict[str, Any] = {"response_address": ("2001:db8::1", 53, 0, 0)}


def test_mixed_families() -> None:
    """The query address wins; the other socket's address and port are left out."""
    message, problems = lenient("query_address", ("192.0.2.1", 5353), **OTHER_SIDE)

    assert (message.query_address, message.query_port) == (V4, 5353)
    assert (message.response_address, message.response_port) == (None, None)
    assert message.socket_family is SocketFamily.INET
    assert [kind for kind, _ in problems] == ["dns_response_address"]
    assert problems[0][1].startswith("dns_response_address=('2001:db8::1', 53, 0, 0) left out: ")
    with pytest.raises(ValueError, match=r"^response_address=.*family"):
        strict("query_address", "192.0.2.1", **OTHER_SIDE)


def test_mixed_families_keep_an_explicit_port() -> None:
    """A port that was given by itself does not belong to the address that is left out."""
    message, _ = lenient("response_address", "2001:db8::1", query_address=V4, response_port=853)

    assert (message.response_address, message.response_port) == (None, 853)


def test_unspecified_addresses_have_no_family() -> None:
    """A server bound to :: that answers over IPv4 is no contradiction; its port is kept."""
    message, problems = lenient("response_address", ("::", 53, 0, 0), query_address="192.0.2.1")

    assert problems == []
    assert message.socket_family is SocketFamily.INET
    assert (message.response_address, message.response_port) == (None, 53)


@pytest.mark.parametrize("converted_early", [False, True])
def test_contradicting_family(converted_early: bool) -> None:
    """Addresses win over the family; the text shows what was written."""
    value = ["192.0.2.1", 1] if converted_early else "192.0.2.1"
    message, problems = lenient("socket_family", "INET6", query_address=value)

    assert message.socket_family is SocketFamily.INET
    text = "dns_socket_family='INET6' left out: the addresses are INET"
    assert problems == [("dns_socket_family", text)]
    with pytest.raises(ValueError, match=r"^socket_family='INET6': the addresses are INET"):
        strict("socket_family", "INET6", query_address=value)


def test_unusable_family_is_taken_from_addresses() -> None:
    """Whatever the family's extra says, readers need the family of the addresses."""
    message, problems = lenient("socket_family", "IPv4", response_address="2001:db8::1")

    assert message.socket_family is SocketFamily.INET6
    assert [kind for kind, _ in problems] == ["dns_socket_family"]


def test_ip_properties() -> None:
    """query_ip and response_ip are objects of ipaddress, or None."""
    message = strict("query_address", V4, response_address="192.0.2.53")

    assert message.query_ip == ipaddress.ip_address("192.0.2.1")
    assert message.response_ip == ipaddress.ip_address("192.0.2.53")
    assert strict("query_address", V6).query_ip == ipaddress.ip_address("2001:db8::1")
    assert strict("query_address", V6).response_ip is None


# -- http_protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "texts"),
    [
        (
            HttpProtocol.HTTP1,
            ["HTTP/1.1", "http/1.1", "HTTP/1.0", "1.1", "1.0", "1", "h1", "http1"],
        ),
        (HttpProtocol.HTTP2, ["HTTP/2", "HTTP/2.0", "2", "2.0", "h2", "H2", "h2c", "HTTP_2"]),
        (HttpProtocol.HTTP3, ["HTTP/3", "HTTP/3.0", "3", "3.0", "h3", "H3", "http_3"]),
    ],
)
def test_names_of_http(version: HttpProtocol, texts: List[str]) -> None:
    """ASGI's, ALPN's and the request line's names of HTTP's versions are taken, as bytes too."""
    for name in [*texts, *(text.encode() for text in texts)]:
        message, problems = lenient("http_protocol", name, socket_protocol="https")

        assert (message.http_protocol, problems) == (version, []), name
        assert strict("http_protocol", name, socket_protocol="https") == message._replace(
            query_time=None
        )


def test_http_protocol_with_doh() -> None:
    """With DOH it is kept."""
    message, problems = lenient("http_protocol", "http2", socket_protocol="DoH")

    assert (message.http_protocol, problems) == (HttpProtocol.HTTP2, [])


@pytest.mark.parametrize("protocol", [None, "DOT", "unknown"])
def test_http_protocol_without_doh(protocol: Optional[str]) -> None:
    """With anything else it is left out with a problem, and refused by the constructor."""
    message, problems = lenient("http_protocol", 2, socket_protocol=protocol)

    assert message.http_protocol is None
    assert problems[-1][1].startswith("dns_http_protocol=2 left out: ")
    if protocol != "unknown":
        with pytest.raises(ValueError, match=r"^http_protocol=2: .*DOH"):
            strict("http_protocol", 2, socket_protocol=protocol)


# -- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", MessageType)
def test_missing_own_time_is_the_creation(member: MessageType) -> None:
    """A query's query time and a response's response time default to the record's creation."""
    message, _ = checked({"dns_message_type": member})

    expected = (CREATED_NS, None) if member.is_query else (None, CREATED_NS)
    assert (message.query_time, message.response_time) == expected
    assert DnstapMessage(member).query_time is None


def test_given_time_wins_over_the_creation() -> None:
    """A time that is given is kept, of either side."""
    message, _ = checked(
        {"dns_message_type": "CLIENT_RESPONSE", "dns_query_time": NOW, "dns_response_time": NOW + 1}
    )

    assert (message.query_time, message.response_time) == (NOW, NOW + 1)


@pytest.mark.parametrize("created", [math.nan, math.inf, -1.0, "yesterday", None])
def test_unusable_creation_is_now(created: Any) -> None:
    """A record made by hand, whose creation is no time, is from now."""
    before = time.time_ns()
    message, problems = checked({"dns_message_type": 5}, created=created)

    assert problems == []
    assert message.query_time is not None
    assert before <= message.query_time <= time.time_ns()


@relaxed
@given(st.floats(0, 253402300799, allow_nan=False))
def test_float_seconds_are_exact(seconds: float) -> None:
    """Float seconds become the nearest nanosecond, as exact arithmetic finds it."""
    converted = strict("query_time", seconds).query_time

    assert converted is not None
    assert abs(converted - Fraction(seconds) * 10**9) <= Fraction(51, 100)


@relaxed
@given(st.datetimes(datetime(1970, 1, 2), timezones=st.timezones()))
def test_datetimes_are_exact(moment: datetime) -> None:
    """Aware datetimes become nanoseconds without a float on the way."""
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    expected = since // timedelta(microseconds=1) * 1000
    if expected >= 253402300800 * 10**9:
        return  # west of Greenwich the year 10000 begins later

    assert strict("query_time", moment).query_time == expected


# -- extra -------------------------------------------------------------------------------------


def test_formatter_renders_extra() -> None:
    """What the formatter rendered becomes Dnstap.extra."""
    assert checked({"dns_message_type": 5}, "é")[0].extra == b"\xc3\xa9"
    assert checked({"dns_message_type": 5}, b"\xff")[0].extra == b"\xff"
    assert checked({"dns_message_type": 5}, "")[0].extra is None


@pytest.mark.parametrize(("value", "expected"), [("own", b"own"), ("", None), (b"x", b"x")])
def test_dns_extra_wins_over_the_formatter(value: object, expected: Optional[bytes]) -> None:
    """The record's own extra wins, also to leave it out; an unusable one is not replaced."""
    extras: Dict[str, Any] = {"dns_message_type": 5, "dns_extra": value}

    assert checked(extras, "formatted")[0].extra == expected
    assert checked({**extras, "dns_extra": 7}, "formatted")[0].extra is None


def test_failed_formatter_loses_only_extra() -> None:
    """A formatter that raised is a problem of dns_extra, and nothing else."""
    message, problems = checked({"dns_message_type": 5}, Unusable("the formatter raised KeyError"))

    assert (message.message_type, message.extra) == (MessageType.CLIENT_QUERY, None)
    assert problems == [("dns_extra", "dns_extra left out: the formatter raised KeyError")]


def test_failed_formatter_stays_one_line() -> None:
    """What a formatter's error says may be long and hold anything."""
    unusable = Unusable("the formatter raised \x1b[31m\n" + "x" * 10**6)
    _, problems = checked({"dns_message_type": 5}, unusable)

    assert problems[0][1].startswith("dns_extra left out: the formatter raised ?[31m?xxx")
    assert problems[0][1].isprintable()
    assert len(problems[0][1]) <= 400


@pytest.mark.parametrize("formatted", [7, [], object(), Broken()])
def test_formatter_of_another_kind(formatted: Any) -> None:
    """A formatter that returns neither str nor bytes loses only extra, too."""
    message, problems = checked({"dns_message_type": 5}, formatted)

    assert message.extra is None
    assert [kind for kind, _ in problems] == ["dns_extra"]
    assert "must be bytes or str" in problems[0][1]


# -- unknown keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("dns_query_adress", "did you mean dns_query_address?"),
        ("dns_protocol", "did you mean dns_http_protocol?"),
        ("dns_qname_minimized_by", "no dns extra has a similar name"),
        ("dns_", "no dns extra has a similar name"),
        ("dns_" + "x" * 10_000, "no dns extra has a similar name"),
        ("dns_\x1b[31m\n", "no dns extra has a similar name"),
    ],
)
def test_unknown_key(key: str, said: str) -> None:
    """An unknown key is a problem that names the key and the nearest known one."""
    message, problems = checked({"dns_message_type": 5, key: 1, "dns_query_port": 53})

    assert message.query_port == 53
    assert [kind for kind, _ in problems] == ["unknown key"]
    assert said in problems[0][1]
    assert problems[0][1].isprintable()
    assert len(problems[0][1]) < 200


def test_each_unknown_key_counts() -> None:
    """Several unknown keys are as many problems; the text stays short."""
    extras = {f"dns_odd_{number}": 1 for number in range(100)}
    _, problems = checked({"dns_message_type": 5, **extras})

    assert len(problems) == 100
    assert len(problems[0][1]) < 400
    assert "and 97 more" in problems[0][1]


# -- the value itself --------------------------------------------------------------------------


def test_a_message_is_immutable_and_hashable() -> None:
    """A message can be a key of a dict, and its attributes cannot be set."""
    message = strict("query_message", WIRE, policy=Policy("RPZ"))

    assert {message: 1}[strict("query_message", WIRE, policy=Policy("RPZ"))] == 1
    with pytest.raises(AttributeError):
        message.query_port = 53  # type: ignore[misc]
    with pytest.raises(AttributeError):
        message.anything = 53  # type: ignore[attr-defined]


def test_a_message_can_be_pickled_and_copied() -> None:
    """Also one from a capture, with a time that the constructor would take for seconds."""
    message = strict("query_message", WIRE, policy=Policy("RPZ"))._replace(query_time=7)
    again = pickle.loads(pickle.dumps(message))

    assert (again, type(again), type(again.policy)) == (message, DnstapMessage, Policy)
    assert copy.deepcopy(message) == message


def test_repr_is_one_short_line() -> None:
    """What is not known is not shown, long values are cut."""
    text = repr(strict("query_message", bytes(65535), query_port=53))

    assert text.startswith("DnstapMessage(CLIENT_QUERY, query_port=53, query_message=b'")
    assert len(text) < 200
