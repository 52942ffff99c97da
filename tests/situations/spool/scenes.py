"""What the tests of the spool share: the folder's segments, a steady load, and the audit."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Dict, List

from dnstap_logging import Stats
from tests.cli.running import call
from tests.helpers.support import wait_until
from tests.helpers.workers import WatchedLoad
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.captures import read_capture
from tests.situations.interop.taps import Tap, numbers_in

TIMES = {"reconnect_interval": 0.01, "max_reconnect_interval": 0.1}
"""Short waits between attempts, so that a collector is found soon after its return."""

BURSTS_PER_SECOND = 100


def segments(spool: Path) -> List[Path]:
    """Return the segments, the oldest first."""
    return sorted(spool.glob("*.fstrm"))


def stored(spool: Path) -> List[int]:
    """Return the numbers of all records that are stored."""
    return [number for path in segments(spool) for number in numbers_in(path)]


def wait_for(tap: Tap, **expected: int) -> Stats:
    """Wait until the books have these numbers."""
    found: List[Stats] = []

    def reached() -> bool:
        found[:] = [tap.stats()]
        return all(getattr(found[0], name) == value for name, value in expected.items())

    try:
        wait_until(reached, str(expected), DEADLINE)
    except BaseException:
        print(found)  # a failure shows what they have instead
        raise
    return found[0]


def audit(*paths: Path) -> List[Dict[str, Any]]:
    """Return what `check --sequence` says of each run; its status says whether one is missing."""
    outcome = call("check", "--sequence", "--json", *paths)
    assert outcome.err == ""
    runs = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.status == int(any(run["missing"] for run in runs))
    return runs


def check_whole(paths: List[Path], logged: int) -> None:
    """Check by the numbers of the one handler's messages that nothing is missing."""
    (run,) = audit(*paths)
    assert (run["first"], run["last"], run["count"]) == (1, logged, logged), run
    assert (run["missing"], run["dropped"]) == (0, 0), run


class SteadyLoad(WatchedLoad):
    """Log numbered records at most at a rate, and never faster to make up for a busy machine.

    Args:
        tap: what to log to.
        rate: records a second.
        padding: bytes in each.
    """

    def __init__(self, tap: Tap, rate: int, padding: int = 100, first: int = 0) -> None:
        super().__init__(tap, self._log)
        self.rate = rate
        self.logged = first
        self._padding = bytes(padding)

    def _log(self) -> None:
        burst = max(1, self.rate // BURSTS_PER_SECOND)
        while not self.stopping.wait(burst / self.rate):
            self.tap.log_numbers(range(self.logged, self.logged + burst), self._padding)
            self.logged += burst

    def go_on(self, seconds: float) -> None:
        """Let it go on for as many records as it has in these seconds, and at least as long."""
        until, enough = time.monotonic() + seconds, self.logged + self.rate * seconds / 2
        wait_until(
            lambda: time.monotonic() >= until and self.logged >= enough,
            f"{seconds} s of load",
            seconds + DEADLINE,
        )


def captured(paths: List[Path]) -> int:
    """Return how many data frames are in captures."""
    return sum(len(read_capture(path).payloads) for path in paths)


class Reading:
    """A thread that reads every segment of a folder, again and again: each is readable.

    Args:
        spool: the folder.
        read: reads one file; raises if it cannot be read.
    """

    def __init__(self, spool: Path, *read: Any) -> None:
        self._spool = spool
        self._read = read
        self._stopping = threading.Event()
        self._failures: List[BaseException] = []
        self.number = 0
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        for failure in self._failures:
            raise failure

    def _run(self) -> None:
        while not self._stopping.wait(0.01) and not self._failures:
            for path in segments(self._spool):
                self._read_one(path)

    def _read_one(self, path: Path) -> None:
        for read in self._read:
            try:
                read(path)
            except FileNotFoundError:
                return  # sent meanwhile
            except BaseException as error:  # noqa: BLE001 - raised in the test's thread
                if path.exists():
                    self._failures.append(error)
                    return
            self.number += 1
