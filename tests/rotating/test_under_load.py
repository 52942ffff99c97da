"""Rollovers while four threads log at full speed: no record lost, none twice, every file whole."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from dnstap_logging import DnstapHandler, RotatingDnstapHandler, TimedRotatingDnstapHandler
from tests.helpers.pages import python_examples
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
    complaints,
    log,
    marks,
    unpack,
)

MAX_BYTES = 50_000
LOSSLESS: Dict[str, Any] = {"overflow": "block", "close_timeout": 60}
"""Callers wait for room, and close() for the last record: a rollover lost what is missing."""


def by_size(capture: Path, backup_count: int, **arguments: Any) -> RotatingDnstapHandler:
    """Return a handler that rolls over every few hundred records."""
    return RotatingDnstapHandler(
        capture, maxBytes=MAX_BYTES, backupCount=backup_count, **LOSSLESS, **arguments
    )


def check_sessions(handler: DnstapHandler, files: int) -> None:
    """Check that each file was a session that ended in order."""
    stats = handler.stats()
    assert (stats.connects, stats.disconnects, stats.connected) == (files, 0, False), stats
    assert stats.last_error is None


def test_by_size_nothing_is_lost_or_doubled(capture: Path, said: Said) -> None:
    """All files together are what was logged, in order; each is whole and below maxBytes."""
    handler = by_size(capture, backup_count=1000)
    with Load(handler, most=1500) as load:
        pass
    handler.close()

    files = [*backups(capture), capture]
    assert len(files) > 10, "there were hardly any rollovers"
    check_all_there(files, load)
    check_books(handler, load)
    check_sessions(handler, len(files))
    sizes = [path.stat().st_size for path in files]
    assert max(sizes) < MAX_BYTES, sizes
    assert min(sizes[:-1]) > MAX_BYTES - 1000, f"a capture that rolled over early: {sizes}"
    assert complaints(said, capture) == []


def test_by_size_with_a_queue_of_one(capture: Path) -> None:
    """The same where records come one by one, and every caller waits for the one before."""
    handler = by_size(capture, backup_count=1000, queue_size=1)
    with Load(handler, most=300) as load:
        pass
    handler.close()

    files = [*backups(capture), capture]
    assert len(files) > 2
    check_all_there(files, load)
    check_books(handler, load)


def test_by_size_the_backup_count_is_kept(capture: Path) -> None:
    """With backupCount=3 there are three backups, and in them the newest records, without a gap."""
    handler = by_size(capture, backup_count=3)
    with Load(handler, most=1500) as load:
        pass
    handler.close()

    files = [*backups(capture), capture]
    assert len(files) == 4
    check_books(handler, load)
    assert handler.stats().connects > 10, "there were hardly any rollovers"
    check_newest([mark for path in files for mark in marks(path)], load)


def check_newest(found: List[Mark], load: Load) -> None:
    """Check that of each thread the last records are there, in order, up to the very last."""
    assert found
    for thread, numbers in by_thread(found).items():
        last = load.logged[thread]
        assert numbers == list(range(last - len(numbers), last)), f"thread {thread}: a gap"


def test_by_size_a_small_max_bytes_means_one_record_a_file(capture: Path) -> None:
    """A record larger than maxBytes has a whole file of its own; none is left out."""
    handler = RotatingDnstapHandler(capture, maxBytes=1, backupCount=1000, **LOSSLESS)
    with Load(handler, threads=2, most=20) as load:
        pass
    handler.close()

    files = [*backups(capture), capture]
    assert [len(marks(path, tool=False)) for path in files] == [1] * 40
    check_all_there(files, load, tool=False)


def test_by_size_after_a_restart_the_captures_go_on(capture: Path) -> None:
    """The next handler continues the capture and the numbers of the backups."""
    first = by_size(capture, backup_count=1000)
    with Load(first, most=700) as load:
        pass
    first.close()
    files = len(backups(capture))

    second = by_size(capture, backup_count=1000)
    for number in range(700):
        log(second, number, thread=4)
    second.close()

    load.logged[4] = 700
    assert len(backups(capture)) > files
    check_all_there([*backups(capture), capture], load)
    sizes = [path.stat().st_size for path in backups(capture)]
    assert min(sizes) > MAX_BYTES - 1000, f"the restart cost a rollover: {sizes}"


def dated(capture: Path) -> List[Path]:
    """Return the backups of a rollover by time, the oldest first, with the twin's names."""
    found = sorted(capture.parent.glob(f"{capture.name}.*"))
    pattern = re.escape(capture.name) + r"\.\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d"
    wrong = [path.name for path in found if not re.fullmatch(pattern, path.name)]
    assert not wrong, f"unusual names: {wrong}"
    return found


