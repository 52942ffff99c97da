"""The messages that the interop tests send: each is a function of its number.

A `Sample` holds plain values. From it are made, independently: what is logged (in every
form that the dns extras accept), what must be on the wire, and what ``dnstap -j`` must show.
"""

from __future__ import annotations

import functools
import ipaddress
import socket
import struct
from datetime import datetime, timezone
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import dns.message
import dns.name
import dnslib

from dnstap_logging import HttpProtocol, MessageType, Policy, SocketProtocol
from tests.situations.interop.captures import Fields

IDENTITY, VERSION = "ns1.example.net", "interop 1.0"
"""What the handlers of these tests are given."""

NS = 10**9
BASE_TIME = 1_700_000_000
STEP = 1_000_000_007
"""Nanoseconds between two queries: every part of a time gets to change."""

MANY_ANSWERS = 4000
"""Answers of a response of nearly 64 KiB, which is what DNS over TCP can carry."""

PROTOCOL_NAMES = ["UDP", "TCP", "DOT", "DOH", "5", "6", "7"]
"""What ``dnstap -j`` shows, in the versions that do not know DNSCrypt and DOQ."""


class Sample(NamedTuple):
    """One message in plain values; None is left out."""

    number: int
    type: int
    inet6: bool
    query_ip: Optional[str]
    query_port: Optional[int]
    response_ip: Optional[str]
    response_port: Optional[int]
    protocol: Optional[int]
    http_protocol: Optional[int]
    query_time: Optional[int]
    response_time: Optional[int]
    name: str
    has_query: bool
    answers: Optional[int]
    zone: Optional[str]
    policy: Optional[Dict[str, Any]]
    extra: Optional[str]
    identity: Optional[str]
    version: Optional[str]

    @property
    def is_query(self) -> bool:
        """Whether the type is one of the queries."""
        return self.type % 2 == 1

    @property
    def query(self) -> Optional[bytes]:
        """The query in wire format."""
        return query_wire(self.number & 0xFFFF, self.name) if self.has_query else None

    @property
    def response(self) -> Optional[bytes]:
        """The response in wire format."""
        if self.answers is None:
            return None
        return response_wire(self.number & 0xFFFF, self.name, self.answers)


def sample(number: int) -> Sample:
    """Make the message of this number: all types in turn, everything else at its own pace."""
    kind = number % 14 + 1
    is_query = kind % 2 == 1
    turn = number // 14
    inet6 = turn % 3 == 1
    protocol = turn % 7 + 1
    no_addresses, no_messages = number % 17 == 16, number % 29 == 28
    query_time = BASE_TIME * NS + number * STEP
    return Sample(
        number=number,
        type=kind,
        inet6=inet6,
        query_ip=None if no_addresses else _ip(inet6, number),
        query_port=None if no_addresses else number * 7919 % 65535 + 1,
        response_ip=None if no_addresses or number % 5 == 4 else _ip(inet6, 60_000 + turn),
        response_port=None if no_addresses or number % 5 == 4 else 53,
        protocol=None if number % 19 == 18 else protocol,
        http_protocol=turn // 7 % 3 + 1 if protocol == 4 and number % 19 != 18 else None,
        query_time=query_time if is_query or number % 4 else None,
        response_time=None if is_query else query_time + number % 1000 * 1_000_000,
        name=f"q{number}.zone{number % 50}.example.",
        has_query=(is_query or number % 3 == 0) and not no_messages,
        answers=None if is_query or no_messages else _answers(number),
        zone=f"zone{number % 50}.example." if kind in (3, 4, 7, 8) else None,
        policy=_policy(number) if not is_query and number % 5 == 0 else None,
        extra=f'\N{SNOWMAN} extra "{number}"' if number % 4 == 1 else None,
        identity="" if number % 13 == 0 else f"ns{number}" if number % 11 == 0 else IDENTITY,
        version="" if number % 13 == 0 else VERSION,
    )


@functools.cache
def samples(count: int) -> Tuple[Sample, ...]:
    """Return the first messages (made once, as all that follows from them)."""
    return tuple(map(sample, range(count)))


@functools.cache
def all_fields(count: int) -> Tuple[Fields, ...]:
    """Return the first messages as `captures.decode` must find them."""
    return tuple(map(fields, samples(count)))


