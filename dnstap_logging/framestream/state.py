"""The states of a stream, and every transition between them.

Rule 1: every transition is in TRANSITIONS. A pair that is not there is an error.
Rule 2: this module does not know which of the two peers we are. Both go through the same states,
        because both see the same frames in the same order. SENT_BY says who sends a frame: one of
        ours that is not in the table is a LocalProtocolError; one from the peer is a
        RemoteProtocolError, and so is a frame that only we may send.
Rule 3: FAILED is final. Every received frame that is refused leads to it. A frame of ours that is
        refused was not sent, so the state does not change.
Rule 4: the first frame decides the direction: READY bidirectional, START unidirectional. Nothing
        else can come first.
Rule 5: control frames of unknown types, as of later versions of Frame Streams, are skipped in
        STREAMING and refused elsewhere.

Bidirectional: the writer asks with READY which content types the reader accepts (NEGOTIATING), the
reader answers ACCEPT (ACCEPTED), the writer chooses one with START (STREAMING), data frames follow,
STOP ends them (STOPPING), and FINISH says that the reader has taken them all (FINISHED).
Unidirectional: START, data frames, STOP; nobody answers. The source is the Frame Streams
specification as the fstrm library documents it.

No I/O; any thread.
"""

from __future__ import annotations

import enum
from typing import Optional

from .frames import Frame, FrameKind

__all__ = [
    "Direction",
    "FIRST_FRAMES",
    "Peer",
    "SENT_BY",
    "State",
    "TRANSITIONS",
    "describe",
    "expected_first",
    "expected_next",
    "kind_of",
    "next_state",
]


class Direction(enum.Enum):
    """Whether the reader answers (sockets by default) or not (files, and sockets by choice)."""

    BIDIRECTIONAL = "bidirectional"
    UNIDIRECTIONAL = "unidirectional"


class State(enum.Enum):
    """The state of a stream."""

    IDLE = "idle"
    NEGOTIATING = "negotiating"
    ACCEPTED = "accepted"
    STREAMING = "streaming"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"


class Peer(enum.Enum):
    """The two ends of a stream."""

    WRITER = "writer"
    READER = "reader"


TRANSITIONS = {
    Direction.BIDIRECTIONAL: {
        (State.IDLE, FrameKind.READY): State.NEGOTIATING,
        (State.NEGOTIATING, FrameKind.ACCEPT): State.ACCEPTED,
        (State.ACCEPTED, FrameKind.START): State.STREAMING,
        (State.STREAMING, FrameKind.DATA): State.STREAMING,
        (State.STREAMING, FrameKind.STOP): State.STOPPING,
        (State.STOPPING, FrameKind.FINISH): State.FINISHED,
    },
    Direction.UNIDIRECTIONAL: {
        (State.IDLE, FrameKind.START): State.STREAMING,
        (State.STREAMING, FrameKind.DATA): State.STREAMING,
        (State.STREAMING, FrameKind.STOP): State.FINISHED,
    },
}

SENT_BY = {
    FrameKind.READY: Peer.WRITER,
    FrameKind.ACCEPT: Peer.READER,
    FrameKind.START: Peer.WRITER,
    FrameKind.DATA: Peer.WRITER,
    FrameKind.STOP: Peer.WRITER,
    FrameKind.FINISH: Peer.READER,
}

FIRST_FRAMES = {
    kind: direction
    for direction, table in TRANSITIONS.items()
    for state, kind in table
    if state is State.IDLE
}
"""The direction that each possible first frame begins (rule 4)."""


def next_state(direction: Direction, state: State, kind: FrameKind) -> State:
    """Return the state after a frame; FAILED if the table has no such pair."""
    return TRANSITIONS[direction].get((state, kind), State.FAILED)


def kind_of(frame: Frame) -> Optional[FrameKind]:
    """Return the kind of a frame; None for a control frame of an unknown type."""
    if isinstance(frame, bytes):
        return FrameKind.DATA
    try:
        return FrameKind(frame.type)
    except ValueError:
        return None


def describe(frame: Frame) -> str:
    """Return a frame's name for an error text."""
    if isinstance(frame, bytes):
        return f"a data frame of {len(frame)} bytes"
    kind = kind_of(frame)
    return f"a control frame of unknown type {frame.type}" if kind is None else kind.name


def expected_next(direction: Direction, state: State) -> str:
    """Return for an error text what may come in this state, and from whom."""
    kinds = [kind for at, kind in TRANSITIONS[direction] if at is state]
    if not kinds:
        return "nothing more"
    # In every state only one peer sends.
    return f"{_either(kinds)} from the {SENT_BY[kinds[0]].value}"


def expected_first() -> str:
    """Return for an error text what a stream may begin with."""
    return f"{_either(list(FIRST_FRAMES))} from the {Peer.WRITER.value}"


def _either(kinds: list[FrameKind]) -> str:
    return " or ".join("a data frame" if kind is FrameKind.DATA else kind.name for kind in kinds)
