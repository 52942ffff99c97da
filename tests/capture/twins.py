"""What the tests of rotations share: files to roll over, the real twins, a clock to set."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import shutil
import time
from functools import partial
from logging.handlers import RotatingFileHandler, TimedRotatingFileHandler
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterator

import pytest

from dnstap_logging.capture.rotation import Rotation, SizeRotation, TimedRotation

NAME = "capture.fstrm"
NOON = 1769860800  # 2026-01-31 12:00:00 UTC, a Saturday
WHENS = ["S", "M", "H", "D", "d", "midnight", *(f"W{day}" for day in range(7)), "w3"]


def add_gz(name: str) -> str:
    """Name a compressed backup."""
    return name + ".gz"


def before_suffix(name: str) -> str:
    """Put the mark before the suffix: capture.2026-01-31.fstrm."""
    base, _, mark = name.rpartition(".")
    stem, suffix = os.path.splitext(base)
    return f"{stem}.{mark}{suffix}"


def compress(source: str, dest: str) -> None:
    """Move a file by compressing it."""
    with open(source, "rb") as plain, gzip.open(dest, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    os.remove(source)


def fail(*arguments: str) -> Any:
    """Be a namer or rotator that does not work."""
    raise RuntimeError("does not work today")


def contents(folder: Path) -> Dict[str, str]:
    """Return the text of every file, compressed or not; "folder" for folders."""
    found = {}
    for path in folder.iterdir():
        data = b"folder" if path.is_dir() else path.read_bytes()
        found[path.name] = (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    return found


def write(rotation: Rotation, line: str) -> None:
    """Do what the writer thread does: roll over if it is due and there is anything, then write."""
    path = Path(rotation.baseFilename)
    size = path.stat().st_size if path.exists() else 0
    if size and rotation.due(size, len(line) + 1):
        rotation.roll()
    with path.open("a") as file:
        file.write(line + "\n")


class Twins:
    """A real handler of the standard library and a rotation, each with a folder of its own."""

    def __init__(self, folder: Path, real: Any, ours: Any, **arguments: Any) -> None:
        self.theirs, self.ours = folder / "theirs", folder / "ours"
        for each in (self.theirs, self.ours):
            each.mkdir(exist_ok=True)
        self.handler = real(self.theirs / NAME, **arguments)
        self.handler.handleError = self._raise
        self.rotation = ours(self.ours / NAME, **arguments)

    @staticmethod
    def _raise(record: logging.LogRecord) -> None:
        raise  # the handler calls it where it caught the error

    def set(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self.handler, name, value)
            setattr(self.rotation, name, value)

    def write(self, line: str) -> None:
        """Write a line to both and compare all their files."""
        self.handler.emit(logging.makeLogRecord({"msg": line}))
        write(self.rotation, line)
        assert contents(self.ours) == contents(self.theirs)

    def close(self) -> None:
        self.handler.close()


def size_twins(folder: Path, **arguments: int) -> ContextManager[Twins]:
    """Make twins that look at the size."""
    return contextlib.closing(Twins(folder, RotatingFileHandler, SizeRotation, **arguments))


def timed_twins(folder: Path, when: str, **arguments: Any) -> ContextManager[Twins]:
    """Make twins of a unit of time."""
    # Without delay, a new file would have its time from the system's clock.
    real = partial(TimedRotatingFileHandler, delay=True)
    return contextlib.closing(Twins(folder, real, TimedRotation, when=when, **arguments))


class Clock:
    """The time that both are told."""

    def __init__(self) -> None:
        self.now = float(NOON)

    def __call__(self) -> float:
        return self.now


# Europe: summer time from the last Sunday of March, 2:00, to that of October, 3:00. Cuba: from the
# second Sunday of March, midnight, to the first of November, 1:00.
EUROPE, CUBA = "CET-1CEST,M3.5.0,M10.5.0/3", "CST5CDT,M3.2.0/0,M11.1.0/1"


@contextlib.contextmanager
def set_clock(zone: str = EUROPE) -> Iterator[Clock]:
    """Set the clock, and where it hangs."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", clock)
        patch.setenv("TZ", zone)
        time.tzset()
        yield clock
    time.tzset()
