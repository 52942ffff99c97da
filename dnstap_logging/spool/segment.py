"""One segment of the spool: a capture that its writer keeps locked until it is deleted.

Belongs to whoever drives the delivery. A segment is written by the process that made it, and read
by the process that holds it: that one, or another one after its end. It is an ordinary capture.
"""

from __future__ import annotations

import contextlib
import os
from itertools import islice
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ..exceptions import DnstapLoggingError, PeerClosed, RemoteProtocolError, TransportError
from ..framestream.decoder import FrameDecoder
from ..framestream.frames import (
    DEFAULT_MAX_FRAME_SIZE,
    LENGTH,
    START,
    ControlFrame,
    FrameKind,
    foreign_opening,
)
from ..framestream.state import describe, kind_of
from ..transport.reasons import explain

if TYPE_CHECKING:
    from ..framestream.session import WriterSession
    from ..transport.file import FileTransport
    from .folder import SpoolFolder

__all__ = ["DAMAGED_SUFFIX", "LARGEST_FRAME", "Segment", "SegmentDamaged"]

DAMAGED_SUFFIX = ".damaged"
"""Of a segment that was set aside, instead of .fstrm."""

BLOCK_SIZE = 256 * 1024
"""Bytes read at once: few system calls, and little memory."""

LARGEST_FRAME = 64 * 1024 * 1024
"""Bytes of the largest payload that is read, if max_frame_size is not larger: a damaged length
must not take any amount of memory."""


