"""The next attempt's time, without ever sleeping."""

from __future__ import annotations

from typing import List, Optional

import pytest

from dnstap_logging.delivery.backoff import Backoff


def delays(backoff: Backoff, number: int) -> List[float]:
    """Return the delays after that many failures at the time 0."""
    found = []
    for _ in range(number):
        backoff.failed(now=0.0)
        found.append(backoff.due)
    return found


def test_delays_double_up_to_the_maximum() -> None:
    """Each failure doubles the delay, and no delay exceeds the maximum."""
    backoff = Backoff(0.1, 1.0, chance=lambda: 0.0)

    assert delays(backoff, 6) == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


def test_jitter_only_shortens() -> None:
    """The largest chance halves a delay: the maximum stays a bound."""
    backoff = Backoff(0.1, 1.0, chance=lambda: 1.0)

    assert delays(backoff, 5) == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.5])


def test_due_is_counted_from_the_failure() -> None:
    """The next attempt is due one delay after the time of the failure that was given."""
    backoff = Backoff(0.5, 1.0, chance=lambda: 0.0)

    backoff.failed(now=100.0)

    assert backoff.due == pytest.approx(100.5)


def test_reset_begins_with_the_first_delay() -> None:
    """After a good handshake the next attempt is due at once and the delays start over."""
    backoff = Backoff(0.1, 1.0, chance=lambda: 0.0)
    delays(backoff, 4)

    backoff.reset()

    assert backoff.due == 0.0
    assert backoff.failures == 0
    assert delays(backoff, 1) == pytest.approx([0.1])


@pytest.mark.parametrize(
    ("max_attempts", "failures", "exhausted"),
    [
        (None, 1000, False),
        (0, 0, False),
        (0, 1, True),
        (3, 3, False),
        (3, 4, True),
    ],
)
def test_attempts_are_counted_after_the_first(
    max_attempts: Optional[int], failures: int, exhausted: bool
) -> None:
    """max_attempts counts the attempts after the first one; None: no limit, 0: no more."""
    backoff = Backoff(0.1, 1.0, max_attempts)

    delays(backoff, failures)

    assert backoff.exhausted is exhausted


def test_lost_connection_waits_the_shortest_delay() -> None:
    """The end of a good connection is no failure, but is not followed by a busy loop either."""
    backoff = Backoff(0.1, 1.0, 5, chance=lambda: 0.0)

    backoff.lost(now=10.0)

    assert backoff.due == pytest.approx(10.1)
    assert not backoff.exhausted


def test_lost_connection_without_attempts_is_the_end() -> None:
    """With no attempts after the first, a connection that ends is not replaced."""
    backoff = Backoff(0.1, 1.0, 0)

    backoff.lost(now=10.0)

    assert backoff.exhausted
