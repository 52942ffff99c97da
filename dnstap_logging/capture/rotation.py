"""When a capture file rolls over, and under which name: the rules of logging's own handlers.

A rotation is shared by a handler, whose user sets its attributes, and by the writer thread, which
asks and acts; it knows neither. Its rules are the functions of `RotatingFileHandler` and
`TimedRotatingFileHandler` themselves, called on an object that is no handler and opens no file. So
every Python's own rules hold. Where those would lose a capture, the rotation differs, and says so.
"""

from __future__ import annotations

import abc
import copy
import datetime
import errno
import os
import re
import time
from logging.handlers import (
    BaseRotatingHandler,
    RotatingFileHandler,
    TimedRotatingFileHandler,
)
from typing import Any, Callable, Dict, Optional, Set, Tuple, TypeVar, Union

from ..arguments import flag, integer, refuse

__all__ = ["Rotation", "SizeRotation", "TimedRotation"]

# For type checkers, the first argument of a method is of its class. These get another one.
_BASE: Any = BaseRotatingHandler
_SIZE: Any = RotatingFileHandler
_TIMED: Any = TimedRotatingFileHandler

_R = TypeVar("_R", bound="Rotation")

_HOUR = 60 * 60
_DAY = 24 * _HOUR

MAX_INTERVAL = 36600 * _DAY
"""Seconds, a century: above, the times of rollovers leave what the system can tell."""

_WHEN: Dict[str, Tuple[int, str]] = {
    "S": (1, "%Y-%m-%d_%H-%M-%S"),
    "M": (60, "%Y-%m-%d_%H-%M"),
    "H": (_HOUR, "%Y-%m-%d_%H"),
    "D": (_DAY, "%Y-%m-%d"),
    "MIDNIGHT": (_DAY, "%Y-%m-%d"),
    **{f"W{day}": (7 * _DAY, "%Y-%m-%d") for day in range(7)},
}
"""The seconds of each unit, and the strftime format that a backup is named after."""

# Pythons tell their backups in two ways; the change came with releases of 3.11 and 3.12 that fixed
# bugs. Older ones compare the parts of a name between its dots with the pattern, which therefore
# must describe a whole part, or files such as capture.fstrm.2026-01-31-keep would be deleted. Newer
# ones search for a date anywhere in the name, and then ask the namer whether the name is its own.
_SEARCHES_DATES = "fullmatch" in _TIMED.getFilesToDelete.__code__.co_names