class SegmentDamaged(DnstapLoggingError):
    """What follows in a segment cannot be read.

    Args:
        offset: where the frame begins that cannot be read.
        reason: why.
        torn: whether it is the end of a segment whose writer was killed, or whose machine lost its
            power: a frame that was never whole.
        gone: whether the file was deleted, moved or emptied by somebody else.
    """

    def __init__(self, offset: int, reason: str, *, torn: bool = False, gone: bool = False) -> None:
        super().__init__(f"byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason
        self.torn = torn
        self.gone = gone


class Segment:
    """A segment that this process holds: open and locked.

    Args:
        folder: that it lies in; its size follows.
        transport: open and locked; the segment owns it from now on.
        name: of the file in the folder.
        session: of a new segment, whose START is written; None: the segment was found.

    Attributes:
        FIRST: where the first data frame begins.
        name: of the file in the folder.
        path: of the file.
        found: whether it was adopted: how many frames it has is not known before they are read.
        end: where the last whole frame ends; of a found segment the end of the file, until reading
            comes to its STOP.
    """

    FIRST = len(START)

    def __init__(
        self,
        folder: SpoolFolder,
        transport: FileTransport,
        name: str,
        session: Optional[WriterSession] = None,
    ) -> None:
        self._folder = folder
        self._transport = transport
        self._session = session
        self.name = name
        self.path = os.path.join(folder.path, name)
        self.found = session is None
        self.end = transport.size
        self._opening_seen = not self.found
        # What is read goes through one decoder, as long as each read goes on where the last ended.
        self._decoder = FrameDecoder()
        self._origin = self._fed = -1  # where the decoder began, and how far it was fed

    @property
    def stopped(self) -> bool:
        """Whether nothing is appended any more."""
        return self._session is None

    # -- writing -------------------------------------------------------------------------------

    def append(self, payloads: Sequence[bytes]) -> None:
        """Write one data frame for each payload: all of them, or none.

        Raises:
            DiskFull: there is no room for all of them.
            PeerClosed: the file was deleted, moved or emptied by somebody else.
            TransportError: it failed for another reason.
        """
        assert self._session is not None, "found, or stopped"
        parts = [b""] * (2 * len(payloads))
        parts[::2] = self._session.headers(list(map(len, payloads)))
        parts[1::2] = payloads
        if self._transport.look() is not None:
            raise PeerClosed(self._transport.name, self._transport.end)
        self._send(b"".join(parts))
        self.end = self._transport.size

    def stop(self) -> None:
        """End the stream with STOP, if there is room for it; nothing is appended afterwards."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(TransportError):
                self._send(session.stop())
            self._folder.tails.discard(self.name)

    def _send(self, data: bytes) -> None:
        self._transport.send(data)
        self._folder.size += len(data)

    # -- reading -------------------------------------------------------------------------------

    def read(self, offset: int, max_records: int, max_bytes: int) -> Tuple[List[bytes], int]:
        """Return the payloads of whole frames, and where the next frame begins.

        Args:
            offset: where to begin: `FIRST`, or what an earlier call returned.
            max_records: most payloads.
            max_bytes: no more payloads once they have so many bytes, so the last one may exceed it.

        Returns:
            No payload and the same offset at the end of the stream: at its STOP, or where nothing
            more was written yet.

        Raises:
            SegmentDamaged: what is at this offset cannot be read, now or later.
        """
        if self._transport.look() is not None:
            raise SegmentDamaged(offset, self._transport.end, gone=True)
        payloads: List[bytes] = []
        size = 0
        try:
            self._seek(offset)
            while len(payloads) < max_records and size < max_bytes:
                payload = self._next_payload()
                if payload is None:
                    break
                payloads.append(payload)
                size += len(payload)
                more = self._decoder.next_payloads()
                for payload in islice(more, max_records - len(payloads)):
                    payloads.append(payload)
                    size += len(payload)
                    if size >= max_bytes:
                        break
        except SegmentDamaged:
            if not payloads:
                raise
        return payloads, self._origin + self._decoder.offset

    def _seek(self, offset: int) -> None:
        """Have the decoder go on at this offset."""
        if not self._opening_seen:
            self._check_opening()
        if offset != self._origin + self._decoder.offset:
            self._decoder = FrameDecoder(max(LARGEST_FRAME, self._folder.max_frame_size))
            self._origin = self._fed = offset

    def _check_opening(self) -> None:
        opening = self._read_at(0, len(START))
        if opening != START:
            problem = foreign_opening(opening) or "it does not begin with START of a dnstap capture"
            raise SegmentDamaged(0, problem, torn=START.startswith(opening.rstrip(b"\0")))
        self._opening_seen = True

    def _next_payload(self) -> Optional[bytes]:
        """Return the next payload; None at the end of the stream."""
        decoder = self._decoder
        while True:
            try:
                frame = decoder.next_frame()
            except RemoteProtocolError as error:
                at = self._origin + decoder.offset
                raise SegmentDamaged(at, str(error), torn=self._only_zeros(at)) from error
            if isinstance(frame, bytes):
                return frame
            if frame is not None:
                if self._is_stop(frame):
                    return None
            elif not self._feed():
                self._check_rest()
                return None

    def _is_stop(self, frame: ControlFrame) -> bool:
        """Return whether a control frame ends the stream; False: it says nothing to us."""
        kind = kind_of(frame)
        if kind is None:
            return False
        begin, after = (
            self._origin + at for at in (self._decoder.frame_offset, self._decoder.offset)
        )
        if kind is not FrameKind.STOP or after < self.end:
            self._seek(begin)  # so that a later read finds it again
            rest = f" with {self.end - after} bytes after it" if kind is FrameKind.STOP else ""
            raise SegmentDamaged(begin, f"{describe(frame)} among the data frames{rest}")
        self.end = begin
        self._seek(begin)
        return True

    def _check_rest(self) -> None:
        """Raise if the whole frames do not end at the end of the file."""
        rest = self._decoder.buffered
        if not rest:
            return
        at = self._origin + self._decoder.offset
        largest = LENGTH.size + max(self._folder.max_frame_size, DEFAULT_MAX_FRAME_SIZE)
        torn = self.found and rest < largest
        raise SegmentDamaged(at, "the last frame is not whole", torn=torn)

    def _only_zeros(self, offset: int) -> bool:
        """Return whether nothing but zeros follows, as after a power cut."""
        while self.found and offset < self.end:
            block = self._read_at(offset, min(BLOCK_SIZE, self.end - offset))
            if block.strip(b"\0"):
                return False
            offset += len(block) or self.end
        return self.found

    def _feed(self) -> bool:
        """Have the decoder take the next block; return whether there was one."""
        block = self._read_at(self._fed, min(BLOCK_SIZE, self.end - self._fed))
        self._fed += len(block)
        self._decoder.feed(block)
        return bool(block)

    def _read_at(self, offset: int, length: int) -> bytes:
        try:
            return self._transport.read_at(offset, max(0, length))
        except OSError as error:
            raise SegmentDamaged(offset, f"it cannot be read: {explain(error)}") from error

    def is_there(self) -> bool:
        """Return whether the path still names this file."""
        return self._transport.look() is None

    # -- letting go ----------------------------------------------------------------------------

    def delete(self) -> None:
        """Delete the file while it is locked, and let it go; never raises.

        If the folder does not allow that, the file is emptied; this process does not adopt it.
        """
        gone = self._transport.look() is not None
        with contextlib.suppress(TransportError):
            self._transport.remove()
        self._leave(gone)

    def set_aside(self) -> str:
        """Rename the file so that nobody takes it up again, and let it go; never raises.

        Returns:
            Its path: the new one, or the old one if it could not be renamed.
        """
        gone = self._transport.look() is not None
        path = os.path.splitext(self.path)[0] + DAMAGED_SUFFIX
        try:
            self._transport.move(path)
        except TransportError:
            path = self.path
        self._transport.close()
        self._leave(gone)
        return path

    def _leave(self, gone: bool) -> None:
        self._session = None
        self._folder.left(self.name, None if gone else self._transport.size)

    def release(self) -> None:
        """End the stream if that is not done, and let the file go: anybody may adopt it."""
        self.stop()
        self._transport.close()
        self._folder.held.discard(self.name)

    def abandon(self) -> None:
        """Close only the descriptor, in a forked child: the file is its parent's."""
        self._session = None
        self._transport.abandon()
        self._folder.held.discard(self.name)
        self._folder.tails.discard(self.name)
