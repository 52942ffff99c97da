"""What the program's threads do: one method of `Steps` for each step of `tables`."""

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
from tests.situations.chaos.forked import Forked
from tests.situations.chaos.plan import Plan
from tests.situations.chaos.program import END_SECONDS, Process, descriptors
from tests.situations.chaos.records import Mark, payload, wire
from tests.situations.chaos.stealing import Thief
from tests.situations.chaos.tables import KAFKA
from tests.situations.chaos.tapped import Books, Tapped, make_handler

CALL_BOUND = 2.0
"""Seconds that no call which does not wait may take, beyond the slack for a busy machine."""

AROUND = 500
"""The most bytes that a frame has in addition to its query."""

GRACE = 1.0
"""Seconds beyond its deadline in which close() returns (writer_thread.py)."""


class Steps:
    """What a process of the plan has: its handler, and a method for each step.

    Attributes:
        process: what is known of it.
        place: the path of the capture, or of the socket.
        own: the descriptors that are not the library's.
        tapped: its handler of now.
    """

    own: List[str]
    thief: Thief
    tapped: Tapped

    def _begin(self, process: Process, place: Path, plan: Plan) -> None:
        self.process, self.place, self.plan = process, place, plan
        self._close_timeout: float = plan.options["close_timeout"]
        self._children = 0
        self._swap = threading.Lock()

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

    def _check_end(self, books: Books) -> None:
        books.closed = True
        stats = books.look()
        if stats.queued or stats.in_flight or stats.connected:
            self.process.violations.append(f"closed, and not done: {stats!r}")

    def log(self, thread: str, how: str, count: int, most: int) -> None:
        """Log that many records, with at most that many bytes of padding."""
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
            # With a spool, what is read back from it is in flight, and settled.
            in_flight = 0 if "spool" in self.plan.options else after.in_flight
            if after.accepted - after.queued - in_flight < before.accepted:
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
            if how == "drop" and self.plan.ending == "exit in the middle":
                how = "open first"  # finalizers do not run any more at the interpreter's end
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
        subprocess.run(["true"], check=True)

    def steal(self, thread: str) -> None:
        """Close a descriptor of the library's, and open one of ours in its place.

        Only while the library does nothing: in the middle of a call nobody can see it.
        """
        alone = len(self.plan.threads) == 1 and not self.plan.signals
        if alone and self.tapped.handler.flush(0.5) and self.tapped.handler.stats().connected:
            self.process.stopping.wait(0.05)
            self.thief.steal("socket:", f"{self.process.writes_to}/capture")

    def fork(self, thread: str, ending: str, count: int, again: bool) -> None:
        """Fork a child that logs, too, and ends in one way or another."""
        with self._swap:  # so that the child's handler is not half made
            self._children += 1
            name = f"{self.process.name}-{thread}c{self._children}"
            work = functools.partial(self._be_child, name, ending, count, again)
            try:
                if ending == "multiprocessing":
                    child: Union[Forked, ForkProcess] = ForkProcess(target=work)
                    child.start()  # type: ignore[union-attr]
                else:
                    child = Forked(work)
            except RuntimeError as error:  # from Python 3.12 on, while the program ends
                if "interpreter shutdown" not in str(error):
                    raise
                return
        deadline = time.monotonic() + END_SECONDS
        while child.exitcode is None and time.monotonic() < deadline:
            threading.Event().wait(0.005)  # join() may miss what another thread has waited for
        if child.exitcode is None:
            assert child.pid is not None
            os.kill(child.pid, signal.SIGUSR1)
            threading.Event().wait(1)
            child.kill()
            while child.exitcode is None:
                threading.Event().wait(0.005)
            self.process.violations.append(f"child {name} hangs; its stack is in stderr")
        elif child.exitcode != 0:
            self.process.violations.append(f"child {name} ended with status {child.exitcode}")
        child.close()

    def _be_child(self, name: str, ending: str, count: int, again: bool) -> None:
        Child(self, name).run(ending, count, again)

    def _close(self, tapped: Tapped) -> None:
        self.process.timed("close", tapped.handler.close, self._close_timeout + GRACE)
        tapped.books.closed = True


class Child(Steps):
    """A forked child: its books begin again, and so do its records."""

    def __init__(self, parent: Steps, name: str) -> None:
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
            self.process.violations.append(f"a child's books do not begin at 0: {stats!r}")
        places = ["socket:", f"{self.process.writes_to}/capture", f"{self.process.folder}/spool"]
        if self.plan.destination in KAFKA:
            del places[0]  # librdkafka's stay open: nobody could close them
        left = sorted(set(descriptors(*places)) - set(self.own))
        if left:
            self.process.violations.append(f"a child has its parent's descriptors: {left}")
