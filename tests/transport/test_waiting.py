"""Waits: bounded, cut in slices, and the same with poll and with select."""

from __future__ import annotations

import select
import socket
from time import monotonic
from typing import Iterator, Tuple

import pytest

from dnstap_logging.transport.waiting import (
    READABLE,
    WAIT_SLICE,
    WRITABLE,
    Deadline,
    never,
    wait_for,
)
from tests.transport.peers import DEADLINE, BroughtForward

Pair = Tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two connected sockets."""
    left, right = socket.socketpair()
    with left, right:
        yield left, right


@pytest.fixture(params=["poll", "select"])
def system_call(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait with poll, or as on a system without it."""
    if request.param == "select":
        monkeypatch.delattr(select, "poll", raising=False)


@pytest.mark.usefixtures("system_call")
def test_a_ready_descriptor_ends_the_wait(pair: Pair) -> None:
    """A descriptor that is ready ends the wait at once, for reading and for writing."""
    left, right = pair
    right.send(b"x")
    deadline = Deadline(DEADLINE, never)

    assert wait_for(left.fileno(), READABLE, deadline)
    assert wait_for(left.fileno(), WRITABLE, deadline)


@pytest.mark.usefixtures("system_call")
def test_the_peers_end_ends_the_wait(pair: Pair) -> None:
    """The end of the stream counts as readable: the read tells."""
    left, right = pair
    right.close()

    assert wait_for(left.fileno(), READABLE, Deadline(DEADLINE, never))


@pytest.mark.usefixtures("system_call")
def test_the_timeout_ends_the_wait(pair: Pair) -> None:
    """Without an event the wait ends after the timeout, not before."""
    started = monotonic()

    assert not wait_for(pair[0].fileno(), READABLE, Deadline(0.15, never))
    assert monotonic() - started >= 0.15


@pytest.mark.usefixtures("system_call")
def test_until_is_asked_in_each_slice(pair: Pair) -> None:
    """A wait of an hour ends when until() is brought forward, a slice after it at the latest."""
    until = BroughtForward(after=3)
    started = monotonic()

    assert not wait_for(pair[0].fileno(), READABLE, Deadline(3600, until))
    assert until.asked == 4
    assert monotonic() - started >= 3 * WAIT_SLICE


def test_a_deadline_in_the_past_still_looks_once(pair: Pair) -> None:
    """What is ready already is found, even when there is no time to wait."""
    left, right = pair
    right.send(b"x")

    assert wait_for(left.fileno(), READABLE, Deadline(0, never))
    assert wait_for(left.fileno(), READABLE, Deadline(DEADLINE, lambda: 0.0))


def test_a_deadline_tells_what_ended_it() -> None:
    """The text says how long was waited, or that closing left no more time."""
    assert Deadline(2.5, never).describe() == "in 2.5 s"
    assert "closing" in Deadline(2.5, lambda: 0.0).describe()
