"""A rollover that fails, under load: nothing is lost, the stream goes on, the next one works."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Union

import pytest

import dnstap_logging.delivery.capture_writer
from dnstap_logging import RotatingDnstapHandler, TimedRotatingDnstapHandler
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.rotating.load import Load, backups, check_all_there, check_books, complaints, log, marks

FAILED = "rollover failed, the stream goes on in the same file"
SIZE = 30_000
MOMENT = 1_700_001_000
NAMED = time.strftime("%Y-%m-%d_%H-%M-%S", time.gmtime(MOMENT - 1000))
CAREFUL: Dict[str, Any] = {
    "overflow": "block",
    "queue_size": 500,
    "close_timeout": 60,
    "report_interval": 3600,
}
Rotating = Union[RotatingDnstapHandler, TimedRotatingDnstapHandler]


def make(kind: str, capture: Path) -> Rotating:
    """Return a handler that rolls over when it is asked to."""
    if kind == "size":
        return RotatingDnstapHandler(capture, backupCount=9)
    return TimedRotatingDnstapHandler(capture, "H", backupCount=9)


@pytest.fixture(autouse=True)
def _tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollover that failed is tried again after some milliseconds."""
    monkeypatch.setattr(dnstap_logging.delivery.capture_writer, "ROLLOVER_RETRY_INTERVAL", 0.05)


class Obstacle(NamedTuple):
    """What stands in a rollover's way.

    Attributes:
        place: puts it there.
        remove: takes it away.
        said: what the failure's text must name.
    """

    place: Callable[[Rotating], None]
    remove: Callable[[Rotating], None]
    said: str


def place_folder(handler: Rotating) -> None:
    """Put a folder with something in it where the one backup belongs."""
    folder = Path(f"{handler.baseFilename}.1")
    folder.mkdir()
    (folder / "notes").write_text("somebody's")


def remove_folder(handler: Rotating) -> None:
    """Remove the folder; what was in it must still be there."""
    folder = Path(f"{handler.baseFilename}.1")
    assert (folder / "notes").read_text() == "somebody's"
    shutil.rmtree(folder)


def namer(function: Callable[[str], str]) -> Callable[[Rotating], None]:
    """Return what sets a namer."""
    return lambda handler: setattr(handler, "namer", function)


def rotator(function: Callable[[str, str], None]) -> Callable[[Rotating], None]:
    """Return what sets a rotator."""
    return lambda handler: setattr(handler, "rotator", function)


def raising(error: BaseException) -> Callable[..., str]:
    """Return a function that raises."""

    def raise_(*_: object) -> str:
        raise error

    return raise_


def no_namer(handler: Rotating) -> None:
    """Have the usual names again."""
    handler.namer = None


def no_rotator(handler: Rotating) -> None:
    """Have captures renamed again."""
    handler.rotator = None


OBSTACLES: Dict[str, Obstacle] = {
    "a folder": Obstacle(place_folder, remove_folder, "capture.fstrm.1"),
    "no such folder": Obstacle(namer(lambda name: f"/absent{name}"), no_namer, "/absent/"),
    "rotator raises": Obstacle(rotator(raising(OSError("no tape"))), no_rotator, "no tape"),
    "rotator exits": Obstacle(rotator(raising(SystemExit("bye"))), no_rotator, "SystemExit"),
    "rotator does nothing": Obstacle(rotator(lambda *_: None), no_rotator, "rotator"),
    "namer raises": Obstacle(namer(raising(LookupError("no name"))), no_namer, "no name"),
    "namer exits": Obstacle(namer(raising(SystemExit("bye"))), no_namer, "SystemExit"),
    "namer: the capture": Obstacle(
        namer(lambda name: name.rpartition(".")[0]), no_namer, "the capture itself"
    ),
    "namer: no text": Obstacle(namer(lambda name: None), no_namer, ""),  # type: ignore[arg-type,return-value]
}


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_by_size(obstacle: Obstacle, capture: Path, said: Said) -> None:
    """The stream goes on in the same file, which is reported once; then the rollover works."""
    handler = RotatingDnstapHandler(capture, maxBytes=SIZE, backupCount=1, **CAREFUL)
    obstacle.place(handler)
    with Load(handler) as load:
        check_failing(handler, load, obstacle, said)
        handler.maxBytes = 0
        obstacle.remove(handler)
        handler.backupCount, handler.maxBytes = 1000, SIZE
        wait_until(lambda: handler.stats().connects > 3, "the rollovers after it", 60)
        handler.maxBytes = 0
    handler.close()

    assert len(complaints(said, capture)) == 1, said.lines
    check_all_there([*backups(capture), capture], load)
    check_books(handler, load)
    first, *others = backups(capture)
    assert first.stat().st_size > SIZE, "the capture that could not be rolled over"
    assert max(path.stat().st_size for path in others) < SIZE, "another one that was too long"


@pytest.mark.parametrize("name", sorted(set(OBSTACLES) - {"a folder"}))
def test_by_time(name: str, capture: Path, said: Said) -> None:
    """The same by time: the late rollover uses the name of the time that was missed."""
    obstacle = OBSTACLES[name]
    handler = TimedRotatingDnstapHandler(capture, "S", interval=1000, utc=True, **CAREFUL)
    obstacle.place(handler)
    with Load(handler) as load:
        load.wait_for_more()
        handler.rolloverAt = MOMENT
        check_failing(handler, load, obstacle, said)
        obstacle.remove(handler)
        if name == "rotator does nothing":  # it raised nothing: then the next time counts
            assert handler.rolloverAt > time.time()
            handler.rolloverAt = MOMENT
        wait_until(lambda: handler.stats().connects == 2, "the rollover", 60)
        load.wait_for_more()
    handler.close()

    assert len(complaints(said, capture)) == 1, said.lines
    backup = Path(f"{capture}.{NAMED}")
    assert set(capture.parent.iterdir()) == {capture, backup}
    check_all_there([backup, capture], load)
    check_books(handler, load)


