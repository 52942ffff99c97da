"""Rotations compared with the standard library's handlers: the same names and backups."""

from __future__ import annotations

import datetime
import logging
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, List, Optional

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dnstap_logging.capture.rotation import SizeRotation, TimedRotation
from tests.capture.twins import (
    NAME,
    NOON,
    WHENS,
    Clock,
    add_gz,
    before_suffix,
    compress,
    contents,
    set_clock,
    size_twins,
    timed_twins,
    write,
)

namers = pytest.mark.parametrize("namer", [None, add_gz, before_suffix])
rotators = pytest.mark.parametrize("rotator", [None, compress])
backup_counts = pytest.mark.parametrize("backups", [0, 1, 3])


@namers
@rotators
@backup_counts
@pytest.mark.parametrize("limit", [0, 20, 40])
def test_sizes_as_the_twin(
    tmp_path: Path, limit: int, backups: int, rotator: Any, namer: Any
) -> None:
    """Names, number and contents of the files are those of RotatingFileHandler, line by line."""
    with size_twins(tmp_path, maxBytes=limit, backupCount=backups) as twins:
        twins.set(namer=namer, rotator=rotator)
        for number in range(30):
            twins.write(f"line {number}".ljust(7 + number % 4, "."))
        rolled = len(contents(twins.ours)) - 1
    assert rolled == (backups if limit else 0)


@backup_counts
@pytest.mark.parametrize("utc", [False, True])
@pytest.mark.parametrize("when", WHENS)
def test_times_as_the_twin(
    tmp_path: Path, clock: Clock, when: str, utc: bool, backups: int
) -> None:
    """Names and times are those of TimedRotatingFileHandler, for every unit."""
    with timed_twins(tmp_path, when, utc=utc, backupCount=backups) as twins:
        for number in range(12):
            twins.write(f"line {number}")
            assert twins.rotation.rolloverAt == twins.handler.rolloverAt > clock.now
            clock.now += twins.rotation.interval * (0.3 if number % 3 else 1.5)
        rolled = len(contents(twins.ours)) - 1
    assert rolled == backups or (backups == 0 and rolled > 3)


@namers
@rotators
@pytest.mark.parametrize("backups", [1, 3])
@pytest.mark.parametrize("when", ["S", "M", "H", "midnight"])
def test_names_and_rotators_as_the_timed_twin(
    tmp_path: Path, clock: Clock, when: str, backups: int, rotator: Any, namer: Any
) -> None:
    """The same with a namer and a rotator; files with similar names stay, or go, in both."""
    with timed_twins(tmp_path, when, backupCount=backups) as twins:
        twins.set(namer=namer, rotator=rotator)
        for name in ("2020-01-01", "2020-01-01_10", "2020-01-01_10-11", "2020-01-01_10-11-12"):
            for folder in (twins.ours, twins.theirs):
                for template in (
                    "{0}.{1}", "{0}.{1}.gz", "{0}.{1}.gz.keep", "{0}.{1}-keep", "{0}.{1}x", "{1}",
                    "{0}.1{1}", "{0}.{1}0", "{1}.{0}", "{1}-{0}", "other.{1}", "{0}-{1}", "{0}{1}",
                    "capture.{1}.fstrm", "capture.{1}-1.fstrm", "capture.x.{1}.fstrm",
                ):  # fmt: skip
                    (folder / template.format(NAME, name)).write_text(template)
        for number in range(6):
            twins.write(f"line {number}")
            clock.now += twins.rotation.interval * 1.2


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    when=st.sampled_from(WHENS),
    interval=st.integers(1, 3),
    backups=st.integers(0, 3),
    utc=st.booleans(),
    at=st.none() | st.times(),
    begin=st.integers(NOON, NOON + 366 * 86400) | st.integers(0, 3 * 86400).map(lambda s: s + NOON),
    steps=st.lists(st.floats(0.0, 3.0), min_size=2, max_size=8),
    namer=st.sampled_from([None, add_gz, before_suffix]),
)
def test_any_times_as_the_twin(
    when: str,
    interval: int,
    backups: int,
    utc: bool,
    at: Optional[datetime.time],
    begin: int,
    steps: List[float],
    namer: Any,
) -> None:
    """In any year's season, at any hour, with an existing file: as the twin, while it is right."""
    with TemporaryDirectory() as name, set_clock() as clock:
        for folder in (Path(name, "theirs"), Path(name, "ours")):
            folder.mkdir()
            (folder / NAME).write_text("earlier\n")
            os.utime(folder / NAME, (begin, begin))
        clock.now = begin
        with timed_twins(
            Path(name), when, interval=interval, backupCount=backups, utc=utc, atTime=at
        ) as twins:
            assert twins.rotation.rolloverAt == twins.handler.rolloverAt
            twins.set(namer=namer)
            for number, step in enumerate(steps):
                clock.now += step * twins.rotation.interval
                try:
                    write(twins.rotation, f"line {number}")
                except FileExistsError:
                    assume(False)  # the twin would delete that, or stay as it is for ever
                twins.handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
                assert contents(twins.ours) == contents(twins.theirs)
                assert twins.rotation.rolloverAt > clock.now - 1
                # Older twins can set a time that is over already.
                assume(twins.handler.rolloverAt > clock.now)
                assert twins.rotation.rolloverAt == twins.handler.rolloverAt


