"""The table of columns, docs/reference/columns.md, Parquet and DuckDB say the same."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging import DnstapMessage
from dnstap_logging.codec.decoding import decode
from dnstap_logging.columns.batch import Batch
from dnstap_logging.columns.table import COLUMNS, Kind
from dnstap_logging.exceptions import DecodeError
from tests.cli.exported import FULL
from tests.cli.running import call
from tests.cli.samples import payloads, query, write
from tests.helpers.pages import DOCS

PAGE = (DOCS / "reference" / "columns.md").read_text(encoding="utf-8")
ORDER = [
    "time", "identity", "version", "type", "client", "client_port", "server", "server_port",
    "family", "protocol", "http", "id", "opcode", "qname",
    "qclass", "qtype", "rcode", "flags", "answers",
    "size", "edns", "latency_ns", "policy", "extra", "sequence",
]  # fmt: skip


PAYLOADS = payloads([FULL, query(), DnstapMessage("STUB_QUERY", extra="x")])


class Collected:
    """A file that keeps what is written to it."""

    def __init__(self, written: List[bytes]) -> None:
        self._written = written

    def write(self, data: bytes) -> None:
        """Keep it."""
        self._written.append(bytes(data))


def documented() -> List[List[str]]:
    """Return the rows of the page's table, without what only marks them as code."""
    lines = re.findall(r"(?m)^\| (`\w+` \| .*) \|$", PAGE)
    return [[cell.strip().strip("`") for cell in line.split(" | ")] for line in lines]


def test_names_and_order() -> None:
    """The columns are those that were promised, in their order, in the table and on the page."""
    assert [column.name for column in COLUMNS] == ORDER
    assert [row[0] for row in documented()] == ORDER
    assert all(len(row) == 5 and all(row) for row in documented())


def test_only_structures_have_parts() -> None:
    """Parts and their types are there exactly where a column has parts."""
    for column in COLUMNS:
        assert bool(column.parts) == (column.kind is Kind.PARTS)


def test_parquet(tmp_path: Path) -> None:
    """The types of the file are those on the page."""
    pq = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    assert call("read", "--parquet", out, write(tmp_path / "in", [])).status == 0

    # The name of what is in a list was another one before pyarrow 17.
    types = [str(field.type).replace("<item:", "<element:") for field in pq.read_schema(out)]
    assert types == [row[1] for row in documented()]


@pytest.mark.skipif(sys.version_info < (3, 13), reason="DuckDB is tested since Python 3.13")
def test_duckdb(tmp_path: Path) -> None:
    """The types that DuckDB describes are those on the page."""
    import duckdb

    out = tmp_path / "out.parquet"
    assert call("read", "--parquet", out, write(tmp_path / "in", [])).status == 0
    described = duckdb.connect().execute(f"DESCRIBE FROM '{out}'").fetchall()
    old = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ_NS"}  # before DuckDB 2

    found = [(row[0], old.get(row[1], row[1]).replace('"', "")) for row in described]
    assert found == [(row[0], row[2].replace('"', "")) for row in documented()]


def test_null_only_where_it_is_documented() -> None:
    """Of a message with nothing but a type, all columns are NULL but those that never are."""
    batch = Batch([DnstapMessage("TOOL_QUERY")])
    filled = [column.name for column in COLUMNS if column.values(batch)[0] is not None]

    assert filled == [row[0] for row in documented() if row[4] == "never"] == ["type"]


@given(st.data())
def test_every_message_that_can_be_read_is_a_row(choose: st.DataObject) -> None:
    """Whatever a payload says that is decoded, each column's type can hold its value."""
    pytest.importorskip("pyarrow")
    from dnstap_logging.cli.parquet import SCHEMA, ParquetRows

    octets = bytearray(PAYLOADS[choose.draw(st.integers(0, len(PAYLOADS) - 1))])
    for _ in range(choose.draw(st.integers(0, 4))):
        octets[choose.draw(st.integers(0, len(octets) - 1))] = choose.draw(st.integers(0, 255))
    try:
        message = decode(bytes(octets))
    except DecodeError:
        return
    written: List[bytes] = []
    rows = ParquetRows(Collected(written))  # type: ignore[arg-type]
    rows.add(bytes(octets), message)
    rows.end()

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(pa.BufferReader(b"".join(written)), use_threads=False)
    assert (table.num_rows, table.column_names) == (1, SCHEMA.names)
    table.validate(full=True)
    assert table["type"].to_pylist() == [message.message_type.name]
