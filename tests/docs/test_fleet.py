"""The page about fleets: its steps lose nothing, and its tables are what the programs say."""

from __future__ import annotations

import contextlib
import logging
import re
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from dnstap_logging import DnstapHandler, Stats
from tests.docs.test_collectors import made
from tests.helpers.pages import DOCS, REPOSITORY, example, names, rows_of, run_command, tables
from tests.helpers.support import wait_until
from tests.helpers.workers import Workers
from tests.situations.interop.collectors import FstrmCapture
from tests.storm.__main__ import LONG, SHORT, outage_row
from tests.storm.simulation import Scene

PAGE = "fleet.md"
TEXT = (DOCS / PAGE).read_text(encoding="utf-8")
CENTRAL, UPGRADED = example(PAGE, "python", 0), example(PAGE, "python", 1)
FIRST, SECOND, AGAIN, COMPARE = (example(PAGE, "sh", number) for number in range(4))

DEADLINE = 60.0
PAUSE = 0.002
"""Seconds between two records."""


class Documented(FstrmCapture):
    """fstrm_capture as a command of the page starts it.

    Args:
        command: of the page.
        folder: where its socket and its capture are here.
        output: another name for the capture.
    """

    def __init__(self, command: str, folder: Path, output: str = "") -> None:
        _, *self._arguments = shlex.split(command)
        at = self._arguments.index("-u") + 1
        self._arguments[at] = str(folder / Path(self._arguments[at]).name)
        file = self._arguments.index("-w") + 1
        self._arguments[file] = str(folder / (output or self._arguments[file]))
        super().__init__(f"unix://{self._arguments[at]}", Path(self._arguments[file]))

    def arguments(self) -> List[str]:
        """Return the page's arguments, with our paths."""
        return self._arguments


class Server:
    """A DNS server that logs all the time through the handler of the page."""

    def __init__(self, folder: Path, code: str) -> None:
        code = code.replace("/run/", f"{folder}/").replace("prefer_after=60.0", "prefer_after=0.5")
        found: dict[str, Any] = {}
        exec(code, found)
        self.logger: logging.Logger = found["logger"]
        self.handler: DnstapHandler = found["handler"]
        self.logged = 0
        self._load = Workers(self._log)

    def _log(self) -> None:
        pause = threading.Event()
        while not self._load.stopping.is_set():
            extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(40)}
            self.logger.info("query", extra=extra)
            self.logged += 1
            pause.wait(PAUSE)

    def __enter__(self) -> Server:
        self._load.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._load.__exit__(None, None, None)
        self.logger.removeHandler(self.handler)
        self.handler.close()

    @property
    def stats(self) -> Stats:
        """The handler's counters."""
        return self.handler.stats()

    def sends_to(self, collector: FstrmCapture) -> None:
        """Wait until this is the address in use, and something more was written."""
        before = self.stats.written

        def does() -> bool:
            stats = self.stats
            there = stats.connected and stats.address == collector.address
            return there and stats.written > before

        wait_until(does, f"a session with {collector.address}", DEADLINE)

    def end(self) -> Stats:
        """Stop logging, and close."""
        self._load.__exit__(None, None, None)
        assert self.handler.flush(DEADLINE)
        self.handler.close()
        return self.stats


@contextlib.contextmanager
def ended(collector: FstrmCapture) -> Iterator[None]:
    """End a collector, if the body has started it."""
    try:
        yield
    finally:
        collector.kill()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a test, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_central_handler_is_made(folder: Path) -> None:
    """Two TLS addresses, a spool and a sequence in one handler."""
    with made(CENTRAL) as handler:
        assert len(handler.stats().attempts) == 2


def test_a_collector_is_upgraded_without_losing_a_record(folder: Path) -> None:
    """The steps of the page under load, one after the other: nothing is missing or dropped."""
    first, second, again = (Documented(each, folder) for each in (FIRST, SECOND, AGAIN))
    with first, second, ended(again), Server(folder, UPGRADED) as server:
        server.sends_to(first)
        first.stop()
        server.sends_to(second)
        confirmed = server.stats.confirmed
        again.start()
        server.sends_to(again)
        assert server.stats.confirmed > confirmed, "the second has not confirmed its session"
        second.stop()
        stats = server.end()
        again.stop()

    assert stats.logged == server.logged == stats.written
    assert sum(stats.dropped.values()) == 0
    assert stats.unconfirmed == 0
    shown = run_command(folder, COMPARE)
    assert "\n1 run, 0 missing, 0 messages without a number\n" in shown
    assert int(re.findall(r"  count +(\d+)", shown)[0]) >= server.logged
    assert int(re.findall(r"  twice +(\d+)", shown)[0]) <= stats.resent


def test_with_one_collector_the_spool_takes_the_records(folder: Path) -> None:
    """Without the second, what is logged meanwhile is stored, and sent in order afterwards."""
    code = UPGRADED.replace(', "unix:///run/b.sock"]', "]").replace(
        "    prefer_after=60.0,  # seconds after which the first is tried again\n",
        "    queue_size=200,\n",
    )
    assert "b.sock" not in code
    first, again = Documented(FIRST, folder), Documented(FIRST, folder, "a2.fstrm")
    with first, ended(again), Server(folder, code) as server:
        server.sends_to(first)
        first.stop()
        wait_until(lambda: server.stats.spooled > 100, "records in the spool", DEADLINE)
        again.start()
        wait_until(lambda: server.stats.spooled == 0, "all of them to be sent", DEADLINE)
        stats = server.end()
        again.stop()

    assert stats.logged == server.logged == stats.written
    assert sum(stats.dropped.values()) == 0
    shown = run_command(folder, COMPARE.replace("b.fstrm ", ""))
    assert "\n1 run, 0 missing, 0 messages without a number\n" in shown


@pytest.mark.parametrize(
    "scene",
    [Scene(200, 50, 10, SHORT), Scene(1000, 50, 60, LONG), Scene(1000, None, 600, LONG)],
    ids=["few", "many", "no limit"],
)
def test_storms_are_as_on_the_page(scene: Scene) -> None:
    """The page has what the simulation says, here of some rows that take no time."""
    assert outage_row(scene) in rows_of(TEXT, "senders")


@pytest.mark.slow
def test_all_tables_of_storms_are_as_on_the_page() -> None:
    """All that `make storm` prints is on the page, and it is the same each time."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.storm"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    printed, shown = tables(done.stdout), tables(TEXT)

    assert len(printed) == 3
    assert [each for each in printed if each not in shown] == []


def test_what_is_said_to_be_run_is_run() -> None:
    """Each program with a yes names tests that there are."""
    rows = rows_of(TEXT, "program")
    run = [row for row in rows if row[1].startswith("yes")]

    assert len(run) >= 6
    for row in run:
        found = [each for each in names(row[2]) if each.startswith("tests/")]
        assert found, row
        assert [each for each in found if not (REPOSITORY / each).exists()] == []
    for row in rows:
        assert row[1].startswith(("yes", "no")), row
