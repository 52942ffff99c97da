from __future__ import annotations

import pytest

from dnstap_logging.framestream.frames import ControlFrame, FrameKind
from dnstap_logging.framestream.state import (
    FIRST_FRAMES,
    SENT_BY,
    TRANSITIONS,
    Direction,
    Peer,
    State,
    expected_next,
    kind_of,
    next_state,
)


def illegal_pairs() -> list[tuple[Direction, State, FrameKind]]:
    """Give everything that the table does not have."""
    return [
        (direction, state, kind)
        for direction in Direction
        for state in State
        for kind in FrameKind
        if (state, kind) not in TRANSITIONS[direction]
    ]


def test_the_table_has_nine_transitions() -> None:
    """The table is the specification's: six bidirectional transitions, three unidirectional."""
    assert {
        "idle READY negotiating",
        "negotiating ACCEPT accepted",
        "accepted START streaming",
        "streaming DATA streaming",
        "streaming STOP stopping",
        "stopping FINISH finished",
    } == _as_words(Direction.BIDIRECTIONAL)
    assert {
        "idle START streaming",
        "streaming DATA streaming",
        "streaming STOP finished",
    } == _as_words(Direction.UNIDIRECTIONAL)


def _as_words(direction: Direction) -> set[str]:
    return {
        f"{state.value} {kind.name} {after.value}"
        for (state, kind), after in TRANSITIONS[direction].items()
    }


@pytest.mark.parametrize("direction", Direction)
def test_a_legal_frame_leads_to_the_tables_state(direction: Direction) -> None:
    """What the table has is followed."""
    for (state, kind), after in TRANSITIONS[direction].items():
        assert after is next_state(direction, state, kind), (state, kind)


def test_there_are_75_illegal_pairs() -> None:
    """7 states, 6 kinds of frames, 2 directions, less the 9 transitions."""
    assert len(illegal_pairs()) == 75


@pytest.mark.parametrize(("direction", "state", "kind"), illegal_pairs())
def test_a_frame_outside_the_table_leads_to_failed(
    direction: Direction, state: State, kind: FrameKind
) -> None:
    """A pair that the table does not have is the error."""
    assert next_state(direction, state, kind) is State.FAILED


@pytest.mark.parametrize("direction", Direction)
def test_failed_and_finished_are_final(direction: Direction) -> None:
    """Nothing leads out of FAILED or FINISHED, and no row leads into FAILED."""
    assert not [pair for pair in TRANSITIONS[direction] if pair[0] is State.FAILED]
    assert not [pair for pair in TRANSITIONS[direction] if pair[0] is State.FINISHED]
    assert State.FAILED not in TRANSITIONS[direction].values()
    assert expected_next(direction, State.FAILED) == "nothing more"


@pytest.mark.parametrize("direction", Direction)
def test_every_state_waits_for_one_peer(direction: Direction) -> None:
    """In each state all that may come is sent by the same peer, so nobody need guess."""
    for state in State:
        senders = {SENT_BY[kind] for at, kind in TRANSITIONS[direction] if at is state}

        assert len(senders) <= 1, f"{state}: {senders}"


def test_the_first_frame_tells_the_direction() -> None:
    """READY begins a bidirectional stream, START a unidirectional one, nothing else any."""
    assert FIRST_FRAMES == {
        FrameKind.READY: Direction.BIDIRECTIONAL,
        FrameKind.START: Direction.UNIDIRECTIONAL,
    }


def test_the_reader_sends_accept_and_finish_only() -> None:
    """Whose mistake a frame is follows from who sends it."""
    by_reader = {kind for kind, peer in SENT_BY.items() if peer is Peer.READER}

    assert by_reader == {FrameKind.ACCEPT, FrameKind.FINISH}
    assert set(SENT_BY) == set(FrameKind)


def test_kinds_are_the_control_types_and_data() -> None:
    """Each known control type has a kind; an unknown one has None, and is never taken for data."""
    for kind in FrameKind:
        assert kind_of(ControlFrame(int(kind))) is kind
    assert kind_of(b"payload") is FrameKind.DATA
    for number in (0, 6, 99, 2**32 - 1):
        assert kind_of(ControlFrame(number)) is None, number


@pytest.mark.parametrize(
    ("direction", "state", "text"),
    [
        (Direction.BIDIRECTIONAL, State.NEGOTIATING, "ACCEPT from the reader"),
        (Direction.BIDIRECTIONAL, State.STREAMING, "a data frame or STOP from the writer"),
        (Direction.UNIDIRECTIONAL, State.FINISHED, "nothing more"),
    ],
)
def test_error_texts_say_what_may_come(direction: Direction, state: State, text: str) -> None:
    """The table also writes the second half of every error's sentence."""
    assert text == expected_next(direction, state)
