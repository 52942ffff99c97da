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
from dnstap_logging.framestream.session import ReaderSession
from dnstap_logging.framestream.state import SENT_BY, TRANSITIONS, Direction, Peer, State
from tests.framestream.helpers import (
    BIDIRECTIONAL,
    READER_STATES,
    UNIDIRECTIONAL,
    WIRE,
    reader_in,
    receive,
)
from tests.framestream.samples import (
    ACCEPT,
    DATA,
    DNSTAP,
    EMPTY_CONTENT_TYPE,
    ESCAPE,
    FINISH,
    MALFORMED,
    READY,
    READY_FOR_ANY,
    READY_WITH_TWO,
    START,
    START_WITHOUT_TYPE,
    STOP,
    UNKNOWN,
    UNKNOWN_ZERO,
    control,
    data,
    single_bytes,
)


def illegal() -> list[tuple[Direction, State, FrameKind]]:
    """Give every frame that is illegal from a writer, in every state after the first frame."""
    return [
        (direction, state, kind)
        for direction, state in READER_STATES
        for kind in FrameKind
        if SENT_BY[kind] is Peer.READER or (state, kind) not in TRANSITIONS[direction]
    ]


def read(stream: bytes, **options: int) -> tuple[list[bytes], ReaderSession]:
    """Read a stream that must be good."""
    session = ReaderSession(DNSTAP, **options)
    return receive(session, stream), session


def collect(session: ReaderSession, payloads: list[bytes]) -> None:
    """Add the payloads one by one, so that those before an error are there after it."""
    for payload in session.payloads():
        payloads.append(payload)


def read_to_error(stream: bytes, **options: int) -> tuple[list[bytes], str, ReaderSession]:
    """Read a stream that must be bad: the payloads before the error, and its text."""
    session = ReaderSession(DNSTAP, **options)
    session.receive(stream)
    payloads: list[bytes] = []
    with pytest.raises(RemoteProtocolError) as info:
        collect(session, payloads)
    assert session.state is State.FAILED
    return payloads, str(info.value), session


def test_a_unidirectional_stream_from_start_to_stop() -> None:
    """START tells the direction, the payloads come in order, STOP is the end, nothing is sent."""
    payloads, session = read(START + DATA + data(b"world") + STOP)

    assert payloads == [b"hello", b"world"]
    assert session.direction is UNIDIRECTIONAL
    assert session.content_type == DNSTAP
    assert session.finished
    assert session.data_to_send() == b""
    assert session.buffered == 0


def test_a_bidirectional_stream_from_ready_to_finish() -> None:
    """READY is answered with ACCEPT, STOP with FINISH, each once, each when it is due."""
    session = ReaderSession(DNSTAP)

    assert receive(session, READY) == []
    assert session.state is State.ACCEPTED
    assert session.direction is BIDIRECTIONAL
    assert session.data_to_send() == ACCEPT
    assert session.data_to_send() == b""
    assert receive(session, START + DATA) == [b"hello"]
    assert session.streaming
    assert session.data_to_send() == b""
    assert receive(session, STOP) == []
    assert session.finished
    assert session.data_to_send() == FINISH


@pytest.mark.parametrize("first", [b"", READY], ids=["unidirectional", "bidirectional"])
def test_a_stream_is_understood_byte_by_byte(first: bytes) -> None:
    """Each payload comes with its last byte, and the end with the last byte of STOP."""
    stream = first + START + DATA * 2 + STOP
    session = ReaderSession(DNSTAP)
    ends = []
    for fed, byte in enumerate(single_bytes(stream), start=1):
        assert not session.finished
        ends += [fed for _ in receive(session, byte)]

    begin = len(first + START)
    assert [begin + len(DATA), begin + 2 * len(DATA)] == ends
    assert session.finished
    assert len(stream) == session.offset


def test_control_frames_act_only_when_payloads_come_to_them() -> None:
    """FINISH is not there to be sent before the last payload was handed out and come back for."""
    session = ReaderSession(DNSTAP)
    session.receive(READY + START + DATA * 2 + STOP)

    assert session.data_to_send() == b""
    payloads = session.payloads()
    assert next(payloads) == b"hello"
    assert session.data_to_send() == ACCEPT
    assert next(payloads) == b"hello"
    assert session.data_to_send() == b""
    assert list(payloads) == []
    assert session.data_to_send() == FINISH


def test_an_iterator_given_up_half_way_loses_nothing() -> None:
    """Payloads that were not asked for yet are those of the next iterator."""
    session = ReaderSession(DNSTAP)
    session.receive(START + data(b"1") + data(b"2") + data(b"3"))
    payloads = session.payloads()

    assert next(payloads) == b"1"
    payloads.close()  # type: ignore[attr-defined]
    assert session.streaming
    assert list(session.payloads()) == [b"2", b"3"]


