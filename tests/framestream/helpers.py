"""Bring a session into a state by the frames that lead there, never by setting it."""

from __future__ import annotations

from dnstap_logging.exceptions import RemoteProtocolError
from dnstap_logging.framestream.frames import FrameKind
from dnstap_logging.framestream.session import ReaderSession, WriterSession
from dnstap_logging.framestream.state import Direction, State
from tests.framestream.samples import ACCEPT, DATA, DNSTAP, FINISH, READY, START, STOP, UNKNOWN

BIDIRECTIONAL = Direction.BIDIRECTIONAL
UNIDIRECTIONAL = Direction.UNIDIRECTIONAL

WIRE = {
    FrameKind.READY: READY,
    FrameKind.ACCEPT: ACCEPT,
    FrameKind.START: START,
    FrameKind.DATA: DATA,
    FrameKind.STOP: STOP,
    FrameKind.FINISH: FINISH,
}

# The states in which a session can be seen from outside. A writer is ACCEPTED, and a reader
# NEGOTIATING and STOPPING, only within one call: they answer at once.
WRITER_STATES = [
    (BIDIRECTIONAL, State.IDLE),
    (BIDIRECTIONAL, State.NEGOTIATING),
    (BIDIRECTIONAL, State.STREAMING),
    (BIDIRECTIONAL, State.STOPPING),
    (BIDIRECTIONAL, State.FINISHED),
    (BIDIRECTIONAL, State.FAILED),
    (UNIDIRECTIONAL, State.IDLE),
    (UNIDIRECTIONAL, State.STREAMING),
    (UNIDIRECTIONAL, State.FINISHED),
    (UNIDIRECTIONAL, State.FAILED),
]
READER_STATES = [
    (BIDIRECTIONAL, State.ACCEPTED),
    (BIDIRECTIONAL, State.STREAMING),
    (BIDIRECTIONAL, State.FINISHED),
    (BIDIRECTIONAL, State.FAILED),
    (UNIDIRECTIONAL, State.STREAMING),
    (UNIDIRECTIONAL, State.FINISHED),
    (UNIDIRECTIONAL, State.FAILED),
]

_READER_INPUT = {
    (BIDIRECTIONAL, State.ACCEPTED): READY,
    (BIDIRECTIONAL, State.STREAMING): READY + START,
    (BIDIRECTIONAL, State.FINISHED): READY + START + STOP,
    (UNIDIRECTIONAL, State.STREAMING): START,
    (UNIDIRECTIONAL, State.FINISHED): START + STOP,
}


def fail(session: WriterSession | ReaderSession) -> None:
    """Make a session FAILED by an unknown control frame at the beginning."""
    try:
        receive(session, UNKNOWN)
    except RemoteProtocolError:
        assert session.state is State.FAILED
    else:
        raise AssertionError("an unknown control frame was taken at the beginning")


def receive(session: WriterSession | ReaderSession, data: bytes) -> list[bytes]:
    """Let a session take bytes of its peer: the payloads of a reader, the reply of a writer."""
    if isinstance(session, WriterSession):
        return [session.receive(data)]
    session.receive(data)
    return list(session.payloads())


def writer_in(direction: Direction, state: State) -> WriterSession:
    """Make a writer session in this state."""
    session = WriterSession(DNSTAP, direction)
    if state is State.FAILED:
        fail(session)
        return session
    if state is not State.IDLE:
        session.start()
    if state not in (State.IDLE, State.NEGOTIATING) and direction is BIDIRECTIONAL:
        session.receive(ACCEPT)
    if state in (State.STOPPING, State.FINISHED):
        session.stop()
    if state is State.FINISHED and direction is BIDIRECTIONAL:
        session.receive(FINISH)
    assert session.state is state, f"{session.state} is not {state}"
    return session


def reader_in(direction: Direction, state: State) -> ReaderSession:
    """Make a reader session in this state, with what it has to send taken away."""
    session = ReaderSession(DNSTAP)
    if state is State.FAILED:
        fail(session)
        return session
    receive(session, _READER_INPUT[direction, state])
    session.data_to_send()
    assert session.state is state, f"{session.state} is not {state}"
    return session
