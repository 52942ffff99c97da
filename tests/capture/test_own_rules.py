"""Where a rotation differs from the standard library's on purpose: no capture is lost."""

from __future__ import annotations

import datetime
import os
import shutil
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Callable, List

import pytest

from dnstap_logging.capture.rotation import Rotation, SizeRotation, TimedRotation
from tests.capture.twins import (
    CUBA,
    EUROPE,
    NAME,
    NOON,
    Clock,
    add_gz,
    compress,
    contents,
    fail,
    set_clock,
    write,
)


def make_size(path: Path) -> Rotation:
    return SizeRotation(path, 1, 3)


def make_timed(path: Path) -> Rotation:
    return TimedRotation(path, "H", backupCount=3)


def fill(rotation: Rotation, clock: Clock, number: int) -> List[str]:
    """Write lines, each to a file of its own; return them."""
    lines = [f"line {each}" for each in range(number)]
    for line in lines:
        write(rotation, line)
        clock.now += 4000
    return lines


def texts(folder: Path) -> List[str]:
    """Return the texts of all files, the oldest first."""
    return sorted(text.strip() for text in contents(folder).values())


both = pytest.mark.parametrize("make", [make_size, make_timed])


@both
@pytest.mark.parametrize("attribute", ["namer", "rotator"])
def test_a_failed_rollover_can_be_repeated(
    tmp_path: Path, clock: Clock, make: Any, attribute: str
) -> None:
    """While a namer or rotator raises, all files stay; once it does not, the next call works."""
    rotation = make(tmp_path / NAME)
    lines = fill(rotation, clock, 3)
    setattr(rotation, attribute, fail)
    for _ in range(5):
        assert rotation.due(100, 100)
        with pytest.raises(RuntimeError, match="does not work today"):
            rotation.roll()
        assert (tmp_path / NAME).read_text().strip() == lines[-1]
        assert texts(tmp_path) == lines
    setattr(rotation, attribute, None)
    rotation.roll()
    assert not (tmp_path / NAME).exists()
    assert texts(tmp_path) == lines


@both
def test_what_a_rotator_leaves_half_done_is_removed(
    tmp_path: Path, clock: Clock, make: Any
) -> None:
    """Parts of a capture do not push out whole ones, however often a rotator fails."""

    def fill_the_disk(source: str, dest: str) -> None:
        Path(dest).write_text("a part")
        raise OSError(28, "No space left on device")

    rotation = make(tmp_path / NAME)
    lines = fill(rotation, clock, 4)
    rotation.rotator = fill_the_disk
    expected = lines if make is make_timed else lines[1:]  # the oldest made room
    for _ in range(5):
        with pytest.raises(OSError, match="No space left"):
            rotation.roll()
        assert texts(tmp_path) == expected
    rotation.rotator = compress
    rotation.roll()
    assert not (tmp_path / NAME).exists()
    assert texts(tmp_path) == lines[-3:]


def copy_and_empty(source: str, dest: str) -> None:
    """Move a file's content."""
    shutil.copy(source, dest)
    os.truncate(source, 0)


@both
@pytest.mark.parametrize("move", [os.rename, copy_and_empty])
def test_a_rotator_that_moved_the_file_and_then_raised(
    tmp_path: Path, clock: Clock, move: Any, make: Any
) -> None:
    """Its backup is kept and the rollover is done: it is not due again under the same name."""

    def move_and_fail(source: str, dest: str) -> None:
        move(source, dest)
        fail()

    rotation = make(tmp_path / NAME)
    lines = fill(rotation, clock, 2)
    rotation.rotator = move_and_fail
    with pytest.raises(RuntimeError):
        rotation.roll()
    assert texts(tmp_path) == (lines if move is os.rename else ["", *lines])
    if isinstance(rotation, TimedRotation):
        assert not rotation.due(100, 100)


@both
def test_a_namer_that_gives_the_files_own_name(tmp_path: Path, clock: Clock, make: Any) -> None:
    """It is refused: the twin would delete the file to make room for itself."""
    rotation = make(tmp_path / NAME)
    lines = fill(rotation, clock, 2)
    rotation.namer = lambda name: str(tmp_path / NAME)
    with pytest.raises(ValueError, match="is the capture itself"):
        rotation.roll()
    assert texts(tmp_path) == lines


@pytest.mark.parametrize("spelling", ["{0}/kept", "{0}/./kept", "{0}/x/../kept", "{0}/again/kept"])
def test_a_namer_that_gives_the_own_name_in_another_way(
    tmp_path: Path, clock: Clock, spelling: str
) -> None:
    """It is refused however it is written, also where the capture is a symbolic link to it."""
    (tmp_path / "x").mkdir()
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "kept").write_text("line 0\n")
    (tmp_path / NAME).symlink_to("kept")
    for path in (tmp_path / NAME, tmp_path / "kept"):
        rotation = SizeRotation(path, 1, 3)
        rotation.namer = lambda name: spelling.format(tmp_path)
        with pytest.raises(ValueError, match="is the capture itself"):
            rotation.roll()
    assert (tmp_path / "kept").read_text() == "line 0\n"


