"""The two ends of one stream: what to send, and what the received bytes mean.

A session takes bytes and returns bytes, for one connection or file and in one thread; it does no
I/O.

Errors: a RemoteProtocolError means that the peer broke the rules; the session is FAILED then, and
the connection must be closed. A LocalProtocolError means that the caller asked for something that
the rules do not allow here; nothing was sent, and the session is unchanged. Any other exception is
a mistake in this package.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Sequence

from ..exceptions import ContentTypeMismatch, RemoteProtocolError
from .frames import (
    DEFAULT_MAX_FRAME_SIZE,
    LENGTH,
    MAX_FRAME_SIZE,
    ControlFrame,
    Frame,
    FrameKind,
    encode_control,
    encode_header,
)
from .session_base import Session
from .state import (
    FIRST_FRAMES,
    TRANSITIONS,
    Direction,
    Peer,
    State,
    describe,
    expected_first,
    kind_of,
)

__all__ = ["ReaderSession", "WriterSession"]

_STREAMING = State.STREAMING  # used for every frame, and slow as a member of its class
_pack_length = LENGTH.pack


class WriterSession(Session):
    """The end that sends the data: `start`, any number of `frame`, `stop`.

    Give `receive` what the reader sends. As that can only be ACCEPT and FINISH, the session never
    keeps more than a control frame of 512 bytes.

    Args:
        content_type: what the payloads are, at most 256 bytes.
        direction: BIDIRECTIONAL asks the reader first and waits for its FINISH at the end.

    Attributes:
        state: a `State`.
        direction: as given.
        failure: why the session is FAILED; otherwise "".

    Raises:
        LocalProtocolError: the content type is too long.
    """

    __slots__ = ("_start", "direction")

    _peer = Peer.READER

    def __init__(self, content_type: bytes, direction: Direction) -> None:
        super().__init__(content_type)
        self.direction = direction
        self._start = ControlFrame(FrameKind.START, (content_type,))
        encode_control(self._start)  # a bad content type is the constructor's error

    def start(self) -> bytes:
        """Begin the stream: return READY, or START if it is unidirectional.

        Raises:
            LocalProtocolError: the stream has begun already.
        """
        if self.direction is Direction.UNIDIRECTIONAL:
            return self._send(self.direction, self._start)
        ready = ControlFrame(FrameKind.READY, (self._content_type,))
        return self._send(self.direction, ready)

    def receive(self, data: bytes) -> bytes:
        """Take bytes that the reader sent, in any portions, and return what to answer.

        Args:
            data: the bytes; b"" changes nothing (noticing the connection's end is up to the
            caller).

        Returns:
            START after an ACCEPT that takes our content type or any; otherwise b"".

        Raises:
            ContentTypeMismatch: the reader does not take our content type.
            RemoteProtocolError: the reader broke the rules: a data frame, a frame out of turn,
                bytes after FINISH, or no Frame Streams at all. The session is FAILED.
        """
        self._feed(data)
        reply = b""
        try:
            while True:
                self._check_open()
                frame = self._decoder.next_frame()
                if frame is None:
                    return reply
                reply += self._answer(frame)
        except RemoteProtocolError as error:
            self._fail(error)
            raise

    def _answer(self, frame: Frame) -> bytes:
        """Handle one frame of the reader, and return the answer."""
        kind = self._accept(self.direction, frame)
        if kind is not FrameKind.ACCEPT or isinstance(frame, bytes):
            return b""
        # No content type on ACCEPT means any, as the `dnstap` tool answers.
        if frame.content_types and self._content_type not in frame.content_types:
            raise ContentTypeMismatch(
                f"the reader accepts {_listed(frame.content_types)},"
                f" expected {self._content_type!r} among its content types"
            )
        return self._send(self.direction, self._start)

    def headers(self, sizes: Sequence[int]) -> List[bytes]:
        """Return the lengths that data frames begin with; the caller adds the payloads.

        Args:
            sizes: bytes of each payload, at least one.

        Raises:
            LocalProtocolError: the stream is not STREAMING, or a size is not allowed. The session
                is unchanged.
        """
        if sizes and self.state is _STREAMING and min(sizes) > 0 and max(sizes) <= MAX_FRAME_SIZE:
            return list(map(_pack_length, sizes))
        return list(map(self._header, sizes))

    def frame(self, payload: bytes) -> bytes:
        """Return one data frame; raise as `headers` does."""
        size = len(payload)
        if self.state is _STREAMING and 0 < size <= MAX_FRAME_SIZE:
            return _pack_length(size) + payload
        return self._header(size) + payload

    def _header(self, size: int) -> bytes:
        if self.state is not _STREAMING:
            raise self._refuse_to_send(self.direction, "a data frame")
        return encode_header(size)

    def stop(self) -> bytes:
        """End the data: return STOP. A bidirectional stream is FINISHED by the reader's FINISH.

        Raises:
            LocalProtocolError: the stream is not STREAMING.
        """
        return self._send(self.direction, ControlFrame(FrameKind.STOP))


class ReaderSession(Session):
    """The end that takes the data: `receive` bytes, iterate `payloads`, send `data_to_send`.

    The first frame decides the direction. Control frames take effect when `payloads` reaches them:
    FINISH can be sent only after every payload before STOP was yielded.

    Args:
        content_type: the one that is accepted, at most 256 bytes.
        max_frame_size: most bytes of a payload; a longer one is refused by its length.
        alone: whether bytes after the end of the stream are an error; else `payloads` ends there,
            and `take_rest` returns them.

    Attributes:
        state: a `State`.
        direction: None until the first frame.
        content_type: that of START; None before it, and if START had none.
        failure: why the session is FAILED; otherwise "".

    Raises:
        LocalProtocolError: the content type is too long.
        ValueError: max_frame_size is below 1.
    """

    __slots__ = (
        "_accept_frame",
        "_alone",
        "_max_frame_size",
        "_to_send",
        "content_type",
        "direction",
    )

    _peer = Peer.WRITER

    def __init__(
        self,
        content_type: bytes,
        max_frame_size: int = DEFAULT_MAX_FRAME_SIZE,
        *,
        alone: bool = True,
    ) -> None:
        super().__init__(content_type)
        self._alone = alone
        if max_frame_size < 1:
            raise ValueError(f"max_frame_size={max_frame_size}: must be 1 or more")
        self._max_frame_size = max_frame_size
        self._accept_frame = ControlFrame(FrameKind.ACCEPT, (content_type,))
        encode_control(self._accept_frame)  # a bad content type is the constructor's error
        self._to_send = b""
        self.content_type: Optional[bytes] = None
        self.direction: Optional[Direction] = None

    @property
    def offset(self) -> int:
        """Where in the stream the next frame begins; if it is FAILED, the bad frame."""
        return self._failed_at if self.state is State.FAILED else self._decoder.offset

    @property
    def frame_offset(self) -> int:
        """Where in the stream the frame of the last payload begins."""
        return self._decoder.frame_offset

    @property
    def buffered(self) -> int:
        """Bytes received that are not yet a whole frame, once `payloads` is exhausted."""
        return self._decoder.buffered

    def receive(self, data: bytes) -> None:
        """Take bytes that the writer sent, in any portions, for `payloads`.

        Raises:
            RemoteProtocolError: the session is FAILED already.
        """
        self._feed(data)

    def payloads(self) -> Iterator[bytes]:
        """Yield every payload that is complete, and handle the control frames between them.

        Call it again after each `receive`; an iterator that is not exhausted loses nothing.

        Raises:
            ContentTypeMismatch: the writer offers, or starts with, other content types.
            FrameTooLarge: a frame is above its limit.
            RemoteProtocolError: the writer broke the rules in another way. All three are raised
                after every payload before the error was yielded; the session is FAILED then.
        """
        next_frame, next_payloads = self._decoder.next_frame, self._decoder.next_payloads
        while True:
            try:
                if self.state is not _STREAMING:
                    if self.finished and not self._alone:
                        return
                    self._check_open()
                frame = next_frame()
                if not isinstance(frame, bytes):
                    if frame is None:
                        return
                    self._control(frame)
                    continue
            except RemoteProtocolError as error:
                self._fail(error)
                raise
            # Not checked one by one: _enter has set whether data frames are legal here.
            yield frame
            yield from next_payloads()

    def take_rest(self) -> bytes:
        """Return and remove what was received after the end of the stream."""
        return self._decoder.take_rest()

    def data_to_send(self) -> bytes:
        """Return and remove what must be sent to the writer (ACCEPT, FINISH)."""
        data, self._to_send = self._to_send, b""
        return data

    def _enter(self, direction: Direction, state: State) -> None:
        super()._enter(direction, state)
        data_is_legal = (state, FrameKind.DATA) in TRANSITIONS[direction]
        self._decoder.max_frame_size = self._max_frame_size if data_is_legal else 0

    def _control(self, frame: ControlFrame) -> None:
        """Handle one control frame of the writer, and prepare the answer."""
        direction = self.direction = self.direction or self._learn_direction(frame)
        kind = self._accept(direction, frame)
        if kind is FrameKind.READY:
            self._check_offered(frame)
            self._to_send += self._send(direction, self._accept_frame)
        elif kind is FrameKind.START:
            self._check_offered(frame)
            self.content_type = frame.content_types[0] if frame.content_types else None
        elif self.state is State.STOPPING:
            self._to_send += self._send(direction, ControlFrame(FrameKind.FINISH))

    def _learn_direction(self, frame: ControlFrame) -> Direction:
        kind = kind_of(frame)
        if kind in FIRST_FRAMES:
            return FIRST_FRAMES[kind]
        raise RemoteProtocolError(
            f"received {describe(frame)} as the first frame, expected {expected_first()}"
        )

    def _check_offered(self, frame: ControlFrame) -> None:
        # No content type on READY means any; a START without one is accepted.
        if frame.content_types and self._content_type not in frame.content_types:
            raise ContentTypeMismatch(
                f"the writer sends {describe(frame)} with {_listed(frame.content_types)},"
                f" expected {self._content_type!r}"
            )


def _listed(content_types: tuple[bytes, ...]) -> str:
    return ", ".join(map(repr, content_types))
