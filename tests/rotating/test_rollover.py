"""`doRollover`, and attributes that are set while the handler works."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import List, Type, Union

import pytest

from dnstap_logging import RotatingDnstapHandler, TimedRotatingDnstapHandler
from tests.helpers.said import Said
from tests.rotating.load import Load, backups, check_all_there, check_books, complaints, log, marks

Rotating = Union[RotatingDnstapHandler, TimedRotatingDnstapHandler]
BOTH = [RotatingDnstapHandler, TimedRotatingDnstapHandler]


def make(kind: Type[Rotating], capture: Path) -> Rotating:
    """Return a handler that never rolls over by itself."""
    return kind(capture, backupCount=9)


def others(capture: Path) -> List[Path]:
    """Return all backups, in the order of their names."""
    return sorted(set(capture.parent.iterdir()) - {capture})


@pytest.mark.parametrize("kind", BOTH)
def test_what_was_logged_before_is_in_the_old_file(kind: Type[Rotating], capture: Path) -> None:
    """doRollover() returns when it is done: the old file is whole, and the rest in the new one."""
    handler = make(kind, capture)
    for number in range(1000):
        log(handler, number)

    handler.doRollover()

    (backup,) = others(capture)
    assert [number for _, number in marks(backup)] == list(range(1000))
    log(handler, 1000)
    handler.close()
    assert marks(capture) == [(0, 1000)]
    assert handler.stats().written == 1001
    assert handler.stats().last_error is None


@pytest.mark.parametrize("kind", BOTH)
def test_without_any_record_nothing_is_rolled_over(
    kind: Type[Rotating], capture: Path, said: Said
) -> None:
    """A capture that has no record stays where it is, nor after a rollover; no word on it."""
    handler = make(kind, capture)

    handler.doRollover()
    assert others(capture) == []
    log(handler, 1)
    handler.doRollover()
    handler.doRollover()
    handler.doRollover()

    assert len(others(capture)) == 1
    handler.close()
    assert [marks(path) for path in others(capture)] == [[(0, 1)]]
    assert complaints(said, capture) == []


@pytest.mark.parametrize("kind", BOTH)
def test_an_older_capture_is_rolled_over_before_the_first_record(
    kind: Type[Rotating], capture: Path
) -> None:
    """doRollover() at a program's start, as is usual, begins with an empty capture."""
    first = make(kind, capture)
    log(first, 1)
    first.close()

    second = make(kind, capture)
    second.doRollover()
    (backup,) = others(capture)
    assert marks(backup) == [(0, 1)]
    log(second, 2)
    second.close()

    assert marks(capture) == [(0, 2)]
    assert others(capture) == [backup]


@pytest.mark.parametrize("delay", [True, False])
def test_without_records_the_files_are_whole_after_a_rollover(delay: bool, capture: Path) -> None:
    """A handler that only rolls an older capture over leaves that one whole, and no broken one."""
    first = RotatingDnstapHandler(capture, backupCount=9)
    log(first, 1)
    first.close()

    second = RotatingDnstapHandler(capture, backupCount=9, delay=delay)
    second.doRollover()
    second.close()

    assert marks(backups(capture)[0]) == [(0, 1)]
    if capture.exists():
        assert marks(capture) == []


@pytest.mark.parametrize("kind", BOTH)
def test_after_close_nothing_happens(kind: Type[Rotating], capture: Path) -> None:
    """doRollover() after close() moves nothing, raises nothing and does not wait."""
    handler = make(kind, capture)
    log(handler, 1)
    handler.close()
    content = capture.read_bytes()

    handler.doRollover()
    handler.doRollover()

    assert others(capture) == []
    assert capture.read_bytes() == content


def test_without_limits_it_can_be_asked_for(capture: Path) -> None:
    """A handler with maxBytes=0, which never rolls over by itself, does when it is told to."""
    handler = RotatingDnstapHandler(capture, backupCount=2)
    for number in range(5):
        log(handler, number)
        handler.doRollover()
    handler.close()

    assert [marks(path) for path in backups(capture)] == [[(0, 3)], [(0, 4)]]
    assert marks(capture) == []


def test_without_backups_it_is_said_that_there_is_none(capture: Path, said: Said) -> None:
    """With backupCount=0 the capture cannot be moved: it goes on, and that is reported."""
    handler = RotatingDnstapHandler(capture, maxBytes=100)
    log(handler, 1)

    handler.doRollover()

    assert "backupCount" in said.wait_for("rollover failed")
    log(handler, 2)
    handler.close()
    assert marks(capture) == [(0, 1), (0, 2)]
    assert others(capture) == []


