"""When a capture file rolls over, and under which name: the rules of logging's own handlers.

A rotation is shared by a handler, whose user sets its attributes, and by the writer thread, which
uses it. Its rules are the methods of `RotatingFileHandler` and `TimedRotatingFileHandler` (the
twins), called on an object that is not a handler and opens no file, so each Python's own rules
hold. It differs only where those would lose a capture.
"""

from __future__ import annotations

import abc
import contextlib
import copy
import datetime
import errno
import os
import re
import time
from logging.handlers import BaseRotatingHandler, RotatingFileHandler, TimedRotatingFileHandler
from typing import Any, Callable, Dict, Optional, Set, Tuple, TypeVar, Union

from ..arguments import flag, integer, refuse

__all__ = ["Rotation", "SizeRotation", "TimedRotation"]

# Any, because their methods are called on objects of other classes.
_BASE: Any = BaseRotatingHandler
_SIZE: Any = RotatingFileHandler
_TIMED: Any = TimedRotatingFileHandler

_R = TypeVar("_R", bound="Rotation")

_HOUR = 60 * 60
_DAY = 24 * _HOUR

MAX_INTERVAL = 36600 * _DAY
"""Seconds, a century: beyond, rollovers come at times that some systems cannot represent."""

_WHEN: Dict[str, Tuple[int, str]] = {
    "S": (1, "%Y-%m-%d_%H-%M-%S"),
    "M": (60, "%Y-%m-%d_%H-%M"),
    "H": (_HOUR, "%Y-%m-%d_%H"),
    "D": (_DAY, "%Y-%m-%d"),
    "MIDNIGHT": (_DAY, "%Y-%m-%d"),
    **{f"W{day}": (7 * _DAY, "%Y-%m-%d") for day in range(7)},
}
"""The seconds of each unit, and the strftime format in a backup's name."""

# Bug-fix releases of Python 3.11 and 3.12 changed how backups are found. Older ones compare the
# parts of a name between its dots with the pattern, which must describe a whole part, or files such
# as capture.fstrm.2026-01-31-keep would be deleted. Newer ones search for a date anywhere in the
# name, and then ask the namer whether the name is its own.
_SEARCHES_DATES = "fullmatch" in _TIMED.getFilesToDelete.__code__.co_names


class Rotation(abc.ABC):
    """When the file at a path must roll over, and how.

    The constructors' arguments and the attributes are those of the handlers in `rotating`, which
    describe them; a bad argument raises the TypeError or ValueError that the handler raises.
    """

    # For the twins' doRollover: there is no stream to close, and it must not open one.
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
        """Return whether the file must roll over before a frame is added.

        Args:
            size: bytes of the file, including a STOP.
            frame: bytes of the frame, with its header.
        """

    @abc.abstractmethod
    def roll(self) -> None:
        """Move the file aside and delete surplus backups, by the twin's rules.

        Raises:
            Exception: from the system, the namer or the rotator. If the file is still there, a
                later call can go on. If it is gone, it was moved all the same.
        """

    def _find_own_names(self) -> None:
        """Find the last parts of all paths that may be the capture's.

        So other names need no system call: the twin asks twice for each of perhaps 10,000 names.
        """
        base = self.baseFilename
        real = os.path.basename(os.path.realpath(base))  # a symbolic link may have another
        self._own_names = {os.path.basename(base), real, "", os.curdir, os.pardir}

    def for_child(self: _R, path: Union[str, os.PathLike[str]]) -> _R:
        """Return the same rules for the file of a forked child."""
        child = copy.copy(self)
        child.baseFilename = os.path.abspath(path)
        return child

    def rotation_filename(self, default_name: str) -> str:
        """Return the name of a backup: the namer's, if there is one.

        Raises:
            ValueError: it is the capture's own name; it would be deleted to make room.
        """
        name: str = _BASE.rotation_filename(self, default_name)
        suspect = os.path.basename(name) in self._own_names
        if suspect and os.path.realpath(name) == os.path.realpath(self.baseFilename):
            raise ValueError(f"namer({default_name!r}) is the capture itself, it must be another")
        return name

    def rotate(self, source: str, dest: str) -> None:
        """Move the file; remove what a failed rotator left at ``dest``.

        A rotator that compresses leaves a part of the capture there when the disk is full. If it
        was kept, each further try would shift it, and a real backup out.
        """
        before = _identity(source)
        was_free = not os.path.lexists(dest)
        try:
            _BASE.rotate(self, source, dest)
        except BaseException:
            if was_free and before is not None and _identity(source) == before:
                with contextlib.suppress(OSError):  # it does not exist, or is a folder
                    os.remove(dest)
            raise
        finally:
            if _identity(source) != before:
                self._moved()

    def _moved(self) -> None:  # noqa: B027 - only timed ones need it
        """Called once the file has been moved, whatever fails after that."""

    def _is_special(self) -> bool:
        """Return whether it is a folder, fifo or device, which the twins do not move either."""
        return os.path.exists(self.baseFilename) and not os.path.isfile(self.baseFilename)


