"""The collector's process, and what happens to it: one entry for each fault of a "process"."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple

__all__ = ["MOMENTS", "CollectorProcess"]

PATIENCE = 60.0
"""Seconds for what takes no time, on a machine that is busy."""


class CollectorProcess:
    """The collector of a scenario.

    Args:
        folder: of the scenario.
        path: of its unix socket; None: it has no path.
    """

    def __init__(self, folder: Path, path: Optional[Path]) -> None:
        self.path = path
        self._folder = folder
        self._process: Optional[subprocess.Popen[str]] = None

    def start(self) -> None:
        """Start it, and wait until it listens; nothing, if it runs."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.situations.chaos.collector", str(self._folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "listening\n":
            raise RuntimeError("the collector itself died")

    def send(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def end(self, how: int = signal.SIGKILL) -> None:
        """End it, and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def live_through(
        self, moments: Sequence[Tuple[float, float, str]], calm: threading.Event
    ) -> None:
        """Do what the plan says, at its times, until the faults end."""
        began = time.monotonic()
        for begin, end, name in moments:
            if name not in MOMENTS or calm.wait(max(0.0, began + begin - time.monotonic())):
                continue
            MOMENTS[name].begin(self)
            calm.wait(max(0.0, began + end - time.monotonic()))
            MOMENTS[name].end(self)

    def replace(self) -> None:
        """Put an ordinary file in the place of its socket."""
        assert self.path is not None
        self.path.unlink()
        self.path.write_bytes(b"not a socket")

    def restart(self) -> None:
        """End it and start it."""
        self.end()
        if self.path is not None and self.path.exists():
            self.path.unlink()
        self.start()


def _nothing(collector: CollectorProcess) -> None:
    pass


def _kill_behind(collector: CollectorProcess) -> None:
    """Stop it, so that what is sent lies unread, and kill it."""
    collector.send(signal.SIGSTOP)
    threading.Event().wait(0.1)
    collector.end()


class Moment(NamedTuple):
    """How a fault begins and ends."""

    begin: Callable[[CollectorProcess], Any]
    end: Callable[[CollectorProcess], Any]


MOMENTS: Dict[str, Moment] = {
    "killed": Moment(CollectorProcess.end, CollectorProcess.start),
    "killed_behind": Moment(_kill_behind, CollectorProcess.start),
    "paused": Moment(lambda c: c.send(signal.SIGSTOP), lambda c: c.send(signal.SIGCONT)),
    "absent": Moment(CollectorProcess.end, CollectorProcess.start),
    "ended": Moment(lambda c: c.end(signal.SIGTERM), CollectorProcess.start),
    "unlinked": Moment(lambda c: c.path.unlink(), CollectorProcess.restart),
    "replaced_by_file": Moment(CollectorProcess.replace, CollectorProcess.restart),
}
