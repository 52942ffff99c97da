from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.exceptions import (
    ContentTypeMismatch,
    FrameTooLarge,
    LocalProtocolError,
    RemoteProtocolError,
)
from dnstap_logging.framestream.frames import FrameKind
from dnstap_logging.framestream.session import WriterSession
from dnstap_logging.framestream.state import SENT_BY, TRANSITIONS, Direction, Peer, State
from tests.framestream.helpers import BIDIRECTIONAL, UNIDIRECTIONAL, WIRE, WRITER_STATES, writer_in
from tests.framestream.samples import (
    ACCEPT,
    ACCEPT_ANY,
    DATA,
    DNSTAP,
    ESCAPE,
    FINISH,
    MALFORMED,
    READY,
    START,
    STOP,
    UNKNOWN,
    UNKNOWN_ZERO,
    control,
    single_bytes,
)

STREAMING = [(BIDIRECTIONAL, State.STREAMING), (UNIDIRECTIONAL, State.STREAMING)]


def received(kinds: Peer) -> list[tuple[Direction, State, FrameKind]]:
    """Give every illegal frame that a reader (or a confused one) can send, in every state."""
    return [
        (direction, state, kind)
        for direction, state in WRITER_STATES
        for kind in FrameKind
        if SENT_BY[kind] is kinds and (state, kind) not in TRANSITIONS[direction]
    ]


def sent() -> list[tuple[Direction, State, FrameKind]]:
    """Give every frame that we can be asked to send where the table does not have it."""
    # start() sends what begins its direction, so READY and START are one request.
    first = {BIDIRECTIONAL: FrameKind.READY, UNIDIRECTIONAL: FrameKind.START}
    return [
        (direction, state, kind)
        for direction, state in WRITER_STATES
        for kind in (first[direction], FrameKind.DATA, FrameKind.STOP)
        if (state, kind) not in TRANSITIONS[direction]
    ]


def test_a_bidirectional_stream_from_ready_to_finish() -> None:
    """READY, ACCEPT, START, data, STOP, FINISH: byte for byte, state for state."""
    session = WriterSession(DNSTAP, BIDIRECTIONAL)

    assert session.start() == READY
    assert not session.streaming
    assert session.receive(ACCEPT) == START
    assert session.streaming
    assert session.frame(b"hello") == DATA
    assert session.stop() == STOP
    assert not session.streaming
    assert not session.finished
    assert session.receive(FINISH) == b""
    assert session.finished
    assert session.failure == ""


def test_a_unidirectional_stream_from_start_to_stop() -> None:
    """START, data, STOP, and nobody to wait for."""
    session = WriterSession(DNSTAP, UNIDIRECTIONAL)

    assert session.start() == START
    assert session.streaming
    assert session.frame(b"hello") == DATA
    assert session.stop() == STOP
    assert session.finished
    assert not session.streaming


def test_answers_are_understood_byte_by_byte() -> None:
    """START is answered with the last byte of ACCEPT, FINISHED reached with that of FINISH."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)
    replies = [session.receive(byte) for byte in single_bytes(ACCEPT)]

    assert [b""] * (len(ACCEPT) - 1) + [START] == replies

    session.stop()
    for byte in single_bytes(FINISH):
        assert not session.finished
        session.receive(byte)
    assert session.finished


@pytest.mark.parametrize(
    "accept",
    [ACCEPT, ACCEPT_ANY, control(1, b"x:y", DNSTAP), control(1, DNSTAP, b"x:y", b"")],
    ids=["ours", "any", "ours last", "ours first"],
)
def test_an_accept_that_takes_ours_is_answered_with_start(accept: bytes) -> None:
    """An ACCEPT that lists our content type, or none for any, goes on with ours."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)

    assert session.receive(accept) == START
    assert session.streaming


@pytest.mark.parametrize(
    "accept",
    [control(1, b"x:y"), control(1, b""), control(1, DNSTAP + b"2", DNSTAP.upper())],
    ids=["another", "an empty one", "nearly ours"],
)
def test_an_accept_without_ours_is_a_mismatch(accept: bytes) -> None:
    """An ACCEPT whose list lacks our content type ends the stream, naming both."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)

    with pytest.raises(ContentTypeMismatch, match=r"reader accepts b'.*expected b'protobuf:dnstap"):
        session.receive(accept)
    assert session.state is State.FAILED


@pytest.mark.parametrize(("direction", "state", "kind"), received(Peer.READER))
def test_a_readers_frame_outside_the_table_fails_the_stream(
    direction: Direction, state: State, kind: FrameKind
) -> None:
    """ACCEPT and FINISH out of turn are the reader's error, and the session is FAILED."""
    session = writer_in(direction, state)

    with pytest.raises(RemoteProtocolError):
        session.receive(WIRE[kind])
    assert session.state is State.FAILED


