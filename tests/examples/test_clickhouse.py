"""The statements of examples/clickhouse, run unchanged: what they make of messages is right."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import dns.flags
import dns.message
import dns.rrset
import pytest

from dnstap_logging.codec.decoding import decode
from dnstap_logging.codec.proto import Dnstap
from dnstap_logging.columns.batch import Batch
from dnstap_logging.columns.table import COLUMNS
from tests.cli.running import call
from tests.cli.top.traffic import messages
from tests.helpers.broker import Broker, fill_topic
from tests.helpers.clickhouse import ClickHouse
from tests.helpers.hostile_messages import HOSTILE, SHORT, hostile_message
from tests.helpers.pages import DOCS, code_in
from tests.helpers.support import capture

HEADER = b"\x12\x34\x81\x80\0\1\0\0\0\0\0\0"
QUESTION = b"\3www\7example\3org\0\0\1\0\1"
NAMES = {
    "root": b"\0",
    "binary": b'\5a\0\xffb.\2\\"\0',
    "zeros": b"\3\0\0\0\1\0\0",
    "special": b"\7@$();\x7f \0",
    "utf-8": b"\4\xc3\xa4\xc3\xa4\0",
    "127 labels": b"\1a" * 127 + b"\0",
    "128 labels": b"\1a" * 128 + b"\0",
    "255 octets": b"\x3f" + b"x" * 63 + (b"\x3f" + b"y" * 63) * 2 + b"\x3d" + b"z" * 61 + b"\0",
    "256 octets": b"\x3f" + b"x" * 63 + (b"\x3f" + b"y" * 63) * 2 + b"\x3e" + b"z" * 62 + b"\0",
    "a pointer to itself": b"\xc0\x0c",
    "a pointer behind a label": b"\1a\xc0\x0c",
    "64 octets": b"\x40" + b"x" * 64 + b"\0",
}
PLACES = (0, 1, 2, 11, 12, 13, 16, 17, 29, 30, 31, 32)


def hostile_wires() -> Iterator[bytes]:
    """Yield DNS messages that are cut, that lie, or that mean no good."""
    whole = HEADER + QUESTION
    yield from (whole[:place] for place in PLACES)
    for name in NAMES.values():
        yield HEADER + name + b"\0\1\0\1"
        yield HEADER + name + b"\0\1\0"
    yield HEADER[:4] + bytes(8) + QUESTION  # no question, the header says
    yield HEADER[:4] + b"\xff" * 8 + QUESTION
    yield HEADER + b"\0" + b"\xfe\xdc\xba\x98"  # a type and a class without a name
    yield from (hostile_message(kind, SHORT) for kind in HOSTILE)
    yield hostile_message("a question that never ends")


def hostile_payloads() -> List[bytes]:
    """Return payloads that hold them, and payloads whose own fields are odd."""
    payloads = []
    for number, wire in enumerate(hostile_wires()):
        made = Dnstap(type=Dnstap.MESSAGE)
        made.message.type = 5 + number % 2
        field = "response_message" if number % 3 else "query_message"
        setattr(made.message, field, wire)
        payloads.append(made.SerializeToString())
    odd = Dnstap(type=Dnstap.MESSAGE, identity=b"\xff", version=b"", extra=b"x seq=0/1/2")
    odd.message.type = 6
    odd.message.query_address = b"\1\2\3"
    odd.message.response_address = b"x" * 40
    odd.message.query_port = 70_000
    odd.message.query_time_sec = 2**64 - 1
    odd.message.response_time_sec = 10**10
    odd.message.response_time_nsec = 2**32 - 1
    odd.message.policy.rule = b"\xfe"
    payloads.append(odd.SerializeToString())
    # A type, a family and a protocol of a later dnstap.proto.
    payloads.append(b"\x72\x07\x08\x63\x10\x09\x18\xc8\x01\x78\x01")
    return payloads


def edns_payloads() -> List[bytes]:
    """Return responses with EDNS in several places, some with an extended response code."""
    payloads = []
    for number in range(60):
        made = dns.message.make_response(dns.message.make_query(f"n{number}.example.org.", "MX"))
        if number % 3:
            options = [dns.edns.GenericOption(10 + each, b"x" * each) for each in range(number % 5)]
            made.use_edns(0, dns.flags.DO if number % 2 else 0, 1232 + number, options=options)
            made.set_rcode([0, 3, 16, 23, 3841][number % 5])
        for each in range(number % 4):
            records = [f"{each} mx{each}.n{number}.example.org.", f"9 x{each}.example.net."]
            made.answer.append(
                dns.rrset.from_text_list(f"n{number}.example.org.", each, "IN", "MX", records)
            )
        whole = Dnstap(type=Dnstap.MESSAGE, identity=b"ns1", extra=b"seq=%016x/7/0" % number)
        whole.message.type = 6
        whole.message.query_address = bytes([192, 0, 2, number]) if number % 2 else bytes(15) + b"1"
        whole.message.query_port = 53_000 + number
        whole.message.socket_protocol = 1 + number % 7
        whole.message.query_time_sec = whole.message.response_time_sec = 1_700_000_000 + number
        whole.message.query_time_nsec, whole.message.response_time_nsec = 5, 1_000_005
        whole.message.response_message = made.to_wire()
        whole.message.policy.action = 1 + number % 6
        payloads.append(whole.SerializeToString())
    return payloads


def delimited(payloads: Sequence[bytes]) -> bytes:
    """Return payloads as ``read --protobuf`` writes them."""
    out = bytearray()
    for payload in payloads:
        length = len(payload)
        while length > 127:
            out.append(length & 127 | 128)
            length >>= 7
        out.append(length)
        out += payload
    return bytes(out)


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """A ClickHouse with the tables and views; `load` empties the table."""
    with ClickHouse(tmp_path_factory.mktemp("clickhouse")) as clickhouse:
        clickhouse.set_up()
        yield clickhouse


def load(clickhouse: ClickHouse, folder: Path, payloads: Sequence[bytes]) -> None:
    """Put payloads into the table, and nothing else."""
    path = folder / "messages.pb"
    path.write_bytes(delimited(payloads))
    clickhouse.query("TRUNCATE TABLE dnstap")
    clickhouse.query("TRUNCATE TABLE dnstap_unreadable")
    clickhouse.load(path)


def columns(payloads: Sequence[bytes]) -> Dict[str, List[Any]]:
    """Return what the reader makes of payloads, by columns."""
    batch = Batch([decode(payload) for payload in payloads])
    return {column.name: list(column.values(batch)) for column in COLUMNS}


JSON = "output_format_json_quote_64bit_integers = 0, output_format_json_named_tuples_as_objects = 0"

SELECTED = {
    "time": "toUnixTimestamp64Nano(time)",
    "client": "replaceRegexpOne(toString(client), '^::ffff:', '')",
    "server": "replaceRegexpOne(toString(server), '^::ffff:', '')",
}


def rows(clickhouse: ClickHouse, names: Sequence[str]) -> Counter[str]:
    """Return the rows of the table in some columns."""
    wanted = ", ".join(SELECTED.get(name, name) for name in names)
    return Counter(
        map(json.dumps, clickhouse.query(f"SELECT {wanted} FROM dnstap SETTINGS {JSON}"))
    )


def expected(payloads: Sequence[bytes], names: Sequence[str]) -> Counter[str]:
    """Return the rows that the reader makes; a structure that is none has parts that are none."""
    found = columns(payloads)
    parts = {column.name: len(column.parts) for column in COLUMNS}
    made: Counter[str] = Counter()
    for values in zip(*(found[name] for name in names)):
        row = list(values)
        for at, name in enumerate(names):
            if parts[name]:
                row[at] = list(row[at] or [None] * parts[name])
            if name == "edns":
                row[at][3] = list(row[at][3] or [])
        made[json.dumps(row)] += 1
    return made


def test_every_column(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """Each column has what `read --parquet` writes, of ordinary messages and of EDNS."""
    payloads = edns_payloads() + list(messages(200))
    load(clickhouse, tmp_path, payloads)
    names = [column.name for column in COLUMNS]
    assert rows(clickhouse, names) == expected(payloads, names)


def test_hostile_messages(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """What is cut or lies gives the same names and numbers as the reader, and stops nothing."""
    payloads = hostile_payloads()
    load(clickhouse, tmp_path, payloads)
    names = [column.name for column in COLUMNS if column.name not in ("edns", "rcode")]
    assert rows(clickhouse, names) == expected(payloads, names)


def test_names_as_read_prints_them(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """Each name of the hostile messages is the one that `dnstap-logging read` prints."""
    made = Dnstap(type=Dnstap.MESSAGE)
    made.message.type = 5
    payloads = []
    for wire in hostile_wires():
        made.message.query_message = wire
        payloads.append(made.SerializeToString())
    load(clickhouse, tmp_path, payloads)
    path = tmp_path / "in"
    path.write_bytes(capture(payloads))
    lines = [line.split(" ") for line in call("read", path).out.splitlines()]
    assert len(lines) == len(payloads)
    printed = Counter(line[-3][1:-1] for line in lines if line[-3].startswith('"'))
    assert len(printed) >= 8
    assert clickhouse.counts("qname") == printed


def test_what_is_no_message(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """Payloads without a type or a message are kept apart, and are counted nowhere else."""
    odd = [
        b"\x78\x01",
        b"\x72\x02\x10\x01\x78\x01",
        b"\x72\x02\x08\x05",
        b"\x72\x02\x08\x05\x78\x02",
    ]
    load(clickhouse, tmp_path, [*odd, *messages(1)])
    assert clickhouse.query("SELECT count() > 0 FROM dnstap") == [[1]]
    assert clickhouse.query("SELECT DISTINCT error FROM dnstap_unreadable") == [
        ["not a message of dnstap"]
    ]
    assert int(clickhouse.query("SELECT count() FROM dnstap_unreadable")[0][0]) == len(odd)


def test_views(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """Rates, names, clients with NXDOMAIN and latencies are what Python counts."""
    payloads = list(messages(1000)) + edns_payloads()
    load(clickhouse, tmp_path, payloads)
    found = columns(payloads)
    types, rcodes = found["type"], found["rcode"]

    minutes = Counter(
        time // 60_000_000_000
        for time, kind in zip(found["time"], types)
        if time is not None and kind.endswith("_QUERY")
    )
    rates = clickhouse.query(
        "SELECT intDiv(toUnixTimestamp(minute), 60), sum(queries) AS q FROM dnstap_rates "
        "GROUP BY ALL HAVING q > 0"
    )
    assert {int(minute): int(count) for minute, count in rates} == minutes

    names = Counter(name.lower() for name in found["qname"] if name is not None)
    assert {
        name: int(count)
        for name, count in clickhouse.query("SELECT name, messages FROM dnstap_names")
    } == names
    nxdomain = Counter(
        client
        for client, kind, rcode in zip(found["client"], types, rcodes)
        if kind == "CLIENT_RESPONSE" and rcode == "NXDOMAIN" and client is not None
    )
    assert {
        client: int(count)
        for client, count in clickhouse.query("SELECT client, nxdomain FROM dnstap_nxdomain")
    } == nxdomain
    assert nxdomain

    latencies = [each for each in found["latency_ns"] if each is not None and each >= 0]
    ((_, kind, count, *times),) = clickhouse.query(
        "SELECT * FROM dnstap_latency WHERE identity = 'ns1'"
    )
    assert (kind, int(count)) == ("CLIENT_RESPONSE", len(latencies))
    assert times == [1, 1, 1, 1]  # milliseconds, as `edns_payloads` has them


def test_the_questions_of_the_page(clickhouse: ClickHouse) -> None:
    """The SQL that the how-to shows can be run."""
    (code,) = code_in(DOCS / "howto" / "clickhouse.md", "sql")
    questions = [each for each in code.split(";\n") if each.strip()]
    assert len(questions) == 3
    for each in questions:
        clickhouse.query(each)


def numbered(run: int, number: int, dropped: int = 0) -> bytes:
    """Return a message of a handler with ``sequence=True``."""
    made = Dnstap(type=Dnstap.MESSAGE, identity=b"ns%d" % run)
    made.extra = b"site=a seq=%016x/%d/%d" % (run, number, dropped)
    made.message.type = 5
    return made.SerializeToString()


def test_the_audit(clickhouse: ClickHouse, tmp_path: Path) -> None:
    """Of each run it says how many are missing and how many came twice, as `check --sequence`."""
    payloads = [numbered(1, number) for number in range(1, 1001)]
    payloads += [numbered(2, number, 4) for number in range(1, 501) if number not in (1, 7, 8, 499)]
    payloads += [numbered(3, number) for number in (5, 5, 5, 4, 3, 2, 1, 1)]
    payloads += list(messages(10))
    load(clickhouse, tmp_path, payloads)
    found = clickhouse.query(f"SELECT * FROM dnstap_audit SETTINGS {JSON}")
    assert found == [
        [f"{1:016x}", "ns1", 1, 1000, 1000, 0, 0, 0],
        [f"{2:016x}", "ns2", 2, 500, 496, 4, 0, 4],
        [f"{3:016x}", "ns3", 1, 5, 5, 0, 3, 0],
    ]
    path = tmp_path / "in"
    path.write_bytes(capture(payloads))
    lines = call("check", "--sequence", "--json", path).out.splitlines()
    names = ("run", "identities", "first", "last", "count", "missing", "twice", "dropped")
    checked = [{**json.loads(line)} for line in lines]
    assert [
        [", ".join(each[name]) if name == "identities" else each[name] for name in names]
        for each in checked
    ] == found


@pytest.mark.parametrize(
    "number", [10_000, pytest.param(100_400, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_a_topic_is_counted_as_check_and_top_do(number: int, tmp_path: Path) -> None:
    """What is in a topic is in the table, once, by type, name and rcode; garbage stops nothing."""
    payloads = list(messages(number))
    with ClickHouse(tmp_path / "clickhouse") as clickhouse, Broker(("dnstap", 3)) as broker:
        broker.form_group("clickhouse", "dnstap")
        half = len(payloads) // 2
        fill_topic(broker.address, "dnstap", [*payloads[:half], b"garbage", b"\xff" * 9])
        clickhouse.set_up(brokers=broker.address)
        fill_topic(broker.address, "dnstap", payloads[half:])
        clickhouse.wait_for(len(payloads) + 2)

        path = tmp_path / "in"
        path.write_bytes(capture(payloads))
        checked = json.loads(call("check", "--json", path).out)
        top = json.loads(call("top", "--json", "--rows", "20", path).out)
        assert clickhouse.counts("type") == checked["types"] == top["types"]
        assert clickhouse.counts("rcode") == top["rcodes"]
        assert clickhouse.counts("qtype") == top["query_types"]
        names = clickhouse.query("SELECT name, messages FROM dnstap_names")
        assert {name: int(count) for name, count in names} == Counter(
            name.lower() for name in columns(payloads)["qname"] if name is not None
        )
        for each in top["names"]:
            assert [each["name"], each["messages"]] in names
        assert int(clickhouse.query("SELECT count() FROM dnstap_unreadable")[0][0]) == 2
