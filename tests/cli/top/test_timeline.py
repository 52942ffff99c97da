"""Messages over time: every message in its bin, and never more than 300 bins."""

from __future__ import annotations

from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.cli.top.timeline import MAX_BINS, SECOND, Bin, Rates, Timeline

MESSAGES = st.lists(
    st.tuples(st.integers(0, 2**40) | st.integers(0, 2**64), st.booleans()), min_size=1
)


@given(MESSAGES)
def test_every_message_is_in_its_bin(messages: List[Tuple[int, bool]]) -> None:
    """For any times in any order, each bin's counts are those of a search through the list."""
    timeline = Timeline()
    for time, is_query in messages:
        timeline.add(time, is_query)
    bins, width = timeline.bins(), timeline.width

    assert len(bins) <= MAX_BINS
    assert bins == [
        Bin(
            start,
            sum(is_query for time, is_query in messages if start <= time < start + width),
            sum(not is_query for time, is_query in messages if start <= time < start + width),
        )
        for start in range(bins[0].start, bins[-1].start + width, width)
    ]
    assert sum(each.queries + each.responses for each in bins) == len(messages)


@pytest.mark.parametrize(
    ("seconds", "width"),
    [(0, 0.01), (2, 0.01), (20, 0.1), (100, 0.5), (250, 1), (400, 5), (86399, 300), (10**6, 3600)],
)
def test_bins_have_widths_that_people_read(seconds: int, width: float) -> None:
    """The bins of a longer time are wider: whole seconds, minutes, hours."""
    timeline = Timeline()
    timeline.add(0, True)
    timeline.add(seconds * SECOND, True)

    assert timeline.width == width * SECOND


def test_of_nothing_there_are_no_bins() -> None:
    """Before the first message the list is empty."""
    assert Timeline().bins() == []


def test_the_rate_is_that_of_the_last_seconds() -> None:
    """Looked at every half second: one sample a second counts, and the rate of now is the mean of
    the last three.
    """
    rates = Rates(seconds=4)
    assert rates.now() == 0.0
    for half in range(13):
        rates.look(half / 2, 10 * (half // 2) ** 2)

    assert rates.history() == [50.0, 70.0, 90.0, 110.0]
    assert rates.now() == 90.0
