"""Diagnostics: said by one thread, each kind at most once in its interval."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from typing import Iterator, List

import pytest

from dnstap_logging import diagnostics
from dnstap_logging.diagnostics import LOGGER_NAME, Reporter
from tests.helpers.programs import run_python
from tests.helpers.said import Said, let_earlier_lines_pass
from tests.helpers.support import wait_until

pytestmark = pytest.mark.usefixtures("said")

DEADLINE = 30.0


def test_first_line_is_said_at_once_with_the_name(said: Said) -> None:
    """A first diagnostic is logged without delay, at its level, with the reporter's name."""
    Reporter("unix:///run/x.sock", 3600).report("kind", logging.WARNING, "nobody listens")

    said.wait_for("nobody listens")

    assert said.lines == ["unix:///run/x.sock: nobody listens"]
    assert said.records[0].levelno == logging.WARNING
    assert said.records[0].name == LOGGER_NAME


def test_what_was_said_before_belongs_to_no_later_test(said: Said) -> None:
    """Lines that wait in the mailbox when a test begins to listen are not taken for its own."""
    busy, go_on = threading.Event(), threading.Event()

    def hold_up() -> str:
        busy.set()
        assert go_on.wait(20)
        return "earlier"

    Reporter("before", 3600).report("kind", logging.WARNING, hold_up)
    assert busy.wait(20)
    Reporter("before", 3600).report("kind", logging.WARNING, "earlier, too")
    listening = threading.Thread(target=let_earlier_lines_pass)
    listening.start()
    go_on.set()
    listening.join(20)
    before = len(said.lines)
    Reporter("now", 3600).report("kind", logging.WARNING, "of this test")

    said.wait_for("of this test")
    assert (before, said.lines[before:]) == (2, ["now: of this test"])


def test_one_kind_is_said_once_in_an_interval(said: Said) -> None:
    """A thousand more of one kind stay unsaid until the interval is over; other kinds do not."""
    reporter = Reporter("name", 3600)
    for number in range(1000):
        reporter.report("kind", logging.WARNING, f"line {number}")
    reporter.report("other", logging.INFO, "another kind")

    said.wait_for("another kind")

    assert said.with_text("line") == ["name: line 0"]


def test_next_line_is_said_when_the_interval_is_over(said: Said) -> None:
    """A line that came within the interval is logged after it, without another call."""
    reporter = Reporter("name", 0.05)
    reporter.report("kind", logging.WARNING, "first")
    said.wait_for("first")

    reporter.report("kind", logging.WARNING, "second")

    said.wait_for("second")
    assert said.lines == ["name: first", "name: second"]


def test_text_is_made_by_the_desk_when_it_is_said(said: Said) -> None:
    """A text that is a function is called once, by the thread that logs; "" says nothing."""
    callers: List[str] = []

    def text() -> str:
        callers.append(threading.current_thread().name)
        return "made late"

    reporter = Reporter("name", 3600)
    reporter.report("empty", logging.WARNING, lambda: "")
    reporter.report("kind", logging.WARNING, text)

    said.wait_for("made late")
    assert callers == ["dnstap-diagnostics"]
    assert said.lines == ["name: made late"]


def test_drain_says_the_last_words_before_they_are_due(said: Said) -> None:
    """At a handler's end due lines are logged, and the kinds that sum up even before."""
    reporter = Reporter("name", 3600)
    for kind in ("sum", "other"):
        reporter.report(kind, logging.WARNING, f"first {kind}")
        said.wait_for(f"first {kind}")
        reporter.report(kind, logging.WARNING, f"last {kind}")

    reporter.drain(timeout=20, last=("sum",))

    assert said.lines == ["name: first sum", "name: first other", "name: last sum"]


def test_disabled_logger_is_noticed(said: Said) -> None:
    """Where dictConfig has disabled our logger, the reporter knows that it is not heard."""
    logger = logging.getLogger(LOGGER_NAME)
    reporter = Reporter("name", 0)
    logger.disabled = True
    try:
        reporter.report("kind", logging.WARNING, "unheard")
        reporter.drain(timeout=20)
    finally:
        logger.disabled = False

    assert reporter.muted
    assert said.lines == []


class Broken(logging.Handler):
    """A user's handler that raises instead of logging."""

    def handle(self, record: logging.LogRecord) -> bool:
        raise RuntimeError("a broken handler")


@pytest.fixture
def broken_handler() -> Iterator[Broken]:
    """Attach a handler that raises to the library's logger."""
    handler = Broken()
    logging.getLogger(LOGGER_NAME).addHandler(handler)
    yield handler
    logging.getLogger(LOGGER_NAME).removeHandler(handler)


def test_a_handler_that_raises_does_not_end_the_desk(said: Said, broken_handler: Broken) -> None:
    """The desk's thread survives whatever the user's own handlers raise."""
    reporter = Reporter("name", 0)
    reporter.report("one", logging.WARNING, "first")
    said.wait_for("first")

    reporter.report("two", logging.WARNING, "second")

    said.wait_for("second")


