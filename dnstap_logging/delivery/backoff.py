"""When to try a connection again: exponential backoff that never sleeps.

It is told what happened and when, and says when the next attempt is due. The caller waits, so that
the wait can be interrupted.
"""

from __future__ import annotations

import os
from typing import Callable, Optional

__all__ = ["Backoff"]

JITTER = 0.5
"""The share of a delay that is left to chance, so that many senders do not return in step."""

UNANSWERED_JITTER = 0.1
"""The same after a handshake that was not answered in time. That is what senders see of a collector
to which more of them come back at once than it can serve. They are not in step then, and it gets
through them sooner if they stay away for longer: see docs/fleet.md."""


def _by_chance() -> float:
    # Not by random, a large import, whose state would be the same in all forked children.
    return int.from_bytes(os.urandom(4), "big") / 2**32


class Backoff:
    """Count failed attempts and say when the next one is due.

    The delay doubles with every failure from ``interval`` up to ``maximum``; the jitter only ever
    shortens it, so ``maximum`` is a true bound.

    Args:
        interval: seconds after the first failure.
        maximum: seconds that no delay exceeds.
        max_attempts: attempts after the first one; None: for ever, 0: none.
        chance: returns a number from 0 up to 1, for the jitter.
    """

    def __init__(
        self,
        interval: float,
        maximum: float,
        max_attempts: Optional[int] = None,
        chance: Callable[[], float] = _by_chance,
    ) -> None:
        self._interval = interval
        self._maximum = maximum
        self._max_attempts = max_attempts
        self._chance = chance
        self._delay = interval
        self._failures = 0
        self._due = 0.0

    @property
    def due(self) -> float:
        """The monotonic time from which the next attempt may be made."""
        return self._due

    @property
    def failures(self) -> int:
        """Failed attempts since the last success."""
        return self._failures

    @property
    def exhausted(self) -> bool:
        """Whether no attempt is left."""
        return self._max_attempts is not None and self._failures > self._max_attempts

    def hurry(self) -> None:
        """Have the next attempt due now."""
        self._due = 0.0

    def succeeded(self, answered: bool) -> None:
        """Note an attempt that made a connection.

        Args:
            answered: whether that shows that somebody listens; if not, what failed before counts
                until the connection has lasted.
        """
        if answered:
            self.reset()
        self._due = 0.0

    def failed(self, now: float, unanswered: bool = False) -> None:
        """Note a failed attempt.

        Args:
            now: the monotonic time.
            unanswered: whether the collector took the connection, and then let the time pass.
        """
        jitter = UNANSWERED_JITTER if unanswered else JITTER
        self._due = now + self._delay * (1.0 - jitter * self._chance())
        self._delay = min(self._delay * 2.0, self._maximum)
        self._failures += 1

    def lost(self, now: float) -> None:
        """Note the end of a good connection: the next attempt is due after the shortest delay.

        Not at once, or a collector that accepts and closes every connection would be called in a
        busy loop.
        """
        self.reset()
        self._due = now + self._interval * (1.0 - JITTER * self._chance())
        if self._max_attempts == 0:
            self._failures = 1

    def reset(self) -> None:
        """Begin again, after a good handshake or on request: the next attempt is due now."""
        self._delay = self._interval
        self._failures = 0
        self._due = 0.0