@functools.cache
def all_shown(count: int) -> Tuple[Fields, ...]:
    """Return the first messages as ``dnstap -j`` must show them."""
    return tuple(map(shown, samples(count)))


def _ip(inet6: bool, number: int) -> str:
    base = ipaddress.ip_address("2001:db8::1:0:0" if inet6 else "10.0.0.0")
    return str(base + number + 1)


def _answers(number: int) -> int:
    return MANY_ANSWERS if number % 2500 == 2499 else number % 3


def _policy(number: int) -> Dict[str, Any]:
    return {
        "type": "RPZ",
        "rule": wire_name(f"rule{number}.rpz."),
        "action": number % 6 + 1,
        "match": number % 5 + 1,
        "value": bytes([192, 0, 2, number % 256]),
    }


# -- DNS ---------------------------------------------------------------------------------------


def wire_name(name: str) -> bytes:
    """Return a name in wire format (RFC 1035, 3.1)."""
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))


def query_wire(identifier: int, name: str) -> bytes:
    """Return a query for the A records of a name."""
    return struct.pack("!6H", identifier, 0x0100, 1, 0, 0, 0) + wire_name(name) + b"\0\1\0\1"


def response_wire(identifier: int, name: str, answers: int) -> bytes:
    """Return a response with that many A records; without any it is NXDOMAIN."""
    flags = 0x8180 if answers else 0x8183
    header = struct.pack("!6H", identifier, flags, 1, answers, 0, 0)
    records = (
        b"\xc0\x0c" + struct.pack("!HHIHI", 1, 1, 60, 4, 0x0A000000 + number)
        for number in range(answers)
    )
    return header + wire_name(name) + b"\0\1\0\1" + b"".join(records)


def message_text(identifier: int, name: str, answers: Optional[int]) -> str:
    """Return how ``dnstap -j`` shows those two."""
    status = "NXDOMAIN" if answers == 0 else "NOERROR"
    flags = "rd" if answers is None else "qr rd ra"
    text = (
        f";; opcode: QUERY, status: {status}, id: {identifier}\n"
        f";; flags: {flags}; QUERY: 1, ANSWER: {answers or 0}, AUTHORITY: 0, ADDITIONAL: 0\n\n"
        f";; QUESTION SECTION:\n;{name}\tIN\t A\n"
    )
    if answers:
        text += "\n;; ANSWER SECTION:\n"
    for number in range(answers or 0):
        text += f"{name}\t60\tIN\tA\t10.0.{number >> 8}.{number & 255}\n"
    return text


# -- what is logged ----------------------------------------------------------------------------


def extras(each: Sample) -> Dict[str, Any]:
    """Return the dns extras of a message, in one of the accepted forms or another."""
    number = each.number
    every = {
        "message_type": _enum_form(number, MessageType(each.type)),
        "socket_protocol": each.protocol and _protocol_form(number, SocketProtocol(each.protocol)),
        "http_protocol": each.http_protocol
        and _enum_form(number, HttpProtocol(each.http_protocol)),
        **_endpoint("query", number, each.query_ip, each.query_port),
        **_endpoint("response", number + 1, each.response_ip, each.response_port),
        "query_time": each.query_time and _time_form(number, each.query_time),
        "response_time": each.response_time and _time_form(number + 1, each.response_time),
        "query_message": each.query and _wire_form(number, each.query),
        "response_message": each.response and _wire_form(number + 1, each.response),
        "query_zone": each.zone and _zone_form(number, each.zone),
        "policy": each.policy and (Policy(**each.policy) if number % 2 else each.policy),
        "extra": each.extra if number % 8 == 1 else each.extra and each.extra.encode(),
        "identity": each.identity if each.identity != IDENTITY else None,
        "version": each.version if each.version != VERSION else None,
        "socket_family": ("INET6" if each.inet6 else "inet") if number % 6 == 0 else None,
    }
    return {f"dns_{key}": value for key, value in every.items() if value is not None}


def _enum_form(number: int, value: Any) -> object:
    return (value, value.name, int(value))[number % 3]


def _http_form(number: int, value: Optional[int]) -> object:
    return None if value is None else _enum_form(number, HttpProtocol(value))


def _protocol_form(number: int, value: SocketProtocol) -> object:
    return (value, value.name.lower(), value.name, int(value))[number % 4]


