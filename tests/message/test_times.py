"""Times in other units, or of no use: refused with the factor, and now where that is known."""

from __future__ import annotations

import logging
import math
import time
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest

from dnstap_logging import DnstapAdapter, DnstapHandler, DnstapMessage, DnstapReader, Stats
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced

WIRE = b"\x12\x34" + bytes(10)
NOW = 1_790_000_000  # seconds


class Int64:
    """An integer of another library, such as numpy's."""

    def __init__(self, value: int) -> None:
        self._value = value

    def __index__(self) -> int:
        return self._value

    def __repr__(self) -> str:
        return f"Int64({self._value})"


class Float64(float):
    """A float of another library, such as numpy's."""


# What programs take for a time, and what they read about it.
REFUSED: List[Tuple[Any, str]] = [
    (NOW, "looks like seconds: multiply by 1000000000, or give a float"),
    (NOW * 10**3, "looks like milliseconds: multiply by 1000000"),
    (NOW * 10**6, "looks like microseconds: multiply by 1000, or use time.time_ns()"),
    (Int64(NOW * 10**6), "looks like microseconds: multiply by 1000,"),
    (Int64(NOW), "looks like seconds"),
    (0, "looks like seconds"),
    (10**11 - 1, "looks like seconds"),
    (10**11, "looks like milliseconds"),
    (10**14 - 1, "looks like milliseconds"),
    (10**14, "looks like microseconds"),
    (10**17 - 1, "looks like microseconds"),
    (NOW * 1e3, "looks like milliseconds: divide by 1000, since a float is seconds"),
    (NOW * 1e6, "looks like microseconds: divide by 1000000,"),
    (NOW * 1e9, "looks like nanoseconds: divide by 1000000000,"),
    (Float64(NOW * 1e3), "looks like milliseconds"),
    (1e300, "must end before the year 10000"),
    (10**30, "must end before the year 10000"),
    (-1, "before the epoch"),
    (-NOW * 10**9, "before the epoch"),
    (-1.5, "before the epoch"),
    (math.nan, "must end before the year 10000"),
    (math.inf, "must end before the year 10000"),
    (-math.inf, "before the epoch"),
    (True, "must be int nanoseconds"),
    (datetime(2026, 1, 31, 12), "has no time zone; use an aware datetime"),
    (datetime(1969, 1, 1, tzinfo=timezone.utc), "before the epoch"),
    (date(2026, 1, 31), "must be int nanoseconds, float seconds or an aware datetime"),
    (timedelta(seconds=NOW), "must be int nanoseconds"),
    (Decimal(NOW), "must be int nanoseconds"),
    (Fraction(NOW), "must be int nanoseconds"),
    (str(NOW), "must be int nanoseconds"),
    ("2026-01-31T12:00:00Z", "must be int nanoseconds"),
    (time.gmtime(NOW), "must be int nanoseconds"),
    (b"", "must be int nanoseconds"),
]
TAKEN: List[Tuple[Any, int]] = [
    (NOW * 10**9, NOW * 10**9),
    (10**17, 10**17),
    (Int64(NOW * 10**9), NOW * 10**9),
    (float(NOW), NOW * 10**9),
    (Float64(NOW + 0.5), NOW * 10**9 + 500_000_000),
    (datetime.fromtimestamp(NOW, timezone.utc), NOW * 10**9),
    (datetime.fromtimestamp(NOW, timezone(timedelta(hours=2))), NOW * 10**9),
]


class Tap:
    """A logger with a capture behind it."""

    def __init__(self, path: Path) -> None:
        self.logger = logging.Logger("dns", logging.INFO)
        self.handler = DnstapHandler(path)
        self.logger.addHandler(self.handler)
        self._path = path

    def end(self) -> Tuple[DnstapMessage, Stats]:
        """Return the one message that was logged, and the books."""
        self.handler.close()
        (message,) = DnstapReader(self._path)
        stats = self.handler.stats()
        assert_balanced(stats)
        return message, stats


@pytest.fixture
def tap(capture: Path) -> Iterator[Tap]:
    """Return a logger with a capture."""
    made = Tap(capture)
    yield made
    made.handler.close()


def log(tap: Tap, way: str, side: str, kind: str, value: Any) -> None:
    """Log a message of a kind with a time of a side, as a record or by the adapter."""
    if way == "record":
        extras = {"dns_message_type": kind, f"dns_{side}_time": value}
        tap.logger.info("a message", extra=extras)
    else:
        if way == "adapter with filters":
            tap.logger.addFilter(lambda record: True)  # so that a record is made
        method = getattr(DnstapAdapter(tap.logger), kind.lower())
        method(WIRE, query_address="192.0.2.1", **{f"{side}_time": value})


WAYS = ["record", "adapter", "adapter with filters"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("side", ["query", "response"])
@pytest.mark.parametrize(("value", "text"), REFUSED, ids=repr)
def test_a_time_that_cannot_be_used_is_now(
    tap: Tap, said: Said, way: str, side: str, value: Any, text: str
) -> None:
    """The message's own time is then that of the log call, counted as an invalid field and said."""
    before = time.time_ns()
    log(tap, way, side, f"CLIENT_{side.upper()}", value)
    after = time.time_ns()
    message, stats = tap.end()

    own = message.query_time if side == "query" else message.response_time
    assert before - 10**6 <= (own or 0) <= after + 10**6  # a record's creation is a float
    assert (stats.written, stats.invalid_fields) == (1, 1)
    line = said.wait_for(f"dns_{side}_time=")
    assert text in line


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("value", [NOW * 10**6, "soon", math.nan, NOW * 1e3])
def test_the_other_sides_time_is_left_out(tap: Tap, way: str, value: Any) -> None:
    """When the query came is not known in its response: nothing takes the place of a bad value."""
    log(tap, way, "query", "CLIENT_RESPONSE", value)
    message, stats = tap.end()

    assert message.query_time is None
    assert message.response_time is not None
    assert (stats.written, stats.invalid_fields) == (1, 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("side", ["query", "response"])
@pytest.mark.parametrize(("value", "expected"), TAKEN, ids=repr)
def test_times_of_each_form_are_taken(
    tap: Tap, way: str, side: str, value: Any, expected: int
) -> None:
    """Nanoseconds, float seconds and aware datetimes are the times that they say."""
    log(tap, way, side, f"CLIENT_{side.upper()}", value)
    message, stats = tap.end()

    assert (message.query_time if side == "query" else message.response_time) == expected
    assert stats.invalid_fields == 0


@pytest.mark.parametrize("side", ["query", "response"])
@pytest.mark.parametrize(("value", "text"), REFUSED, ids=repr)
def test_a_message_built_by_hand_refuses_them(side: str, value: Any, text: str) -> None:
    """The constructor of a message raises, and says the same."""
    with pytest.raises((TypeError, ValueError)) as caught:
        DnstapMessage("CLIENT_QUERY", **{f"{side}_time": value})  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"{side}_time=")
    assert text in str(caught.value)


@pytest.mark.parametrize(("value", "text"), REFUSED, ids=repr)
def test_constants_of_an_adapter_refuse_them(value: Any, text: str) -> None:
    """A time that is the same in all messages raises where it is given."""
    with pytest.raises(ValueError, match="dns_query_time=") as caught:
        DnstapAdapter(logging.Logger("dns"), {"dns_query_time": value})
    assert text in str(caught.value)