def test_nothing_piles_up_while_logging_hangs() -> None:
    """With the desk stuck in logging, a reporter holds one pending line for each kind."""
    stuck, go_on = threading.Event(), threading.Event()

    def text() -> str:
        stuck.set()
        go_on.wait(20)
        return ""

    reporter = Reporter("name", 0)
    reporter.report("stuck", logging.WARNING, text)
    assert stuck.wait(20)
    for number in range(10 * diagnostics.MAILBOX_SIZE):
        reporter.report(f"kind {number}", logging.DEBUG, "line")

    assert len(reporter._pending) <= diagnostics.MAILBOX_SIZE + 1
    go_on.set()
    wait_until(lambda: not reporter._pending, "all pending lines to be said")


class Slow(logging.Handler):
    """A handler that holds a lock of its own for a while, as the buffer of a log file does."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer_lock = threading.Lock()
        self.inside = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        with self.buffer_lock:
            self.inside.set()
            threading.Event().wait(0.05)  # a disk that takes its time, below FORK_PATIENCE


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_fork_waits_for_the_line_that_is_being_logged() -> None:
    """No child inherits a log file's lock held by the desk's thread, which is not there."""
    logger, handler = logging.getLogger(LOGGER_NAME), Slow()
    logger.addHandler(handler)
    try:
        Reporter("name", 0).report("kind", logging.WARNING, "line")
        assert handler.inside.wait(20)
        child = os.fork()
        if child == 0:
            os._exit(0 if handler.buffer_lock.acquire(timeout=5) else 1)
        assert os.waitpid(child, 0)[1] == 0, "the child found the lock held"
    finally:
        logger.removeHandler(handler)


def fork_often() -> None:
    """Fork twenty times."""
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_stuck_console_does_not_hold_up_each_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error is a pipe that nobody reads: a server that forks for each query goes on."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    logger, console = logging.getLogger(LOGGER_NAME), logging.StreamHandler(os.fdopen(writing, "w"))
    logger.addHandler(console)
    monkeypatch.setattr(diagnostics, "FORK_PATIENCE", DEADLINE / 15)
    try:
        reporter = Reporter("name", 0)
        reporter.report("kind", logging.WARNING, "line")
        wait_until(diagnostics._desk.speaking.locked, "the line to be logged")
        began = time.monotonic()
        fork_often()
        took = time.monotonic() - began
        assert diagnostics._desk.speaking.locked(), "the console was not stuck"
    finally:
        logger.removeHandler(console)
        os.read(reading, 65536)
        wait_until(lambda: not diagnostics._desk.speaking.locked(), "the line to be out")
        console.stream.close()
        os.close(reading)

    assert took < DEADLINE, "patience once, and not at each of twenty forks"


class Forking(logging.Handler):
    """A handler that forks, such as one that starts a program to send an alarm."""

    def __init__(self) -> None:
        super().__init__()
        self.forked = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        fork_often()
        self.forked.set()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_handler_that_forks_does_not_wait_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that is being logged is its own."""
    logger, handler = logging.getLogger(LOGGER_NAME), Forking()
    monkeypatch.setattr(diagnostics, "FORK_PATIENCE", 2 * DEADLINE)
    logger.addHandler(handler)
    try:
        Reporter("name", 0).report("kind", logging.WARNING, "line")
        assert handler.forked.wait(DEADLINE), "a fork waits for the line that its thread is logging"
    finally:
        logger.removeHandler(handler)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_has_a_desk_of_its_own() -> None:
    """Diagnostics are logged in a forked child, which does not have the parent's thread."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        handler = logging.StreamHandler(os.fdopen(writer, "w"))
        logging.getLogger(LOGGER_NAME).handlers[:] = [handler]
        reporter = Reporter("child", 0)
        reporter.report("kind", logging.WARNING, "said in the child")
        reporter.drain(timeout=20)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert lines.read() == "child: said in the child\n"
    assert os.waitpid(child, 0)[1] == 0


ONE_CALL = """
import logging, sys, threading
from dnstap_logging.diagnostics import Reporter

said = threading.Event()

class Handler(logging.Handler):
    def emit(self, record):
        said.set()

logging.getLogger("dnstap_logging").addHandler(Handler())
Reporter("name", 0).report("kind", logging.WARNING, "line")
sys.exit(not said.wait(30))
"""


def test_a_report_needs_one_call() -> None:
    """In a process that has reported nothing yet, `report` also starts what logs the line."""
    done = run_python(ONE_CALL)

    assert done.returncode == 0, done.stderr


AT_THE_END = """
import atexit, logging, threading
from dnstap_logging.diagnostics import Reporter

said = []

class Slow(logging.Handler):
    def emit(self, record):
        threading.Event().wait(0.1)
        said.append(record.getMessage())

logger = logging.getLogger("dnstap_logging")
logger.addHandler(Slow())
logger.setLevel(logging.INFO)

@atexit.register
def close():
    reporter = Reporter("name", 0)
    reporter.report("kind", logging.INFO, "the end")
    reporter.drain(60)
    print(said)

Reporter("earlier", 0).report("kind", logging.DEBUG, "starts the thread, and is not logged")
"""


def test_at_the_interpreters_end_each_line_is_waited_for() -> None:
    """Also if it is not a warning: a thread that writes to a stream then can abort the process."""
    done = run_python(AT_THE_END)

    assert (done.returncode, done.stdout, done.stderr) == (0, "['name: the end']\n", "")
