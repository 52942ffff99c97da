"""What is counted of each message, against hand-made traffic and a second, simple count."""

from __future__ import annotations

import io
import struct
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapMessage, MessageType
from dnstap_logging.cli.top.latency import cut
from dnstap_logging.cli.top.pairs import PairCounts
from dnstap_logging.cli.top.statistics import PATIENCE, Row, Summary, Traffic
from dnstap_logging.reader.reader import DnstapReader
from tests.cli.top.samples import BEGIN, MS, WWW, second_count, side, wire
from tests.cli.top.traffic import messages, write_traffic


def summed(traffic: List[DnstapMessage]) -> Summary:
    """Return the summary of some messages."""
    counted = Traffic()
    for message in traffic:
        counted.add(message)
    return counted.summary(100)


def test_a_query_and_its_response() -> None:
    """Two messages of one exchange: each number of the summary, by hand."""
    summary = summed(
        [
            side("CLIENT_QUERY", 0),
            side("CLIENT_RESPONSE", 25, response_message=wire(WWW.upper(), rcode=3)),
        ]
    )

    assert summary.messages == 2
    assert (summary.first, summary.last) == (BEGIN, BEGIN + 25 * MS)
    assert summary.types == [("CLIENT_QUERY", 1), ("CLIENT_RESPONSE", 1)]
    assert summary.rcodes == [("NXDOMAIN", 1)]
    assert summary.protocols == [("UDP", 2)]
    assert summary.query_types == [("A", 2)]
    assert summary.names.rows == [Row("www.example.", 2, 0)], "without regard to case"
    assert summary.clients.rows == [Row("192.0.2.1", 2, 0)]
    assert summary.latency[:5] == (1, 25 * MS, 25 * MS, 25 * MS, 25 * MS)
    assert summary.pairs == PairCounts(1, 0, 0, 0, 0, 0)
    assert (summary.seconds, summary.mean) == (0.025, 80.0)


@pytest.mark.parametrize(
    "changed",
    [
        {"query_address": "192.0.2.2"},
        {"response_address": "192.0.2.54"},
        {"response_port": 5353},
        {"response_message": wire(WWW, message_id=8)},
        {"response_message": wire(WWW, kind=28)},
        {"response_message": wire(b"\3ftp\7example\0")},
    ],
    ids=str,
)
def test_what_differs_is_no_pair(changed: Dict[str, Any]) -> None:
    """Id, addresses, the server's port, name and type must agree; else the query waits on."""
    summary = summed([side("CLIENT_QUERY", 0), side("CLIENT_RESPONSE", 1, **changed)])

    assert summary.pairs == PairCounts(0, 0, 1, 0, 0, 1)
    assert summary.latency.measured == 0


def without_question(rcode: int, message_id: int = 7) -> bytes:
    """Return a response of a header alone, as FORMERR often is."""
    return struct.pack(">6H", message_id, 0x8000 | rcode, 0, 0, 0, 0)


@pytest.mark.parametrize("kind", [each.name for each in MessageType if each.is_query])
@pytest.mark.parametrize(
    "changed",
    [
        {"response_message": without_question(1)},
        {"query_port": 4001},
        {"query_port": 4001, "response_message": without_question(1)},
        {"query_address": None, "query_port": None},
        {"response_message": without_question(1), "query_message": wire(WWW)},
        {"response_message": without_question(1), "query_time": BEGIN},
        {"query_port": 4001, "query_time": BEGIN},
    ],
    ids=str,
)
def test_a_response_that_says_less_is_a_response(kind: str, changed: Dict[str, Any]) -> None:
    """A response without a question, or with another source port, still answers its query."""
    response = side(kind.replace("QUERY", "RESPONSE"), 25, **changed)
    summary = summed([side(kind, 0), response])

    assert summary.pairs == PairCounts(1, 0, 0, 0, 0, 0)
    assert summary.latency.maximum == 25 * MS


