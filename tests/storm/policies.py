"""Backoffs that the library does not have, to be compared with the one that it has."""

from __future__ import annotations

from typing import Dict, Type

from dnstap_logging.delivery import backoff
from dnstap_logging.delivery.backoff import Backoff

TIMEOUT = 5.0


class _Other(Backoff):
    """Something else than the library's own; ``_wait`` says how long."""

    def failed(self, now: float, unanswered: bool = False) -> None:
        """Note a failed attempt."""
        self._due = now + self._wait(unanswered)
        self._failures += 1

    def _wait(self, unanswered: bool) -> float:
        raise NotImplementedError

    def _double(self) -> float:
        delay = self._delay
        self._delay = min(2.0 * delay, self._maximum)
        return delay


class AlwaysHalf(_Other):
    """Half of each delay is left to chance, whatever the failure: as it was before."""

    def _wait(self, unanswered: bool) -> float:
        return self._double() * (1.0 - backoff.JITTER * self._chance())


class FullJitter(_Other):
    """The whole delay is left to chance, as in the article that made it known (AWS, 2015)."""

    def _wait(self, unanswered: bool) -> float:
        return max(0.01, self._double() * self._chance())


class Decorrelated(_Other):
    """By chance between the first delay and three times the last one (the same article)."""

    def _wait(self, unanswered: bool) -> float:
        low, high = self._interval, 3.0 * self._delay
        self._delay = min(self._maximum, low + (high - low) * self._chance())
        return self._delay


class LongerAfterSilence(_Other):
    """After an unanswered handshake at least as long as that took."""

    def _wait(self, unanswered: bool) -> float:
        if unanswered:
            self._delay = max(self._delay, min(TIMEOUT, self._maximum))
        return self._double() * (1.0 - backoff.JITTER * self._chance())


class LongestAfterSilence(_Other):
    """After an unanswered handshake the longest delay, at once."""

    def _wait(self, unanswered: bool) -> float:
        if unanswered:
            return self._maximum
        return self._double() * (1.0 - backoff.JITTER * self._chance())


class MorePatience(Backoff):
    """After an unanswered handshake the next one may take twice as long, up to eight times."""

    patience = 1.0

    def failed(self, now: float, unanswered: bool = False) -> None:
        """Note a failed attempt."""
        super().failed(now, unanswered)
        if unanswered:
            self.patience = min(2.0 * self.patience, 8.0)


POLICIES: Dict[str, Type[Backoff]] = {
    "this library": Backoff,
    "half of each delay by chance (before)": AlwaysHalf,
    "full jitter": FullJitter,
    "decorrelated jitter": Decorrelated,
    "after silence at least 5 s": LongerAfterSilence,
    "after silence the longest delay": LongestAfterSilence,
    "after silence twice the timeout": MorePatience,
}