@pytest.mark.parametrize("kind", [kind for kind in FrameKind if SENT_BY[kind] is Peer.WRITER])
@pytest.mark.parametrize(("direction", "state"), WRITER_STATES)
def test_a_writers_frame_from_the_reader_fails_the_stream(
    direction: Direction, state: State, kind: FrameKind
) -> None:
    """A reader must not send READY, START, data or STOP, even where ours would be legal."""
    session = writer_in(direction, state)

    with pytest.raises(RemoteProtocolError) as info:
        session.receive(WIRE[kind])
    assert not isinstance(info.value, FrameTooLarge)
    assert session.state is State.FAILED


@pytest.mark.parametrize(("direction", "state", "kind"), sent())
def test_a_frame_of_ours_outside_the_table_is_refused_and_changes_nothing(
    direction: Direction, state: State, kind: FrameKind
) -> None:
    """A frame that we may not send here is our error; nothing was sent, and the stream goes on."""
    session = writer_in(direction, state)

    send = {FrameKind.DATA: lambda: session.frame(b"hello"), FrameKind.STOP: session.stop}

    with pytest.raises(LocalProtocolError, match="cannot send"):
        send.get(kind, session.start)()
    assert session.state is state


def test_the_refusal_says_what_comes_first() -> None:
    """A frame asked for too early is told what is waited for."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)

    with pytest.raises(
        LocalProtocolError,
        match="cannot send a data frame while negotiating, expected ACCEPT from the reader",
    ):
        session.headers([5])


def test_a_failed_session_tells_why_ever_after() -> None:
    """FAILED is final, and each later call repeats the first reason."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)
    with pytest.raises(RemoteProtocolError):
        session.receive(FINISH)
    reason = "received FINISH from the reader while negotiating, expected ACCEPT from the reader"

    assert reason == session.failure
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match=f"has failed before: {reason}$"):
            session.receive(ACCEPT)
        with pytest.raises(LocalProtocolError, match=f"has failed: {reason}$"):
            session.frame(b"hello")
        assert session.state is State.FAILED


@pytest.mark.parametrize(("direction", "state"), STREAMING)
def test_an_empty_payload_is_refused_and_harms_nothing(direction: Direction, state: State) -> None:
    """An empty payload would read as an escape: it is refused, and the next one sent."""
    session = writer_in(direction, state)

    with pytest.raises(LocalProtocolError, match="data frame of 0 bytes"):
        session.frame(b"")
    with pytest.raises(LocalProtocolError, match="data frame of 0 bytes"):
        session.headers([0])
    assert session.frame(b"hello") == DATA
    assert session.headers([5]) == [DATA[:4]]


@pytest.mark.parametrize("size", [-1, 2**32, 2**70])
def test_a_size_that_fits_no_length_is_refused(size: int) -> None:
    """A header is checked like a frame; there is never a struct.error."""
    session = writer_in(UNIDIRECTIONAL, State.STREAMING)

    with pytest.raises(LocalProtocolError, match=f"data frame of {size} bytes"):
        session.headers([size])
    with pytest.raises(LocalProtocolError, match=f"data frame of {size} bytes"):
        session.headers([5, size, 7])
    assert session.headers([]) == []
    assert session.streaming


@pytest.mark.parametrize("direction", Direction)
def test_an_over_long_content_type_is_refused_at_once(direction: Direction) -> None:
    """A content type that can never be sent is refused where it is given."""
    with pytest.raises(LocalProtocolError, match="257 bytes, expected at most 256"):
        WriterSession(b"t" * 257, direction)


@pytest.mark.parametrize(("direction", "state"), STREAMING)
def test_unknown_control_frames_are_skipped_while_streaming(
    direction: Direction, state: State
) -> None:
    """A later version's control frames do no harm between data frames."""
    session = writer_in(direction, state)

    assert session.receive(UNKNOWN + UNKNOWN_ZERO + UNKNOWN) == b""
    assert session.streaming
    assert session.frame(b"hello") == DATA