def _endpoint(side: str, number: int, ip: Optional[str], port: Optional[int]) -> Dict[str, Any]:
    if ip is None:
        return {}
    alone = {f"{side}_port": port}
    inet6 = ":" in ip
    forms: List[Dict[str, Any]] = [
        {f"{side}_address": (ip, port, 0, 0) if inet6 else (ip, port)},
        {f"{side}_address": ip, **alone},
        {f"{side}_address": ipaddress.ip_address(ip), **alone},
        {f"{side}_address": ipaddress.ip_address(ip).packed, **alone},
        {f"{side}_address": (ip, 1), **alone},
        {f"{side}_address": f"{ip}%eth0" if inet6 else f"::ffff:{ip}", **alone},
    ]
    return forms[number % len(forms)]


def _time_form(number: int, nanoseconds: int) -> object:
    if number % 9 == 0 and nanoseconds % 1000 == 0:
        seconds, fraction = divmod(nanoseconds, NS)
        moment = datetime.fromtimestamp(seconds, timezone.utc)
        return moment.replace(microsecond=fraction // 1000)
    return nanoseconds


def _wire_form(number: int, wire: bytes) -> object:
    one_record = wire[6:8] < b"\0\2"  # dnspython writes several in random order
    if number % 97 == 0 and one_record:
        return dns.message.from_wire(wire)
    if number % 97 == 1 and one_record:
        return dnslib.DNSRecord.parse(wire)
    return (wire, wire, bytearray(wire), memoryview(wire))[number % 4]


def _zone_form(number: int, zone: str) -> object:
    return (zone, zone.rstrip("."), wire_name(zone), dns.name.from_text(zone))[number % 4]


# -- what must arrive --------------------------------------------------------------------------


def fields(each: Sample) -> Fields:
    """Return the message as `captures.decode` must find it."""
    message: Fields = {
        "type": each.type,
        "socket_family": _family(each),
        "socket_protocol": each.protocol,
        "http_protocol": each.http_protocol,
        "query_address": _packed(each.query_ip),
        "response_address": _packed(each.response_ip),
        "query_port": each.query_port,
        "response_port": each.response_port,
        "query_message": each.query,
        "response_message": each.response,
        "query_zone": each.zone and wire_name(each.zone),
        "policy": each.policy and {**each.policy, "type": each.policy["type"].encode()},
    }
    for side, moment in (("query", each.query_time), ("response", each.response_time)):
        if moment is not None:
            message[f"{side}_time_sec"], message[f"{side}_time_nsec"] = divmod(moment, NS)
    around: Fields = {
        "identity": (each.identity or "").encode() or None,
        "version": (each.version or "").encode() or None,
        "extra": each.extra and each.extra.encode(),
        "type": 1,
        "message": _present(message),
    }
    return _present(around)


def shown(each: Sample) -> Fields:
    """Return the message as ``dnstap -j`` must show it."""
    number = each.number & 0xFFFF
    family = {None: "<nil>", 1: "INET", 2: "INET6"}[_family(each)]
    message = {
        "type": MessageType(each.type).name,
        "query_time": _rfc3339(each.query_time),
        "response_time": _rfc3339(each.response_time),
        "socket_family": family,
        "socket_protocol": PROTOCOL_NAMES[each.protocol - 1] if each.protocol else "<nil>",
        "query_address": each.query_ip,
        "response_address": each.response_ip,
        "query_port": each.query_port,
        "response_port": each.response_port,
        "query_zone": each.zone,
        "query_message": message_text(number, each.name, None) if each.has_query else None,
        "response_message": None
        if each.answers is None
        else message_text(number, each.name, each.answers),
    }
    around = {"type": "MESSAGE", "identity": each.identity, "version": each.version}
    return {**{key: value for key, value in around.items() if value}, "message": _present(message)}


def _present(values: Fields) -> Fields:
    return {key: value for key, value in values.items() if value is not None}


def _family(each: Sample) -> Optional[int]:
    if each.query_ip is None and each.response_ip is None and each.number % 6:
        return None
    return 2 if each.inet6 else 1


def _packed(ip: Optional[str]) -> Optional[bytes]:
    if ip is None:
        return None
    return socket.inet_pton(socket.AF_INET6 if ":" in ip else socket.AF_INET, ip)


def _rfc3339(nanoseconds: Optional[int]) -> Optional[str]:
    if nanoseconds is None:
        return None
    seconds, fraction = divmod(nanoseconds, NS)
    text = datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"
