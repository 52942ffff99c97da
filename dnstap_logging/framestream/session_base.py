"""The base of both sessions: the state table, and failing.

The table in `state.py` does not know which peer we are; the subclasses say who the other one is.
"""

from __future__ import annotations

from typing import Optional

from ..exceptions import LocalProtocolError, RemoteProtocolError
from .decoder import FrameDecoder
from .frames import ControlFrame, Frame, FrameKind, encode_control
from .state import (
    SENT_BY,
    Direction,
    Peer,
    State,
    describe,
    expected_next,
    kind_of,
    next_state,
)

__all__ = ["Session"]


class Session:
    """One end of a stream: its state and its decoder.

    Args:
        content_type: what the payloads of the stream are.

    Attributes:
        state: a `State`.
        failure: why it is FAILED; otherwise "".
    """

    __slots__ = ("_content_type", "_decoder", "_failed_at", "failure", "state")

    _peer: Peer  # who is at the other end

    def __init__(self, content_type: bytes) -> None:
        self._content_type = content_type
        # 0 refuses data frames: before START, and from a reader, none is legal.
        self._decoder = FrameDecoder(max_frame_size=0)
        self._failed_at = 0
        self.state = State.IDLE
        self.failure = ""

    @property
    def streaming(self) -> bool:
        """Whether data frames are allowed."""
        return self.state is State.STREAMING

    @property
    def finished(self) -> bool:
        """Whether the stream ended with STOP, or with FINISH if it is bidirectional."""
        return self.state is State.FINISHED

    def _feed(self, data: bytes) -> None:
        self._check_not_failed()
        self._decoder.feed(data)

    def _check_not_failed(self) -> None:
        if self.state is State.FAILED:
            raise RemoteProtocolError(f"the stream has failed before: {self.failure}")

    def _check_open(self) -> None:
        """Raise after a failure, or if there are bytes after the end."""
        self._check_not_failed()
        if self.state is State.FINISHED and self._decoder.buffered:
            raise RemoteProtocolError(
                f"received bytes from the {self._peer.value} after the end of the stream,"
                " expected nothing more"
            )

    def _accept(self, direction: Direction, frame: Frame) -> Optional[FrameKind]:
        """Apply the table to a frame of the peer; None if it must be skipped."""
        kind = kind_of(frame)
        if kind is None and self.state is State.STREAMING:
            return None
        if kind is not None and SENT_BY[kind] is self._peer:
            state = next_state(direction, self.state, kind)
            if state is not State.FAILED:
                self._enter(direction, state)
                return kind
        raise RemoteProtocolError(
            f"received {describe(frame)} from the {self._peer.value} while {self.state.value},"
            f" expected {expected_next(direction, self.state)}"
        )

    def _enter(self, direction: Direction, state: State) -> None:
        self.state = state

    def _send(self, direction: Direction, frame: ControlFrame) -> bytes:
        """Apply the table to a control frame of ours, and return its bytes."""
        kind = FrameKind(frame.type)
        state = next_state(direction, self.state, kind)
        if state is State.FAILED:
            raise self._refuse_to_send(direction, kind.name)
        data = encode_control(frame)
        self._enter(direction, state)
        return data

    def _refuse_to_send(self, direction: Direction, what: str) -> LocalProtocolError:
        if self.state is State.FAILED:
            return LocalProtocolError(f"cannot send {what}: the stream has failed: {self.failure}")
        return LocalProtocolError(
            f"cannot send {what} while {self.state.value},"
            f" expected {expected_next(direction, self.state)}"
        )

    def _fail(self, error: RemoteProtocolError) -> None:
        if self.state is State.FAILED:
            return  # the first failure explains the others
        decoder = self._decoder
        finished = self.state is State.FINISHED
        self._failed_at = decoder.offset if finished else decoder.frame_offset
        self.failure = str(error)
        self.state = State.FAILED
        decoder.max_frame_size = 0  # an iterator still in use must yield no further payload
