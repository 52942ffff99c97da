"""The queries that the benchmarks log: a pool of different ones, made before anything is timed.

A server sees another id, name, client and port each time, and its own address always: what a
handler remembers of earlier records must not be worth more here than there.
"""

from __future__ import annotations

import random
import struct
from typing import Any, Dict, List, NamedTuple, Tuple

WIRE = bytes.fromhex("a1b20100000100000000000003777777076578616d706c65036f72670000010001")
"""A query for www.example.org, A."""

SERVER = ("192.0.2.53", 53)

EXTRA: Dict[str, Any] = {
    "dns_message_type": "CLIENT_QUERY",
    "dns_query_message": WIRE,
    "dns_query_address": ("192.0.2.1", 5353),
    "dns_response_address": SERVER,
    "dns_socket_protocol": "UDP",
}
"""The five extras of a typical record."""

CONSTANTS = {key: EXTRA[key] for key in ("dns_response_address", "dns_socket_protocol")}
"""Those of them that are an adapter's constants."""

POOL_SIZE = 2000

Client = Tuple[str, int]


class Query(NamedTuple):
    """What a server knows of one query: its bytes and its client."""

    wire: bytes
    client: Client


def wire(source: random.Random, answers: int) -> bytes:
    """Return a DNS message about a random name: a query, or a response with that many addresses."""
    label = bytes(source.choices(b"abcdefghijklmnopqrstuvwxyz", k=source.randint(3, 20)))
    name = bytes([len(label)]) + label + b"\x07example\x03org\x00"
    flags = 0x8180 if answers else 0x0100
    header = struct.pack(">6H", source.getrandbits(16), flags, 1, answers, 0, 1)
    answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, source.randint(0, 86400), 4)
    rest = b"".join(answer + source.randbytes(4) for _ in range(answers))
    options = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    return header + name + struct.pack(">HH", 1, 1) + rest + options


def client(source: random.Random) -> Client:
    """Return a client's socket address, as recvfrom does; of RFC 2544's network."""
    host = f"198.18.{source.randint(0, 255)}.{source.randint(1, 254)}"
    return host, source.randint(1024, 65535)


def queries(count: int = POOL_SIZE) -> List[Query]:
    """Return different queries, the same at each call."""
    source = random.Random(0)
    return [Query(wire(source, 0), client(source)) for _ in range(count)]


def extras(pool: List[Query]) -> List[Dict[str, Any]]:
    """Return the five dns extras of each query."""
    return [
        {**EXTRA, "dns_query_message": query.wire, "dns_query_address": query.client}
        for query in pool
    ]
