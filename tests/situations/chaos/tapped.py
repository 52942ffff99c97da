"""A handler in the program, with its logger and its books, which are watched."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from typing import Any, Callable, Dict, List, Optional

import dnstap_logging
from tests.situations.chaos.tables import DESTINATIONS

__all__ = ["Books", "Tapped", "make_handler"]

STUCK_SECONDS = 1.0
"""Seconds that a rotator takes: longer than the shortest close_timeout."""

_calls = itertools.count()

RISING = (
    *("logged", "accepted", "written", "bytes_written", "invalid_fields", "resent"),
    *("confirmed", "unconfirmed", "connects", "disconnects"),
)
"""The counters that never go down."""


class Books:
    """One handler's books, watched.

    Args:
        number: of the handler.
        stats: returns a snapshot.
        violations: gets what must not be.
    """

    def __init__(self, number: int, stats: Callable[[], Any], violations: List[str]) -> None:
        self.number = number
        self.stats = stats
        self._violations = violations
        # By thread, and by thread and what is wrong with them; each thread changes its own only.
        self.attempts: Dict[str, int] = {}
        self.closed = False
        self._lock = threading.Lock()
        self._last: Optional[Any] = None

    def attempt(self, kind: str) -> int:
        """Count an attempt to log; return how many there were before."""
        number = self.attempts.get(kind, 0)
        self.attempts[kind] = number + 1
        return number

    def look(self) -> Any:
        """Take a snapshot and check it, by itself and with the one before."""
        with self._lock:  # so that "the one before" is that
            found, last = self.stats(), self._last
            self._last = found
        dropped = sum(found.dropped.values())
        waiting = found.queued + found.in_flight + found.spooled
        if found.logged + found.recovered != found.written + waiting + dropped:
            self._violations.append(f"the books do not balance: {found}")
        if min(found.queued, found.in_flight, found.spooled, *found.dropped.values()) < 0:
            self._violations.append(f"a negative number: {found}")
        if last is not None:
            for name in RISING:
                if getattr(found, name) < getattr(last, name):
                    self._violations.append(f"{name} went down:\n  {last}\n  {found}")
            for cause, number in last.dropped.items():
                if found.dropped[cause] < number:
                    self._violations.append(f"dropped {cause} went down:\n  {last}\n  {found}")
        return found

    def report(self) -> Dict[str, Any]:
        """Return all of it."""
        found = self.look()
        stats = {
            **found._asdict(),
            "dropped": dict(found.dropped),
            "attempts": dict(found.attempts),
        }
        return {
            "number": self.number,
            "stats": stats,
            "attempts": self.attempts,
            "closed": self.closed,
        }


class Tapped:
    """A handler with its logger and its books."""

    def __init__(self, handler: Any, number: int, violations: List[str]) -> None:
        self.handler = handler
        # Of the thread's object, not of the handler: it must be possible to drop that.
        self.books = Books(number, handler._writer_thread.stats, violations)
        self.logger = logging.Logger("dns", logging.INFO)
        self.logger.addHandler(handler)
        self.tap = dnstap_logging.DnstapAdapter(self.logger, {"dns_socket_protocol": "UDP"})


def make_handler(destination: str, address: str, path: str, arguments: Dict[str, Any]) -> Any:
    """Return a handler.

    Args:
        destination: a key of DESTINATIONS.
        address: as text.
        path: of the capture, for handlers that take nothing else.
        arguments: the plan's options; "rotator" is an attribute.
    """
    arguments = dict(arguments)
    if "spool" not in arguments:
        arguments.pop("spool_bytes", None)
    rotator = ROTATORS[arguments.pop("rotator", "")]
    name = DESTINATIONS[destination].handler
    where: Any = address if name == "DnstapHandler" else path
    if "prefer_after" in arguments:
        where = two_of(address)
    handler = getattr(dnstap_logging, name)(where, **arguments)
    if rotator is not None:
        handler.rotator = rotator
    return handler


def two_of(address: str) -> List[str]:
    """Return two addresses of one collector: a handler fails over from one to the other."""
    scheme, _, rest = address.partition("://")
    if scheme == "unix":
        folder, _, name = rest.rpartition("/")
        return [f"{scheme}://{folder}/./{name}", address]
    return [address.replace("127.0.0.1", "localhost"), address]


def _slow(source: str, dest: str) -> None:
    """Take longer than close() waits, now and then; overwrite nothing that came meanwhile."""
    before = os.stat(source).st_ino
    if next(_calls) % 10 == 0:
        time.sleep(STUCK_SECONDS)
    if os.stat(source).st_ino != before or os.path.lexists(dest):
        raise OSError("somebody else was faster")
    os.rename(source, dest)


def _raising(source: str, dest: str) -> None:
    """Move nothing, in one way or another."""
    raise SystemExit if source.endswith("1") else OSError("no rollover today")


def _late(source: str, dest: str) -> None:
    """Raise behind what was done."""
    os.rename(source, dest)
    raise ValueError("moved, and complained")


ROTATORS: Dict[str, Optional[Callable[[str, str], None]]] = {
    "": None,
    "slow": _slow,
    "raising": _raising,
    "late": _late,
}
"""By the name in the plan."""