class SizeRotation(Rotation):
    """Roll over before the file reaches a size: the rules of `RotatingFileHandler`.

    Unlike the twin, it shifts no backups while the first name is free: a rollover that failed has
    shifted them already, and each further try would push one out. And it deletes no backup that
    another writer of the file makes meanwhile: it may open the file, and roll over, before our turn
    is over, if somebody else has moved the file.
    """

    def __init__(
        self, filename: Union[str, os.PathLike[str]], maxBytes: int, backupCount: int
    ) -> None:
        super().__init__(filename, backupCount)
        self.maxBytes = integer("maxBytes", maxBytes, 0)

    def due(self, size: int, frame: int) -> bool:
        """Return whether the file would reach ``maxBytes``."""
        if self.maxBytes <= 0 or self.backupCount <= 0:
            return False
        return size + frame >= self.maxBytes and not self._is_special()

    def roll(self) -> None:
        """Shift the backups and move the file to the first name."""
        self._find_own_names()
        if self.backupCount <= 0:
            _SIZE.doRollover(self)
            return
        first = self._backup(1)
        if os.path.lexists(first):
            self._shift(first)
        if os.path.exists(first):
            raise FileExistsError(errno.EEXIST, "another writer has just made this backup", first)
        self.rotate(self.baseFilename, first)

    def _shift(self, first: str) -> None:
        """Make the first name free, as the twin does, which would delete what came there since."""
        for number in range(self.backupCount - 1, 0, -1):
            source, dest = self._backup(number), self._backup(number + 1)
            if os.path.exists(source):
                if os.path.exists(dest):
                    os.remove(dest)
                os.rename(source, dest)
        if self.backupCount == 1 and os.path.exists(first):
            os.remove(first)

    def _backup(self, number: int) -> str:
        return self.rotation_filename(f"{self.baseFilename}.{number}")


class TimedRotation(Rotation):
    """Roll over at certain times: the rules of `TimedRotatingFileHandler`.

    Unlike older twins, it never deletes a file that has the name of a new backup, as in the hour
    that a clock repeats at the end of summer time. And the first interval begins at the last change
    of an existing file, as in the twin, but never in the future, as after a clock was wrong.
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
        """Return whether the time has come."""
        return int(time.time()) >= self.rolloverAt and not self._is_special()

    def roll(self) -> None:
        """Move the file to the name of its time, and delete the oldest backups.

        Raises:
            FileExistsError: something has that name already; nothing is changed, and the capture
                goes on until the next time.
        """
        now = int(time.time())
        self._find_own_names()
        _TIMED.doRollover(self)
        if self.rolloverAt <= now:
            self._move_on()  # older twins can be an hour off when summer time begins at midnight

    def for_child(self, path: Union[str, os.PathLike[str]]) -> TimedRotation:
        """Return the same rules for the file of a forked child, with its own first time."""
        child = super().for_child(path)
        child.rolloverAt = child._first_time()
        return child

    def rotation_filename(self, default_name: str) -> str:
        """Return the name of the new backup; raise FileExistsError if something has it."""
        name = super().rotation_filename(default_name)
        if os.path.lexists(name):
            self._move_on()
            text = "a backup cannot have this name, something has it already"
            raise FileExistsError(errno.EEXIST, text, name)
        return name

    def _moved(self) -> None:
        self._move_on()

    def _move_on(self) -> None:
        """Set the next time, later than now even if the twin's rules say otherwise."""
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
    """Return the pattern of backups' names, for this Python's getFilesToDelete."""
    date = re.sub("%[a-z]", r"\\d{2}", suffix.replace("%Y", r"\d{4}"), flags=re.IGNORECASE)
    return re.compile(date if _SEARCHES_DATES else rf"\A{date}(\.\w+)?\Z", re.ASCII)


def _identity(path: str) -> Optional[Tuple[int, int, int]]:
    """Return device, inode and size of a file; None: there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size
