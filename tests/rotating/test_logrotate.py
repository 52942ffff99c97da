"""logrotate at work on our captures, under load and while idle, and others that move files."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from dnstap_logging import DnstapHandler, DnstapReader
from dnstap_logging.exceptions import DecodeError
from tests.helpers.logrotate import Logrotate, create
from tests.helpers.pages import FENCE, REPOSITORY
from tests.helpers.programs import run_python
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.rotating.load import (
    DOCUMENTATION,
    Load,
    Mark,
    backups,
    by_thread,
    check_all_there,
    check_books,
    log,
    mark_of,
    marks,
    unpack,
)
from tests.situations.interop.captures import read_capture

DEADLINE = 60  # seconds for a process
ROTATIONS = 5


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Return the path of a capture that is alone in its folder."""
    folder = tmp_path / "captures"
    folder.mkdir(mode=0o700)
    return folder / "capture.fstrm"


def documented(capture: Path) -> str:
    """Return the configuration of the documentation, for this capture and this user."""
    text = DOCUMENTATION.read_text(encoding="utf-8")
    (block,) = (code for _, _, code in FENCE.findall(text) if "/var/log/dns/" in code)
    changed = block.replace("/var/log/dns/", f"{capture.parent}/")
    return re.sub(r"create 0640 \w+ \w+", create(), changed)


def lossless(capture: Path) -> DnstapHandler:
    """Return a handler that loses nothing by itself."""
    return DnstapHandler(capture, overflow="block", close_timeout=60)


def rotate_under_load(logrotate: Logrotate, handler: DnstapHandler, load: Load) -> None:
    """Rotate again and again, each time after the handler has begun a new stream."""
    for number in range(ROTATIONS):
        load.wait_for_more()
        logrotate.rotate()
        wait_until(lambda n=number: handler.stats().connects == n + 2, "a new stream")
    load.wait_for_more()


def test_create(tmp_path: Path, capture: Path) -> None:
    """Rotated with create under load: nothing is lost, nothing twice, every file is whole."""
    configuration = f"{capture} {{\n rotate 100\n {create()}\n}}\n"
    logrotate = Logrotate(tmp_path, configuration)
    handler = lossless(capture)
    with Load(handler, threads=2) as load:
        rotate_under_load(logrotate, handler, load)
    handler.close()

    assert len(backups(capture)) == ROTATIONS
    check_all_there([*backups(capture), capture], load)
    check_books(handler, load)


def test_as_documented(tmp_path: Path, capture: Path) -> None:
    """The documentation's configuration, compressing with a delay: the same, in .gz files."""
    logrotate = Logrotate(tmp_path, documented(capture))
    handler = lossless(capture)
    with Load(handler, threads=2) as load:
        rotate_under_load(logrotate, handler, load)
    handler.close()

    packed = sorted(path.name for path in capture.parent.glob("*.gz"))
    assert packed == [f"capture.fstrm.{number}.gz" for number in range(2, ROTATIONS + 1)]
    unpack(capture.parent)
    assert len(backups(capture)) == ROTATIONS
    check_all_there([*backups(capture), capture], load)
    check_books(handler, load)
    assert capture.stat().st_mode & 0o777 == 0o640


def test_copytruncate(tmp_path: Path, capture: Path, said: Said) -> None:
    """With copytruncate a new stream begins; lost is only what came between copy and emptying."""
    configuration = f"{capture} {{\n rotate 100\n copytruncate\n}}\n"
    logrotate = Logrotate(tmp_path, configuration)
    handler = lossless(capture)
    with Load(handler, threads=2) as load:
        rotate_under_load(logrotate, handler, load)
    handler.close()

    check_books(handler, load)
    assert handler.stats().disconnects == ROTATIONS
    said.wait_for("session ended: the file was emptied by another program")
    copies = [marks_of_a_copy(path) for path in backups(capture)]
    assert len(copies) == ROTATIONS
    check_gaps([*copies, marks(capture)], load)


def marks_of_a_copy(path: Path) -> List[Mark]:
    """Return the marks of a copy, which may be cut at its end and is whole otherwise."""
    found: List[Mark] = []
    expected = read_capture(path)
    with DnstapReader(path) as reader:
        with pytest.raises(DecodeError) if expected.rest else contextlib.nullcontext():
            found.extend(map(mark_of, reader))
    assert len(found) == len(expected.payloads) > 0
    return found


def check_gaps(files: List[List[Mark]], load: Load) -> None:
    """Check that in each file every thread's records follow each other without a gap."""
    following: Dict[int, int] = dict.fromkeys(load.logged, 0)
    for found in files:
        for thread, numbers in by_thread(found).items():
            assert numbers[0] >= following[thread], f"thread {thread}: {numbers[0]} is twice"
            assert numbers == list(range(numbers[0], numbers[-1] + 1)), f"thread {thread}: a gap"
            following[thread] = numbers[-1] + 1
    assert following == load.logged, "the last records are missing"