@pytest.mark.parametrize("utc", [True, False])
def test_by_time_nothing_is_lost_or_doubled(utc: bool, capture: Path, said: Said) -> None:
    """Every second a new file, each named after the second in which it began."""
    began = time.time()
    handler = TimedRotatingDnstapHandler(capture, "S", utc=utc, queue_size=200, **LOSSLESS)
    with Load(handler) as load:
        wait_until(lambda: handler.stats().connects >= 4, "three rollovers", 60)
    handler.close()
    ended = time.time()

    files = [*dated(capture), capture]
    check_all_there(files, load)
    check_books(handler, load)
    check_sessions(handler, len(files))
    assert complaints(said, capture) == []
    seconds = list(range(int(began), int(ended) + 1))
    moment = time.gmtime if utc else time.localtime
    names = [time.strftime("%Y-%m-%d_%H-%M-%S", moment(each)) for each in seconds]
    assert all(path.name.rpartition(".")[2] in names for path in dated(capture)), (files, names)


def roll_over_ten_times(handler: TimedRotatingDnstapHandler) -> Tuple[int, Load]:
    """Set rolloverAt back again and again under load, then close.

    Returns:
        The time, a hundred seconds after the first that was set, and the load.
    """
    now = int(time.time())
    with Load(handler) as load:
        for number in range(10):
            load.wait_for_more()
            handler.rolloverAt = now - 100 + number
            wait_until(lambda n=number: handler.stats().connects == n + 2, "the next file", 60)
    handler.close()
    return now, load


def test_by_time_each_time_that_is_set_is_kept(capture: Path) -> None:
    """With rolloverAt set back by hand, again and again, every one of ten rollovers is whole."""
    handler = TimedRotatingDnstapHandler(capture, "S", interval=1000, utc=True, **LOSSLESS)
    now, load = roll_over_ten_times(handler)

    expected = [
        time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(now - 1100 + number)) for number in range(10)
    ]
    assert [path.name.rpartition(".")[2] for path in dated(capture)] == expected
    check_all_there([*dated(capture), capture], load)
    check_books(handler, load)
    check_sessions(handler, 11)


def test_by_time_the_backup_count_is_kept(capture: Path) -> None:
    """With backupCount=3 the three newest backups are there, and in them the newest records."""
    stranger = capture.with_name("capture.fstrm.notes")
    stranger.write_text("not a backup")
    handler = TimedRotatingDnstapHandler(
        capture, "S", interval=1000, backupCount=3, utc=True, **LOSSLESS
    )
    _, load = roll_over_ten_times(handler)

    assert stranger.read_text() == "not a backup"
    stranger.unlink()
    assert len(dated(capture)) == 3
    check_books(handler, load)
    check_newest([mark for path in [*dated(capture), capture] for mark in marks(path)], load)


def documented_compression(handler: DnstapHandler) -> None:
    """Give a handler the namer and the rotator that the documentation shows."""
    (code,) = [code for _, code in python_examples(DOCUMENTATION) if "gzip" in code]
    exec(compile(code, str(DOCUMENTATION), "exec"), {"by_size": handler})


def test_compressed_by_the_documented_rotator(capture: Path, said: Said) -> None:
    """The documentation's namer and rotator lose nothing: all is in the .gz files and the last."""
    handler = by_size(capture, backup_count=1000)
    documented_compression(handler)
    with Load(handler, most=1500) as load:
        pass
    handler.close()

    packed = list(capture.parent.glob("*.gz"))
    assert len(packed) > 10
    assert set(capture.parent.iterdir()) == {capture, *packed}
    unpack(capture.parent)
    files = [*backups(capture), capture]
    check_all_there(files, load)
    check_books(handler, load)
    check_sessions(handler, len(files))
    assert complaints(said, capture) == []


def test_compressed_by_time(capture: Path) -> None:
    """The same by time, with a count: the newest are kept, and only compressed ones deleted."""
    handler = TimedRotatingDnstapHandler(
        capture, "S", interval=1000, backupCount=2, utc=True, **LOSSLESS
    )
    documented_compression(handler)
    now = int(time.time())
    with Load(handler) as load:
        for number in range(5):
            load.wait_for_more()
            handler.rolloverAt = now - 100 + number
            wait_until(lambda n=number: handler.stats().connects == n + 2, "the next file", 60)
    handler.close()

    assert len(list(capture.parent.glob("*.gz"))) == 2, sorted(capture.parent.iterdir())
    unpack(capture.parent)
    check_newest([mark for path in [*dated(capture), capture] for mark in marks(path)], load)
