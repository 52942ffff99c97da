"""The summary in words and in JSON, and how numbers are written."""

from __future__ import annotations

import json
from typing import Optional

import pytest

from dnstap_logging.cli.top.statistics import Ranking, Row, Traffic
from dnstap_logging.cli.top.summary import as_json, as_text, foremost
from dnstap_logging.cli.top.units import duration, per_second, share, stamp
from tests.cli.top.samples import side, wire

LONG = b"\x3f" + b"x" * 63


@pytest.mark.parametrize(
    ("nanoseconds", "expected"),
    [
        (None, "-"),
        (0, "0 ns"),
        (999, "999 ns"),
        (1000, "1 µs"),
        (1230, "1.23 µs"),
        (241_000, "241 µs"),
        (53_200_000, "53.2 ms"),
        (1_230_000_000, "1.23 s"),
        (3_600_000_000_000, "3,600 s"),
    ],
)
def test_durations_have_three_digits(nanoseconds: Optional[int], expected: str) -> None:
    """A latency is written in its best unit."""
    assert duration(nanoseconds) == expected


def test_rates_shares_and_times() -> None:
    """Small rates have a tenth; of nothing there is no share; times are UTC."""
    assert [per_second(3.14159), per_second(12345.6), per_second(None)] == [
        "3.1/s",
        "12,346/s",
        "-",
    ]
    assert [share(1, 8), share(0, 0)] == ["12.5 %", "-"]
    assert stamp(1_767_261_600_000_001_999) == "2026-01-01T10:00:00.000001999Z"
    assert stamp(None) == "-"


def test_the_summary_of_an_exchange_by_hand() -> None:
    """Every line of it."""
    traffic = Traffic()
    traffic.add(side("CLIENT_QUERY", 0))
    traffic.add(side("CLIENT_RESPONSE", 25, response_message=wire(b"\3www\7example\0", rcode=3)))

    assert as_text(traffic.summary(10), "a file").splitlines() == [
        "source               a file",
        "messages             2, 80.0/s on average",
        "first                2026-01-01T10:00:00Z",
        "last                 2026-01-01T10:00:00.025Z",
        "latency              p50 25 ms, p95 25 ms, p99 25 ms, max 25 ms (1 measured)",
        "queries              1 answered, 0 unanswered, 0 waiting, 0 repeated, 0 forgotten",
        "responses            0 without a query",
        "",
        "types",
        "  CLIENT_QUERY                  1   50.0 %",
        "  CLIENT_RESPONSE               1   50.0 %",
        "",
        "response codes",
        "  NXDOMAIN                      1  100.0 %",
        "",
        "protocols",
        "  UDP                           2  100.0 %",
        "",
        "query types",
        "  A                             2  100.0 %",
        "",
        "busiest names",
        "  www.example.                  2  100.0 %",
        "",
        "busiest clients",
        "  192.0.2.1                     2  100.0 %",
    ]


def test_a_long_name_is_cut_and_the_columns_stay() -> None:
    """255 octets do not push the counts off the screen."""
    traffic = Traffic()
    traffic.add(side("CLIENT_QUERY", 0, query_message=wire(LONG * 3 + b"\0")))
    traffic.add(side("CLIENT_QUERY", 1, query_message=wire(b"\1a\0")))
    lines = as_text(traffic.summary(10), "a file").splitlines()

    named = lines[lines.index("busiest names") + 1 :][:2]
    assert [len(line) for line in named] == [84, 84]
    assert named[1].startswith("  " + "x" * 59 + "… ")


def test_counts_that_may_be_too_low_say_so() -> None:
    """A plus sign, and by how much at most."""
    summary = (
        Traffic()
        .summary(1)
        ._replace(messages=10, names=Ranking([Row("a.", 5, 0), Row("b.", 3, 2)], 2))
    )
    lines = as_text(summary, "a file").splitlines()

    assert lines[lines.index("busiest names") + 1 :][:3] == [
        "  a.                            5   50.0 %",
        "  b.                           3+   30.0 %",
        "  (+: or more, by 2 at most)",
    ]


def test_many_kinds_are_added_up() -> None:
    """A flood of query types makes one more line, not 65,536, and the sum stays the same."""
    rows = [(f"TYPE{number}", 9) for number in range(100)]

    assert foremost(rows, 3) == [("TYPE0", 9), ("TYPE1", 9), ("98 others", 882)]
    assert foremost(rows[:3], 3) == rows[:3]


def test_json_has_the_same_numbers() -> None:
    """One line, its keys those of the manual."""
    traffic = Traffic()
    traffic.add(side("CLIENT_QUERY", 0))
    traffic.add(side("CLIENT_RESPONSE", 25))
    text = as_json(traffic.summary(10), "a file")
    found = json.loads(text)

    assert text.count("\n") == 1
    assert found["messages"] == 2
    assert found["types"] == {"CLIENT_QUERY": 1, "CLIENT_RESPONSE": 1}
    assert found["names"] == [{"name": "www.example.", "messages": 2, "missed": 0}]
    assert found["clients"] == [{"address": "192.0.2.1", "messages": 2, "missed": 0}]
    assert found["latency_ns"]["p50"] == found["latency_ns"]["max"] == 25_000_000
    assert found["latency_ns"]["histogram"] == [
        {"low": 20_000_000, "high": 50_000_000, "latencies": 1}
    ]
    assert found["pairs"]["answered"] == 1
    assert [each["queries"] for each in found["timeline"]["bins"]] == [1, 0, 0]
    assert found["last_time_ns"] - found["first_time_ns"] == 25_000_000
