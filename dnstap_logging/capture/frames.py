"""The frames of an existing capture file, as needed to find its end."""

from __future__ import annotations

from typing import Callable, NamedTuple

from ..codec.decoding import decode
from ..exceptions import DecodeError, RemoteProtocolError
from ..framestream.frames import (
    CONTROL_HEADER_SIZE,
    ESCAPE,
    LENGTH,
    MAX_CONTROL_FRAME_SIZE,
    STOP,
    FrameKind,
    decode_control,
)
from ..framestream.state import kind_of

__all__ = ["LARGEST_CONTROL", "CaptureEnd", "CaptureFrames", "ReadAt"]

LARGEST_CONTROL = CONTROL_HEADER_SIZE + MAX_CONTROL_FRAME_SIZE

ZEROS_BLOCK_SIZE = 65536
"""Bytes read at once from the end, to find where zeros begin; nearly always one block."""

_length_at = LENGTH.unpack_from

ReadAt = Callable[[int, int], bytes]


class CaptureEnd(NamedTuple):
    """Where the stream in a capture file ends.

    Attributes:
        offset: where the next data frame belongs, and where STOP begins, if it is there. 0: there
            is no whole START.
        stopped: whether STOP is all that follows `offset`.
        torn: bytes after `offset` that are not a whole frame; 0 if stopped.
    """

    offset: int
    stopped: bool
    torn: int


class CaptureFrames:
    """The bytes of a file, and its frames.

    Args:
        read_at: as of `end.find_end`.
        size: bytes of the file.
        limit: bytes of the largest payload.

    Attributes:
        size: bytes of the file; less than given, if a read found less.
        data_end: where the zeros at the end of the file begin; `size`, if there are none.
        limit: bytes of the largest payload.
        largest: bytes of the largest frame.
    """

    def __init__(self, read_at: ReadAt, size: int, limit: int) -> None:
        self._read_at = read_at
        self.limit = limit
        self.largest = max(LENGTH.size + limit, LARGEST_CONTROL)
        self.size = self.data_end = size
        self.data_end = self._find_zeros()

    def _find_zeros(self) -> int:
        end = self.size
        while end:
            start = max(0, end - ZEROS_BLOCK_SIZE)
            data = self.read(start, end - start).rstrip(b"\0")
            if data:
                return start + len(data)
            end = start
        return 0

    def read(self, offset: int, length: int) -> bytes:
        """Return ``length`` bytes, fewer only at the end of the file."""
        length = max(0, min(length, self.size - offset))
        data = b""
        while len(data) < length:
            more = self._read_at(offset + len(data), length - len(data))
            if not more:  # another program truncated the file meanwhile
                self.size = offset + len(data)
                self.data_end = min(self.data_end, self.size)
                break
            data += more
        return data

    def after(self, head: bytes, at: int) -> int:
        """Return where the next frame begins; `at` itself if this one is STOP, or is cut.

        Args:
            head: the first `LARGEST_CONTROL` bytes from `at` on, fewer only at the end of the file.
            at: where the frame begins in the file.

        Raises:
            DecodeError: it is too large, malformed, or not allowed there.
        """
        if at >= self.data_end or len(head) < LENGTH.size:
            return at
        (length,) = _length_at(head)
        if not length:
            return self._after_control(head, at)
        if length > self.limit:
            text = f"a data frame of {length} bytes, expected at most {self.limit}"
            raise DecodeError(f"byte {at}: {text}")
        after: int = at + LENGTH.size + length
        return after if after <= self.size else at

    def _after_control(self, head: bytes, at: int) -> int:
        if len(head) < CONTROL_HEADER_SIZE:
            return at
        (length,) = _length_at(head, LENGTH.size)
        if length > MAX_CONTROL_FRAME_SIZE:
            text = f"a control frame of {length} bytes, expected at most {MAX_CONTROL_FRAME_SIZE}"
            raise DecodeError(f"byte {at}: {text}")
        after: int = at + CONTROL_HEADER_SIZE + length
        if after > self.size:
            return at
        try:
            frame = decode_control(head[CONTROL_HEADER_SIZE : after - at])
        except RemoteProtocolError as error:
            raise DecodeError(f"byte {at}: {error}") from error
        kind = kind_of(frame)
        if kind is None:
            return after
        if kind is not FrameKind.STOP:
            raise DecodeError(f"byte {at}: {kind.name} after START, expected data frames and STOP")
        if after < self.data_end:
            raise DecodeError(f"byte {at}: STOP with {self.size - after} bytes after it")
        return at

    def end_after(self, at: int) -> CaptureEnd:
        """Return the end of the capture.

        Args:
            at: where the last frame begins: it is STOP, or cut, or reaches into the zeros at the
                end of the file; or nothing but zeros follows.

        Raises:
            DecodeError: as `after`.
        """
        head = self.read(at, LARGEST_CONTROL)
        if head == STOP:
            return CaptureEnd(at, True, 0)
        after = self.after(head, at)
        if after > at and not head.startswith(ESCAPE):
            try:
                decode(self.read(at + LENGTH.size, after - at - LENGTH.size))
            except DecodeError:
                after = at
        return CaptureEnd(after, False, self.size - after)