@pytest.mark.parametrize("ready", [READY, READY_FOR_ANY, READY_WITH_TWO])
def test_a_ready_that_offers_ours_is_answered_with_ours(ready: bytes) -> None:
    """READY with our content type among others, or none for any, gets an ACCEPT with ours."""
    session = ReaderSession(DNSTAP)
    receive(session, ready)

    assert session.data_to_send() == ACCEPT
    assert session.state is State.ACCEPTED


@pytest.mark.parametrize("ready", [control(4, b"x:y"), control(4, b""), control(4, b"a", b"b")])
def test_a_ready_without_ours_is_a_mismatch(ready: bytes) -> None:
    """READY that offers only other content types ends the stream, with nothing sent."""
    session = ReaderSession(DNSTAP)
    with pytest.raises(ContentTypeMismatch, match=r"READY with b'.*expected b'protobuf:dnstap"):
        receive(session, ready)

    assert session.state is State.FAILED
    assert session.data_to_send() == b""


@pytest.mark.parametrize("first", [b"", READY], ids=["unidirectional", "bidirectional"])
def test_a_start_without_a_content_type_is_taken(first: bytes) -> None:
    """A START without a content type is accepted, and the attribute is None."""
    payloads, session = read(first + START_WITHOUT_TYPE + DATA)

    assert payloads == [b"hello"]
    assert session.content_type is None


@pytest.mark.parametrize("first", [b"", READY], ids=["unidirectional", "bidirectional"])
@pytest.mark.parametrize("start", [control(2, b"x:y"), EMPTY_CONTENT_TYPE])
def test_a_start_with_another_content_type_is_a_mismatch(first: bytes, start: bytes) -> None:
    """START with a content type that is not ours ends the stream before any payload."""
    session = ReaderSession(DNSTAP)
    session.receive(first + start + DATA)

    with pytest.raises(ContentTypeMismatch, match="START with b'"):
        list(session.payloads())
    assert session.state is State.FAILED
    assert len(first) == session.offset


@pytest.mark.parametrize(("direction", "state", "kind"), illegal())
def test_a_frame_outside_the_table_fails_the_stream(
    direction: Direction, state: State, kind: FrameKind
) -> None:
    """A frame the table does not allow is the writer's error, and the session is FAILED."""
    session = reader_in(direction, state)

    with pytest.raises(RemoteProtocolError) as info:
        receive(session, WIRE[kind])
    assert not isinstance(info.value, FrameTooLarge)
    assert session.state is State.FAILED
    assert session.data_to_send() == b""


@pytest.mark.parametrize("kind", [FrameKind.ACCEPT, FrameKind.STOP, FrameKind.FINISH])
def test_nothing_but_ready_and_start_begins_a_stream(kind: FrameKind) -> None:
    """Any other first control frame is refused by what was expected."""
    _, error, session = read_to_error(WIRE[kind])

    assert error == (
        f"received {kind.name} as the first frame, expected READY or START from the writer"
    )
    assert session.direction is None
    assert session.offset == 0


@pytest.mark.parametrize("stream", [DATA, b"GET / HTTP/1.0\r\n", b"\xd4\xc3\xb2\xa1\x02\x00"])
def test_a_stream_that_begins_with_data_is_not_frame_streams(stream: bytes) -> None:
    """Data before START, a request of another protocol, another kind of file: called what it is."""
    _, error, _ = read_to_error(stream)

    assert f"does not speak Frame Streams: received {stream[:4]!r} first" in error


def test_data_between_ready_and_start_is_refused() -> None:
    """Data before START is refused in a bidirectional stream too."""
    payloads, error, session = read_to_error(READY + DATA)

    assert payloads == []
    assert error == "received a data frame of 5 bytes, expected only control frames here"
    assert len(READY) == session.offset


@pytest.mark.parametrize("first", [b"", READY], ids=["unidirectional", "bidirectional"])
def test_unknown_control_frames_are_skipped_while_streaming(first: bytes) -> None:
    """A later version's control frames between data frames do no harm to the payloads."""
    payloads, session = read(
        first + START + UNKNOWN + DATA + UNKNOWN_ZERO + UNKNOWN + DATA + UNKNOWN + STOP
    )

    assert payloads == [b"hello", b"hello"]
    assert session.finished


@pytest.mark.parametrize("before", [b"", READY, START + STOP, READY + START + STOP])
@pytest.mark.parametrize("unknown", [UNKNOWN, UNKNOWN_ZERO])
def test_unknown_control_frames_are_refused_elsewhere(before: bytes, unknown: bytes) -> None:
    """Before START and after STOP unknown control frames are refused."""
    _, error, session = read_to_error(before + unknown)

    assert "expected" in error
    assert len(before) == session.offset


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (START, "received START from the writer while streaming, expected a data frame or STOP"),
        (READY, "received READY from the writer while streaming"),
        (ACCEPT, "received ACCEPT from the writer while streaming"),
        (FINISH, "received FINISH from the writer while streaming"),
        (b"\xff\xff\xff\xff", "data frame of 4294967295 bytes, expected at most 1048576"),
        (ESCAPE + b"\x00\x00\x02\x01", "control frame of 513 bytes, expected at most 512"),
        (STOP + b"\x00", "received bytes from the writer after the end"),
        *MALFORMED.values(),
    ],
)
@pytest.mark.parametrize("first", [b"", READY], ids=["unidirectional", "bidirectional"])
def test_payloads_before_an_error_are_all_delivered(first: bytes, bad: bytes, text: str) -> None:
    """Every good payload comes first; then the error, at the offset of the frame at fault."""
    good = first + START + data(b"1") + data(b"2") + UNKNOWN + data(b"3")
    payloads, error, session = read_to_error(good + bad + DATA)

    assert payloads == [b"1", b"2", b"3"]
    if bad.startswith(STOP):
        good += STOP
    assert text in error
    assert error == session.failure
    assert len(good) == session.offset