PROGRAM = """
import logging, signal, sys, time
import dnstap_logging.delivery.delivery
from dnstap_logging import DnstapHandler
from tests.rotating.load import log

dnstap_logging.delivery.delivery.IDLE_INTERVAL = 3600  # only reopen() may notice it
handler = DnstapHandler(sys.argv[1])
signal.signal(signal.SIGHUP, lambda *_: handler.reopen())
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
log(handler, 0)
assert handler.flush()
print("ready", flush=True)
while True:
    time.sleep(0.1)  # not signal.pause(), where a signal that came just before would wait
"""


def test_postrotate(tmp_path: Path, capture: Path) -> None:
    """A program that calls reopen() on SIGHUP begins the new file at once, even if it is idle."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(capture)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            hang_up = f"postrotate\n kill -HUP {process.pid}\n endscript"
            configuration = f"{capture} {{\n rotate 100\n {create()}\n {hang_up}\n}}\n"
            logrotate = Logrotate(tmp_path, configuration)
            for number in range(1, ROTATIONS + 1):
                logrotate.rotate()
                wait_until(lambda: capture.exists() and capture.stat().st_size, "the new stream")
                assert len(backups(capture)) == number
                assert read_capture(backups(capture)[-1]).complete
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()

    assert (process.returncode, errors) == (0, ""), errors
    found = [marks(path) for path in [*backups(capture), capture]]
    assert found == [[(0, 0)], *([] for _ in range(ROTATIONS))]


def move(capture: Path) -> None:
    """Move a capture away, as logrotate without create does."""
    capture.rename(capture.with_name("moved.fstrm"))


def replace(capture: Path) -> None:
    """Put another capture in the place of one."""
    other = capture.with_name("other.fstrm")
    other.write_bytes(b"")
    move(capture)
    other.rename(capture)


def empty(capture: Path) -> None:
    """Empty a capture in place, after a copy."""
    shutil.copyfile(capture, capture.with_name("moved.fstrm"))
    os.truncate(capture, 0)


@pytest.mark.parametrize("act", [move, replace, empty, os.unlink], ids=lambda act: act.__name__)
def test_noticed_while_idle(act: Callable[[Path], None], capture: Path, said: Said) -> None:
    """Without any record being logged, a new stream begins in a file at the same path."""
    handler = DnstapHandler(capture)
    log(handler, 1)
    assert handler.flush()

    act(capture)

    why = "emptied by another program" if act is empty else "moved or deleted"
    said.wait_for(f"session ended: the file was {why}")
    wait_until(lambda: capture.exists() and capture.stat().st_size, "the new stream")
    assert handler.stats().logged == 1
    log(handler, 2)
    handler.close()
    assert marks(capture) == [(0, 2)]
    assert (handler.stats().connects, handler.stats().disconnects) == (2, 1)
    moved = capture.with_name("moved.fstrm")
    if act is empty:
        assert read_capture(moved).payloads
    elif act is not os.unlink:
        assert marks(moved) == [(0, 1)]


REOPENING = """
import os, signal, sys, threading
from dnstap_logging import DnstapHandler
from tests.rotating.load import Load
from tests.helpers.support import wait_until

capture = sys.argv[1]
handler = DnstapHandler(capture, queue_size=1_000_000, close_timeout=60)
hung_up = threading.Event()

def reopen(*_):
    handler.reopen()
    hung_up.set()

signal.signal(signal.SIGHUP, reopen)
with Load(handler, threads=2, pause=0.0001) as load:
    for number in range(20, 0, -1):
        load.wait_for_more(200)
        wait_until(lambda: os.path.exists(capture), "the next file")
        os.rename(capture, f"{capture}.{number}")
        hung_up.clear()
        os.kill(os.getpid(), signal.SIGHUP)
        assert hung_up.wait(60)
    wait_until(lambda: os.path.exists(capture), "the last file")
handler.close()
stats = handler.stats()
assert stats.written == stats.logged == load.total, (stats, load.logged)
print(load.logged[0], load.logged[1])
"""


def test_reopen_from_a_signal_handler_under_load(capture: Path) -> None:
    """Renamed and reopened twenty times under load: nothing lost, nothing twice, all whole."""
    done = run_python(REOPENING, capture, timeout=2 * DEADLINE)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr

    files = [*backups(capture), capture]
    found = by_thread(mark for path in files for mark in marks(path, tool=False))
    assert len(files) == 21
    logged = map(int, done.stdout.split())
    assert found == {thread: list(range(number)) for thread, number in enumerate(logged)}


def test_a_compressed_capture_is_still_readable(tmp_path: Path, capture: Path) -> None:
    """What logrotate has compressed is a capture for the reader, through gzip."""
    logrotate = Logrotate(tmp_path, documented(capture))
    handler = lossless(capture)
    log(handler, 1)
    assert handler.flush()
    for number in range(2):
        logrotate.rotate()
        wait_until(lambda n=number: handler.stats().connects == n + 2, "a new stream")
    handler.close()

    with gzip.open(f"{capture}.2.gz", "rb") as unpacked, DnstapReader(unpacked) as reader:
        assert [mark_of(message) for message in reader] == [(0, 1)]
        assert reader.complete
