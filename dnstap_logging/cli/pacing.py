"""When the next message of a replay is due: at once, at a rate, or in the capture's own time."""

from __future__ import annotations

import time
from typing import Callable, Optional, Tuple

from ..codec.decoding import decode
from ..exceptions import DecodeError
from ..message.values import NS
from ..text.line import own_time

__all__ = ["Pace", "at_once", "at_rate", "in_its_time", "wait_until_due"]

Pace = Callable[[bytes, float], float]
"""Takes a payload and the monotonic time now; returns the monotonic time at which it is due."""

SLACK = 0.1
"""Seconds by which a replay at a rate may catch up when a busy machine overslept. With more, each
stall of the collector would be followed by a burst instead of the rate."""

SHORTEST_SLEEP = 0.001
"""Seconds below which it is not worth to sleep; at high rates some messages go out together."""


def at_once(payload: bytes, now: float) -> float:
    """Make every message due at once."""
    return now


def at_rate(rate: float) -> Pace:
    """Return a pace of a number of messages a second."""
    last: Optional[float] = None

    def due(payload: bytes, now: float) -> float:
        nonlocal last
        last = now if last is None else max(last + 1 / rate, now - SLACK)
        return last

    return due


def in_its_time(speed: float) -> Pace:
    """Return the pace of the messages' own times, faster by a factor.

    A message without a time, or with an earlier one than the messages before it, is due at once.
    """
    first: Optional[Tuple[float, int]] = None

    def due(payload: bytes, now: float) -> float:
        nonlocal first
        try:
            stamp = own_time(decode(payload))
        except DecodeError:
            return now
        if stamp is None:
            return now
        if first is None:
            first = now, stamp
        began, began_stamp = first
        return began + (stamp - began_stamp) / NS / speed

    return due


def wait_until_due(due: float) -> None:
    """Sleep until a monotonic time; a signal handler may end it by raising."""
    left = due - time.monotonic()
    if left >= SHORTEST_SLEEP:
        time.sleep(left)
