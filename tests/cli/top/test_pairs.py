"""Queries and their responses: each query is in one book, and the table stays within its bounds."""

from __future__ import annotations

from typing import List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.cli.top.pairs import PairCounts, Pairs


def test_a_response_finds_the_time_of_its_query() -> None:
    """The query's time comes back once; a second response of the kind was not asked for."""
    pairs = Pairs(10, 100)
    pairs.query("a", 5)
    pairs.query("b", 6)

    assert [pairs.response("a", 7), pairs.response("a", 8), pairs.response("c", 9)] == [
        5,
        None,
        None,
    ]
    assert pairs.counts() == PairCounts(1, 0, 1, 0, 0, 2)


def test_a_query_is_given_up_after_its_time() -> None:
    """Exactly at the end of the patience a response is in time; a moment later it is not."""
    pairs = Pairs(10, 100)
    pairs.query("a", 0)
    pairs.query("b", 0)

    assert pairs.response("a", 100) == 0
    assert pairs.response("b", 101) is None
    assert pairs.counts() == PairCounts(1, 1, 0, 0, 0, 1)


def test_a_full_table_forgets_its_oldest_query() -> None:
    """With room for two, the third takes the place of the first, which is said."""
    pairs = Pairs(2, 100)
    for number, key in enumerate("abc"):
        pairs.query(key, number)

    assert [pairs.response(key, 3) for key in "abc"] == [None, 1, 2]
    assert pairs.counts() == PairCounts(2, 0, 0, 0, 1, 1)


def test_a_repeated_query_waits_once() -> None:
    """A client's second try with the same id is a repetition; the latency is from the first on."""
    pairs = Pairs(10, 100)
    pairs.query("a", 1)
    pairs.query("a", 50)

    assert pairs.response("a", 60) == 1
    assert pairs.counts() == PairCounts(1, 0, 0, 1, 0, 0)


def test_one_clock_that_is_ahead_is_no_end() -> None:
    """A message from the future gives up what waits then, and nothing that comes later."""
    pairs = Pairs(10, 100)
    pairs.query("a", 1)
    pairs.query("from the future", 10**9)
    pairs.query("b", 2)

    assert pairs.response("b", 3) == 2
    assert pairs.counts().unanswered == 1


STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.integers(0, 9)))


@given(STEPS, st.integers(1, 3))
def test_every_query_is_in_one_book(steps: List[Tuple[bool, int, int]], capacity: int) -> None:
    """Whatever comes, in whatever order: the books add up to the queries and to the responses."""
    pairs, now = Pairs(capacity, 10), 0
    for is_query, key, later in steps:
        now += later
        if is_query:
            pairs.query(key, now)
        else:
            pairs.response(key, now)

    counts = pairs.counts()
    assert sum(counts[:5]) == sum(is_query for is_query, _, _ in steps)
    assert counts.answered + counts.unasked == sum(not is_query for is_query, _, _ in steps)
    assert counts.waiting <= capacity
