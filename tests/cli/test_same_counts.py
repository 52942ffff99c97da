"""The same capture counted by ``check``, ``top``, Parquet, DuckDB and ClickHouse gives the same."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterable, Tuple

import pytest

from dnstap_logging.codec import proto
from tests.cli.running import call
from tests.cli.top.traffic import messages, write_traffic
from tests.helpers.programs import run_python

pq = pytest.importorskip("pyarrow.parquet")

NEWEST = sys.version_info >= (3, 13)
SCHEMA = Path(proto.__file__).with_name("dnstap.proto")
FEW = 3_000
MANY = 100_400
"""Exchanges; of some the response is missing. There are 200,000 messages and more."""
RCODES = {0: "NOERROR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}

Counts = Tuple[Dict[str, int], Dict[str, int], Dict[str, int]]
"""Messages by type, name and response code."""


def made(number: int) -> Counts:
    """Count what was written, by protobuf and by hand."""
    types, names, rcodes = Counter(), Counter(), Counter()  # type: ignore[var-annotated]
    for payload in messages(number):
        message = proto.Dnstap.FromString(payload).message
        kind = message.Type.Name(message.type)
        types[kind] += 1
        wire = message.query_message or message.response_message
        labels, place = [], 12
        while wire[place]:
            labels.append(wire[place + 1 : place + 1 + wire[place]].decode() + ".")
            place += 1 + wire[place]
        names["".join(labels) or "."] += 1
        if kind == "CLIENT_RESPONSE":
            rcodes[RCODES[wire[3] & 15]] += 1
    return types, names, rcodes


def counted(rows: Iterable[Any]) -> Dict[str, int]:
    """Return values and counts, without NULL."""
    return {value: count for value, count in rows if value is not None}


def by_duckdb(path: Path) -> Counts:
    """Count by SQL."""
    import duckdb

    with duckdb.connect() as database:
        types, names, rcodes = (
            counted(
                database.execute(f"SELECT {column}, count(*) FROM '{path}' GROUP BY 1").fetchall()
            )
            for column in ("type", "qname", "rcode")
        )
    return types, names, rcodes


ENUM = "Enum8(''CLIENT_QUERY'' = 5, ''CLIENT_RESPONSE'' = 6)"
CLICKHOUSE = """
import sys
from chdb.session import Session

path, schema, enum = sys.argv[1:]
with Session() as session:
    print(session.query(
        f"SELECT `message.type`, count() FROM file('{path}', 'Protobuf', '`message.type` {enum}') "
        f"GROUP BY ALL SETTINGS format_schema = '{schema}:Dnstap'", "TSV"
    ))
"""


def by_clickhouse(path: Path) -> Dict[str, int]:
    """Count the types of delimited protobuf by ClickHouse, with our schema."""
    done = run_python(CLICKHOUSE, path, SCHEMA, ENUM)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines() if line]
    return {name: int(count) for name, count in lines}


@pytest.mark.parametrize(
    "number", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_the_same_counts(number: int, tmp_path: Path) -> None:
    """By type, name and response code, each of them counts what was written."""
    capture, parquet = tmp_path / "in.fstrm", tmp_path / "out.parquet"
    with capture.open("wb") as file:
        write_traffic(file, number)
    types, names, rcodes = expected = made(number)
    assert number < MANY or sum(types.values()) >= 200_000
    for option, out in (("--parquet", parquet), ("--protobuf", tmp_path / "out.pb")):
        assert call("read", option, out, capture) == (0, "", "")

    assert json.loads(call("check", "--json", capture).out)["types"] == types
    top = json.loads(call("top", "--json", "--rows", "20", capture).out)
    assert (top["types"], top["rcodes"]) == (types, rcodes)
    busiest = {each["name"]: each["messages"] for each in top["names"]}
    assert busiest.items() <= names.items()
    assert min(busiest.values()) >= sorted(names.values())[-20]

    table = pq.read_table(parquet, columns=["type", "qname", "rcode"])
    by_parquet = [counted(Counter(column.to_pylist()).items()) for column in table.columns]
    assert tuple(by_parquet) == expected
    if NEWEST:
        assert by_duckdb(parquet) == expected
        assert by_clickhouse(tmp_path / "out.pb") == types
