"""The columns: one table of their names, types and meaning, and of how they are read.

Parquet has them in this order, with these names and types; docs/reference/columns.md describes
them, and a test compares the two.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, NamedTuple, Sequence, Tuple

from .batch import POLICY_PARTS, Batch

__all__ = ["COLUMNS", "Column", "Kind"]


class Kind(enum.Enum):
    """The type of a column's values, or of a part of them."""

    TIME = "nanoseconds since the epoch, in UTC"
    TEXT = "text"
    UINT8 = "8 bits, unsigned"
    UINT16 = "16 bits, unsigned"
    UINT32 = "32 bits, unsigned"
    UINT64 = "64 bits, unsigned"
    INT64 = "64 bits, signed"
    BOOL = "true or false"
    CODES = "a list of numbers of 16 bits, unsigned"
    PARTS = "parts with names and types of their own"


class Column(NamedTuple):
    """A column.

    Attributes:
        name: as in Parquet and SQL.
        kind: the type of its values.
        values: returns its values of some messages, None where there is none; with parts, each
            is a tuple.
        parts: names and types of the parts.
    """

    name: str
    kind: Kind
    values: Callable[[Batch], Sequence[Any]]
    parts: Tuple[Tuple[str, Kind], ...] = ()


def _content(name: str) -> Callable[[Batch], Sequence[Any]]:
    return lambda batch: batch.content(name)


COLUMNS = (
    Column("time", Kind.TIME, Batch.times),
    Column("identity", Kind.TEXT, lambda batch: batch.texts("identity")),
    Column("version", Kind.TEXT, lambda batch: batch.texts("version")),
    Column("type", Kind.TEXT, lambda batch: batch.members("message_type")),
    Column("client", Kind.TEXT, lambda batch: batch.addresses("query_address")),
    Column("client_port", Kind.UINT16, lambda batch: batch.numbers("query_port")),
    Column("server", Kind.TEXT, lambda batch: batch.addresses("response_address")),
    Column("server_port", Kind.UINT16, lambda batch: batch.numbers("response_port")),
    Column("family", Kind.TEXT, lambda batch: batch.members("socket_family")),
    Column("protocol", Kind.TEXT, lambda batch: batch.members("socket_protocol")),
    Column("http", Kind.TEXT, lambda batch: batch.members("http_protocol")),
    Column("id", Kind.UINT16, _content("message_id")),
    Column("opcode", Kind.TEXT, _content("opcode")),
    Column("qname", Kind.TEXT, _content("qname")),
    Column("qclass", Kind.TEXT, _content("qclass")),
    Column("qtype", Kind.TEXT, _content("qtype")),
    Column("rcode", Kind.TEXT, Batch.rcodes),
    Column("flags", Kind.TEXT, _content("flags")),
    Column("answers", Kind.UINT16, _content("answers")),
    Column("size", Kind.UINT32, Batch.sizes),
    Column(
        "edns",
        Kind.PARTS,
        _content("edns"),
        (
            ("version", Kind.UINT8),
            ("udp_size", Kind.UINT16),
            ("dnssec_ok", Kind.BOOL),
            ("options", Kind.CODES),
        ),
    ),
    Column("latency_ns", Kind.INT64, Batch.latencies),
    Column("policy", Kind.PARTS, Batch.policies, tuple((part, Kind.TEXT) for part in POLICY_PARTS)),
    Column("extra", Kind.TEXT, lambda batch: batch.texts("extra")),
    Column(
        "sequence",
        Kind.PARTS,
        Batch.sequences,
        (("run", Kind.TEXT), ("number", Kind.UINT64), ("dropped", Kind.UINT64)),
    ),
)
"""In the order of the file."""
