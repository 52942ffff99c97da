"""A capture that is being written: what happens to the file after the bytes that were read.

`FollowedFile` is a source like those of `sources.py`, whose end is not final. A file can grow, be
continued over its STOP or over a torn frame, be emptied and be moved away. What the bytes mean, and
how far they were read, `stream.py` says in each look.
"""

from __future__ import annotations

import contextlib
import enum
import io
import os
import stat
from collections import deque
from typing import Deque, Union

from ..framestream.frames import LENGTH
from .sources import READ_SIZE

__all__ = ["POLL_INTERVAL", "Change", "FollowedFile"]

POLL_INTERVAL = 0.1
"""Seconds between two looks at a file that has nothing new: how late a message may come, and how
late a close by another thread is noticed, as in all other waits of the library. A look is two or
three system calls; ten of them a second cost nothing measurable. inotify would report a change at
once, but only Linux has it, and it sees nothing on network file systems.
"""

TAIL_SIZE = 64
"""Bytes behind the last whole frame that are compared in each look. What is written over a STOP is
most often longer than it and shows in the size; this shows the rest.
"""


MOST_NEXT = 64
"""Files that are held open to be read next: far more than a reader that keeps up can be behind, and
far fewer than a process may open."""


class Change(enum.Enum):
    """What a look found."""

    NOTHING = "nothing new"
    MORE = "other bytes behind those that were read"
    EMPTIED = "other bytes in place of those that were read"
    REPLACED = "another file at the path"


class FollowedFile:
    """A regular file that may be written while it is read.

    Args:
        path: of the file.

    Attributes:
        name, noun, waits: as in `sources.FileSource`.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not a regular file, so nobody appends to it.
    """

    noun = "file"
    waits = True

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        self.name = os.fspath(path)
        # Absolute: the path is looked at again and again, and the program may change its folder.
        self._path = os.path.abspath(self.name)
        # The next files that the path named, in order. They are kept open, so that a slow reader
        # misses none of them.
        self._next: Deque[io.FileIO] = deque()
        self._begin(self._open())

    def _open(self) -> io.FileIO:
        file = io.FileIO(self._path, opener=_open_without_waiting)
        opened = os.fstat(file.fileno())
        if not stat.S_ISREG(opened.st_mode):
            file.close()
            raise ValueError(f"{self.name}: follow=True needs a regular file")
        self._newest = opened
        return file

    def _begin(self, file: io.FileIO) -> None:
        self._file = file
        self._size = -1  # of the last look
        self._tail = b""  # the first bytes after the last whole frame, at the last look
        self._superseded = False

    def read(self) -> bytes:
        """Return the next bytes; none at the end as it is now."""
        with contextlib.suppress(OSError, ValueError):  # the look at the end of this file says it
            self._look_at_path()
        return self._file.read(READ_SIZE) or b""

    def go_to(self, offset: int) -> None:
        """Read on from there."""
        self._file.seek(offset)

    def close(self) -> None:
        """Close the file."""
        for file in (self._file, *self._next):
            file.close()

    def look(self, whole: int, last: bytes, *, stopped: bool) -> Change:
        """Find out what happened to the file since its end was read.

        Args:
            whole: where the last whole data frame that was read ends.
            last: its payload; empty if there is none yet.
            stopped: whether STOP was there.

        Raises:
            OSError: the file, or what has taken its place, cannot be read.
        """
        size = os.fstat(self._file.fileno()).st_size
        if size < whole:
            return Change.EMPTIED
        tail = self._read_at(whole, TAIL_SIZE)
        if (size, tail) != (self._size, self._tail):
            self._size, self._tail = size, tail
            # Emptied, and filled beyond where we were, all since the last look?
            frame = LENGTH.pack(len(last)) + last
            if last and self._read_at(whole - len(frame), len(frame)) != frame:
                return Change.EMPTIED
            return Change.MORE
        self._look_at_path()
        return self._go_over(stopped) if self._next else Change.NOTHING

    def _look_at_path(self) -> None:
        """Open the file that the path names, if that is a new one."""
        if len(self._next) == MOST_NEXT:
            return
        try:
            if not os.path.samestat(os.stat(self._path), self._newest):
                self._next.append(self._open())
        except (FileNotFoundError, NotADirectoryError):
            pass  # moved away, and the next one is not there yet

    def _go_over(self, stopped: bool) -> Change:
        """Go over to the next file, once nothing more comes in this one."""
        # Rotation may make the new file before the writer knows (logrotate's `create`): the end of
        # the stream still goes into the old one. Only then is the new one written to; what was
        # written to the old one in the meantime has to be read first.
        is_written = len(self._next) > 1 or os.fstat(self._next[0].fileno()).st_size
        if not stopped and not is_written:
            return Change.NOTHING
        if not self._superseded:
            self._superseded = True
            return Change.MORE
        old = self._file
        self._begin(self._next.popleft())
        old.close()
        return Change.REPLACED

    def _read_at(self, offset: int, length: int) -> bytes:
        position = self._file.tell()
        self._file.seek(offset)
        try:
            return self._file.read(length) or b""
        finally:
            self._file.seek(position)


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file, but do not wait for a writer if it is a fifo."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
