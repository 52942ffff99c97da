"""What a reader reads: the streams of a source, one after the other, and where it is in them.

`CaptureStream` reads up to the end of its source; `FollowedStream` reads a file that is being
written until `close`. One thread iterates; `close` may come from another one, or from a signal
handler.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Iterator, Optional, Union

from ..exceptions import DecodeError, FrameStreamError, TransportError
from ..framestream.frames import DNSTAP_CONTENT_TYPE, START, foreign_opening
from ..framestream.incoming import IncomingStream
from ..framestream.session import ReaderSession
from .follow import POLL_INTERVAL, Change, FollowedFile
from .sources import FileSource, ReaderSource, SocketSource

__all__ = ["CaptureStream", "FollowedStream"]


AFTER_THE_END = "bytes after the end of the stream"


class CaptureStream:
    """The stream of a source, from START to STOP or to the end of the source.

    START is read by the constructor. In a file, further streams may follow, as in captures that
    were joined: they are read on.

    Args:
        source: a path, a binary file object, or a connected stream socket.
        max_frame_size: bytes of the largest payload.

    Attributes:
        name: of the source, for error texts.
        content_type: of START; None if it has none.
        skipped: as of `DnstapReader`.

    Raises:
        OSError, TransportError: the source cannot be read.
        DecodeError: it does not begin with a START of dnstap.
    """

    def __init__(self, source: ReaderSource, max_frame_size: int) -> None:
        self._max_frame_size = max_frame_size
        self._base = 0  # where in the source the session began
        self._ended = 0  # how many streams were read to their STOP, and another one follows
        self._begin_session()
        self._closed = False
        # Held while the source is used: who closes meanwhile leaves the descriptor to the holder.
        self._in_use = threading.Lock()
        self.skipped = 0
        self.content_type: Optional[bytes] = None
        self._source = self._open(source)
        self.name = self._source.name
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _open(self, source: ReaderSource) -> Union[FileSource, SocketSource, FollowedFile]:
        # By what it has, not by its class: gevent's sockets are of another one.
        if hasattr(source, "getpeername"):
            sock: Any = source
            return SocketSource(sock, lambda: self._closed)
        return FileSource(source)

    def _begin_session(self) -> None:
        self._session = ReaderSession(DNSTAP_CONTENT_TYPE, self._max_frame_size, alone=False)
        self._stream = IncomingStream(self._session, self._read, self._send)

    def _begin(self) -> None:
        try:
            if not self._read_start():
                raise self._ended_early()
        except FrameStreamError as error:
            raise self._damage(self.offset, str(error)) from error

    @property
    def offset(self) -> int:
        """Return where in the stream the next frame begins, or the one at fault."""
        return self._base + self._session.offset

    @property
    def frame_offset(self) -> int:
        """Return where the frame begins whose payload was yielded last."""
        return self._base + self._session.frame_offset

    @property
    def complete(self) -> bool:
        """Return whether STOP was reached, of the last stream."""
        return self._session.finished

    @property
    def streams(self) -> int:
        """Return how many streams have begun."""
        return self._ended + (self._session.direction is not None)

    def payloads(self) -> Iterator[bytes]:
        """Yield every whole payload, then raise if something else than an end follows.

        Raises:
            DecodeError: the stream is cut or damaged.
            OSError, TransportError: the source cannot be read.
            ValueError: the stream was closed, and its source is not one that waits.
        """
        try:
            while True:
                yield from self._stream.payloads()
                if not self._session.finished:
                    break
                self._stream.finish()
                if self._source.waits:
                    return  # some senders keep the connection open
                block = self._session.take_rest() or self._read()
                if not block:
                    return
                self._go_over()
                self._session.receive(block)
            if self._session.buffered and not self._closed:
                raise self._ended_early()
        except FrameStreamError as error:
            raise self._damage(self.offset, self._explain(error)) from error
        finally:
            self.close()

    def _go_over(self) -> None:
        """Go over to the stream that follows the end of this one."""
        self._base = self.offset
        self._begin_session()
        self._ended += 1

    def _explain(self, error: FrameStreamError) -> str:
        """Return what is wrong, which after STOP is not that the source is no Frame Streams."""
        if self._ended and self._session.direction is None:
            return f"{AFTER_THE_END}, expected START of another one or nothing"
        return str(error)

    def close(self) -> None:
        """Close the source; an iteration that waits ends. Never waits; may be called again."""
        self._closed = True
        if self._in_use.acquire(blocking=False):
            try:
                self._source.close()
            finally:
                self._in_use.release()

    def _read(self) -> bytes:
        """Return the next block; none at the end, or if a source that waits was closed."""
        with self._in_use:
            if not self._closed:
                block = self._read_source()
            elif self._source.waits:
                return b""
            else:
                raise ValueError(f"{self.name}: the reader is closed")
        if self._closed:
            self.close()  # it was closed meanwhile
        return block

    def _read_source(self) -> bytes:
        try:
            return self._source.read()
        except TransportError:
            raise  # of a socket, which has no file name
        except OSError as error:
            if error.filename is None:  # the system names it only where it is opened
                error.filename = self._source.name
            raise

    def _read_start(self, block: bytes = b"") -> bool:
        """Read up to START, and answer READY; False if the bytes end before.

        Args:
            block: what was read already.
        """
        block = block or self._read()
        foreign = "" if self._ended else foreign_opening(block)
        if foreign:
            raise self._damage(0, foreign)
        if not self._stream.start(block):
            return False
        self.content_type = self._session.content_type
        return True

    def _send(self, answer: bytes) -> None:
        if not isinstance(self._source, SocketSource):
            text = "READY, where a file has START: a file cannot negotiate"
            raise self._damage(self._base, text)
        self._source.send(answer)

    def _ended_early(self) -> DecodeError:
        session, noun = self._session, self._source.noun
        if session.offset == session.buffered == 0:
            return self._damage(0, f"the {noun} is empty; a capture begins with START")
        if self._ended and session.direction is None:
            return self._damage(self.offset, f"{AFTER_THE_END}: {session.buffered} of them")
        return self._damage(
            self.offset,
            f"the {noun} ends inside a frame: {session.buffered} bytes of it are there",
        )

    def _damage(self, offset: int, reason: str) -> DecodeError:
        return DecodeError(f"{self._source.name}: byte {offset}: {reason}", offset)


class FollowedStream(CaptureStream):
    """The stream in a file that is being written, and those that take its place.

    Between two reads it keeps only where the last whole frame ends. What follows, a STOP or a part
    of a frame, may be replaced by the writer, so it is read again.

    Args:
        path: of the file.
        max_frame_size: bytes of the largest payload.

    Attributes:
        name, content_type: as of `CaptureStream`.
    """

    _source: FollowedFile

    def _open(self, source: ReaderSource) -> FollowedFile:
        if not isinstance(source, (str, os.PathLike)):
            raise ValueError(
                f"follow=True needs a path, which can be opened again, not {type(source).__name__}"
            )
        return FollowedFile(source)

    def _begin(self) -> None:
        self._doubted: Optional[int] = None  # where damage was seen once
        self._streams_before = 0  # those that ended before the last whole frame
        self._go_on_from(0, b"")
        try:
            if self._read_start():
                self._whole = self.offset
            else:
                self._go_on_from(0, b"")
        except FrameStreamError:
            self._go_on_from(0, b"")  # to be read again, and said by the iteration

    def payloads(self) -> Iterator[bytes]:
        """Yield payloads until `close`.

        Raises:
            DecodeError: the stream is damaged.
            OSError: the file, or the one in its place, cannot be read.
        """
        try:
            while not self._closed:
                doubtful = False
                try:
                    yield from self._to_the_end()
                except (FrameStreamError, DecodeError) as error:
                    self._doubt(error)
                    doubtful = True
                self._go_on_after(self._wait(once=doubtful))
        finally:
            self.close()

    def _to_the_end(self) -> Iterator[bytes]:
        """Yield the whole payloads that are there."""
        if not self._session.streaming:
            if not self._read_start():
                return
            self._keep(self.offset, b"")
        while True:
            for payload in self._stream.payloads():
                self._whole, self._last = self.offset, payload
                yield payload
                if self._closed:
                    return
            if not self._session.finished:
                return
            block = self._session.take_rest() or self._read()
            if not block:
                return
            self._go_over()
            if not self._read_start(block):
                return
            self._keep(self.offset, b"")

    def _doubt(self, error: Union[FrameStreamError, DecodeError]) -> None:
        """Raise for damage that is still there when it is read once more.

        While a writer cuts off a STOP, a read can return a mix of old and new bytes; and when a
        file has just been emptied, frames without their START.
        """
        if isinstance(error, DecodeError):
            damage = error
        else:
            damage = self._damage(self.offset, self._explain(error))
            damage.__cause__ = error
        if damage.offset == self._doubted:
            raise damage
        self._doubted = damage.offset

    def _wait(self, *, once: bool) -> Change:
        """Wait until there is something to read; with `once`, no longer than one interval."""
        while not self._closed:
            time.sleep(POLL_INTERVAL)
            with self._in_use:
                if self._closed:
                    break
                change = self._source.look(self._whole, self._last, stopped=self.complete)
            if once or change is not Change.NOTHING:
                return change
        self.close()
        return Change.NOTHING

    def _go_on_after(self, change: Change) -> None:
        if self._closed:
            return
        if change in (Change.EMPTIED, Change.REPLACED):
            self.skipped += self._session.buffered
            self._doubted = None
            self._streams_before = 0
            self.content_type = None
            self._go_on_from(0, b"")
        else:
            self._go_on_from(self._whole, self._last)

    def _keep(self, whole: int, last: bytes, streams_before: Optional[int] = None) -> None:
        """Note where to read on: how far the bytes are whole, and in which stream."""
        self._whole, self._last = whole, last
        self._streams_before = self._ended if streams_before is None else streams_before
        self._ended = self._streams_before

    def _go_on_from(self, whole: int, last: bytes) -> None:
        """Read on from the end of a whole frame, with a session that is past START."""
        self._keep(whole, last, self._streams_before)
        self._begin_session()
        if whole:
            self._stream.start(START)
        self._base = whole - self._session.offset
        self._source.go_to(whole)
