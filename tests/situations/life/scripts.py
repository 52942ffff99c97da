"""Programs that log, each in an interpreter of its own; one that hangs shows where.

A script finds ``logger``, ``attach``, ``log`` and ``books``. Its records are numbered by their
Dnstap.extra, so that every one can be looked for at the other end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from dnstap_logging import DnstapMessage, DnstapReader, DnstapReceiver
from tests.helpers.support import NOT_HERE, wait_until

REPOSITORY = Path(__file__).resolve().parents[3]

DEADLINE = 100
"""Seconds for a script: generous, since nothing here is a matter of speed."""

GEVENT_SINCE = (3, 11)
"""The oldest Python that every new version of gevent has wheels for."""

PRELUDE = """
import faulthandler, os, signal
faulthandler.register(signal.SIGUSR1)      # and in its forked children
"""

HELPERS = """
import json, logging, sys, threading, time
import dnstap_logging
logger = logging.getLogger("dns")
logger.setLevel(logging.INFO)
logger.propagate = False
def attach(address, **arguments):
    arguments.setdefault("close_timeout", 60)       # this machine may be slow
    handler = dnstap_logging.DnstapHandler(address, **arguments)
    logger.addHandler(handler)
    return handler
def log(mark):
    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY", "dns_extra": str(mark)})
def books(handler):
    stats = handler.stats()
    lost = {cause: number for cause, number in stats.dropped.items() if number}
    assert stats.logged == (
        stats.written + stats.queued + stats.in_flight + sum(lost.values())), stats
    names = "logged", "written", "queued", "in_flight"
    return {**{name: getattr(stats, name) for name in names}, **lost}
def show(handler):
    print(json.dumps(books(handler)), flush=True)
"""

SIGNALS = """
import signal
class Signals:
    # Calls do() in a signal handler, each time so soon after the last that few lines run between.
    # It also interrupts itself, but not deeper than on any machine: a timer that repeats would,
    # where do() takes longer than its interval, interrupt itself until the recursion limit.
    def __init__(self, seconds, do):
        self.seconds, self.do, self.depth = seconds, do, 0
    def __enter__(self):
        self.timer = signal.ITIMER_REAL
        signal.signal(signal.SIGALRM, self.on_signal)
        signal.setitimer(self.timer, self.seconds)
    def on_signal(self, number, frame):
        self.depth += 1
        if self.depth < 3:
            signal.setitimer(self.timer, self.seconds)
        self.do()
        self.depth -= 1
        signal.setitimer(self.timer, self.seconds)
    def __exit__(self, *_):
        self.seconds = 0                   # a signal that is still to be handled sets no timer
        signal.setitimer(self.timer, self.seconds)
"""


@contextlib.contextmanager
def start(
    script: str, *arguments: object, first: str = "", warnings: str = "error"
) -> Iterator[subprocess.Popen[str]]:
    """Start a script in a fresh interpreter, its input and outputs as pipes.

    Args:
        script: the program, after the helpers.
        arguments: its ``sys.argv[1:]``.
        first: code that runs before anything is imported.
        warnings: as of ``python -W``.
    """
    code = PRELUDE + textwrap.dedent(first) + HELPERS + textwrap.dedent(script)
    with spawn([sys.executable, "-W", warnings, "-c", code, *map(str, arguments)]) as process:
        yield process


@contextlib.contextmanager
def spawn(command: List[str], cwd: object = None) -> Iterator[subprocess.Popen[str]]:
    """Start a program that finds the library and the tests, in a process group of its own.

    Nothing of it is left behind.
    """
    with subprocess.Popen(
        command,
        cwd=str(cwd or REPOSITORY),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            kill(process)


def finish(process: subprocess.Popen[str], status: int = 0, say: str = "") -> Dict[str, Any]:
    """Let a script go on to its end.

    Args:
        process: the script.
        status: how it must end.
        say: its further input.

    Returns:
        The line of JSON that it printed last, if any, and ``stderr``.
    """
    try:
        printed, said = process.communicate(say, timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGUSR1)  # all of them show where their threads stand
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        kill(process)
        pytest.fail("it hangs; where:\n" + "".join(process.communicate()))
    assert process.returncode == status, printed + said
    lines = printed.splitlines()
    return {**(json.loads(lines[-1]) if lines else {}), "stderr": said}


def kill(process: subprocess.Popen[str]) -> None:
    """End a script and all that it has forked, if anything is left of them."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(
    script: str, *arguments: object, status: int = 0, first: str = "", warnings: str = "error"
) -> Dict[str, Any]:
    """Run a script to its end (see `start` and `finish`)."""
    with start(script, *arguments, first=first, warnings=warnings) as process:
        return finish(process, status)


def marks(path: Path) -> List[str]:
    """Return the marks in a capture, which must be whole."""
    with DnstapReader(path) as reader:
        found = [(message.extra or b"").decode() for message in reader]
        assert reader.complete, f"{path} has no STOP"
    return found


def numbered(*numbers: int) -> List[str]:
    """Return the marks of records 0, 1, … of a range."""
    return [str(number) for number in range(*numbers)]


class Sessions:
    """A collector that keeps the messages of each connection separately.

    Attributes:
        receiver: it.
        marks: of each session, in the order of their first messages.
    """

    def __init__(self, address: str) -> None:
        self._by_thread: Dict[threading.Thread, List[str]] = {}
        self.receiver = DnstapReceiver(address, self._take)

    def _take(self, message: DnstapMessage) -> None:
        # Each connection has a thread; the object, unlike its ident, is never used again.
        mine = self._by_thread.setdefault(threading.current_thread(), [])
        mine.append((message.extra or b"").decode())

    @property
    def marks(self) -> List[List[str]]:
        """The marks of each session."""
        return list(self._by_thread.values())

    def all_ended(self, number: int) -> List[List[str]]:
        """Wait until that many sessions have ended in order, and none in another way."""
        stats = self.receiver.stats
        wait_until(lambda: stats().finished >= number and not stats().active, "sessions to end")
        assert (stats().finished, stats().connections) == (number, number), stats()
        assert stats().protocol_errors == 0, stats()
        return self.marks


@contextlib.contextmanager
def sessions(address: str) -> Iterator[Sessions]:
    """Collect on an address."""
    collector = Sessions(address)
    with collector.receiver:
        yield collector


def require_module(name: str, since: Tuple[int, int] = (3, 9)) -> None:
    """Skip the test without an optional module.

    Args:
        name: of the module.
        since: the oldest Python that the tests install it on.
    """
    if sys.version_info < since:
        pytest.skip(f"{name} is installed from Python {since[0]}.{since[1]} on")
    try:
        importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{NOT_HERE} {name}")


IGNORE = "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n"
"""For programs that fork while threads run, which newer Pythons warn of: it is our very subject."""