class Rotation(abc.ABC):
    """Tell when the file at a path must roll over, and move it aside.

    Args:
        filename: the path of the capture.
        backupCount: how many older captures are kept.

    Attributes:
        baseFilename: the absolute path.
        backupCount: as given.
        namer: None, or a function from the usual name of a backup to another.
        rotator: None, or a function (source, dest) that moves a capture.

    Raises:
        TypeError, ValueError: ``backupCount`` is no integer of at least 0.
    """

    # What the twins' own doRollover asks: there is no stream to close, and none is opened.
    stream = None
    delay = True

    def __init__(self, filename: Union[str, os.PathLike[str]], backupCount: int) -> None:
        self.baseFilename = os.path.abspath(filename)
        self.backupCount = integer("backupCount", backupCount, 0)
        self.namer: Optional[Callable[[str], str]] = None
        self.rotator: Optional[Callable[[str, str], None]] = None
        self._own_names: Set[str] = set()

    @abc.abstractmethod
    def due(self, size: int, frame: int) -> bool:
        """Tell whether the file must roll over before a frame is added.

        Args:
            size: bytes of the file, were it ended now, with its STOP.
            frame: bytes of the frame, with its header.
        """

    @abc.abstractmethod
    def roll(self) -> None:
        """Move the file aside and delete backups that are too many, by the twin's rules.

        Raises:
            Exception: whatever the system, the namer or the rotator raises. If the file is still
                there then, nothing was done that a later call would not go on from. If it is gone,
                the rollover is done, but for what the error says.
        """

    def _find_own_names(self) -> None:
        """Find the last parts of all paths that may be the capture's, as a rollover begins.

        Any other name needs no look at the file system to see that it is not the capture. That
        matters, since the twin asks for each of perhaps 10,000 names, and for each of them twice.
        """
        base = self.baseFilename
        real = os.path.basename(os.path.realpath(base))  # behind a symbolic link it is another
        self._own_names = {os.path.basename(base), real, "", os.curdir, os.pardir}

    def for_child(self: _R, path: Union[str, os.PathLike[str]]) -> _R:
        """Return the same rules for another file, that of a forked child."""
        child = copy.copy(self)
        child.baseFilename = os.path.abspath(path)
        return child

    def rotation_filename(self, default_name: str) -> str:
        """Return the name of a backup: the namer's, if there is one.

        Raises:
            ValueError: it is the name of the file itself, which would be deleted to make room.
        """
        name: str = _BASE.rotation_filename(self, default_name)
        suspect = os.path.basename(name) in self._own_names
        if suspect and os.path.realpath(name) == os.path.realpath(self.baseFilename):
            raise ValueError(f"namer({default_name!r}) is the capture itself, it must be another")
        return name

    def rotate(self, source: str, dest: str) -> None:
        """Move the file; take away what a failed rotator left at ``dest``.

        A rotator that compresses, on a full disk for instance, leaves a part of the capture there.
        Were it kept, each further attempt would shift it along and a real backup out.
        """
        before = _identity(source)
        was_free = not os.path.lexists(dest)
        try:
            _BASE.rotate(self, source, dest)
        except BaseException:
            if was_free and before is not None and _identity(source) == before:
                _remove_file(dest)
            raise
        finally:
            if _identity(source) != before:
                self._moved()

    def _moved(self) -> None:  # noqa: B027 - only timed ones have anything to do
        """Note that the file has been moved, whatever goes wrong from now on."""

    def _is_special(self) -> bool:
        """Tell a folder, fifo or device, which the twins never move either."""
        return os.path.exists(self.baseFilename) and not os.path.isfile(self.baseFilename)


class SizeRotation(Rotation):
    """Roll over before the file reaches a size: the rules of `RotatingFileHandler`.

    Unlike the twin, it shifts no backups while the first name is free. They were shifted already
    by a rollover that failed then, and every further attempt would push one more out.

    Args:
        filename: the path of the capture.
        maxBytes: bytes that it does not reach; 0: it never rolls over.
        backupCount: how many older captures are kept; 0: it never rolls over.

    Raises:
        TypeError, ValueError: one of the two is no integer of at least 0.
    """

    def __init__(
        self,
        filename: Union[str, os.PathLike[str]],
        maxBytes: int,
        backupCount: int,
    ) -> None:
        super().__init__(filename, backupCount)
        self.maxBytes = integer("maxBytes", maxBytes, 0)

    def due(self, size: int, frame: int) -> bool:
        """Tell whether the file would reach ``maxBytes``; see `Rotation.due`."""
        if self.maxBytes <= 0 or self.backupCount <= 0:
            return False
        return size + frame >= self.maxBytes and not self._is_special()

    def roll(self) -> None:
        """Shift the backups and move the file to the first name; see `Rotation.roll`."""
        self._find_own_names()
        if self.backupCount > 0:
            first = self.rotation_filename(f"{self.baseFilename}.1")
            if not os.path.lexists(first):
                self.rotate(self.baseFilename, first)
                return
        _SIZE.doRollover(self)


