"""When messages of a replay are due; the clock is the test's."""

from __future__ import annotations

import pytest

from dnstap_logging.cli.pacing import at_once, at_rate, in_its_time
from dnstap_logging.codec.proto import Dnstap
from tests.cli.samples import payload_at

START = 1000.0


def test_at_once_is_now() -> None:
    """Without a pace, each message is due when it is there."""
    assert at_once(b"", START) == START


def test_at_a_rate_messages_have_equal_distances() -> None:
    """10 a second: every tenth of a second, from the first on, however short the way was."""
    due = at_rate(10)
    now = START
    times = []
    for _ in range(5):
        now = max(now, due(b"", now))
        times.append(now)

    assert times == pytest.approx([START + 0.1 * number for number in range(5)])


def test_a_stall_is_not_made_up_for_by_a_burst() -> None:
    """After a stall of a minute, a tenth of a second of messages goes out at once, and no more."""
    due = at_rate(100)
    due(b"", START)
    now = START + 60
    overdue = 0
    while due(b"", now) <= now:
        overdue += 1

    assert overdue <= 11


def test_in_its_own_time() -> None:
    """A message is due so long after the first as its own time says, queries and responses."""
    due = in_its_time(1)
    kinds = ("CLIENT_QUERY", "CLIENT_RESPONSE", "TOOL_RESPONSE")
    times = [
        due(payload_at(seconds, kind), START) - START
        for seconds, kind in zip((5.25, 5.5, 7.25), kinds)
    ]

    assert times == pytest.approx([0, 0.25, 2], abs=1e-6)


def test_speed_divides_the_time() -> None:
    """Four times as fast: a second takes a quarter of one."""
    due = in_its_time(4)
    due(payload_at(0), START)

    assert due(payload_at(1), START) == pytest.approx(START + 0.25)


def test_what_has_no_time_does_not_wait() -> None:
    """No time, no message at all, or a time before the first: due at once, and no beginning."""
    due = in_its_time(1)
    timeless = Dnstap(type=Dnstap.MESSAGE)
    timeless.message.type = timeless.message.CLIENT_QUERY

    assert due(b"\xff", START) == START
    assert due(timeless.SerializeToString(), START) == START
    assert due(payload_at(10), START + 3) == START + 3
    assert due(payload_at(9), START + 3) <= START + 3
    assert due(payload_at(12), START + 3) == pytest.approx(START + 5)
