"""Read a capture: iterate the dnstap messages of a Frame Streams file or connection.

It reads what kdig -E, fstrm_capture, ``dnstap -w`` and this library's own file handler write.
Nothing here starts a thread; a reader belongs to the thread that iterates it, and only `close` may
be called by another one.
"""

from __future__ import annotations

import os
from typing import Any, Iterator, NoReturn, Optional, Tuple

from ..arguments import flag, integer
from ..codec.decoding import decode
from ..copies import refuse_copy
from ..exceptions import DecodeError
from ..framestream.frames import DEFAULT_MAX_FRAME_SIZE, MAX_FRAME_SIZE
from ..message.message import DnstapMessage
from .sources import ReaderSource
from .stream import CaptureStream, FollowedStream

__all__ = ["DnstapReader", "open_stream"]


class DnstapReader:
    """Iterate the messages of a capture file or of a connection, lazily.

    It is an iterator and a context manager. The file is opened, and its START frame read, at
    construction; it is closed when the iteration ends, with or without an error, and by `close`.

    Every whole message before a damaged place is yielded, then the error is raised. A file that
    ends between two frames without a STOP, as a writer that was killed leaves it, is not an
    error: `complete` is False then.

    Where another stream follows a STOP in a file, as in captures that were joined, it is read on:
    `streams` counts them, `complete` is about the last one.

    With ``follow`` the end of the file is not the end: the reader waits for more, looking ten
    times a second, until it is closed. A capture that is continued after its STOP goes on; a last
    frame that is cut is not whole yet. When the path names another file, the old one is read to
    its end and the new one from its START; a file that was emptied in place is read from its START
    again. A file that appeared and disappeared between two looks is not read; a reader that is
    behind still reads every file that it saw.

    Args:
        source: the file, as str or PathLike; or a binary file object, which is read from where it
            stands and never closed here (a pipe will do); or a connected stream socket, a TLS one
            too, which is never closed here either. On a socket READY is answered with ACCEPT, and
            STOP with FINISH once all messages before it were taken; construction waits for START,
            and a timeout that the socket has bounds each wait.
        follow: go on at the end of the file; with a path only.
        max_frame_size: the largest payload to accept, in bytes (default 1 MiB).

    Raises:
        OSError: the file cannot be opened or read; ``filename`` says which.
        TransportError: the connection broke, or nothing came within the socket's timeout.
        DecodeError: the file is damaged, cut, or not a dnstap capture. The text names the file,
            the byte offset of the frame and what is wrong there; ``offset`` is that number.
        TypeError: ``source`` is none of these.
        ValueError: ``max_frame_size`` is out of range; ``follow`` is asked of something else than
            the path of a regular file; the socket is not a connected stream socket; or the reader
            of a file was closed and is asked for more.
    """

    __module__ = "dnstap_logging"

    def __init__(
        self,
        source: ReaderSource,
        *,
        follow: bool = False,
        max_frame_size: int = DEFAULT_MAX_FRAME_SIZE,
    ) -> None:
        self._stream = open_stream(source, follow, max_frame_size)
        self.name = self._stream.name
        self._payloads = self._stream.payloads()
        self._iterator = self._messages()

    def __iter__(self) -> Iterator[DnstapMessage]:
        # The generator itself, not self: a for loop then runs at a generator's speed.
        return self._iterator

    def __next__(self) -> DnstapMessage:
        return next(self._iterator)

    def __enter__(self) -> DnstapReader:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<DnstapReader {self.name!r} at byte {self.offset}>"

    def __reduce__(self) -> NoReturn:
        owns = "an open source and its place in it"
        refuse_copy(self, owns, "make another reader there, or send the messages")

    @property
    def content_type(self) -> Optional[bytes]:
        """Return the content type of the START frame, or None if it has none.

        With ``follow`` also None while the file has no START yet.
        """
        return self._stream.content_type

    @property
    def complete(self) -> bool:
        """Return whether the STOP frame was reached: the writer ended this capture in order."""
        return self._stream.complete

    @property
    def streams(self) -> int:
        """Return how many streams have begun: more than 1 in captures that were joined."""
        return self._stream.streams

    @property
    def offset(self) -> int:
        """Return the bytes of the stream read as whole frames: where the next frame begins."""
        return self._stream.offset

    @property
    def skipped(self) -> int:
        """Return the bytes of frames that never became whole, with ``follow``.

        They were at the end of files that were then moved away or emptied. Without ``follow``
        such an end is a DecodeError, and this is 0.
        """
        return self._stream.skipped

    def frames(self) -> Iterator[Tuple[int, bytes]]:
        """Iterate the data frames as they are, without decoding them: (offset, payload).

        For programs that copy, count or repair captures. ``offset`` is where the frame begins in
        the stream, with its four bytes of length; ``payload`` is what `decode` would take, and
        need not be a dnstap message. It shares its position with the iteration of messages: each
        frame comes out once, from the one or the other.

        Raises:
            DecodeError: as the iteration of messages, but not for a payload: after every whole
                frame before a place where the stream itself is cut or damaged. Its ``offset``
                says where: everything before it is whole.
            OSError, ValueError: as there.
        """
        for payload in self._payloads:
            yield self._stream.frame_offset, payload

    def close(self) -> None:
        """Close the file, unless it was handed in open. Closing twice is allowed.

        It never waits, and may be called by any thread and by a signal handler: with ``follow`` or
        on a socket, an iteration that is waiting then ends within a tenth of a second (without
        FINISH). Messages that had been read already may still come out before.
        """
        self._stream.close()

    def _messages(self) -> Iterator[DnstapMessage]:
        try:
            for payload in self._payloads:
                yield decode(payload)
        except DecodeError as error:
            if error.offset is not None:
                raise
            frame = self._stream.frame_offset
            raise DecodeError(f"{self.name}: byte {frame}: {error}", frame) from error
        finally:
            self.close()


def open_stream(
    source: ReaderSource, follow: bool = False, max_frame_size: int = DEFAULT_MAX_FRAME_SIZE
) -> CaptureStream:
    """Open what a reader reads; arguments and errors are those of `DnstapReader`."""
    stream = FollowedStream if flag("follow", follow) else CaptureStream
    integer("max_frame_size", max_frame_size, 1, MAX_FRAME_SIZE)
    return stream(_source(source), max_frame_size)


def _source(source: Any) -> ReaderSource:
    """Check what a reader is to read, before it is opened."""
    if isinstance(source, os.PathLike) and not isinstance(os.fspath(source), str):
        raise TypeError(f"source={source!r}: must be a path of str, not of bytes")
    if isinstance(source, (str, os.PathLike)):
        try:
            named = b"\0" not in os.fsencode(source)
        except UnicodeEncodeError:
            named = False
        if not named:
            raise ValueError(f"source={source!r}: must be a path, and no file can have this name")
    elif isinstance(source, type) or not (
        hasattr(source, "read") or hasattr(source, "getpeername")
    ):
        raise TypeError(
            f"source={source!r}: must be a str, a path object, an open binary file or a connected"
            f" socket, not {type(source).__name__}"
        )
    checked: ReaderSource = source
    return checked
