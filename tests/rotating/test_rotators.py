"""What a rotator may do: it succeeds in part, copies, takes long, or is not allowed to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import List

import pytest

from dnstap_logging import RotatingDnstapHandler, TimedRotatingDnstapHandler
from tests.helpers.pages import REPOSITORY
from tests.helpers.said import Said
from tests.helpers.support import require_program, wait_until
from tests.rotating.load import Load, backups, check_all_there, check_books, complaints, log, marks

DEADLINE = 60  # seconds for a process


def test_one_that_copies_and_empties(capture: Path, said: Said) -> None:
    """A rotator that copies the capture and empties it in place: a new stream begins in it."""

    def copy_and_empty(source: str, dest: str) -> None:
        shutil.copyfile(source, dest)
        os.truncate(source, 0)

    handler = RotatingDnstapHandler(
        capture, maxBytes=30_000, backupCount=1000, overflow="block", close_timeout=60
    )
    handler.rotator = copy_and_empty
    with Load(handler, most=700) as load:
        pass
    handler.close()

    files = [*backups(capture), capture]
    assert len(files) > 5
    check_all_there(files, load)
    check_books(handler, load)
    assert (handler.stats().connects, handler.stats().disconnects) == (len(files), 0)
    assert complaints(said, capture) == []


def test_one_that_moves_and_then_raises(capture: Path, said: Said) -> None:
    """The capture was moved, so the next one is begun; the error is reported."""

    def move_and_raise(source: str, dest: str) -> None:
        shutil.move(source, dest)
        raise LookupError("no tape for it")

    handler = RotatingDnstapHandler(
        capture,
        maxBytes=30_000,
        backupCount=1000,
        overflow="block",
        close_timeout=60,
        report_interval=3600,
    )
    handler.rotator = move_and_raise
    with Load(handler, most=700) as load:
        pass
    handler.close()

    files = [*backups(capture), capture]
    assert len(files) > 5
    check_all_there(files, load)
    check_books(handler, load)
    assert handler.stats().connects == len(files)
    (line,) = complaints(said, capture)
    assert re.match("rolled over, but: .*no tape for it", line)
    assert "no tape for it" in (handler.stats().last_error or "")


def test_one_that_deletes(capture: Path) -> None:
    """A rotator that keeps nothing is obeyed: the next capture begins, whole."""
    handler = RotatingDnstapHandler(capture, backupCount=1)
    handler.rotator = lambda source, dest: os.remove(source)
    log(handler, 1)
    handler.doRollover()
    log(handler, 2)
    handler.close()

    assert backups(capture) == []
    assert marks(capture) == [(0, 2)]
    assert handler.stats().last_error is None


def test_one_that_takes_long(capture: Path) -> None:
    """While a rotator works, records wait in the queue, and the callers for nothing."""
    entered, go_on = threading.Event(), threading.Event()

    def slow(source: str, dest: str) -> None:
        entered.set()
        assert go_on.wait(DEADLINE)
        os.rename(source, dest)

    handler = RotatingDnstapHandler(capture, maxBytes=1, backupCount=1, queue_size=2000)
    handler.rotator = slow
    log(handler, 0)
    log(handler, 1)
    assert entered.wait(DEADLINE)
    handler.maxBytes = 0
    for number in range(2, 1002):
        log(handler, number)
    stats = handler.stats()
    assert (stats.written, stats.queued + stats.in_flight) == (1, 1001), stats
    go_on.set()
    handler.close()

    assert [marks(path) for path in backups(capture)] == [[(0, 0)]]
    assert [number for _, number in marks(capture)] == list(range(1, 1002))


def test_one_that_logs(capture: Path) -> None:
    """A rotator that logs dns extras is in the writer thread: it must not wait for itself."""
    handler = RotatingDnstapHandler(capture, backupCount=1, overflow="block", queue_size=1)

    def log_and_rename(source: str, dest: str) -> None:
        log(handler, 10)
        log(handler, 11)
        os.rename(source, dest)

    handler.rotator = log_and_rename
    log(handler, 1)
    handler.doRollover()
    handler.close()

    stats = handler.stats()
    assert (stats.written, stats.dropped["queue_full"]) == (2, 1), stats
    assert [marks(path) for path in [*backups(capture), capture]] == [[(0, 1)], [(0, 10)]]


@pytest.mark.parametrize("count", [1, 2])
def test_an_old_backup_that_cannot_be_deleted(count: int, capture: Path, said: Said) -> None:
    """By time: the capture is rolled over all the same, and the next one goes on."""
    oldest = Path(f"{capture}.2001-01-01_00-00-00")
    oldest.mkdir()
    (oldest / "notes").write_text("somebody's")
    handler = TimedRotatingDnstapHandler(
        capture,
        "S",
        interval=1000,
        backupCount=count,
        utc=True,
        overflow="block",
        close_timeout=60,
        report_interval=3600,
    )
    now = int(time.time())
    with Load(handler) as load:
        for number in range(count):
            load.wait_for_more()
            handler.rolloverAt = now - 100 + number
            wait_until(lambda n=number: handler.stats().connects == n + 2, "the next file", 60)
        assert str(oldest) in said.wait_for("rolled over, but")
        assert str(oldest) in (handler.stats().last_error or "")
    handler.close()

    assert (oldest / "notes").read_text() == "somebody's"
    shutil.rmtree(oldest)
    check_all_there([*sorted(capture.parent.glob("capture.fstrm.*")), capture], load)
    check_books(handler, load)


NO_PERMISSION = """
import dnstap_logging.delivery.capture_writer, logging, os, sys
from pathlib import Path
from dnstap_logging import RotatingDnstapHandler
from tests.rotating.load import log

dnstap_logging.delivery.capture_writer.ROLLOVER_RETRY_INTERVAL = 0.001
folder = Path(sys.argv[1])
handler = RotatingDnstapHandler(
    folder / "capture.fstrm", maxBytes=5000, backupCount=1000, close_timeout=60)
folder.chmod(0o500)
for number in range(1000):
    log(handler, number)
assert handler.flush(60)
stats = handler.stats()
assert "rollover failed" in stats.last_error, stats
assert "EACCES" in stats.last_error or "ermission denied" in stats.last_error, stats
assert stats.connects == 1, stats
folder.chmod(0o700)
for number in range(1000, 2000):
    log(handler, number)
handler.close()
assert handler.stats().connects > 3, handler.stats()
"""


def without_privileges() -> List[str]:
    """Return what a command must begin with so that permissions count, for the superuser too."""
    if os.geteuid() != 0:
        return []
    setpriv = require_program("setpriv")
    return [setpriv, "--inh-caps=-dac_override", "--bounding-set=-dac_override"]


def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    """While nothing can be renamed, the stream goes on in its file."""
    folder = tmp_path / "captures"
    folder.mkdir()
    done = subprocess.run(
        [*without_privileges(), sys.executable, "-W", "error", "-c", NO_PERMISSION, str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    files = [*backups(folder / "capture.fstrm"), folder / "capture.fstrm"]
    assert len(files) > 3
    found = [number for path in files for _, number in marks(path, tool=False)]
    assert found == list(range(2000))