@pytest.mark.parametrize("own", [0, 1, 2])
def test_the_query_in_a_response_tells_whose_it_is(own: int) -> None:
    """A response without a question that carries its query is paired by that one's question."""
    queries = [wire(b"\1%c\7example\0" % letter) for letter in b"abc"]
    traffic = [
        side("CLIENT_QUERY", place, query_message=query, query_port=4000 + place)
        for place, query in enumerate(queries)
    ]
    fields = {"response_message": without_question(1), "query_message": queries[own]}
    summary = summed([*traffic, side("CLIENT_RESPONSE", 10, query_port=9, **fields)])

    assert summary.latency[:2] == (1, cut((10 - own) * MS))


def test_unspecified_addresses_are_unknown_ones() -> None:
    """Some emitters write 0.0.0.0 where they do not know an address: it contradicts nothing."""
    response = side("RESOLVER_RESPONSE", 5, query_port=0)._replace(query_address=bytes(4))
    summary = summed([side("RESOLVER_QUERY", 0), response])

    assert summary.pairs == PairCounts(1, 0, 0, 0, 0, 0)


def test_an_ipv4_client_inside_ipv6_is_that_client() -> None:
    """Emitters with a socket for both families log ::ffff:192.0.2.1: one client, and one pair."""
    mapped = b"\0" * 10 + b"\xff\xff" + b"\xc0\0\2\1"
    query = side("CLIENT_QUERY", 0)._replace(query_address=mapped)
    summary = summed([query, side("CLIENT_RESPONSE", 5)])

    assert summary.clients.rows == [Row("192.0.2.1", 2, 0)]
    assert summary.pairs.answered == 1


def test_a_pair_is_of_one_role() -> None:
    """AUTH_RESPONSE is no answer to CLIENT_QUERY, whatever else agrees."""
    summary = summed([side("CLIENT_QUERY", 0), side("AUTH_RESPONSE", 1)])

    assert summary.pairs == PairCounts(0, 0, 1, 0, 0, 1)


def test_a_response_that_has_both_times_needs_no_query() -> None:
    """Emitters that log responses only still give latencies; the responses are unasked."""
    response = side("CLIENT_RESPONSE", 30, query_time=BEGIN + 10 * MS)

    assert summed([response]).latency.maximum == 20 * MS
    assert summed([response]).pairs.unasked == 1


def test_both_times_of_a_response_win_over_its_query() -> None:
    """They are the emitter's own measurement."""
    summary = summed(
        [side("CLIENT_QUERY", 0), side("CLIENT_RESPONSE", 30, query_time=BEGIN + 10 * MS)]
    )

    assert summary.latency.maximum == 20 * MS


def test_two_equal_times_are_no_measurement() -> None:
    """Some emitters copy one time into both fields; then the query's time counts."""
    summary = summed(
        [side("CLIENT_QUERY", 0), side("CLIENT_RESPONSE", 30, query_time=BEGIN + 30 * MS)]
    )

    assert summary.latency.maximum == 30 * MS


def test_a_clock_that_went_back_gives_no_latency() -> None:
    """A response before its query is answered, but its latency would be a lie."""
    summary = summed([side("CLIENT_QUERY", 5), side("CLIENT_RESPONSE", 4)])

    assert (summary.pairs.answered, summary.latency.measured) == (1, 0)


def test_a_query_is_unanswered_after_ten_seconds() -> None:
    """The time of later messages decides, not the clock on the wall."""
    late = PATIENCE // MS + 1
    summary = summed([side("CLIENT_QUERY", 0), side("CLIENT_QUERY", late, query_port=9)])

    assert summary.pairs == PairCounts(0, 1, 1, 0, 0, 0)


def test_clients_are_those_of_a_server() -> None:
    """The address of a resolver that asks upstream is no client: only AUTH, CLIENT and UPDATE."""
    roles = {kind.name.rpartition("_")[0] for kind in MessageType}
    counted = {role for role in roles if summed([side(f"{role}_QUERY", 0)]).clients.rows}

    assert counted == {"AUTH", "CLIENT", "UPDATE"}