def check_failing(handler: Rotating, load: Load, obstacle: Obstacle, said: Said) -> None:
    """Wait for the rollover to fail; check that it is reported, and that the stream goes on."""
    assert obstacle.said in said.wait_for(FAILED)
    load.wait_for_more(1000)
    stats = handler.stats()
    assert (stats.connects, stats.disconnects, stats.connected) == (1, 0, True), stats
    assert FAILED in (stats.last_error or ""), stats
    assert obstacle.said in (stats.last_error or ""), stats


@pytest.mark.parametrize("kind", ["a file", "a folder"])
def test_by_time_a_name_that_is_taken(kind: str, capture: Path, said: Said) -> None:
    """A backup is not overwritten: the stream goes on in the same file until the next time."""
    handler = TimedRotatingDnstapHandler(capture, "S", interval=1000, utc=True, **CAREFUL)
    taken = Path(f"{capture}.{NAMED}")
    if kind == "a file":
        taken.write_bytes(b"an older backup")
    else:
        taken.mkdir()
    with Load(handler) as load:
        load.wait_for_more()
        handler.rolloverAt = MOMENT
        wait_until(lambda: handler.rolloverAt > time.time(), "the next time", 60)
        load.wait_for_more()
        assert handler.stats().connects == 1, handler.stats()
        handler.rolloverAt = MOMENT + 1
        wait_until(lambda: handler.stats().connects == 2, "the next rollover", 60)
    handler.close()

    if kind == "a file":
        assert taken.read_bytes() == b"an older backup"
        taken.unlink()
    else:
        taken.rmdir()
    (backup,) = set(capture.parent.iterdir()) - {capture}
    check_all_there([backup, capture], load)
    check_books(handler, load)


@pytest.mark.parametrize("kind", ["size", "time"])
def test_a_namer_that_means_the_capture_by_another_path(kind: str, capture: Path) -> None:
    """The capture is not deleted to make room for itself, whatever path leads to it."""
    link = capture.with_name("link")
    link.symlink_to(capture.parent)
    handler = make(kind, capture)
    handler.namer = lambda name: str(link / capture.name)
    log(handler, 1)
    handler.doRollover()
    log(handler, 2)
    handler.close()

    assert marks(capture) == [(0, 1), (0, 2)]
    assert FAILED in (handler.stats().last_error or "")


@pytest.mark.parametrize("kind", ["size", "time"])
def test_asked_for(kind: str, capture: Path, said: Said) -> None:
    """doRollover() raises nothing, waits for nothing, and works when it is asked for again."""
    handler = make(kind, capture)
    handler.rotator = raising(OSError("no tape"))
    log(handler, 1)
    before = capture.read_bytes() if handler.flush() else b""

    handler.doRollover()

    assert "no tape" in said.wait_for(FAILED)
    assert "no tape" in (handler.stats().last_error or "")
    assert list(capture.parent.iterdir()) == [capture]
    assert capture.read_bytes().startswith(before)
    log(handler, 2)
    handler.rotator = None
    handler.doRollover()
    log(handler, 3)
    handler.close()
    (backup,) = set(capture.parent.iterdir()) - {capture}
    assert (marks(backup), marks(capture)) == ([(0, 1), (0, 2)], [(0, 3)])


@pytest.mark.parametrize("logged", [True, False])
def test_after_a_failure_the_capture_is_closed_whole(logged: bool, capture: Path) -> None:
    """STOP is there once, at the end, whether or not a record follows the failed rollover."""
    first = RotatingDnstapHandler(capture, backupCount=9)
    log(first, 1)
    first.close()
    content = capture.read_bytes()
    handler = RotatingDnstapHandler(capture, backupCount=9)
    handler.rotator = raising(OSError("no tape"))

    handler.doRollover()
    if logged:
        log(handler, 2)
    handler.close()

    assert marks(capture) == [(0, 1), (0, 2)] if logged else [(0, 1)]
    assert logged or capture.read_bytes() == content


def test_failures_in_a_row_cost_no_backups(capture: Path) -> None:
    """However often a rollover fails, at most the oldest capture is deleted."""
    handler = RotatingDnstapHandler(capture, maxBytes=1, backupCount=4)
    for number in range(5):
        log(handler, number)
    assert handler.flush()
    assert [marks(path) for path in backups(capture)] == [[(0, each)] for each in range(4)]
    attempts: List[str] = []

    def broken(source: str, dest: str) -> None:
        attempts.append(dest)
        raise OSError("no tape")

    handler.rotator = broken
    number = 5

    def failed_often() -> bool:
        nonlocal number
        log(handler, number)
        number += 1
        return handler.flush() and len(attempts) >= 8

    wait_until(failed_often, "eight attempts")
    handler.close()

    older = sorted(set(capture.parent.iterdir()) - {capture})
    found = sorted(mark for path in older for mark in marks(path))
    assert found[-3:] == [(0, 1), (0, 2), (0, 3)], f"left are {older}"
    assert marks(capture) == [(0, each) for each in range(4, number)]
