"""The screen as lines: of every size, and nothing raw of what came from the network."""

from __future__ import annotations

import io
from typing import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.cli.top.layout import Picture, columns_of, draw
from dnstap_logging.cli.top.statistics import Summary, Traffic
from dnstap_logging.reader.reader import DnstapReader
from tests.cli.top.traffic import write_traffic


@pytest.fixture(scope="module")
def summary() -> Summary:
    """Return the summary of 500 exchanges."""
    capture = io.BytesIO()
    write_traffic(capture, 500)
    capture.seek(0)
    traffic = Traffic()
    for message in DnstapReader(capture):
        traffic.add(message)
    return traffic.summary(100)


def lines(summary: Summary, width: int, height: int, history: Sequence[float] = ()) -> list[str]:
    """Return the text of the lines of a screen."""
    picture = Picture(summary, "file.dnstap", "reading", 12.5, history, False, "q quits")
    return ["".join(text for text, _ in line) for line in draw(picture, width, height)]


@pytest.mark.parametrize("filled", [True, False])
@given(width=st.integers(0, 220), height=st.integers(0, 80))
def test_a_screen_has_exactly_its_lines_and_columns(
    summary: Summary, filled: bool, width: int, height: int
) -> None:
    """At any size (COLUMNS=0 too), with traffic and before the first message: no line is too long,
    and none is missing.
    """
    shown = lines(summary if filled else Traffic().summary(10), width, height)

    assert [len(line) for line in shown] == [width] * height


def test_on_80_columns_everything_has_its_place(summary: Summary) -> None:
    """80 x 24: the facts, all four tables with shares, and names and clients down to the end."""
    shown = lines(summary, 80, 24)

    assert shown[0].startswith(" dnstap-logging top  file.dnstap")
    assert shown[0].endswith("reading  q quits ")
    assert "now 12.5/s" in shown[1]
    titles = next(line for line in shown if line.startswith("TYPES"))
    assert titles.split() == ["TYPES", "RCODES", "PROTOCOLS", "QUERY", "TYPES"]
    heading = next(number for number, line in enumerate(shown) if line.startswith("NAMES"))
    first = summary.names.rows[0]
    assert shown[heading + 1].split()[:2] == [first.text, f"{first.messages:,}"]
    assert shown[heading + 1].split()[2:] == [
        summary.clients.rows[0].text,
        f"{summary.clients.rows[0].messages:,}",
    ]
    assert all(line.strip() for line in shown[heading:]), "no line is wasted"


def test_a_large_screen_shows_counts_and_charts(summary: Summary) -> None:
    """160 x 50: messages over time next to the latencies, and counts after the shares."""
    shown = lines(summary, 160, 50)
    types = [line for line in shown if line.startswith("CLIENT_QUERY")]

    assert any(line.startswith("MESSAGES ") and "LATENCY" in line for line in shown)
    assert types[0].split()[:2] == ["CLIENT_QUERY", "500"]
    assert "█" in types[0]


def test_a_live_source_shows_the_rates_of_the_last_seconds(summary: Summary) -> None:
    """With a history, the chart is that of the messages a second until now."""
    shown = lines(summary, 160, 50, history=[0.0, 5.0, 10.0])

    assert any(line.startswith("MESSAGES A SECOND") for line in shown)
    assert any("now" in line for line in shown[2:])


def test_columns_are_as_high_as_their_values() -> None:
    """Blocks in eighths: stretched to the width, merged where there are more values, and what is
    there at all is seen.
    """
    assert columns_of([0, 4, 8], 3, 1) == [" ▄█"]
    assert columns_of([4, 8], 4, 1) == ["▄▄██"]
    assert columns_of([8, 8, 2, 6], 2, 1) == ["█▄"]
    assert columns_of([0, 4, 8], 3, 2) == ["  █", " ██"]
    assert columns_of([0.001, 1000], 2, 1) == ["▁█"]
    assert columns_of([], 3, 2) == ["   ", "   "]