def test_the_limit_on_payloads_is_the_argument() -> None:
    """max_frame_size passes, one byte more is refused by its length."""
    payloads, _ = read(START + data(b"x" * 10), max_frame_size=10)
    assert payloads == [b"x" * 10]

    session = ReaderSession(DNSTAP, max_frame_size=10)
    with pytest.raises(FrameTooLarge, match="11 bytes, expected at most 10"):
        receive(session, START + b"\x00\x00\x00\x0b")
    assert session.state is State.FAILED


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_takes_nothing_is_refused(limit: int) -> None:
    """A reader that could never take a payload is a mistake of the caller's."""
    with pytest.raises(ValueError, match=f"max_frame_size={limit}: must be 1 or more"):
        ReaderSession(DNSTAP, limit)


def test_an_over_long_content_type_is_refused_at_once() -> None:
    """A content type that no ACCEPT can carry is refused where it is given."""
    with pytest.raises(LocalProtocolError, match="257 bytes, expected at most 256"):
        ReaderSession(b"t" * 257)


@pytest.mark.parametrize("first", [b"", READY], ids=["unidirectional", "bidirectional"])
def test_a_byte_after_the_end_is_refused_whenever_it_comes(first: bytes) -> None:
    """One byte after STOP, in a later portion, is the writer's error too."""
    _, session = read(first + START + STOP)
    session.receive(b"\x00")

    with pytest.raises(RemoteProtocolError, match="received bytes from the writer after the end"):
        list(session.payloads())
    assert session.state is State.FAILED
    assert not session.finished
    assert len(first + START + STOP) == session.offset


def test_a_cut_stream_shows_in_buffered() -> None:
    """At the end of the input, `buffered` and `offset` tell a cut frame from a clean boundary."""
    payloads, session = read(START + DATA + DATA[:7])
    assert payloads == [b"hello"]
    assert (len(START + DATA), 7) == (session.offset, session.buffered)

    _, session = read(START + DATA)
    assert (len(START + DATA), 0) == (session.offset, session.buffered)
    assert not session.finished


def test_failed_is_final() -> None:
    """After a failure every call raises again, and no payload is returned."""
    session = ReaderSession(DNSTAP)
    session.receive(START + DATA + START + DATA)
    early = session.payloads()
    assert next(early) == b"hello"
    with pytest.raises(RemoteProtocolError, match="received START"):
        list(session.payloads())
    first = session.failure

    with pytest.raises(RemoteProtocolError, match="has failed before: received START"):
        next(early)
    with pytest.raises(RemoteProtocolError, match="has failed before: received START"):
        list(session.payloads())
    with pytest.raises(RemoteProtocolError, match="has failed before: received START"):
        session.receive(STOP)
    assert session.state is State.FAILED
    assert first == session.failure
    assert len(START + DATA) == session.offset


pieces = st.one_of(
    st.sampled_from([*WIRE.values(), DATA, DATA, READY_FOR_ANY, START_WITHOUT_TYPE, UNKNOWN]),
    st.binary(min_size=1, max_size=20).map(data),
    st.binary(max_size=20),
)
streams = st.tuples(
    st.sampled_from([b"", START, READY + START]), st.lists(pieces, max_size=8).map(b"".join)
).map(b"".join)


def outcome(portions: list[bytes]) -> tuple[list[bytes], str, bytes, State, int]:
    """Read portions as they come; everything that can be seen of the session afterwards."""
    session = ReaderSession(DNSTAP, max_frame_size=64)
    payloads: list[bytes] = []
    try:
        for portion in portions:
            session.receive(portion)
            collect(session, payloads)
    except RemoteProtocolError:
        assert session.state is State.FAILED
    else:
        assert session.state is not State.FAILED
    return payloads, session.failure, session.data_to_send(), session.state, session.offset


@given(streams, st.lists(st.integers(0, 500), max_size=10))
def test_any_bytes_in_any_portions_are_read_alike(stream: bytes, cuts: list[int]) -> None:
    """Any bytes give payloads or RemoteProtocolError, and no split changes either."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    whole = outcome([stream])

    assert whole == outcome([stream[begin:end] for begin, end in zip(edges, edges[1:])])
    assert whole == outcome(list(single_bytes(stream)))
