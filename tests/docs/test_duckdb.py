"""docs/howto/duckdb.md: each question, as it stands there, has the answer that was counted."""

from __future__ import annotations

import json
import math
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from dnstap_logging import DnstapMessage, DnstapReader
from tests.cli.running import call
from tests.cli.samples import NOON, write
from tests.helpers.pages import DOCS, code_blocks, example, run, run_command

PAGE = "howto/duckdb.md"
BLOCKS = [block.code for block in code_blocks(DOCS / PAGE) if block.language == "sql"]
(
    NAMES, NXDOMAIN, MINUTES, LATENCY, JOINED, ASKERS, TYPES, LARGE, AGAIN, EDNS, MISSING
) = BLOCKS  # fmt: skip
PYTHON, SHELL = example(PAGE, "python"), example(PAGE, "sh")
SECOND, MS = 10**9, 10**6

pytestmark = pytest.mark.skipif(
    sys.version_info < (3, 13), reason="DuckDB is tested since Python 3.13"
)

Row = Tuple[Any, ...]


def exchange(number: int, chance: random.Random) -> Iterator[DnstapMessage]:
    """Make a query and its response, if there is one."""
    name = chance.choice(["www.example.org.", "wWw.Example.org.", "a.example.", ".", f"x{number}."])
    kind = chance.choice(["A", "A", "AAAA", "TXT", "TYPE65280"])
    edns: Dict[str, Any] = {"use_edns": False}
    if chance.random() < 0.7:
        subnet = [dns.edns.ECSOption("192.0.2.0", 24)] if chance.random() < 0.3 else []
        edns = {"use_edns": 0, "payload": chance.choice([512, 1232, 4096]), "options": subnet,
                "want_dnssec": chance.random() < 0.5}  # fmt: skip
    asked = dns.message.make_query(name, kind, **edns)
    asked.id = chance.randrange(65536)
    common: Dict[str, Any] = {
        "query_address": f"192.0.2.{chance.randrange(1, 9)}",
        "query_port": 1024 + number,
        "response_address": "198.51.100.1",
        "socket_protocol": chance.choice(["UDP", "UDP", "TCP", "DOT"]),
        "query_time": NOON + number * SECOND // 5 + chance.randrange(100),
    }
    for again in range(1 if chance.random() < 0.9 else 3):
        time = common["query_time"] - again * 2 * SECOND
        yield DnstapMessage(
            "CLIENT_QUERY", **{**common, "query_time": time}, query_message=asked.to_wire()
        )
    if chance.random() < 0.1:
        return
    answer = dns.message.make_response(asked)
    answer.set_rcode(chance.choice([0, 0, 0, 3, 3, 2, 16 if edns["use_edns"] == 0 else 5]))
    if kind == "TXT":
        texts = [f'"{chance.randrange(10**9):0200}"' for _ in range(chance.randrange(1, 12))]
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", *texts))
    if chance.random() < 0.05:
        answer.flags |= dns.flags.TC
    took = chance.randrange(10 * MS) * (20 if chance.random() < 0.05 else 1)
    yield DnstapMessage(
        "CLIENT_RESPONSE",
        **common,
        response_time=common["query_time"] + took,
        response_message=answer.to_wire(max_size=65535),
    )


def messages() -> List[DnstapMessage]:
    """Make the traffic, the same each time, of two handlers that lose some and repeat some."""
    chance = random.Random(15)
    made: List[DnstapMessage] = []
    numbers = {"0123456789abcdef": 0, "fedcba9876543210": 0}
    for exchanged in range(800):
        for message in exchange(exchanged, chance):
            run_name = chance.choice(sorted(numbers))
            numbers[run_name] += 1 if chance.random() < 0.97 else 4
            sequence = f"seq={run_name}/{numbers[run_name]}/{numbers[run_name] // 100}"
            made += [message._replace(extra=sequence.encode())] * chance.choice([1] * 30 + [2])
    return made


