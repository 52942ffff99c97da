"""What the program's threads do: one method of `Actor` for each step of `tables`."""

from __future__ import annotations

import functools
import gc
import logging
import multiprocessing.util
import os
import signal
import subprocess
import threading
import time
from multiprocessing.context import ForkProcess
from pathlib import Path
from random import Random
from typing import Any, Callable, List, Union

import dnstap_logging
import dnstap_logging.exceptions
from tests.chaos.forked import Forked
from tests.chaos.meddling import meddle
from tests.chaos.plan import Plan
from tests.chaos.program import END_SECONDS, Process, descriptors
from tests.chaos.records import Mark, payload, wire
from tests.chaos.stealing import Thief
from tests.chaos.tapped import Books, Tapped, make_handler

CALL_BOUND = 2.0
"""Seconds that no call which does not wait may take, beyond the slack for a busy machine."""

AROUND = 500
"""Bytes of a frame beside the query, at most."""

GRACE = 1.0
"""Seconds beyond its deadline in which close() returns (writer_thread.py)."""


class Actor:
    """Carries out a plan in a process; a forked child goes on with one of its own.

    Args:
        process: what is known of it.
        place: the path of the capture, or of the socket.
    """

    def __init__(self, process: Process, place: Path) -> None:
        self._begin(process, place, Plan(**process.setup.plan))
        said = logging.FileHandler(process.folder / "said")
        logging.getLogger("dnstap_logging").addHandler(said)
        logging.getLogger("dnstap_logging").setLevel(logging.DEBUG)
        self.own = descriptors()
        self.thief = Thief(self.own, process.violations)
        self.tapped = self._make(0)

    def _begin(self, process: Process, place: Path, plan: Plan) -> None:
        self.process, self.place, self.plan = process, place, plan
        self.calm = threading.Event()
        self._close_timeout: float = plan.options["close_timeout"]
        self._threads: List[threading.Thread] = []
        self._children = 0
        self._swap = threading.Lock()
        self._in_signal = False

    def _make(self, number: int) -> Tapped:
        """Make a handler."""
        arguments = {**self.plan.options, **self.process.setup.arguments}
        if number:
            arguments.pop("mode", None)  # "w" would empty what the one before has written
        handler = make_handler(
            self.plan.destination, self.process.setup.address, str(self.place), arguments
        )
        tapped = Tapped(handler, number, self.process.violations)
        self.process.all_books.append(tapped.books)
        return tapped

    # -- the program's life --------------------------------------------------------------------

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
        """All is well: whatever was accepted must go on now."""
        handler = self.tapped.handler
        if not self.process.timed("the last flush", lambda: handler.flush(END_SECONDS)):
            stats = self.tapped.books.look()
            self.process.violations.append(f"the stream does not go on: {stats}")

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

    def _check_end(self, books: Books) -> None:
        books.closed = True
        stats = books.look()
        if stats.queued or stats.in_flight or stats.connected:
            self.process.violations.append(f"closed, and not done: {stats}")

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
        if not self._in_signal:
            self._in_signal = True
            self.log("signal", "info", 1, 60)
            self.tapped.handler.stats()
            self._in_signal = False

    # -- steps ---------------------------------------------------------------------------------

    def log(self, thread: str, how: str, count: int, most: int) -> None:
        """Log so many records, with at most so many bytes of padding."""
        blocking = self.plan.options.get("overflow") == "block"
        what, bound = ("blocking log call", None) if blocking else ("log call", CALL_BOUND)
        for number in range(count):
            if number and self.process.stopping.is_set():
                return
            tapped = self.tapped
            books = tapped.books
            mark = Mark(self.process.name, books.number, thread, books.attempt(thread))
            padding = Random(str(mark)).randrange(most)
            call = self._call(tapped, how, mark, padding)
            self.process.timed(what, call, bound)

    def _call(self, tapped: Tapped, how: str, mark: Mark, padding: int) -> Callable[[], Any]:
        """Return the call that logs one record in this way."""
        query = wire(mark, padding)
        if how == "oversize":
            query += bytes(65_536)
        if how == "invalid":
            tapped.books.attempt(f"invalid {mark.thread}")
        elif how == "oversize" or len(query) + AROUND > self.plan.options.get(
            "max_frame_size", 98_304
        ):
            tapped.books.attempt(f"too_large {mark.thread}")
        if how == "payload":
            return functools.partial(tapped.handler.emit_payload, payload(query))
        if how == "adapter":
            tap = tapped.tap
            return functools.partial(tap.client_query, query, query_address=("192.0.2.1", 5353))
        extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": query}
        if how == "invalid":
            extra["dns_message_type"] = "NO_SUCH_TYPE"
        return functools.partial(tapped.logger.info, "query", extra=extra)

    def pause(self, thread: str, seconds: float) -> None:
        """Wait a little."""
        self.process.stopping.wait(seconds)

    def flush(self, thread: str, seconds: float) -> None:
        """Flush; where it says that all is settled, that must be so."""
        tapped = self.tapped
        before = tapped.books.look()
        flush = functools.partial(tapped.handler.flush, seconds)
        if self.process.timed("flush", flush, seconds):
            after = tapped.books.look()
            if after.accepted - after.queued - after.in_flight < before.accepted:
                self.process.violations.append(f"flushed, and not settled:\n{before}\n{after}")

    def reopen(self, thread: str) -> None:
        """Begin a new session."""
        self.process.timed("reopen", self.tapped.handler.reopen, CALL_BOUND)

    def roll_over(self, thread: str) -> None:
        """Roll over now."""
        self.process.timed("roll over", self.tapped.handler.doRollover, 2 * self._close_timeout)

    def close(self, thread: str, count: int) -> None:
        """Close the handler, go on logging to it, then put another in its place."""
        old = self.tapped
        self._close(old)
        self.log(thread, "adapter", count, 60)
        if self.tapped is old:
            self.replace(thread, "open first")

    def replace(self, thread: str, how: str) -> None:
        """Put another handler in the place of this one."""
        if not self._swap.acquire(blocking=False):
            return
        try:
            old = self.tapped
            if how == "close first":
                self._close(old)
            try:
                self.tapped = self._make(old.books.number + 1)
            except dnstap_logging.exceptions.TransportError:
                if "folder_away" not in self.plan.faults:
                    raise
                return  # as documented: a file is opened in the constructor
            if how == "open first":
                self._close(old)
            elif how == "drop":
                del old
                gc.collect()
        finally:
            self._swap.release()

    def spawn(self, thread: str) -> None:
        """Run another program."""
        with self._swap:
            subprocess.run(["true"], check=True)

    def steal(self, thread: str) -> None:
        """Close a descriptor of the library's, and open one of ours in its place."""
        with self._swap:  # so that it is none of another program's pipes
            self.thief.steal("socket:", f"{self.process.writes_to}/capture")

    def fork(self, thread: str, ending: str, count: int, again: bool) -> None:
        """Fork a child that logs, too, and ends in one way or another."""
        with self._swap:  # so that the child's handler is not half made
            self._children += 1
            name = f"{self.process.name}-{thread}c{self._children}"
            work = functools.partial(self._be_child, name, ending, count, again)
            if ending == "multiprocessing":
                child: Union[Forked, ForkProcess] = ForkProcess(target=work)
                child.start()  # type: ignore[union-attr]
            else:
                child = Forked(work)
        child.join(END_SECONDS)
        if child.exitcode is None:
            assert child.pid is not None
            os.kill(child.pid, signal.SIGUSR1)
            child.join(1)
            child.kill()
            child.join(END_SECONDS)
            self.process.violations.append(f"child {name} hangs; its stack is in stderr")
        elif child.exitcode != 0:
            self.process.violations.append(f"child {name} ended with status {child.exitcode}")
        child.close()

    def _be_child(self, name: str, ending: str, count: int, again: bool) -> None:
        Child(self, name).run(ending, count, again)

    def _close(self, tapped: Tapped) -> None:
        self.process.timed("close", tapped.handler.close, self._close_timeout + GRACE)
        tapped.books.closed = True