MANY = 5000
"""Backups that may be kept, of which there is one: what costs then is the names."""


def roll_over_as_the_twin(path: Path, namer: Any) -> float:
    """Return the seconds of processor time that the twin takes."""
    twin = RotatingFileHandler(path, maxBytes=1, backupCount=MANY, delay=True)
    twin.namer = namer
    return cost_of(twin.doRollover, path)


def roll_over(path: Path, namer: Any) -> float:
    """Return the seconds of processor time that ours takes."""
    rotation = SizeRotation(path, 1, MANY)
    rotation.namer = namer
    return cost_of(rotation.roll, path)


def cost_of(function: Callable[[], None], path: Path) -> float:
    """Return the seconds of processor time of a rollover that has one backup to shift."""
    for name in (path, Path(f"{path}.1"), path.with_name("other.1")):
        name.write_text("line")
    before = time.thread_time()
    function()
    return time.thread_time() - before


@pytest.mark.parametrize("namer", [None, lambda name: name.replace(NAME, "other")])
def test_many_backups_cost_about_what_they_cost_the_twin(tmp_path: Path, namer: Any) -> None:
    """No name is looked up more often: the cheapest of ten is below three times the twin's."""
    ours, twins = [], []
    for number in range(10):  # taken in turns, so that a busy machine troubles both
        folder = tmp_path.joinpath(str(number), *"abcdefgh")  # a path's parts cost, if looked up
        folder.mkdir(parents=True)
        twins.append(roll_over_as_the_twin(folder / NAME, namer))
        ours.append(roll_over(folder / NAME, namer))
    assert min(ours) < 3 * min(twins), (ours, twins)


@pytest.mark.parametrize("backups", [1, 3])
def test_a_folder_in_the_place_of_the_oldest_backup(
    tmp_path: Path, clock: Clock, backups: int
) -> None:
    """It cannot be removed: the rollover fails, nothing is lost, and it works once it is gone."""
    rotation = SizeRotation(tmp_path / NAME, 1, backups)
    lines = fill(rotation, clock, backups)
    folder = tmp_path / f"{NAME}.{backups}"
    (folder / "inside").mkdir(parents=True)
    for _ in range(3):
        # A free place below would be filled, but there is not one.
        with pytest.raises(OSError):  # noqa: PT011 - EISDIR or EPERM, by system
            rotation.roll()
        assert texts(tmp_path) == ["folder", *lines]
    shutil.rmtree(folder)
    rotation.roll()
    assert not (tmp_path / NAME).exists()
    assert texts(tmp_path) == lines


@pytest.mark.parametrize("kind", ["file", "empty folder", "folder", "broken link"])
@pytest.mark.parametrize("rotator", [None, compress])
def test_an_existing_backup_is_never_deleted(
    tmp_path: Path, clock: Clock, kind: str, rotator: Any
) -> None:
    """A file with the new backup's name stays; the capture goes on, and rolls over next time."""
    rotation = TimedRotation(tmp_path / NAME, "H")
    rotation.rotator = rotator
    target = tmp_path / f"{NAME}.2026-01-31_13"  # 12:00 UTC is 13:00 in Central Europe
    if kind == "file":
        target.write_text("whole")
    elif kind == "broken link":
        target.symlink_to("nowhere")
    else:
        (target / "inside" if kind == "folder" else target).mkdir(parents=True)
    before = os.lstat(target).st_ino
    write(rotation, "one")
    clock.now += 3600

    with pytest.raises(FileExistsError) as caught:
        write(rotation, "two")
    assert caught.value.filename == str(target)
    assert "something has it already" in str(caught.value)
    assert os.lstat(target).st_ino == before
    assert not rotation.due(100, 100)
    write(rotation, "two")
    clock.now += 3600
    write(rotation, "three")

    assert (tmp_path / NAME).read_text() == "three\n"
    assert os.lstat(target).st_ino == before
    target.rename(tmp_path.parent / f"{tmp_path.name}.aside")
    assert contents(tmp_path)[f"{NAME}.2026-01-31_14"] == "one\ntwo\n"


def test_a_refused_rollover_at_the_very_second(tmp_path: Path, clock: Clock) -> None:
    """The next time is a day later, not the same second for ever."""
    clock.now = NOON - 10
    rotation = TimedRotation(tmp_path / NAME, "midnight", atTime=datetime.time(13))
    (tmp_path / f"{NAME}.2026-01-30").write_text("whole")
    write(rotation, "one")
    clock.now = NOON  # 13:00 in Central Europe
    with pytest.raises(FileExistsError):
        rotation.roll()
    assert rotation.rolloverAt == NOON + 86400


