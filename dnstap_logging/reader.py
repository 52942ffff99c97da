"""Read a capture: iterate the dnstap messages of a Frame Streams file.

One session of `framestream`, fed from a file in blocks, and `decoding.decode`: what kdig -E,
fstrm_capture, ``dnstap -w`` and this library's own file handler write, this reads. Nothing here
starts a thread; a reader belongs to the thread that iterates it.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import BinaryIO, Iterator, Optional, Tuple, Type, Union

from .decoding import decode
from .encoding import DNSTAP_CONTENT_TYPE
from .exceptions import DecodeError, FrameStreamError
from .framestream import (
    DEFAULT_MAX_FRAME_SIZE,
    Direction,
    ReaderSession,
    State,
    foreign_opening,
)
from .message import DnstapMessage

__all__ = ["DnstapReader"]

BLOCK_SIZE = 65536
"""Bytes asked of the file at once: some hundred frames, so that system calls do not count."""

FRAME_HEADER_SIZE = 4
"""The length before each payload (Frame Streams)."""


class DnstapReader:
    """Iterate the messages of a capture file, lazily.

    It is an iterator and a context manager. The file is opened, and its START frame read, at
    construction; it is closed when the iteration ends in whatever way, and by `close`.

    Every whole message before a damaged place is yielded, then the error is raised. A file that
    ends between two frames without a STOP, as a writer that was killed leaves it, is no error:
    `complete` tells.

    Args:
        path: the file, as str or PathLike; or a binary file object, which is read from where it
            stands and never closed here. A pipe will do.
        max_frame_size: the largest payload to accept, in bytes (default 1 MiB).

    Raises:
        OSError: the file cannot be opened or read.
        DecodeError: the file is damaged, cut, or not a dnstap capture. The text names the file,
            the byte offset of the frame and what is wrong there.
        TypeError: ``path`` is neither a path nor a binary file object.
        ValueError: ``max_frame_size`` is out of range; or the reader was closed and is asked for
            more.
    """

    def __init__(
        self,
        path: Union[str, os.PathLike[str], BinaryIO],
        *,
        max_frame_size: int = DEFAULT_MAX_FRAME_SIZE,
    ) -> None:
        self._session = ReaderSession(DNSTAP_CONTENT_TYPE, max_frame_size)
        self._closed = False
        self._file, self._owned, self.name = _open(path)
        # read1 hands on what is there: a pipe's messages come out as they arrive.
        self._read_some = getattr(self._file, "read1", self._file.read)
        try:
            self._read_start()
        except BaseException:
            self.close()
            raise
        self._payloads = self._read_payloads()
        self._iterator = self._messages()

    def __iter__(self) -> Iterator[DnstapMessage]:
        # The generator itself, not self: a for loop then runs at a generator's speed.
        return self._iterator

    def __next__(self) -> DnstapMessage:
        return next(self._iterator)

    def __enter__(self) -> DnstapReader:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<DnstapReader {self.name!r} at byte {self.offset}>"

    @property
    def content_type(self) -> Optional[bytes]:
        """Return the content type of the START frame, or None if it has none."""
        return self._session.content_type

    @property
    def complete(self) -> bool:
        """Tell whether the STOP frame was reached: the writer ended this capture in order."""
        return self._session.finished

    @property
    def offset(self) -> int:
        """Return the bytes of the stream read as whole frames: where the next frame begins."""
        return self._session.offset

    def frames(self) -> Iterator[Tuple[int, bytes]]:
        """Iterate the data frames as they are, without decoding them: (offset, payload).

        For what copies, counts or repairs captures. ``offset`` is where the frame begins in the
        stream, with its four bytes of length; ``payload`` is what `decode` would take, and may be
        no dnstap message at all, which is not looked at. It shares its position with the
        iteration of messages: each frame comes out once, by the one or the other.

        Raises:
            DecodeError: as the iteration of messages, but not for a payload: after every whole
                frame before a place where the stream itself is cut or damaged. Its ``offset``
                says where: everything before it is whole.
            OSError, ValueError: as there.
        """
        for payload in self._payloads:
            yield self.offset - FRAME_HEADER_SIZE - len(payload), payload

    def close(self) -> None:
        """Close the file, unless it was handed in open. Closing twice is allowed."""
        self._closed = True
        if self._owned:
            self._file.close()

    def _read_start(self) -> None:
        """Take the START frame: byte by byte, so that no payload is taken along with it."""
        session = self._session
        opening = b""
        while session.state is State.IDLE:
            block = self._read_block()
            opening = opening or block
            foreign = foreign_opening(opening)
            if foreign:
                raise self._damage(0, foreign)
            if not block:
                raise self._ended_early()
            used = 0
            try:
                while session.state is State.IDLE and used < len(block):
                    session.receive(block[used : used + 1])
                    used += 1
                    for _ in session.payloads():
                        pass
            except FrameStreamError as exc:
                raise self._damage(session.offset, str(exc)) from exc
            if session.state is not State.IDLE:
                session.receive(block[used:])
        if session.direction is Direction.BIDIRECTIONAL:
            raise self._damage(0, "READY, where a file has START: a file cannot negotiate")

    def _messages(self) -> Iterator[DnstapMessage]:
        try:
            for payload in self._payloads:
                yield decode(payload)
        except DecodeError as exc:
            if exc.offset is not None:
                raise
            frame = self.offset - FRAME_HEADER_SIZE - len(payload)
            raise self._damage(frame, str(exc)) from exc
        finally:
            self.close()

    def _read_payloads(self) -> Iterator[bytes]:
        session = self._session
        try:
            while True:
                yield from session.payloads()
                block = self._read_block()
                if not block:
                    break
                session.receive(block)
            if session.buffered:
                raise self._ended_early()
        except FrameStreamError as exc:
            raise self._damage(session.offset, str(exc)) from exc
        finally:
            self.close()

    def _read_block(self) -> bytes:
        if self._closed:
            raise ValueError(f"{self.name}: the reader is closed")
        block = self._read_some(BLOCK_SIZE)
        if not isinstance(block, bytes):
            raise TypeError(
                f"{self.name}: must be a blocking file object opened in binary mode; "
                f"its read returned {type(block).__name__}"
            )
        return block

    def _ended_early(self) -> DecodeError:
        session = self._session
        if session.offset == session.buffered == 0:
            return self._damage(0, "the file is empty; a capture begins with START")
        return self._damage(
            session.offset,
            f"the file ends inside a frame: {session.buffered} bytes of it are there",
        )

    def _damage(self, offset: int, reason: str) -> DecodeError:
        return DecodeError(f"{self.name}: byte {offset}: {reason}", offset)


def _open(
    path: Union[str, os.PathLike[str], BinaryIO],
) -> Tuple[BinaryIO, bool, str]:
    """Return the file object, whether it is ours to close, and its name for error texts."""
    if isinstance(path, (str, os.PathLike)):
        # Unbuffered: the blocks are our own, a second buffer would only copy.
        return open(path, "rb", buffering=0), True, os.fspath(path)
    if hasattr(path, "read"):
        return path, False, str(getattr(path, "name", path))
    raise TypeError(
        f"path={path!r}: must be a str, a path object or an open binary file, "
        f"not {type(path).__name__}"
    )
