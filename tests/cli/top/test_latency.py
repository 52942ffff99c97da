"""The latency histogram: exact to three digits, exact in its counts."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.cli.top.latency import Bar, Latencies, cut

LATENCIES = st.lists(st.integers(0, 2**64), min_size=1)


def collected(values: List[int]) -> Latencies:
    """Return the histogram of some latencies."""
    latencies = Latencies()
    for value in values:
        latencies.add(value)
    return latencies


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (7, 7), (999, 999), (1000, 1000), (1009, 1000), (1234567, 1230000), (99999, 99900)],
)
def test_three_digits_are_kept(value: int, expected: int) -> None:
    """A latency is cut, not rounded, to its three first digits."""
    assert cut(value) == expected


@given(LATENCIES, st.sampled_from([1, 50, 95, 99, 100]))
def test_percentiles_are_those_of_a_sorted_list(values: List[int], percent: int) -> None:
    """A percentile is the value of the nearest rank, as sorting finds it, cut to three digits."""
    rank = -(-percent * len(values) // 100)

    assert collected(values).percentile(percent) == cut(sorted(values)[rank - 1])


def test_of_nothing_there_is_no_percentile() -> None:
    """Without latencies: None, no maximum and no bars."""
    empty = Latencies()

    assert (empty.percentile(50), empty.maximum, empty.count, empty.bars()) == (None, None, 0, [])


@given(LATENCIES)
def test_bars_count_what_lies_between_their_ends(values: List[int]) -> None:
    """Each bar's count is exact, the bars join, and together they hold everything."""
    bars = collected(values).bars()

    assert [bar.latencies for bar in bars] == [
        sum(bar.low <= value < bar.high for value in values) for bar in bars
    ]
    assert [bar.high for bar in bars[:-1]] == [bar.low for bar in bars[1:]]
    assert sum(bar.latencies for bar in bars) == len(values)
    assert bars[0].latencies
    assert bars[-1].latencies


def test_bars_are_steps_of_one_two_and_five() -> None:
    """From the first that is not empty to the last, those between included."""
    assert collected([19_999, 20_000, 450_000]).bars() == [
        Bar(10_000, 20_000, 1),
        Bar(20_000, 50_000, 1),
        Bar(50_000, 100_000, 0),
        Bar(100_000, 200_000, 0),
        Bar(200_000, 500_000, 1),
    ]


def test_a_million_latencies_need_few_buckets() -> None:
    """Memory does not grow with the traffic: 900 buckets for each power of ten at most."""
    latencies = collected([number * 1_000_003 % 10**9 for number in range(1_000_000)])

    assert latencies.count == 1_000_000
    assert len(latencies._buckets) <= 900 * 7