def test_an_old_backup_that_cannot_be_deleted(tmp_path: Path, clock: Clock) -> None:
    """The rollover is done nevertheless and not repeated, and a later one deletes the file."""
    rotation = TimedRotation(tmp_path / NAME, "H", backupCount=1)
    folder = tmp_path / f"{NAME}.2020-01-01_00"
    folder.mkdir()
    write(rotation, "one")
    clock.now += 3600
    with pytest.raises(OSError) as caught:  # noqa: PT011 - EISDIR or EPERM, by system
        rotation.roll()
    assert caught.value.filename == str(folder)
    assert contents(tmp_path) == {folder.name: "folder", f"{NAME}.2026-01-31_13": "one\n"}
    assert rotation.rolloverAt == clock.now + 3600

    folder.rmdir()
    folder.write_text("not needed any more")
    write(rotation, "two")
    clock.now += 3600
    write(rotation, "three")
    assert contents(tmp_path) == {NAME: "three\n", f"{NAME}.2026-01-31_14": "two\n"}


@pytest.mark.parametrize("step", [-5000, -(10**7), 10**7])
@pytest.mark.parametrize("when", ["S", "H", "midnight", "W2"])
def test_steps_of_the_clock(tmp_path: Path, clock: Clock, when: str, step: int) -> None:
    """A step back causes no rollover, a step forward one, not one for each interval in it."""
    rotation = TimedRotation(tmp_path / NAME, when)
    write(rotation, "before")
    clock.now += step
    for number in range(10):
        write(rotation, f"{number}")
    assert len(contents(tmp_path)) == (1 if step < 0 else 2)


@pytest.mark.parametrize("when", ["M", "H", "D", "midnight", "W6"])
@pytest.mark.parametrize(
    ("zone", "change"),
    [
        (EUROPE, "2026-03-29T01:00"),
        (EUROPE, "2026-10-25T01:00"),
        (CUBA, "2026-03-08T05:00"),
        (CUBA, "2026-11-01T05:00"),
    ],
)
def test_nothing_is_lost_when_summer_time_begins_or_ends(
    tmp_path: Path, when: str, zone: str, change: str
) -> None:
    """An hour that comes twice, or never, costs no line, and the next time is always to come."""
    middle = datetime.datetime.fromisoformat(change + "+00:00").timestamp()
    written, refused = [], 0
    with set_clock(zone) as clock:
        clock.now = middle - 30 * 3600
        assert time.localtime(middle - 1)[8] != time.localtime(middle)[8]
        rotation = TimedRotation(tmp_path / NAME, when)
        while clock.now < middle + 30 * 3600:
            line = f"{clock.now:.0f}"
            try:
                write(rotation, line)
            except FileExistsError:
                refused += 1
                write(rotation, line)
            assert rotation.rolloverAt > clock.now
            written.append(line)
            clock.now += 600

    assert sorted("".join(contents(tmp_path).values()).split()) == written
    assert refused <= (6 if when == "M" else 1)


def test_the_hour_before_summer_time_begins_at_midnight(tmp_path: Path) -> None:
    """A rollover in that hour, which older twins would repeat until it is over, is one."""
    with set_clock(CUBA) as clock:
        clock.now = datetime.datetime.fromisoformat("2026-03-08T04:10+00:00").timestamp()
        rotation = TimedRotation(tmp_path / NAME, "midnight")
        rotation.rolloverAt -= 86400
        write(rotation, "one")
        write(rotation, "two")
        assert len(contents(tmp_path)) == 2
        assert rotation.rolloverAt > clock.now


def test_a_childs_rotation_is_its_own(tmp_path: Path, clock: Clock) -> None:
    """The child has the same rules for its own file and time, and neither changes the other's."""
    parents = TimedRotation(tmp_path / NAME, "midnight", 2, 3, True, datetime.time(3))
    parents.namer = add_gz
    parents.rotator = compress
    clock.now += 3 * 86400
    path = tmp_path / "capture.17.fstrm"

    child = parents.for_child(str(path))

    assert (
        child.rolloverAt == TimedRotation(path, "midnight", 2, 3, True, datetime.time(3)).rolloverAt
    )
    changed = {"baseFilename", "rolloverAt"}
    assert {name for name, value in vars(parents).items() if vars(child)[name] != value} == changed
    write(child, "one")
    child.roll()
    child.backupCount = 1
    child.namer = None
    assert parents.backupCount == 3
    assert parents.namer is add_gz
    assert [name.split(".")[1] for name in contents(tmp_path)] == ["17"]

    sized = SizeRotation(tmp_path / NAME, 10, 2).for_child(str(path))
    assert (sized.baseFilename, sized.maxBytes, sized.backupCount) == (str(path), 10, 2)


def test_a_backup_that_another_writer_makes_meanwhile(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opened the file behind somebody who moved it, and rolled over first: nothing is lost."""
    rotation = SizeRotation(tmp_path / NAME, 1, 9)
    lines = fill(rotation, clock, 3)
    first = tmp_path / f"{NAME}.1"
    rename = os.rename

    def rename_and_roll_over(source: str, dest: str) -> None:
        rename(source, dest)
        if source == str(first):
            first.write_text("of another writer")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename_and_roll_over)
        with pytest.raises(FileExistsError, match="another writer"):
            rotation.roll()
    assert texts(tmp_path) == [*lines, "of another writer"]

    rotation.roll()
    assert texts(tmp_path) == [*lines, "of another writer"]
    assert not (tmp_path / NAME).exists()