class Traffic(NamedTuple):
    """The capture, read by the reader, and its DNS messages by dnspython; and a connection."""

    path: Path
    read: List[Tuple[DnstapMessage, dns.message.Message]]
    database: Any

    def ask(self, question: str) -> List[Row]:
        """Ask DuckDB."""
        found: List[Row] = self.database.execute(question).fetchall()
        return found

    @property
    def queries(self) -> List[Tuple[DnstapMessage, dns.message.Message]]:
        """Those that are queries."""
        return [each for each in self.read if each[0].message_type.is_query]

    @property
    def responses(self) -> List[Tuple[DnstapMessage, dns.message.Message]]:
        """Those that are responses."""
        return [each for each in self.read if not each[0].message_type.is_query]


def wire_of(message: DnstapMessage) -> bytes:
    """Return the DNS message of the own side."""
    is_query = message.message_type.is_query
    return (message.query_message if is_query else message.response_message) or b""


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    """Write the capture, and make the Parquet file by the page's command."""
    import duckdb

    folder = tmp_path_factory.mktemp("duckdb")
    path = write(folder / "dns.fstrm", messages())
    install, make = SHELL.splitlines()
    assert install.startswith("python -m pip install ")
    assert run_command(folder, make) == ""
    with DnstapReader(path) as reader:
        read = [(each, dns.message.from_wire(wire_of(each))) for each in reader]
    with duckdb.connect() as database:
        database.execute(f"SET file_search_path = '{folder}'; SET TimeZone = 'UTC'")
        yield Traffic(path, read, database)


def name_of(message: dns.message.Message) -> str:
    """Return the name asked for, in lower case."""
    return message.question[0].name.to_text().lower()


def type_of(message: dns.message.Message) -> str:
    """Return the type asked for."""
    return dns.rdatatype.to_text(message.question[0].rdtype)


def client_of(message: DnstapMessage) -> str:
    """Return the client's address."""
    return str(message.query_ip)


def ranked(counts: Dict[Any, int], most: int = 10) -> List[Row]:
    """Return keys and counts, the largest first."""
    found = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [(*key, count) if isinstance(key, tuple) else (key, count) for key, count in found]


