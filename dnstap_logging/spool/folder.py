"""The folder of segments, which all processes of a program share.

Belongs to whoever drives the delivery, except `SpoolFolder.check`. What is not a segment by its
name is left alone and counts nowhere: segments that were set aside (``.damaged``), the file
``addresses``, and whatever else lies there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from typing import Iterator, List, Optional, Sequence, Set

from ..exceptions import DiskFull, TransportError
from ..framestream.frames import DNSTAP_CONTENT_TYPE, START, STOP
from ..framestream.session import WriterSession
from ..framestream.state import Direction
from ..transport.file import NO_ROOM
from ..transport.reasons import explain
from .files import list_names, lock_existing, make_new, put, read_lines, remove
from .names import in_order, is_new, is_segment, name_before, next_name
from .segment import Segment

__all__ = ["ADDRESSES", "MAX_FILES", "SpoolFolder"]

MAX_FILES = 10_000
"""Segments in one folder: more would make it slow to look at."""

SEGMENTS = 64
"""How many segments of one process fill the folder. Each stays open until it is deleted."""

SMALLEST_SEGMENT = 16 * 1024
"""Bytes after which a segment is ended, at least: a session for each."""

PERMISSIONS = 0o750
"""Of a folder that is made. Not for everybody: client addresses are personal data."""

ADDRESSES = "addresses"
"""The file that says which collectors the segments are for: an address on each line."""

MOST_TRIES = 20
"""How often a name may be taken, or a new file be cleared away by another process."""

_REASONS = {
    errno.ENOENT: "the folder above it does not exist ({code}); create it first",
    errno.ENOTDIR: "is not a folder ({code})",
    errno.EACCES: "permission denied ({code}): this process must list, write and search the folder",
}

LONG_LIST = 500
LIST_AGE = 1.0
"""Seconds for which a long list of segments to adopt is used, instead of a new one for each."""


class SpoolFolder:
    """A folder of segments.

    Args:
        path: of the folder.
        max_bytes: of all segments in it.
        addresses: of the collectors that the records are for.
        max_frame_size: of the handler.

    Attributes:
        path: of the folder, absolute.
        size: bytes of all segments, of all processes: at the last `look`, with own changes since.
        files: how many segments there are, in the same way.
        segment_bytes: a segment is ended when it has so many bytes.
        held: the names of the segments that this process holds.
        tails: the names of those that are still appended to.
    """

    def __init__(
        self, path: str, max_bytes: int, addresses: Sequence[str], max_frame_size: int
    ) -> None:
        self.path = os.path.abspath(path)
        self.max_bytes = max_bytes
        self.max_frame_size = max_frame_size
        self.segment_bytes = max(max_bytes // SEGMENTS, SMALLEST_SEGMENT)
        self.size = self.files = 0
        self.held: Set[str] = set()
        self.tails: Set[str] = set()
        self._label = f"spool={path!r}"
        self._addresses = {address.replace("\n", "\\n") for address in addresses}
        self._left: Set[str] = set()  # let go, but still there
        # What may be adopted, the newest first: listed for each segment, unless there are many.
        self._waiting: List[str] = []
        self._list_again = 0.0

    def check(self) -> None:
        """Make the folder if its parent exists; see that segments can be kept there.

        Raises:
            ValueError: segments for other collectors lie there.
            TransportError: it cannot be made, listed or written, or has no locks.
        """
        with self._explained():
            self._make()
            list_names(self.path)
            problem = None
            with contextlib.suppress(DiskFull):  # there may be room when it is needed
                attempt = make_new(self._path_of(next_name()))
                if attempt is not None:
                    remove(attempt)
                problem = self._claim()
        if problem:
            raise ValueError(f"{self._label}: {problem}")
        self.look()

    def look(self) -> None:
        """Count the segments and their bytes. What cannot be seen now stays as it was."""
        size = files = 0
        try:
            for name in self._names():
                try:
                    size += os.lstat(self._path_of(name)).st_size
                    files += 1
                except FileNotFoundError:  # deleted meanwhile
                    pass
        except FileNotFoundError:
            pass  # the whole folder was deleted
        except OSError:
            return
        self.size, self.files = size, files

    def room(self) -> int:
        """Return how many bytes of frames, their lengths included, may still be stored.

        A new segment's START and STOP are kept free. 0 also with `MAX_FILES` segments, unless one
        of this process is still appended to.
        """
        if self.files >= MAX_FILES and not self.tails:
            return 0
        return max(0, self.max_bytes - self.size - len(START) - len(STOP))

    # -- new segments --------------------------------------------------------------------------

    def create(self, before: Optional[Segment] = None) -> Segment:
        """Make a new segment, locked, with its START.

        Args:
            before: its name sorts directly before that of this segment, for what has to go out
                ahead of it; None: behind all earlier ones of this process.

        Raises:
            DiskFull: there is no room for it, or the folder has `MAX_FILES` segments.
            TransportError: it cannot be made, or segments for other collectors lie there.
        """
        if self.files >= MAX_FILES:
            raise DiskFull(self._label, f"has {self.files} segments, the most of one folder")
        session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.UNIDIRECTIONAL)
        start = session.start()
        with self._explained():
            self._make()
            problem = self._claim()
            if problem:
                raise TransportError(self._label, problem)
            for _ in range(MOST_TRIES):
                name = name_before(before.name, self._names()) if before else next_name()
                transport = make_new(self._path_of(name))
                if transport is not None and put(transport, start, self._path_of(name)):
                    break
            else:
                raise TransportError(self._label, "other processes clear new segments away")
        self.size += len(start)
        self.files += 1
        self.held.add(name)
        self.tails.add(name)
        return Segment(self, transport, name, session)

    # -- segments that are there ---------------------------------------------------------------

    def adopt(self) -> Optional[Segment]:
        """Return the oldest segment that no process has locked, locked; None: there is none.

        It is of a process that has ended, or of a parent that this one was forked from. Never
        waits, and makes nothing. Raises nothing: what cannot be opened is passed by.
        """
        listed = not self._waiting or time.monotonic() >= self._list_again
        if listed:
            self._list_waiting()
        segment = self._next_waiting()
        if segment is None and not listed:
            self._list_waiting()
            segment = self._next_waiting()
        return segment

    def _list_waiting(self) -> None:
        """List the segments that are not ours now, and delete what was never whole."""
        self._waiting.clear()
        with contextlib.suppress(OSError):
            names = list_names(self.path)
            for name in filter(is_new, names):  # of a process that was killed just then
                transport = lock_existing(self._path_of(name))
                if transport is not None:
                    remove(transport)
            if not self._conflict():
                waiting = set(filter(is_segment, names)) - self.held - self._left
                self._waiting = in_order(waiting)[::-1]
        long = len(self._waiting) > LONG_LIST
        self._list_again = time.monotonic() + LIST_AGE if long else 0.0

    def _next_waiting(self) -> Optional[Segment]:
        while self._waiting:
            segment = self._take(self._waiting.pop())
            if segment is not None:
                return segment
        return None

    def _take(self, name: str) -> Optional[Segment]:
        """Return a segment if it can be locked, and has anything in it."""
        transport = lock_existing(self._path_of(name))
        if transport is None:
            return None
        if transport.size == 0:
            remove(transport)
            return None
        self.held.add(name)
        return Segment(self, transport, name)

    def left(self, name: str, size: Optional[int]) -> None:
        """Note that a segment of this process was deleted or set aside.

        Args:
            name: of the segment.
            size: its bytes; None: it was not there any more.
        """
        self.held.discard(name)
        self.tails.discard(name)
        if os.path.lexists(self._path_of(name)):  # it could not be deleted
            self._left.add(name)
        elif size is not None:
            self.size = max(0, self.size - size)
            self.files = max(0, self.files - 1)
            return
        self.look()

    # -- the folder itself ---------------------------------------------------------------------

    def _path_of(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _names(self) -> List[str]:
        return list(filter(is_segment, list_names(self.path)))

    def _make(self) -> None:
        if not os.path.isdir(self.path):
            with contextlib.suppress(FileExistsError):  # another process, or not a folder
                os.mkdir(self.path, PERMISSIONS)

    def _conflict(self) -> Optional[str]:
        """Return why segments that lie here are not for our addresses; None: they may be."""
        there = read_lines(self._path_of(ADDRESSES))
        if there is None or there == self._addresses or not self._names():
            return None
        return (
            f"segments for {', '.join(sorted(there)) or 'no address'} lie there; "
            "use another folder, or have them sent or move them away first"
        )

    def _claim(self) -> Optional[str]:
        """Note our addresses, unless segments for others lie here: return that conflict."""
        if read_lines(self._path_of(ADDRESSES)) == self._addresses:
            return None
        problem = self._conflict()
        if problem is None:
            text = "".join(f"{address}\n" for address in sorted(self._addresses))
            transport = make_new(self._path_of(next_name()))
            if transport is not None:
                content = text.encode("utf-8", "surrogateescape")
                put(transport, content, self._path_of(ADDRESSES), replace=True)
                transport.close()
        return problem

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Have errors name the argument and say what is right."""
        try:
            yield
        except TransportError as error:
            if error.address == self._label:
                raise
            special = _REASONS.get(error.errno or 0)
            reason = explain(OSError(error.errno, ""), _REASONS) if special else error.reason
            raise type(error)(self._label, reason) from error
        except ValueError as error:  # NUL in the path
            raise ValueError(f"{self._label}: {error}") from error
        except OSError as error:
            kind = DiskFull if error.errno in NO_ROOM else TransportError
            raise kind(self._label, explain(error, _REASONS)) from error
