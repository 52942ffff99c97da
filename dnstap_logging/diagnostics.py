"""The library's own log lines, which never make the caller wait.

Any thread puts lines into a mailbox; one daemon thread of the library (the desk) reads it and calls
logging. So no server's or writer thread waits for a console, a disk or a lock that logging uses.
Each kind of line of each reporter is logged at most once in an interval, the first one at once.
"""

from __future__ import annotations

import itertools
import logging
import os
import queue
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, Optional, Tuple, Union

from .interrupts import ends_greenlet
from .loggers import reaches_only_deaf

__all__ = ["LOGGER_NAME", "REPORT_INTERVAL", "Reporter", "Text", "renew_desk"]

LOGGER_NAME = "dnstap_logging"

REPORT_INTERVAL = 10.0
"""Seconds between two lines of one kind, unless the user chooses others."""

MAILBOX_SIZE = 1000
"""Lines waiting to be logged; further ones are discarded. Each kind waits at most once, so this is
reached only if logging itself hangs."""

MOST_KINDS = 1000
"""Kinds of one reporter that are remembered after their interval: receivers have some for each
peer."""

START_RETRY_INTERVAL = 1.0
"""Seconds before a thread that could not be started is tried again."""

FORK_PATIENCE = 0.25
"""Seconds that a line can delay forks while it is being logged. That takes no time, unless the
forking thread holds a lock that logging needs, or the console is stuck: then waiting longer does
not help."""

END_PATIENCE = 0.25
"""Seconds that the main thread waits for a line at the interpreter's end, if the console is
stuck."""

Text = Union[str, Callable[[], str]]


def _is_ending() -> bool:
    """Return whether the main thread has ended, without a lock.

    Before Python 3.13 is_alive() takes one, and gevent switches greenlets there: in a signal
    handler that interrupted a queue's lock, another greenlet would wait for that lock for ever.
    """
    main = threading.main_thread()
    ended: Optional[bool] = getattr(main, "_is_stopped", None)
    return not main.is_alive() if ended is None else ended