def test_asked_for_by_several_threads_under_load(capture: Path) -> None:
    """doRollover() by two threads while others log: nothing is lost, twice or out of order."""
    handler = RotatingDnstapHandler(capture, backupCount=1000, close_timeout=60)

    def ask() -> None:
        for _ in range(10):
            load.wait_for_more(50)
            handler.doRollover()

    with Load(handler, threads=2, pause=0.0005) as load:
        asking = [threading.Thread(target=ask) for _ in range(2)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(120)
            assert not thread.is_alive(), "doRollover() does not return"
    handler.close()

    files = [*backups(capture), capture]
    assert len(files) > 10
    check_all_there(files, load, tool=False)
    check_books(handler, load)


def test_callers_that_wait_for_room_lose_nothing_by_it(capture: Path) -> None:
    """With overflow="block" a doRollover() sends nobody away: every record is written."""
    handler = RotatingDnstapHandler(
        capture, backupCount=1000, overflow="block", queue_size=1, close_timeout=60
    )
    with Load(handler, most=500) as load:
        for _ in range(50):
            handler.doRollover()
    handler.close()

    check_all_there([*backups(capture), capture], load, tool=False)
    check_books(handler, load)


def test_close_lets_who_waits_go(tmp_path: Path) -> None:
    """A doRollover() that meets the close() of another thread returns with it, not much later."""
    for number in range(50):
        capture = tmp_path / str(number) / "capture.fstrm"
        capture.parent.mkdir()
        handler = RotatingDnstapHandler(capture, backupCount=9, close_timeout=3600)
        log(handler, 1)
        assert handler.flush(20)
        asking = threading.Thread(target=handler.doRollover, daemon=True)
        asking.start()
        handler.close()
        asking.join(20)

        assert not asking.is_alive(), f"round {number}: doRollover() still waits"
        assert [mark for path in capture.parent.iterdir() for mark in marks(path, tool=False)] == [
            (0, 1)
        ]


def test_it_waits_no_longer_than_close_timeout(tmp_path: Path, said: Said) -> None:
    """While somebody else has the file, doRollover() gives up in time; no record is lost by it."""
    path = tmp_path / "capture.fstrm"
    first = RotatingDnstapHandler(path, backupCount=9)
    second = RotatingDnstapHandler(path, backupCount=9, close_timeout=0.05)
    log(first, 1)
    log(second, 2)

    second.doRollover()

    assert second.stats().queued + second.stats().in_flight == 1, second.stats()
    first.close()
    assert second.flush(20), second.stats()
    second.close()
    found = [mark for capture in [*backups(path), path] for mark in marks(capture)]
    assert found == [(0, 1), (0, 2)]


# -- attributes ------------------------------------------------------------------------------------


def test_max_bytes_and_backup_count_may_be_set_later(capture: Path) -> None:
    """A limit that is set while the handler works holds from the next record on."""
    handler = RotatingDnstapHandler(capture)
    for number in range(100):
        log(handler, number)
    assert handler.flush()
    assert others(capture) == []

    handler.maxBytes, handler.backupCount = 1, 2
    for number in range(100, 105):
        log(handler, number)
    handler.close()

    assert (handler.maxBytes, handler.backupCount) == (1, 2)
    assert [marks(path) for path in [*backups(capture), capture]] == [
        [(0, 102)],
        [(0, 103)],
        [(0, 104)],
    ]


@pytest.mark.parametrize(
    ("kind", "name", "value", "right"),
    [
        (RotatingDnstapHandler, "maxBytes", "1k", "an integer of at least 0"),
        (RotatingDnstapHandler, "backupCount", -1, "an integer of at least 0"),
        (TimedRotatingDnstapHandler, "backupCount", None, "an integer of at least 0"),
        (TimedRotatingDnstapHandler, "rolloverAt", "noon", "seconds since the epoch"),
        (RotatingDnstapHandler, "baseFilename", "other.fstrm", "make another handler"),
    ],
)
def test_what_the_writer_thread_could_not_use_is_refused(
    kind: Type[Rotating], name: str, value: object, right: str, capture: Path
) -> None:
    """A wrong value raises where it is set, and changes nothing."""
    handler = make(kind, capture)
    before = getattr(handler, name)

    with pytest.raises((TypeError, ValueError, AttributeError), match=right) as caught:
        setattr(handler, name, value)

    assert f"{name}={value!r}" in str(caught.value)
    assert getattr(handler, name) == before
    handler.close()


def test_rollover_at_may_be_set_later(capture: Path) -> None:
    """With rolloverAt in the past the next record is in a new file; without one nothing happens."""
    handler = TimedRotatingDnstapHandler(capture, "H")
    log(handler, 1)
    assert handler.flush()

    handler.rolloverAt = int(time.time()) - 7200
    assert others(capture) == []
    log(handler, 2)
    assert handler.flush()

    assert len(others(capture)) == 1
    assert handler.rolloverAt > time.time(), "the time after the one that has come"
    handler.close()
    assert [marks(path) for path in [*others(capture), capture]] == [[(0, 1)], [(0, 2)]]


def test_suffix_and_ext_match_may_be_set_later(capture: Path) -> None:
    """A program may name the backups by another format, and have the old ones known by it."""
    handler = TimedRotatingDnstapHandler(capture, "S", 1000, backupCount=2, utc=True)
    handler.suffix = "%Y%m%dT%H%M%S"
    handler.extMatch = re.compile(r"\d{8}T\d{6}", re.ASCII)
    for number in range(5):
        log(handler, number)
        assert handler.flush()
        handler.rolloverAt = 1_700_000_000 + number
    log(handler, 5)
    handler.close()

    moments = [time.gmtime(1_700_000_000 - 1000 + number) for number in (3, 4)]
    expected = [capture.name + time.strftime(".%Y%m%dT%H%M%S", moment) for moment in moments]
    assert [path.name for path in others(capture)] == expected
    assert [marks(path) for path in [*others(capture), capture]] == [[(0, 3)], [(0, 4)], [(0, 5)]]


def test_namer_and_rotator_may_be_set_later(capture: Path) -> None:
    """The namer gets the usual name, the rotator source and destination, in the writer thread."""
    handler = RotatingDnstapHandler(capture, backupCount=2)
    calls: List[object] = []

    def rename(source: str, dest: str) -> None:
        calls.append((source, dest, threading.current_thread().name))
        Path(source).rename(dest)

    handler.namer = lambda name: name.replace("capture.fstrm", "old") + ".fstrm"
    handler.rotator = rename
    log(handler, 1)
    assert handler.flush()
    handler.doRollover()
    log(handler, 2)
    handler.close()

    old = capture.with_name("old.1.fstrm")
    assert calls == [(str(capture), str(old), "dnstap-writer")]
    assert marks(old) == [(0, 1)]
    assert marks(capture) == [(0, 2)]
    assert handler.namer is not None
    assert handler.rotator is rename