@pytest.mark.parametrize(
    ("direction", "state"), [pair for pair in WRITER_STATES if pair[1] is not State.STREAMING]
)
def test_unknown_control_frames_are_refused_elsewhere(direction: Direction, state: State) -> None:
    """Outside the data phase unknown control frames are refused."""
    session = writer_in(direction, state)

    with pytest.raises(RemoteProtocolError):
        session.receive(UNKNOWN)
    assert session.state is State.FAILED


def test_an_accept_and_an_unknown_frame_in_one_portion() -> None:
    """After ACCEPT the writer streams, so an unknown frame right behind it is skipped."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)

    assert session.receive(ACCEPT + UNKNOWN) == START
    assert session.streaming


@pytest.mark.parametrize(
    ("greeting", "seen"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"HTTP"),
        (b"220 mail.example.net ESMTP\r\n", b"220 "),
        (b"\x15\x03\x03\x00\x02\x02\x0a", b"\x15\x03\x03\x00"),
        (b"\xff\xff\xff\xff", b"\xff\xff\xff\xff"),
    ],
    ids=["HTTP", "SMTP", "a TLS alert", "4 GiB"],
)
@pytest.mark.parametrize("direction", Direction)
def test_a_wrong_speaker_is_called_so_from_its_first_bytes(
    direction: Direction, greeting: bytes, seen: bytes
) -> None:
    """Another protocol is recognised from four bytes, and the error shows them."""
    session = WriterSession(DNSTAP, direction)
    session.start()
    for byte in single_bytes(greeting[:3]):
        assert session.receive(byte) == b""

    with pytest.raises(RemoteProtocolError) as info:
        session.receive(greeting[3:])
    assert str(info.value) == (
        f"the peer does not speak Frame Streams: received {seen!r} first,"
        " expected a control frame, which begins with four zero bytes"
        + ("; it looks like TLS: use tls://" if greeting[:1] == b"\x15" else "")
    )
    assert session.state is State.FAILED


def test_a_later_data_frame_from_a_reader_is_refused_by_its_length() -> None:
    """A reader must not send data: even a short frame is refused by its length."""
    session = writer_in(BIDIRECTIONAL, State.STREAMING)

    with pytest.raises(RemoteProtocolError, match="data frame of 1 bytes, expected only control"):
        session.receive(b"\x00\x00\x00\x01")
    assert session.state is State.FAILED


def test_a_long_control_frame_is_refused_by_its_length() -> None:
    """Eight bytes that announce more than 512 end the stream."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)

    with pytest.raises(FrameTooLarge, match="control frame of 4294967295 bytes"):
        session.receive(ESCAPE + b"\xff\xff\xff\xff")
    assert session.state is State.FAILED


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_answer_fails_the_stream(name: str) -> None:
    """A control frame that breaks its own rules is the reader's error."""
    session = writer_in(BIDIRECTIONAL, State.NEGOTIATING)

    with pytest.raises(RemoteProtocolError):
        session.receive(MALFORMED[name][0])
    assert session.state is State.FAILED


@pytest.mark.parametrize("portions", [[FINISH + b"\x00"], [FINISH, b"\x00"]])
def test_bytes_after_finish_are_the_readers_error(portions: list[bytes]) -> None:
    """FINISH is the end: one byte more, with it or later, is refused."""
    session = writer_in(BIDIRECTIONAL, State.STOPPING)
    for portion in portions[:-1]:
        session.receive(portion)

    with pytest.raises(RemoteProtocolError, match="received bytes from the reader after the end"):
        session.receive(portions[-1])
    assert session.state is State.FAILED


def test_nothing_received_changes_nothing() -> None:
    """An empty portion is not an answer, in any state."""
    for direction, state in WRITER_STATES:
        if state is not State.FAILED:
            session = writer_in(direction, state)

            assert session.receive(b"") == b""
            assert session.state is state


@given(
    st.sampled_from([pair for pair in WRITER_STATES if pair[1] is not State.FAILED]),
    st.lists(
        st.one_of(st.sampled_from([ACCEPT, ACCEPT_ANY, FINISH, UNKNOWN, STOP, DATA]), st.binary()),
        max_size=5,
    ),
)
def test_whatever_a_reader_sends_a_writer_raises_nothing_else(
    pair: tuple[Direction, State], portions: list[bytes]
) -> None:
    """Any bytes give b"", one START, or RemoteProtocolError; and FAILED exactly then."""
    session = writer_in(*pair)
    replies = b""
    try:
        for portion in portions:
            replies += session.receive(portion)
    except RemoteProtocolError:
        assert session.state is State.FAILED
    else:
        assert session.state is not State.FAILED
    assert replies in (b"", START)