@pytest.mark.parametrize(
    "garbage", [b"", b"\0", bytes(12), b"\0\7\0\0\0\1" + bytes(6) + b"\x40", b"\xff" * 40]
)
def test_garbage_from_the_network_is_only_counted(garbage: bytes) -> None:
    """Whatever is in it, a message is a message; a question that cannot be read is not counted."""
    summary = summed(
        [
            side("CLIENT_QUERY", 0, query_message=garbage),
            side("CLIENT_RESPONSE", 1, response_message=garbage),
        ]
    )

    assert summary.messages == 2
    assert summary.names.rows == []
    assert sum(count for _, count in summary.rcodes) == 1


def test_names_from_the_network_are_escaped() -> None:
    """No octet of a name comes out raw: controls, escapes and non-ASCII are in decimal."""
    name = b"\6\x1b[2J\r\xff\7example\0"
    (row,) = summed([side("CLIENT_QUERY", 0, query_message=wire(name))]).names.rows

    assert row.text == "\\027[2j\\013\\255.example."


def test_without_messages_there_is_a_summary() -> None:
    """Nothing counted: empty lists and None, no division by zero."""
    summary = summed([])

    assert (summary.messages, summary.first, summary.mean) == (0, None, None)
    assert summary.latency[:5] == (0, None, None, None, None)


def test_a_message_without_a_time_is_counted() -> None:
    """It is in all counts but those of time."""
    summary = summed([side("CLIENT_QUERY"), side("CLIENT_QUERY", 3, query_port=1)])

    assert summary.messages == 2
    assert (summary.first, summary.last) == (BEGIN + 3 * MS, BEGIN + 3 * MS)


def test_a_flood_of_random_names_and_lost_queries_stays_within_bounds() -> None:
    """30,000 queries for as many names, from as many addresses, without a response: the tables of
    names, clients and waiting queries stay at their bounds.
    """
    counted = Traffic(kept=50, max_waiting=100)
    for number in range(30_000):
        counted.add(
            side(
                "CLIENT_QUERY",
                number // 1000,
                query_address=(0x0A000000 + number).to_bytes(4, "big"),
                query_message=wire(b"\5%05d\7example\0" % number),
            )
        )
    summary = counted.summary(10**6)

    assert len(summary.names.rows) <= 100
    assert len(summary.clients.rows) <= 100
    assert summary.pairs == PairCounts(0, 0, 100, 0, 29_900, 0)


def test_a_made_up_day_agrees_with_a_second_count() -> None:
    """4,000 exchanges of a busy resolver, counted a second time from the payloads with protobuf and
    dnspython: types, codes, protocols, names, clients, times, pairs and percentiles are equal.
    """
    capture = io.BytesIO()
    write_traffic(capture, 4000)
    capture.seek(0)
    summary = summed(list(DnstapReader(capture)))
    expected = second_count(list(messages(4000)))

    assert dict(summary.types) == expected["types"]
    assert dict(summary.rcodes) == expected["rcodes"]
    assert dict(summary.protocols) == expected["protocols"]
    assert dict(summary.query_types) == expected["query_types"]
    assert {row.text: row.messages for row in summary.clients.rows[:20]} == dict(
        expected["clients"].most_common(20)
    )
    assert [row.messages for row in summary.names.rows[:20]] == [
        count for _, count in expected["names"].most_common(20)
    ]
    assert (summary.first, summary.last) == (min(expected["times"]), max(expected["times"]))
    latencies = sorted(expected["latencies"])
    assert summary.latency.measured == summary.pairs.answered == len(latencies)
    assert summary.latency.p50 == cut(latencies[-(-50 * len(latencies) // 100) - 1])
    assert summary.latency.p99 == cut(latencies[-(-99 * len(latencies) // 100) - 1])
    assert summary.latency.maximum == latencies[-1]
    assert summary.pairs.unanswered + summary.pairs.waiting == 4000 - len(latencies)
