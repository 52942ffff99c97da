"""What ``read --parquet`` and ``read --protobuf`` are to write, and what they have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

from dnstap_logging import DnstapMessage, Policy
from tests.cli.samples import NOON, dns_wire

RUN = "0123456789abcdef"
FORMATS = ("--parquet", "--protobuf")

FULL = DnstapMessage(
    "CLIENT_RESPONSE",
    query_time=NOON,
    response_time=NOON + 1_500_000,
    query_address="2001:db8::1",
    query_port=5353,
    response_address="2001:db8::53",
    response_port=443,
    socket_protocol="DOH",
    http_protocol="HTTP2",
    response_message=dns_wire(flags=0x8183),
    policy=Policy(type="RPZ", rule="example.org.rpz.", action="NXDOMAIN", match="QNAME"),
    extra=f"note seq={RUN}/7/2",
    identity="ns1 \N{SNOWMAN}",
    version="1.0",
)
FULL_ROW = {
    "identity": "ns1 \N{SNOWMAN}",
    "version": "1.0",
    "type": "CLIENT_RESPONSE",
    "client": "2001:db8::1",
    "client_port": 5353,
    "server": "2001:db8::53",
    "server_port": 443,
    "family": "INET6",
    "protocol": "DOH",
    "http": "HTTP2",
    "id": 1,
    "opcode": "QUERY",
    "qname": "www.example.org.",
    "qclass": "IN",
    "qtype": "A",
    "rcode": "NXDOMAIN",
    "flags": "qr rd ra",
    "answers": 0,
    "size": 33,
    "edns": None,
    "latency_ns": 1_500_000,
    "policy": {
        "type": "RPZ", "rule": "example.org.rpz.", "action": "NXDOMAIN", "match": "QNAME",
        "value": None,
    },
    "extra": f"note seq={RUN}/7/2",
    "sequence": {"run": RUN, "number": 7, "dropped": 2},
}  # fmt: skip


def rows(path: Path) -> List[Dict[str, Any]]:
    """Return the rows of a Parquet file; times as nanoseconds."""
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    table = table.set_column(0, "time", table["time"].cast("int64"))
    found: List[Dict[str, Any]] = table.to_pylist()
    return found


def delimited(octets: bytes) -> List[bytes]:
    """Take messages with lengths apart, by protobuf's rule alone."""
    found, place = [], 0
    while place < len(octets):
        length = shift = 0
        while True:
            octet = octets[place]
            place += 1
            length |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                break
        found.append(octets[place : place + length])
        place += length
    assert place == len(octets)
    return found
