"""The next attempt's time, without ever sleeping."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import List, Optional, Union

import pytest

from dnstap_logging import DnstapHandler
from dnstap_logging.delivery import destination
from dnstap_logging.delivery.backoff import Backoff
from tests.helpers.support import dnstap_payload, wait_until
from tests.transport.peers import listen_tcp, listen_unix


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


def test_an_unanswered_handshake_is_hardly_shortened() -> None:
    """A collector that took the connection and did not answer is given nearly the whole delay."""
    backoff = Backoff(0.1, 1.0, chance=lambda: 1.0)
    found = []
    for _ in range(5):
        backoff.failed(now=0.0, unanswered=True)
        found.append(backoff.due)

    assert found == pytest.approx([0.09, 0.18, 0.36, 0.72, 0.9])


@pytest.mark.parametrize("scheme", ["unix", "tcp", "tls", "none", "both"])
def test_which_attempts_are_unanswered(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ACCEPT, or no answer to TLS, is an unanswered handshake; a refused connection is not."""
    told: List[bool] = []

    class Told(Backoff):
        def failed(self, now: float, unanswered: bool = False) -> None:
            told.append(unanswered)
            super().failed(now, unanswered)

    monkeypatch.setattr(destination, "Backoff", Told)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen_unix(tmp_path / "socket"))
        address: Union[str, List[str]] = f"unix://{tmp_path}/socket"
        if scheme != "unix":
            listener = stack.enter_context(listen_tcp())
            speaks = "tls" if scheme == "tls" else "tcp"
            address = f"{speaks}://127.0.0.1:{listener.getsockname()[1]}"
        if scheme == "none":
            listener.close()
        if scheme == "both":
            address = [str(address), f"unix://{tmp_path}/absent"]
        handler = DnstapHandler(address, timeout=0.2, close_timeout=0.1)
        handler.emit_payload(dnstap_payload(1))
        wait_until(lambda: len(told) >= 2, "two attempts", 60)
        handler.close()

    assert told[:2] == {"none": [False, False], "both": [True, False]}.get(scheme, [True, True])