def percentile(values: List[int], share: float) -> int:
    """Return the value of the nearest rank."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def test_there_are_ten_questions() -> None:
    """Each has a section with its SQL, and one has two ways."""
    assert len(BLOCKS) == 11
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    assert text.count("\n## ") == 10
    assert text.count("?\n\n") >= 10


def test_python(traffic: Traffic) -> None:
    """The program counts the types as `check` does."""
    report = json.loads(call("check", "--json", traffic.path).out)
    printed = dict(line.split() for line in run(traffic.path.parent, PYTHON).splitlines())

    assert {name: int(count) for name, count in printed.items()} == report["types"]


def test_names(traffic: Traffic) -> None:
    """The busiest names are those of `top`."""
    found = traffic.ask(NAMES)
    summary = json.loads(call("top", "--json", "--rows", "10", traffic.path).out)

    assert found == ranked(Counter(name_of(dns) for _, dns in traffic.read))
    assert sorted(found[:3]) == sorted(
        (each["name"], each["messages"]) for each in summary["names"][:3]
    )


def test_nxdomain(traffic: Traffic) -> None:
    """Counted for each client, with all its responses."""
    bad = Counter(client_of(each) for each, dns in traffic.responses if dns.rcode() == 3)
    all_of = Counter(client_of(each) for each, _ in traffic.responses)

    assert traffic.ask(NXDOMAIN) == [(key, count, all_of[key]) for key, count in ranked(bad)]


def test_minutes(traffic: Traffic) -> None:
    """Each minute has its queries and responses, by the times of their own sides."""
    minutes: Dict[int, List[int]] = defaultdict(lambda: [0, 0])
    for each, _ in traffic.read:
        is_query = each.message_type.is_query
        time = each.query_time if is_query else each.response_time
        assert time is not None
        minutes[time // (60 * SECOND)][0 if is_query else 1] += 1

    found = [(int(row[0].timestamp()) // 60, *row[1:]) for row in traffic.ask(MINUTES)]
    assert found == [(minute, *counts) for minute, counts in sorted(minutes.items())]
    assert len(found) > 2


def test_latency(traffic: Traffic) -> None:
    """The percentiles of each protocol are those of the nearest rank."""
    took: Dict[str, List[int]] = defaultdict(list)
    for each, _ in traffic.responses:
        assert each.socket_protocol
        took[each.socket_protocol.name].append((each.response_time or 0) - (each.query_time or 0))

    expected = [
        (name, len(values), *[percentile(values, share) / 1e6 for share in (0.5, 0.95, 0.99)])
        for name, values in sorted(took.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    assert traffic.ask(LATENCY) == expected


def test_latency_without_both_times(traffic: Traffic) -> None:
    """The join finds the query of each response."""
    took = [(each.response_time or 0) - (each.query_time or 0) for each, _ in traffic.responses]

    assert traffic.ask(JOINED) == [(len(took), percentile(took, 0.5) / 1e6)]


def test_askers(traffic: Traffic) -> None:
    """Who asks for a name, in any case."""
    clients = [
        client_of(each) for each, dns in traffic.queries if name_of(dns) == "www.example.org."
    ]

    assert traffic.ask(ASKERS) == ranked(Counter(clients))


def test_types(traffic: Traffic) -> None:
    """The types of queries with their shares."""
    types = Counter(type_of(dns) for _, dns in traffic.queries)
    total = sum(types.values())

    assert traffic.ask(TYPES) == [
        (name, count, round(100 * count / total, 1)) for name, count in ranked(types)
    ]


def test_large(traffic: Traffic) -> None:
    """Large and truncated answers, by name, type and protocol."""
    found: Dict[Tuple[str, str, str], List[int]] = {}
    for each, dns_message in traffic.responses:
        size, cut = len(each.response_message or b""), bool(dns_message.flags & dns.flags.TC)
        if size > 1232 or cut:
            assert each.socket_protocol
            key = name_of(dns_message), type_of(dns_message), each.socket_protocol.name
            row = found.setdefault(key, [0, 0, 0])
            row[:] = [max(row[0], size), row[1] + 1, row[2] + cut]

    expected = sorted(((*key, *row) for key, row in found.items()), key=lambda row: (-row[3], row))
    assert traffic.ask(LARGE) == expected[:10]
    assert expected[0][3] > 1232


def test_again(traffic: Traffic) -> None:
    """Queries that came more than once, and over how long."""
    times: Dict[Row, List[int]] = defaultdict(list)
    for each, dns_message in traffic.queries:
        key = client_of(each), each.query_port, dns_message.id, name_of(dns_message)
        times[(*key, type_of(dns_message))].append(each.query_time or 0)
    again = {key: len(found) for key, found in times.items() if len(found) > 1}

    expected = [(*row, (max(times[row[:5]]) - min(times[row[:5]])) / 1e9) for row in ranked(again)]
    assert traffic.ask(AGAIN) == expected
    assert len(expected) == 10


def test_edns(traffic: Traffic) -> None:
    """Sizes, the flag DO and the client subnet of the queries."""
    sizes: Dict[Any, List[int]] = defaultdict(lambda: [0, 0, 0])
    for _, asked in traffic.queries:
        row = sizes[None if asked.edns < 0 else asked.payload]
        wants = bool(asked.ednsflags & dns.flags.DO)
        subnet = any(option.otype == 8 for option in asked.options)
        row[:] = [row[0] + 1, row[1] + wants, row[2] + subnet]

    found = traffic.ask(EDNS)
    assert {row[0]: list(row[1:]) for row in found} == sizes
    assert len(found) == 4
    assert all(row[3] > 0 for row in found if row[0] is not None)


def test_missing(traffic: Traffic) -> None:
    """Each run misses what `check --sequence` says."""
    lines = call("check", "--sequence", "--json", traffic.path).out.splitlines()
    runs = [json.loads(line) for line in lines]
    keys = ("run", "missing", "twice", "dropped")
    expected = sorted((tuple(each[key] for key in keys) for each in runs), key=lambda row: -row[1])

    assert traffic.ask(MISSING) == expected
    assert len(expected) == 2
    assert all(row[1] and row[2] and row[3] for row in expected)