class Child(Actor):
    """A forked child: its books begin again, and so do its records."""

    def __init__(self, parent: Actor, name: str) -> None:
        process = parent.process
        process = Process(name, process.setup, process.folder, process.writes_to)
        self._begin(process, parent.place, parent.plan)
        self.own, self.thief = parent.own, parent.thief
        self.tapped = parent.tapped
        books = parent.tapped.books
        self.tapped.books = Books(books.number, books.stats, self.process.violations)
        self.process.all_books = [self.tapped.books]

    def run(self, ending: str, count: int, again: bool) -> None:  # type: ignore[override]
        """Log, and end."""
        self._check_beginning()
        other = threading.Thread(target=self.log, args=("other", "info", count // 2, 200))
        other.start()
        self.log("main", "adapter", count, 200)
        if again:
            self.fork("main", "close", 10, False)
        other.join()
        if ending == "multiprocessing":
            # Behind what the library has registered there, which closes the handler.
            multiprocessing.util.Finalize(None, self._end, (ending,), exitpriority=0)
        else:
            self._end(ending)

    def _end(self, ending: str) -> None:
        closed = ending != "_exit" or self.tapped.books.closed
        close = {"close": self.tapped.handler.close, "shutdown": logging.shutdown}.get(ending)
        if close is not None:
            self.process.timed("a child's end", close, 2 * (self._close_timeout + GRACE))
        if ending != "_exit":
            self._check_end(self.tapped.books)
        self.tapped.books.closed = closed
        self.process.report()

    def _check_beginning(self) -> None:
        stats = self.tapped.books.look()
        numbers = [stats.logged, stats.written, stats.queued, stats.in_flight, stats.connects]
        if any([*numbers, *stats.dropped.values()]):
            self.process.violations.append(f"a child's books do not begin at 0: {stats}")
        places = "socket:", f"{self.process.writes_to}/capture"
        left = sorted(set(descriptors(*places)) - set(self.own))
        if left:
            self.process.violations.append(f"a child has its parent's descriptors: {left}")