class Reporter:
    """Log lines for one handler or receiver, each kind at most once in an interval.

    Args:
        name: the beginning of the lines, such as the address.
        interval: seconds between two lines of one kind.
        counts: whether a line says how many of its kind were left out.
    """

    def __init__(self, name: str, interval: float = REPORT_INTERVAL, counts: bool = False) -> None:
        self.name = name
        self._interval = interval
        self._counts = counts
        # Without a lock: any thread adds a kind to _pending (one atomic dict operation), but only
        # the desk's thread removes it.
        self._pending: Dict[str, Tuple[int, Text, str]] = {}
        # Counts lines that came while one of their kind was pending; next() is atomic.
        self._held: Dict[str, Iterator[int]] = {}
        self._due: Dict[str, float] = {}
        self._saying = logging.NOTSET  # the level of the line that is being logged
        self.muted = False

    def __reduce__(self) -> Tuple[Any, ...]:
        return Reporter, (self.name, self._interval, self._counts)

    def report(
        self, kind: str, level: int, text: Text, after: float = 0.0, about: str = ""
    ) -> None:
        """Have a line logged; never block, never raise. Safe in any thread and signal handler.

        Only at the interpreter's end the main thread waits a moment for it (see `drain`).

        Args:
            kind: lines of one kind are logged at most once in the interval; the first one that
                comes too soon is logged when the interval is over.
            level: a logging level.
            text: the line, or a function that the desk's thread calls for it; an empty line is not
                logged.
            after: seconds before it may be logged.
            about: how the line begins, instead of with the name; each has its own interval.
        """
        about = about or self.name
        if about != self.name:
            kind = f"{kind} {about}"
        _desk.start()  # even if the line waits already: the last start may have failed
        if kind in self._pending:
            if self._counts:
                next(self._held.setdefault(kind, itertools.count()))
            return
        if _desk.mailbox.qsize() >= MAILBOX_SIZE:
            return
        if after:
            self._due[kind] = max(self.due(kind), time.monotonic() + after)
        self._pending[kind] = (level, text, about)
        _desk.mailbox.put((self, kind))
        if _is_ending() and threading.main_thread().ident == threading.get_ident():
            self.drain(END_PATIENCE)  # an exit hook logs, and nothing closes us after it

    def pending(self) -> Tuple[str, ...]:
        """Return the kinds of the lines that wait to be logged."""
        return tuple(self._pending.copy())

    def drain(self, timeout: float, last: Tuple[str, ...] = ()) -> None:
        """Have what is pending and due logged now, and wait for it at most ``timeout`` seconds.

        Wait only for warnings, because the caller may hold a lock that logging needs. But at the
        interpreter's end wait for every line: a thread that then writes to a standard stream can
        abort the process.

        Args:
            timeout: seconds.
            last: kinds that are logged even before they are due, because no others will follow.
        """
        levels = [level for level, _, _ in list(self._pending.values())]
        bad = max([self._saying, *levels]) >= logging.WARNING
        ending = _is_ending()
        if bad:
            _desk.start()
        if not _desk.running:
            if bad and ending:
                self.say_last(last)  # no thread can be started now
            return
        farewell = _Farewell(last)
        _desk.mailbox.put((self, farewell))
        if bad or ending:
            farewell.said.wait(timeout)

    def due(self, kind: str) -> float:
        """Return the monotonic time from which a line of this kind may be logged."""
        return self._due.get(kind, 0.0)

    def say(self, kind: str) -> None:
        """Log the pending line of this kind (desk's thread)."""
        level, text, about = self._pending.get(kind, (logging.NOTSET, "", ""))
        self._saying = level
        try:
            self._pending.pop(kind, None)
            self._log(kind, level, text, about)
        finally:
            self._saying = logging.NOTSET

    def _log(self, kind: str, level: int, text: Text, about: str) -> None:
        line = text if isinstance(text, str) else text()
        held = next(self._held.pop(kind, iter((0,))))
        if not line:
            return
        if held:
            line += f" (and {held} more like it)"
        self._note_due(kind)
        logger = _desk.logger
        if logger is None:
            logger = _desk.logger = logging.getLogger(LOGGER_NAME)
        self.muted = logger.disabled
        with _desk.speaking:
            _desk.began_speaking()
            logger.log(level, "%s: %s", about, line)
            if reaches_only_deaf(logger):
                self._say_as_last_resort(logger, level, (about, line))

    def _say_as_last_resort(
        self, logger: logging.Logger, level: int, arguments: Tuple[str, str]
    ) -> None:
        """Have logging's last resort show a line: dnstap handlers ignore it."""
        last = logging.lastResort
        if last is not None and level >= last.level and logger.isEnabledFor(level):
            record = logger.makeRecord(logger.name, level, __file__, 0, "%s: %s", arguments, None)
            if logger.filter(record):
                last.handle(record)

    def _note_due(self, kind: str) -> None:
        """Store when the next line of this kind may be logged; remove kinds that are due."""
        now = time.monotonic()
        if len(self._due) >= MOST_KINDS:
            self._due = {each: due for each, due in self._due.items() if due > now}
        self._due[kind] = now + self._interval

    def say_last(self, last: Tuple[str, ...]) -> None:
        """Log what is pending and due, and what is of the kinds in ``last`` (desk's thread)."""
        for kind in list(self._pending):
            if kind in last or self.due(kind) <= time.monotonic():
                try:
                    self.say(kind)
                except BaseException as error:
                    if ends_greenlet(error):
                        raise


class _Farewell:
    """Asks for the last lines of a reporter."""

    def __init__(self, last: Tuple[str, ...]) -> None:
        self.last = last
        self.said = threading.Event()


