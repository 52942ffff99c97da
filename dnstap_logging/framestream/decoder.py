"""Turn bytes, in portions of any size, into frames.

`FrameDecoder` knows lengths and limits, but not states: the sessions check which frames are legal.
One thread at a time.
"""

from __future__ import annotations

from typing import Iterator, Optional

from ..exceptions import FrameTooLarge, RemoteProtocolError
from .frames import (
    CONTROL_HEADER_SIZE,
    DEFAULT_MAX_FRAME_SIZE,
    LENGTH,
    MAX_CONTROL_FRAME_SIZE,
    TLS_ALERT,
    TLS_HANDSHAKE,
    Frame,
    decode_control,
)

__all__ = ["FrameDecoder"]

_LENGTH_SIZE = LENGTH.size
_length_at = LENGTH.unpack_from


class FrameDecoder:
    """Take bytes in any portions and return frames, in time linear in the bytes.

    A frame that is too long is refused by its length, before its bytes are kept. An error consumes
    nothing: each later call finds the same frame and raises again.

    Args:
        max_frame_size: most bytes of a data frame's payload; 0: no data frame is legal. It may be
            changed between two frames.

    Raises:
        ValueError: max_frame_size is negative.
    """

    __slots__ = ("_at", "_base", "_buffer", "_needed", "_start", "_tail", "max_frame_size")

    def __init__(self, max_frame_size: int = DEFAULT_MAX_FRAME_SIZE) -> None:
        if max_frame_size < 0:
            raise ValueError(f"max_frame_size={max_frame_size}: must be 0 or more")
        self.max_frame_size = max_frame_size
        # Frames are cut out of _buffer at _at, so that a payload is copied once. What is fed
        # meanwhile is added to _tail, and joined when the next frame is complete: a few joins for
        # each frame, in however many portions it comes.
        self._buffer = b""
        self._tail = bytearray()
        self._at = 0  # where the next frame begins in _buffer
        self._start = 0  # where the last frame was looked for
        self._base = 0  # where _buffer begins in the stream
        self._needed = _LENGTH_SIZE  # bytes that the next step of decoding needs

    @property
    def offset(self) -> int:
        """Bytes of the stream consumed as whole frames: where the next frame begins."""
        return self._base + self._at

    @property
    def frame_offset(self) -> int:
        """Where the frame begins that was returned, refused or incomplete at the last call."""
        return self._base + self._start

    @property
    def buffered(self) -> int:
        """Bytes fed and not yet consumed; 0 between two frames."""
        return len(self._buffer) - self._at + len(self._tail)

    def feed(self, data: bytes) -> None:
        """Take the next portion of the stream.

        Args:
            data: any number of bytes.
        """
        if self.buffered:
            self._tail += data
        else:
            self._rebase(bytes(data))

    def take_rest(self) -> bytes:
        """Return and remove what was fed and not consumed."""
        rest = self._buffer[self._at :] + bytes(self._tail)
        self._buffer = self._buffer[: self._at]
        self._tail.clear()
        return rest

    def next_frame(self) -> Optional[Frame]:
        """Return the next whole frame, or None if more bytes are needed for it.

        Returns:
            The payload of a data frame as bytes, or a `ControlFrame`, of an unknown type too.

        Raises:
            FrameTooLarge: a length is above its limit.
            RemoteProtocolError: a control frame is malformed, or a data frame is not legal here.
        """
        at = self._start = self._at
        buffer = self._buffer
        if len(buffer) - at < self._needed:
            if self.buffered < self._needed:
                return None
            buffer = self._rebase(buffer[at:] + self._tail)
            self._tail.clear()
            at = 0
        (size,) = _length_at(buffer, at)
        if not size:
            return self._next_control(at)
        if size > self.max_frame_size:
            raise self._refuse(size)
        at += _LENGTH_SIZE
        end = at + size
        if end > len(buffer):
            return self._wait_for(_LENGTH_SIZE + size)
        self._at = end
        self._needed = _LENGTH_SIZE
        return buffer[at:end]

    def next_payloads(self) -> Iterator[bytes]:
        """Yield the payloads of the complete data frames that come next.

        In half the time of `next_frame`. Call it right after `next_frame` has returned a data
        frame, and then `next_frame` again, which handles everything else.
        """
        while True:
            buffer, at = self._buffer, self._at
            body = at + _LENGTH_SIZE
            if body > len(buffer):
                return
            (size,) = _length_at(buffer, at)
            end = body + size
            if not size or size > self.max_frame_size or end > len(buffer):
                return
            self._start = at
            self._at = end
            yield buffer[body:end]

    def _next_control(self, at: int) -> Optional[Frame]:
        """Return the control frame whose escape is at `at`, or None if it is incomplete."""
        buffer = self._buffer
        body = at + CONTROL_HEADER_SIZE
        if body > len(buffer):
            return self._wait_for(CONTROL_HEADER_SIZE)
        (size,) = _length_at(buffer, at + _LENGTH_SIZE)
        if size > MAX_CONTROL_FRAME_SIZE:
            raise FrameTooLarge(
                f"received a control frame of {size} bytes,"
                f" expected at most {MAX_CONTROL_FRAME_SIZE}"
            )
        end = body + size
        if end > len(buffer):
            return self._wait_for(CONTROL_HEADER_SIZE + size)
        frame = decode_control(buffer[body:end])
        self._at = end
        self._needed = _LENGTH_SIZE
        return frame

    def _wait_for(self, size: int) -> Optional[Frame]:
        """Return the frame that needs `size` bytes; None if they are not there yet."""
        self._needed = size
        return None if self.buffered < size else self.next_frame()

    def _rebase(self, buffer: bytes) -> bytes:
        """Replace the buffer by one that begins with the next frame."""
        self._base += self._at
        self._at = self._start = 0
        self._buffer = buffer
        return buffer

    def _refuse(self, size: int) -> RemoteProtocolError:
        """Return the error for a data frame that is refused by its length."""
        if self.max_frame_size:
            return FrameTooLarge(
                f"received a data frame of {size} bytes, expected at most {self.max_frame_size}"
            )
        if self.frame_offset == 0:
            opening = LENGTH.pack(size)
            hint = (
                "; it looks like TLS: use tls://"
                if opening.startswith((TLS_ALERT, TLS_HANDSHAKE))
                else ""
            )
            return RemoteProtocolError(
                f"the peer does not speak Frame Streams: received {opening!r} first,"
                f" expected a control frame, which begins with four zero bytes{hint}"
            )
        return RemoteProtocolError(
            f"received a data frame of {size} bytes, expected only control frames here"
        )
