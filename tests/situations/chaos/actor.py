"""The program's life: its threads, its signals, and its end."""

from __future__ import annotations

import functools
import logging
import signal
import threading
import time
from pathlib import Path
from typing import Any, Callable, List

from tests.situations.chaos.meddling import meddle
from tests.situations.chaos.plan import Plan
from tests.situations.chaos.program import END_SECONDS, Process, descriptors
from tests.situations.chaos.stealing import Thief
from tests.situations.chaos.steps import GRACE, Steps

__all__ = ["Actor"]


class Actor(Steps):
    """Carries out a plan in a process.

    Args:
        process: what is known of it.
        place: the path of the capture, or of the socket.
    """

    def __init__(self, process: Process, place: Path) -> None:
        self._begin(process, place, Plan(**process.setup.plan))
        self.calm = threading.Event()
        self._threads: List[threading.Thread] = []
        self._in_signal = False
        self._signals = 0
        said = logging.FileHandler(process.folder / "said")
        logging.getLogger("dnstap_logging").addHandler(said)
        logging.getLogger("dnstap_logging").setLevel(logging.DEBUG)
        self.own = descriptors()
        self.thief = Thief(self.own, process.violations)
        self.tapped = self._make(0)

    def run(self, talk: Callable[[str], None]) -> None:
        """Do what the plan says, up to the end of the last handler."""
        process, plan = self.process, self.plan
        talk("started")
        process.watch()
        self._start(meddle, self.place, plan.moments, self.calm)
        ticker = threading.Timer(plan.seconds, process.stopping.set)
        ticker.daemon = True
        ticker.start()
        for number, steps in enumerate(plan.threads[1:], 1):
            self._start(self._repeat, f"t{number}", steps)
        self._with_signals(lambda: self._repeat("t0", plan.threads[0]))
        if plan.ending == "exit in the middle":
            return
        if plan.ending == "abrupt":
            self._close(self.tapped)
        talk("settle")
        self.calm.set()
        self._join()
        if plan.ending != "abrupt":
            self._settle()
        if plan.ending == "calm":
            self._close(self.tapped)

    def _start(self, work: Callable[..., None], *arguments: Any) -> None:
        """Start a thread; a daemon, so that the interpreter's end does not wait for it."""
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _join(self) -> None:
        deadline = time.monotonic() + END_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.process.violations.append(f"{thread} does not end")

    def _settle(self) -> None:
        """The faults are over: all accepted records must be delivered now."""
        handler = self.tapped.handler
        if {"max_reconnect_attempts", "spool"} <= set(self.plan.options):
            handler.reopen()  # it may have given up, and its spool may be full
        if not self.process.timed("the last flush", lambda: handler.flush(END_SECONDS)):
            stats = self.tapped.books.look()
            self.process.violations.append(f"the stream does not go on: {stats!r}")
        deadline = time.monotonic() + END_SECONDS
        while "max_reconnect_attempts" not in self.plan.options:
            stats = self.tapped.books.look()
            if not stats.spooled and not stats.in_flight:
                break
            if time.monotonic() > deadline:
                self.process.violations.append(f"the spool does not become empty: {stats!r}")
                break
            threading.Event().wait(0.01)

    def end(self) -> None:
        """Check what is left when all is closed, and report."""
        process = self.process
        self._join()
        self._close(self.tapped)  # once more, or of a handler that was made in the last moment
        process.stop_watching()
        self.thief.look()
        process.check_leftovers(self.own, 2 * self._close_timeout + 10)
        for books in process.all_books:
            self._check_end(books)
        process.report()

    # -- threads -------------------------------------------------------------------------------

    def _repeat(self, thread: str, steps: List[List[Any]]) -> None:
        while not self.process.stopping.is_set():
            for name, *arguments in steps:
                if self.process.stopping.is_set():
                    return
                self.process.timed(
                    f"step {name}", functools.partial(getattr(self, name), thread, *arguments)
                )

    def _with_signals(self, work: Callable[[], None]) -> None:
        """Have a signal handler log, in the middle of whatever this thread does."""
        if self.plan.signals:
            signal.signal(signal.SIGALRM, self._on_signal)
            signal.setitimer(signal.ITIMER_REAL, self.plan.signals, self.plan.signals)
        try:
            work()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    def _on_signal(self, *_: object) -> None:
        if self._in_signal:
            return
        self._in_signal = True
        self._signals += 1
        handler = self.tapped.handler
        self.log("signal", "info", 1, 60)
        for each, call in (
            (7, handler.stats),
            (20, functools.partial(handler.flush, 0.01)),
            (50, handler.reopen),
            (150, functools.partial(self.replace, "signal", "close first")),
        ):
            if self._signals % each == 0:
                self.process.timed("call in a signal handler", call, self._close_timeout + GRACE)
        self._in_signal = False
