"""A capture that is being written: what becomes of the file behind the bytes that were read.

`FollowedFile` is a source like those of `reader_sources`, whose end is not the end. It knows that
a file can grow, be continued over its STOP or over a torn frame, be emptied and be moved away; the
reader's stream knows what the bytes are, and tells how far it got.
"""

from __future__ import annotations

import enum
import io
import os
import stat
from typing import Union

from .framestream.frames import LENGTH
from .reader_sources import BLOCK_SIZE

__all__ = ["POLL_INTERVAL", "Change", "FollowedFile"]

POLL_INTERVAL = 0.1
"""Seconds between two looks at a file that has nothing new, and so how late a message may come, and
how late a close by another thread is noticed: as late as in all other waits of the library. A look
is two or three system calls, which ten times a second cost nothing that could be measured; what
would tell of a change at once (inotify) is Linux's own, and blind on network file systems.
"""

TAIL_SIZE = 64
"""Bytes behind the last whole frame that are compared in each look. What is written over a STOP is
most often longer than it and shows in the size; this shows the rest.
"""


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
        name, noun, waits: as of `reader_sources.FileSource`.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no regular file: nobody appends to that.
    """

    noun = "file"
    waits = True

    def __init__(self, path: Union[str, os.PathLike[str]]) -> None:
        self.name = os.fspath(path)
        # Absolute: the path is looked at again and again, and the program may change its folder.
        self._path = os.path.abspath(self.name)
        self._open()

    def _open(self) -> None:
        file = io.FileIO(self._path, opener=_open_without_waiting)
        opened = os.fstat(file.fileno())
        if not stat.S_ISREG(opened.st_mode):
            file.close()
            raise ValueError(f"{self.name}: follow=True needs a regular file")
        self._file = file
        self._identity = opened.st_dev, opened.st_ino
        self._size = -1  # of the last look
        self._tail = b""  # likewise: the first bytes behind the last whole frame
        self._superseded = False

    def read(self) -> bytes:
        """Return the next bytes; none at the end as it is now."""
        return self._file.read(BLOCK_SIZE) or b""

    def go_to(self, offset: int) -> None:
        """Read on from there."""
        self._file.seek(offset)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

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
        return self._look_at_path(stopped)

    def _look_at_path(self, stopped: bool) -> Change:
        """Go over to another file at the path, once there is nothing to come in this one."""
        try:
            named = os.stat(self._path)
            if (named.st_dev, named.st_ino) == self._identity:
                return Change.NOTHING
            # Who rotates may make the new file before the writer knows (logrotate's `create`): the
            # end of the stream goes into the old one still. The new one is written to only once
            # that is done, and what was written before we saw so has to be read first.
            if not stopped and not named.st_size:
                return Change.NOTHING
            if not self._superseded:
                self._superseded = True
                return Change.MORE
            old = self._file
            self._open()
        except (FileNotFoundError, NotADirectoryError):
            return Change.NOTHING  # moved away, and the next one is not there yet
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
