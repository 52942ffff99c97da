"""The summary of what comes most often: exact while it can be, then within its bound."""

from __future__ import annotations

import random
from collections import Counter
from typing import List

from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.cli.top.busiest import Busiest, Counted


def counted(keys: List[int], capacity: int) -> Busiest[int]:
    """Return the summary of a stream."""
    summary: Busiest[int] = Busiest(capacity)
    for key in keys:
        summary.add(key)
    return summary


def test_counts_are_exact_until_keys_are_let_go() -> None:
    """Up to twice the capacity of keys, every count is the true one, the highest first."""
    summary = counted([1, 2, 2, 3, 3, 3, 4], capacity=2)

    assert summary.top(9) == [
        Counted(3, 3, 0),
        Counted(2, 2, 0),
        Counted(1, 1, 0),
        Counted(4, 1, 0),
    ]
    assert summary.missed == 0


def test_the_fifth_key_of_four_lets_the_rarer_half_go() -> None:
    """One key too many, and as many as the capacity are left; those may have come once."""
    summary = counted([1, 1, 2, 2, 2, 3, 4, 5, 3], capacity=2)

    assert summary.top(9) == [Counted(2, 3, 0), Counted(1, 2, 0), Counted(3, 1, 1)]
    assert summary.missed == 1


def test_a_flood_of_new_names_costs_no_memory_and_hides_nothing() -> None:
    """200,000 keys that come once each: never more than twice the capacity is held, and a key that
    makes up one part in fifty is on top, its count exact within the bound.
    """
    summary: Busiest[int] = Busiest(100)
    most_held = 0
    for number in range(200_000):
        summary.add(number)
        if number % 50 == 0:
            summary.add(-1)
        most_held = max(most_held, len(summary))

    first = summary.top(1)[0]

    assert most_held <= 201
    assert first.key == -1
    assert first.times == 4000, "it was there from the first let-go on"
    assert summary.missed <= 204_000 / 101


@given(st.lists(st.integers(0, 12)), st.integers(1, 5))
def test_no_stream_breaks_the_bounds(keys: List[int], capacity: int) -> None:
    """For any stream: count <= truth <= count + missed, missed <= N / (capacity + 1), and every
    key that came more often than that is held.
    """
    summary, truth = counted(keys, capacity), Counter(keys)
    held = {key: (count, missed) for key, count, missed in summary.top(100)}

    assert len(summary) <= 2 * capacity
    assert summary.missed * (capacity + 1) <= len(keys)
    for key, times in truth.items():
        count, missed = held.get(key, (0, summary.missed))
        assert count <= times <= count + missed, key
        assert missed <= summary.missed
        assert key in held or times * (capacity + 1) <= len(keys)


def test_a_skewed_stream_is_ranked_as_it_is() -> None:
    """Of names as they are asked for in life, a few often and most hardly ever, the first ten come
    out in the true order.
    """
    random_source = random.Random(7)
    keys = [int(random_source.paretovariate(0.6)) for _ in range(50_000)]

    found = [row.key for row in counted(keys, capacity=500).top(10)]

    ranked = sorted(Counter(keys).items(), key=lambda item: (-item[1], item[0]))
    assert found == [key for key, _ in ranked[:10]]
