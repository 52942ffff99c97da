"""Values in all their forms: what each becomes, what is refused and why, and how to try them."""

from __future__ import annotations

import enum
import ipaddress
import math
import socket
from array import array
from datetime import date, datetime, timedelta, timezone
from typing import Any, Dict, List, Optional, Tuple, Union

import dns.message
import dns.name
import dnslib

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