class TimedRotation(Rotation):
    """Roll over at certain times: the rules of `TimedRotatingFileHandler`.

    Unlike the older twins, it never deletes what has the name of a new backup already, as happens
    in the hour that a clock repeats at the end of summer time.

    Args:
        filename: the path of the capture. The time of its last change, if it exists, begins the
            first interval, as in the twin; but a time to come, after a clock was wrong, does not.
        when: "S", "M", "H", "D", "midnight" or "W0" (Monday) to "W6", in any case.
        interval: so many of them, at least 1.
        backupCount: how many older captures are kept; 0: all.
        utc: whether times and names are UTC instead of local.
        atTime: a time of the day, for "midnight" and "W0" to "W6".

    Attributes:
        when: in upper case.
        interval: seconds between two rollovers.
        suffix: the strftime format behind the name of a backup.
        extMatch: the pattern by which backups are known.
        rolloverAt: the next time, in seconds since the epoch.

    Raises:
        TypeError, ValueError: an argument cannot be used; the text names it.
    """

    computeRollover = _TIMED.computeRollover
    getFilesToDelete = _TIMED.getFilesToDelete

    def __init__(
        self,
        filename: Union[str, os.PathLike[str]],
        when: str = "h",
        interval: int = 1,
        backupCount: int = 0,
        utc: bool = False,
        atTime: Optional[datetime.time] = None,
    ) -> None:
        super().__init__(filename, backupCount)
        if not isinstance(when, str) or when.upper() not in _WHEN:
            refuse("when", when, "'S', 'M', 'H', 'D', 'midnight' or 'W0' (Monday) to 'W6'")
        if atTime is not None and not isinstance(atTime, datetime.time):
            raise TypeError(f"atTime={atTime!r}: must be a datetime.time or None")
        self.when = when.upper()
        unit, self.suffix = _WHEN[self.when]
        self.interval = unit * integer("interval", interval, 1, MAX_INTERVAL // unit)
        self.extMatch = _date_pattern(self.suffix)
        if self.when.startswith("W"):
            self.dayOfWeek = int(self.when[1])
        self.utc = flag("utc", utc)
        self.atTime = atTime
        self.rolloverAt = self._first_time()

    def due(self, size: int, frame: int) -> bool:
        """Tell whether the time has come, whatever the size; see `Rotation.due`."""
        return int(time.time()) >= self.rolloverAt and not self._is_special()

    def roll(self) -> None:
        """Move the file to the name of its time, delete the oldest backups; see `Rotation.roll`.

        Raises:
            FileExistsError: something has that name already. All is left as it is, and the file
                goes on until the next time.
        """
        now = int(time.time())
        self._find_own_names()
        _TIMED.doRollover(self)
        if self.rolloverAt <= now:
            self._move_on()  # older twins can be an hour off when summer time begins at midnight

    def for_child(self, path: Union[str, os.PathLike[str]]) -> TimedRotation:
        """Return the same rules for another file, whose own time counts."""
        child = super().for_child(path)
        child.rolloverAt = child._first_time()
        return child

    def rotation_filename(self, default_name: str) -> str:
        """Return the name of the new backup, which nothing may have yet.

        Raises:
            FileExistsError: something has it.
        """
        name = super().rotation_filename(default_name)
        if os.path.lexists(name):
            self._move_on()
            text = "a backup cannot have this name, something has it already"
            raise FileExistsError(errno.EEXIST, text, name)
        return name

    def _moved(self) -> None:
        self._move_on()

    def _move_on(self) -> None:
        """Set the next time, which is later than now even where the twin's rules say otherwise."""
        now = int(time.time())
        self.rolloverAt = self.computeRollover(now)
        if self.rolloverAt <= now:
            self.rolloverAt += self.interval

    def _first_time(self) -> int:
        now = int(time.time())
        try:
            begin = min(now, int(os.stat(self.baseFilename).st_mtime))
        except OSError:
            begin = now
        first: int = self.computeRollover(begin)
        return first


def _date_pattern(suffix: str) -> re.Pattern[str]:
    """Return the pattern of backups' names, as this Python's getFilesToDelete wants it."""
    date = re.sub("%[a-z]", r"\\d{2}", suffix.replace("%Y", r"\d{4}"), flags=re.IGNORECASE)
    return re.compile(date if _SEARCHES_DATES else rf"\A{date}(\.\w+)?\Z", re.ASCII)


def _identity(path: str) -> Optional[Tuple[int, int, int]]:
    """Return what tells a file, as long as it is, from others; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size


def _remove_file(path: str) -> None:
    try:
        os.remove(path)
    except OSError:
        pass  # it was not made, or is none of what can be removed