class _Desk:
    """The mailbox and the one thread that reads it."""

    def __init__(self) -> None:
        # The put of a SimpleQueue is one atomic call in C: a signal handler or __del__ that
        # interrupts a put can call it.
        self.mailbox: queue.SimpleQueue[Tuple[Reporter, Union[str, _Farewell]]]
        self.mailbox = queue.SimpleQueue()
        self.running = False
        self.pid = os.getpid()
        # Kept, because getLogger takes the lock that dictConfig holds while it closes us.
        self.logger: Optional[logging.Logger] = None
        # Held while logging is called, and while a thread forks: a child must not inherit a log
        # file's buffer whose lock is held by a thread that it does not have.
        self.speaking = threading.Lock()
        self._forking = 0  # the ident of the thread that holds it for a fork
        self._speaker = 0  # the ident of the thread that held it last, and since when
        self._began = 0.0
        self._starting = threading.Lock()
        self._next_start = 0.0
        self._later: Dict[Tuple[Reporter, str], float] = {}

    def start(self) -> None:
        """Start the thread, unless it runs or cannot be started (at the interpreter's end)."""
        if self.running or time.monotonic() < self._next_start:
            return
        if sys.is_finalizing():
            return  # before Python 3.12, Thread.start would hang
        if not self._starting.acquire(blocking=False):
            return
        try:
            if not self.running:
                self._change_mailbox()
                threading.Thread(target=self._run, name="dnstap-diagnostics", daemon=True).start()
                self.running = True
        except RuntimeError:
            self._next_start = time.monotonic() + START_RETRY_INTERVAL
        finally:
            self._starting.release()

    def _change_mailbox(self) -> None:
        """Replace the mailbox if gevent has patched queue since the import.

        The thread is a greenlet then, and waiting for the old mailbox would stop all greenlets.
        """
        if isinstance(self.mailbox, queue.SimpleQueue):
            return
        notes, self.mailbox = self.mailbox, queue.SimpleQueue()
        while not notes.empty():
            self.mailbox.put(notes.get_nowait())

    def before_fork(self) -> None:
        """Wait a moment for the line that is being logged, and delay the next one."""
        left = self._began + FORK_PATIENCE - time.monotonic()
        if self._speaker == threading.get_ident():
            left = 0.0  # if held, then by this thread: a user's handler forks
        if self.speaking.acquire(timeout=max(0.0, left)):
            self._forking = threading.get_ident()
            self.began_speaking()

    def after_fork_in_parent(self) -> None:
        """Let lines be logged again."""
        if self._forking == threading.get_ident():
            self._forking = 0
            self.speaking.release()

    def began_speaking(self) -> None:
        """Store which thread holds `speaking`, and since when."""
        self._speaker, self._began = threading.get_ident(), time.monotonic()

    def _run(self) -> None:
        while True:
            try:
                self._serve_one()
            except BaseException as error:
                if ends_greenlet(error):
                    self.running = False  # the next line starts another one
                    raise

    def _serve_one(self) -> None:
        timeout = None
        if self._later:
            timeout = max(0.0, min(self._later.values()) - time.monotonic())
        try:
            reporter, item = self.mailbox.get(timeout=timeout)
        except queue.Empty:
            self._say_due()
            return
        if isinstance(item, _Farewell):
            try:
                reporter.say_last(item.last)
            finally:
                item.said.set()
        elif reporter.due(item) <= time.monotonic():
            reporter.say(item)
        else:
            self._later[reporter, item] = reporter.due(item)

    def _say_due(self) -> None:
        now = time.monotonic()
        for key in [key for key, due in self._later.items() if due <= now]:
            del self._later[key]
            reporter, kind = key
            reporter.say(kind)


_desk = _Desk()


def renew_desk() -> None:
    """Give a forked child its own desk: it does not have the parent's thread.

    Using the parent's mailbox could even crash the child: Python 3.13 looks in it for the waiting
    thread.
    """
    global _desk
    if _desk.pid != os.getpid():
        _desk = _Desk()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _desk.before_fork(),
        after_in_parent=lambda: _desk.after_fork_in_parent(),
        after_in_child=renew_desk,
    )
