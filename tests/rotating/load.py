"""Threads that log as fast as they can, and what is in the captures afterwards."""

from __future__ import annotations

import gzip
import itertools
import logging
import shutil
from collections import Counter
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Dict, Iterable, List, Optional, Tuple, Type

from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReader
from tests.helpers.pages import DOCS
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.helpers.workers import Workers
from tests.situations.interop.captures import dnstap_quiet

DOCUMENTATION = DOCS / "captures.md"
WIRE = bytes.fromhex("a1b20100000100000000000003777777076578616d706c65036f72670000010001")
PADDING = [WIRE + bytes(size) for size in (0, 1, 40, 99, 250)]
"""Messages of several sizes, so that captures do not all end at the same byte."""

Mark = Tuple[int, int]
"""A record's thread and its number there."""


def log(handler: logging.Handler, number: int = 0, thread: int = 0) -> None:
    """Give a handler one record, with its mark in Dnstap.extra."""
    record = {
        "dns_message_type": "CLIENT_QUERY",
        "dns_query_message": PADDING[number % len(PADDING)],
        "dns_extra": f"{thread}:{number}",
    }
    handler.handle(logging.makeLogRecord(record))


class Load(Workers):
    """Threads that log marked records as fast as they can, inside its ``with``.

    Args:
        handler: gets the records.
        threads: how many threads.
        most: how many records each logs; None: until the end of the ``with``.
        pause: seconds that each waits before a record, for a handler that does not block.
    """

    def __init__(
        self,
        handler: DnstapHandler,
        threads: int = 4,
        most: Optional[int] = None,
        pause: float = 0.0,
    ) -> None:
        super().__init__(*(partial(self._log, name) for name in range(threads)))
        self._handler = handler
        self._most = most
        self._pause = pause
        self.logged: Dict[int, int] = dict.fromkeys(range(threads), 0)

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the threads, and raise what went wrong in one."""
        if self._most is None:
            self.stopping.set()
        self.join()
        self.check()

    def _log(self, name: int) -> None:
        numbers: Iterable[int] = itertools.count() if self._most is None else range(self._most)
        for number in numbers:
            if self.stopping.wait(self._pause) if self._pause else self.stopping.is_set():
                return
            log(self._handler, number, name)
            self.logged[name] = number + 1

    @property
    def total(self) -> int:
        """How many records were logged so far."""
        return sum(self.logged.values())

    def wait_for_more(self, number: int = 500) -> None:
        """Wait until that many more records were written."""
        goal = self._handler.stats().written + number
        wait_until(
            lambda: self._handler.stats().written >= goal,
            f"{number} more records to be written: {self._handler.stats()}",
            60,
        )


def marks(path: Path, tool: bool = True) -> List[Mark]:
    """Return the marks of a whole capture, from START to STOP.

    Args:
        path: of the capture.
        tool: whether the dnstap tool must read it as well.
    """
    with DnstapReader(path) as reader:
        found = [mark_of(message) for message in reader]
        assert reader.complete, f"{path} has no STOP"
    if tool:
        assert len(dnstap_quiet(path)) == len(found), f"the dnstap tool reads {path} otherwise"
    return found


def mark_of(message: DnstapMessage) -> Mark:
    """Return the mark of a message."""
    thread, _, number = (message.extra or b"").decode().partition(":")
    return int(thread), int(number)


def by_thread(found: Iterable[Mark]) -> Dict[int, List[int]]:
    """Return the numbers of each thread, in the order in which they are there."""
    numbers: Dict[int, List[int]] = {}
    for thread, number in found:
        numbers.setdefault(thread, []).append(number)
    return numbers


def check_all_there(captures: Iterable[Path], load: Load, tool: bool = True) -> None:
    """Check that the captures, the oldest first, hold what was logged: whole, once, in order.

    Args:
        captures: each must be whole.
        load: what was logged.
        tool: whether the dnstap tool must read them as well.
    """
    found = by_thread(mark for path in captures for mark in marks(path, tool))
    for thread, logged in load.logged.items():
        numbers = found.pop(thread, [])
        expected = list(range(logged))
        if numbers != expected:
            missing = sorted(set(expected) - set(numbers))[:10]
            twice = [each for each, count in Counter(numbers).items() if count > 1][:10]
            raise AssertionError(
                f"thread {thread}: {len(numbers)} records, not {logged}; "
                f"missing {missing}, twice {twice}, otherwise in another order"
            )
    assert found == {}, f"records of threads that logged nothing: {list(found)}"


def check_books(handler: DnstapHandler, load: Load) -> None:
    """Check that all that was logged was written, says the closed handler."""
    stats = handler.stats()
    assert (stats.logged, stats.written) == (load.total, load.total), stats
    assert sum(stats.dropped.values()) == stats.queued == stats.in_flight == 0, stats


def backups(capture: Path) -> List[Path]:
    """Return the backups of a rollover by size, the oldest first; none is left out between."""
    found: List[Path] = []
    for number in itertools.count(1):
        path = capture.with_name(f"{capture.name}.{number}")
        if not path.exists():
            break
        found.insert(0, path)
    others = set(capture.parent.glob(f"{capture.name}.*")) - set(found)
    assert not others, f"there are {len(found)} backups, but also {sorted(others)}"
    return found


def complaints(said: Said, capture: Path) -> List[str]:
    """Return the lines about rollovers of a capture, without its address."""
    begin = f"file://{capture}: "
    lines = [line[len(begin) :] for line in said.lines if line.startswith(begin)]
    return [line for line in lines if line.startswith("roll")]


def unpack(folder: Path) -> None:
    """Decompress all captures in a folder."""
    for path in folder.glob("*.gz"):
        with gzip.open(path, "rb") as packed, path.with_suffix("").open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        path.unlink()