def test_the_first_interval_begins_with_the_last_change(tmp_path: Path, clock: Clock) -> None:
    """An existing file counts from its last change, a new one from now; never from later."""
    path = tmp_path / NAME
    assert TimedRotation(path, "H").rolloverAt == NOON + 3600
    path.write_text("earlier")
    for changed, expected in ((NOON - 5000, NOON - 1400), (NOON + 10**6, NOON + 3600)):
        os.utime(path, (changed, changed))
        assert TimedRotation(path, "H").rolloverAt == expected
    assert not TimedRotation(path, "H").due(10**9, 10**9)


def test_no_limit_or_no_backups_never_roll_over(tmp_path: Path) -> None:
    """maxBytes=0 or backupCount=0 are no limit; a folder at the path is never moved."""
    path = tmp_path / NAME
    assert not SizeRotation(path, 0, 3).due(10**12, 10**6)
    assert not SizeRotation(path, 10, 0).due(10**12, 10**6)
    assert not SizeRotation(path, 100, 1).due(60, 39)
    assert SizeRotation(path, 100, 1).due(60, 40)
    timed = TimedRotation(path, "S")
    timed.rolloverAt = 0
    assert timed.due(1, 1)
    path.mkdir()
    assert not timed.due(1, 1)
    assert not SizeRotation(path, 100, 1).due(60, 40)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda p: SizeRotation(p, -1, 0), ValueError, "maxBytes=-1: must be an integer of at"),
        (lambda p: SizeRotation(p, 1.0, 0), TypeError, "maxBytes=1.0: must be an integer"),
        (lambda p: SizeRotation(p, 1, -1), ValueError, "backupCount=-1: must be an integer"),
        (lambda p: TimedRotation(p, backupCount=True), TypeError, "backupCount=True: must be"),
        (lambda p: TimedRotation(p, "W7"), ValueError, "when='W7': must be 'S', 'M', 'H', 'D'"),
        (lambda p: TimedRotation(p, None), ValueError, "when=None: must be 'S'"),
        (lambda p: TimedRotation(p, "H", 0), ValueError, "interval=0: must be an integer from 1"),
        (lambda p: TimedRotation(p, "D", 10**9), ValueError, "integer from 1 to 36600"),
        (lambda p: TimedRotation(p, utc=1), TypeError, "utc=1: must be True or False"),
        (lambda p: TimedRotation(p, atTime="12:00"), TypeError, "atTime='12:00': must be a d"),
    ],
)  # fmt: skip
def test_unusable_arguments(tmp_path: Path, make: Any, error: Any, text: str) -> None:
    """An argument that cannot be used is named, with its value and what is right."""
    with pytest.raises(error) as caught:
        make(tmp_path / NAME)
    assert text in str(caught.value)


def test_logging_does_not_know_it(tmp_path: Path) -> None:
    """A rotation is not a handler: logging.shutdown does not close it, and no file is opened."""
    before = list(logging._handlerList)
    rotations = [SizeRotation(tmp_path / NAME, 1, 1), TimedRotation(tmp_path / NAME)]
    for rotation in rotations:
        rotation.roll()
    assert logging._handlerList == before
    assert contents(tmp_path) == {}
