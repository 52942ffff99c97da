"""Made-up traffic of a resolver, the same at every run: python -m tests.cli.top.traffic FILE [N].

Names, addresses and networks are those for documentation. There is an everyday load with a slow
wave, a short flood of random names, answers from the cache and from afar, and queries without an
answer. Frames and payloads are made by protobuf and by hand, not by the library.
"""

from __future__ import annotations

import math
import random
import socket
import struct
import sys
from pathlib import Path
from typing import BinaryIO, Iterator, List, NamedTuple, Tuple

from dnstap_logging.codec.proto import Dnstap
from tests.helpers.support import CONTENT_TYPE, START, STOP, control, data

BEGIN = 1_767_261_600  # 2026-01-01T10:00:00Z
SECONDS = 600
FLOOD = (330, 370)  # seconds in which random names are asked for
SERVER = ("192.0.2.53", "2001:db8::53")
HOSTS = ("www", "api", "mail", "cdn", "static", "login", "ns1", "imap", "img", "status", "shop", "")
ZONES = ("example.com", "example.net", "example.org", "corp.example", "iot.example", "test.example")
PROTOCOLS = (("UDP", 86), ("DOT", 6), ("TCP", 4), ("DOH", 3), ("DOQ", 1))
TYPES = ((1, 55), (28, 26), (65, 11), (12, 3), (15, 2), (16, 2), (33, 1))
RCODES = ((0, 88), (3, 8), (2, 2), (5, 2))
NXDOMAIN = 3
LOST = 0.006  # the share of queries without an answer

Message = Tuple[int, bytes]
"""A time in nanoseconds, and a payload."""


class Exchange(NamedTuple):
    """A query and what becomes of it; times in nanoseconds."""

    asked: int
    latency: int
    message_id: int
    name: str
    kind: int
    rcode: int
    protocol: str
    client: int
    port: int


def wire_name(name: str) -> bytes:
    """Return a name in wire format."""
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def dns(exchange: Exchange, is_query: bool) -> bytes:
    """Return the DNS message, with the question only."""
    flags = 0x0100 if is_query else 0x8180 | exchange.rcode
    header = struct.pack(">6H", exchange.message_id, flags, 1, 0, 0, 0)
    return header + wire_name(exchange.name) + struct.pack(">HH", exchange.kind, 1)


def payload(exchange: Exchange, is_query: bool) -> bytes:
    """Return the Dnstap payload of one side."""
    version_6 = exchange.client % 4 == 3
    dnstap = Dnstap(type=Dnstap.MESSAGE, identity=b"resolver.example")
    message = dnstap.message
    message.type = message.CLIENT_QUERY if is_query else message.CLIENT_RESPONSE
    message.socket_family = 2 if version_6 else 1
    message.socket_protocol = {"UDP": 1, "TCP": 2, "DOT": 3, "DOH": 4, "DOQ": 7}[exchange.protocol]
    text = f"2001:db8::{exchange.client:x}" if version_6 else f"192.0.2.{exchange.client % 250 + 1}"
    family = socket.AF_INET6 if version_6 else socket.AF_INET
    message.query_address = socket.inet_pton(family, text)
    message.response_address = socket.inet_pton(family, SERVER[version_6])
    message.query_port, message.response_port = exchange.port, 53
    if is_query:
        message.query_time_sec, message.query_time_nsec = divmod(exchange.asked, 10**9)
        message.query_message = dns(exchange, True)
    else:
        answered = exchange.asked + exchange.latency
        message.response_time_sec, message.response_time_nsec = divmod(answered, 10**9)
        message.response_message = dns(exchange, False)
    return bytes(dnstap.SerializeToString())


def exchanges(number: int) -> Iterator[Exchange]:
    """Yield that many exchanges in the order of their queries."""
    source = random.Random(53)
    names = [f"{host}.{zone}".lstrip(".") for zone in ZONES for host in HOSTS]
    weights = [1 / (1 + place) for place in range(len(names))]
    source.shuffle(names)
    clients = list(range(1, 200))
    client_weights = [1 / (4 + place) for place in clients]
    second = 0.0
    rate = number / SECONDS
    while number:
        flooded = FLOOD[0] <= second < FLOOD[1]
        load = 0.8 + 0.3 * math.sin(second / 60) + (2.2 if flooded else 0)
        second += source.expovariate(rate * load)
        number -= 1
        from_flood = flooded and source.random() < 0.7
        if from_flood:
            name = f"{source.getrandbits(48):012x}.example.net"
        else:
            name = source.choices(names, weights)[0]
        near = source.random() < 0.7
        yield Exchange(
            BEGIN * 10**9 + int(second * 10**9),
            int(source.lognormvariate(12.1, 0.5) if near else source.lognormvariate(17.0, 0.8)),
            source.getrandbits(16),
            name,
            1 if from_flood else pick(source, TYPES),
            NXDOMAIN if from_flood else pick(source, RCODES),
            "UDP" if from_flood else pick(source, PROTOCOLS),
            source.choices(clients, client_weights)[0],
            source.randrange(1024, 65536),
        )


def pick(source: random.Random, weighted: Tuple[Tuple[object, int], ...]) -> object:
    """Return one of several values by its weight."""
    return source.choices([each for each, _ in weighted], [weight for _, weight in weighted])[0]


def messages(number: int) -> Iterator[bytes]:
    """Yield the payloads of that many exchanges, in the order of their times."""
    source = random.Random(5353)
    under_way: List[Message] = []
    for exchange in exchanges(number):
        due = [each for each in under_way if each[0] <= exchange.asked]
        if due:
            under_way = [each for each in under_way if each[0] > exchange.asked]
            yield from (each for _, each in sorted(due))
        yield payload(exchange, True)
        if source.random() >= LOST:
            under_way.append((exchange.asked + exchange.latency, payload(exchange, False)))
    yield from (each for _, each in sorted(under_way))


def write_traffic(file: BinaryIO, number: int) -> None:
    """Write a capture of that many exchanges."""
    file.write(control(START, CONTENT_TYPE))
    for each in messages(number):
        file.write(data(each))
    file.write(control(STOP))


if __name__ == "__main__":
    with Path(sys.argv[1]).open("wb") as output:
        write_traffic(output, int(sys.argv[2]) if len(sys.argv) > 2 else 24_000)
