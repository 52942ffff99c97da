"""What holds for every input, from hypothesis or atheris.

Each function takes bytes, hands them to one part of the package, and fails with an AssertionError
if a promise is broken; any other exception that comes out is one that the part must not raise.
Only the package is imported: where the fuzzer runs, no test tools are installed.
"""

from __future__ import annotations

import enum
from typing import Any, Callable, Iterable, List, Optional, Tuple

from dnstap_logging.codec.decoding import decode
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.dnswire.message import (
    read_body,
    read_header,
    read_options,
    read_question,
    read_rcode,
)
from dnstap_logging.dnswire.names import read_name
from dnstap_logging.exceptions import DecodeError, InvalidMessage, RemoteProtocolError
from dnstap_logging.framestream.decoder import FrameDecoder
from dnstap_logging.framestream.frames import (
    DNSTAP_CONTENT_TYPE,
    MAX_CONTROL_FRAME_SIZE,
    ControlFrame,
    Frame,
    FrameKind,
    encode_control,
    encode_data,
)
from dnstap_logging.framestream.session import ReaderSession, WriterSession
from dnstap_logging.framestream.state import Direction, State
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.reader.reader import DnstapReader
from dnstap_logging.text import format_line, format_summary
from tests.framestream.samples import ACCEPT, FINISH, START

LIMIT = 200
"""max_frame_size: small, so that frames above it and exactly at it are often hit upon."""

LONGEST_WAIT = max(4 + LIMIT, 8 + MAX_CONTROL_FRAME_SIZE)
"""What one frame can have on the wire at most: more is never waited for, and so never kept."""


YEAR_10000 = 253_402_300_800 * 10**9
"""In nanoseconds: no time in a message comes later."""


def cut(stream: bytes, step: int) -> List[bytes]:
    """Cut a stream into portions of this size; 0 leaves it whole."""
    step = step or len(stream) or 1
    return [stream[at : at + step] for at in range(0, len(stream), step)]


# -- frames and sessions -----------------------------------------------------------------------


def decode_frames(portions: Iterable[bytes]) -> Tuple[List[Frame], str, int]:
    """Decode: the frames, the error's text ("" without one), and where decoding stands."""
    decoder = FrameDecoder(LIMIT)
    frames: List[Frame] = []
    try:
        for portion in portions:
            decoder.feed(portion)
            while (frame := decoder.next_frame()) is not None:
                frames.append(frame)
            assert decoder.buffered < LONGEST_WAIT, f"{decoder.buffered} bytes are kept"
    except RemoteProtocolError as error:
        return frames, str(error), decoder.offset
    return frames, "", decoder.offset


def check_decoder(stream: bytes, portions: Iterable[bytes]) -> None:
    """Frames or RemoteProtocolError, whatever the portions; the frames are what was on the wire."""
    frames, error, offset = decode_frames([stream])
    assert decode_frames(portions) == (frames, error, offset)
    at = 0
    for frame in frames:
        assert isinstance(frame, ControlFrame) or 0 < len(frame) <= LIMIT
        wire = _wire(frame, stream, at)
        assert stream[at : at + len(wire)] == wire, f"{frame!r} is not what is at byte {at}"
        at += len(wire)
    assert at == offset
    assert error or len(stream) - offset < LONGEST_WAIT


def _wire(frame: Frame, stream: bytes, at: int) -> bytes:
    """Return a frame's bytes: encoded again, or, of an unknown control frame, as they came."""
    if isinstance(frame, bytes):
        return encode_data(frame)
    if isinstance(frame.type, FrameKind):
        return encode_control(frame)
    assert frame == ControlFrame(frame.type), "content types of an unknown control frame"
    return stream[at : at + 8 + int.from_bytes(stream[at + 4 : at + 8], "big")]


def read_session(portions: Iterable[bytes]) -> Tuple[List[bytes], bytes, ReaderSession]:
    """Let a reading session read: the payloads, what it answered, and the session."""
    session = ReaderSession(DNSTAP_CONTENT_TYPE, LIMIT)
    payloads: List[bytes] = []
    answers = b""
    try:
        for portion in portions:
            session.receive(portion)
            for payload in session.payloads():
                payloads.append(payload)  # one by one: those before an error stay
            answers += session.data_to_send()
            assert session.buffered < LONGEST_WAIT, f"{session.buffered} bytes are kept"
    except RemoteProtocolError:
        assert session.state is State.FAILED
        answers += session.data_to_send()
    else:
        assert session.state is not State.FAILED
    return payloads, answers, session


def check_reader_session(stream: bytes, portions: Iterable[bytes]) -> None:
    """Payloads within the limit or RemoteProtocolError; ACCEPT and FINISH at most once each."""
    payloads, answers, session = read_session([stream])
    other_payloads, other_answers, other = read_session(portions)
    assert (other_payloads, other_answers) == (payloads, answers)
    assert (other.failure, other.state, other.offset) == (
        session.failure,
        session.state,
        session.offset,
    )
    assert all(0 < len(payload) <= LIMIT for payload in payloads)
    assert answers in (b"", ACCEPT, ACCEPT + FINISH)
    assert session.offset <= len(stream)
    assert bool(session.failure) is (session.state is State.FAILED)
    if session.finished:
        assert session.offset == len(stream)
        assert answers.endswith(FINISH) is (session.direction is Direction.BIDIRECTIONAL)


WRITERS: Tuple[Callable[[WriterSession], Any], ...] = (
    lambda session: None,
    lambda session: session.start(),
    lambda session: (session.start(), session.receive(ACCEPT)),
    lambda session: (session.start(), session.receive(ACCEPT), session.stop()),
)
"""Ways to bring a bidirectional writing session into each state in which it can receive."""


def check_writer_session(stream: bytes, portions: Iterable[bytes]) -> None:
    """In each state: START at most once, or RemoteProtocolError; no portion makes a difference."""
    portions = list(portions)
    for prepare in WRITERS:
        whole, cut_up = (_write_session(prepare, parts) for parts in ([stream], portions))
        assert cut_up == whole
    session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.UNIDIRECTIONAL)
    session.start()
    assert _receive(session, portions)[0] == b"", "nobody is answered in a unidirectional stream"


def _write_session(
    prepare: Callable[[WriterSession], Any], portions: Iterable[bytes]
) -> Tuple[bytes, State, str]:
    session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.BIDIRECTIONAL)
    prepare(session)
    return _receive(session, portions)


def _receive(session: WriterSession, portions: Iterable[bytes]) -> Tuple[bytes, State, str]:
    replies = b""
    try:
        for portion in portions:
            replies += session.receive(portion)
    except RemoteProtocolError:
        assert session.state is State.FAILED
        assert session.failure
        # What the bytes before the error called for depends on how they were cut.
        return b"", session.state, session.failure
    assert replies in (b"", START)
    assert session.state is not State.FAILED
    return replies, session.state, session.failure


# -- captures and messages ---------------------------------------------------------------------


class Portions:
    """A binary file that gives its bytes in portions, as a pipe may."""

    name = "portions"

    def __init__(self, portions: Iterable[bytes]) -> None:
        self._portions = (portion for portion in portions if portion)

    def read(self, size: int) -> bytes:
        """Return the next portion, b"" at the end."""
        return next(self._portions, b"")


def read_capture(portions: Iterable[bytes]) -> Tuple[List[DnstapMessage], bool, bool, int]:
    """Read a capture: the messages, whether it is damaged or complete, and where the reader is."""
    messages: List[DnstapMessage] = []
    reader: Optional[DnstapReader] = None
    damage = ""
    try:
        reader = DnstapReader(Portions(portions), max_frame_size=LIMIT)  # type: ignore[arg-type]
        for message in reader:
            messages.append(message)  # one by one: those before an error stay
    except DecodeError as error:
        damage = str(error)
    assert not damage or damage.startswith("portions: byte "), damage
    if reader is None:
        return messages, bool(damage), False, 0
    return messages, bool(damage), reader.complete, reader.offset


def check_reader(stream: bytes, portions: Iterable[bytes]) -> None:
    """Messages as the session gives them; then the end, or a DecodeError, and it is right."""
    found = read_capture([stream])
    assert read_capture(portions) == found
    messages, damaged, complete, offset = found
    payloads, _, session = read_session([stream])
    if session.direction is Direction.BIDIRECTIONAL:
        assert (messages, damaged) == ([], True), "a file cannot negotiate"
        return
    assert messages == list(_decodable(payloads))
    decoded = len(messages) == len(payloads)
    whole = session.state in (State.STREAMING, State.FINISHED) and not session.buffered
    assert damaged is not (decoded and whole)
    assert complete is (decoded and session.finished)
    assert offset <= len(stream)


def _decodable(payloads: Iterable[bytes]) -> Iterable[DnstapMessage]:
    """Yield the messages up to the first payload that is not a message."""
    for payload in payloads:
        try:
            yield decode(payload)
        except DecodeError:
            return


_encoder = Encoder(b"", b"", max_frame_size=1 << 24)


def check_message(payload: bytes) -> Optional[DnstapMessage]:
    """DecodeError, or a message that can be shown in one printable line, and encoded again."""
    refusal = ""
    try:
        message = decode(payload)
    except DecodeError as error:
        refusal = str(error)
    if refusal:
        assert refusal.isprintable(), ascii(refusal)
        return None
    _check_fields(message)
    for line in (format_line(message), format_summary(message)):
        assert line.isascii(), ascii(line)
        assert line.isprintable(), ascii(line)
    # An empty identity or version is left out, as the receiver shows an absent one.
    same = message._replace(identity=message.identity or None, version=message.version or None)
    if _all_known(message):
        assert decode(_encoder.encode(message, [])) == same
    else:
        _check_not_encoded(message)
    for wire in (message.query_message, message.response_message):
        check_dnswire(wire or b"")
    return message


def _all_known(message: DnstapMessage) -> bool:
    """Return whether this library has a name for each enumerator."""
    found = [*message, *(message.policy or ())]
    return all(each.is_known for each in found if isinstance(each, enum.Enum))


def _check_not_encoded(message: DnstapMessage) -> None:
    """Check that what this library has no name for is not sent by it."""
    try:
        _encoder.encode(message, [])
    except InvalidMessage:
        return
    raise AssertionError(f"{message} was encoded")


def _check_fields(message: DnstapMessage) -> None:
    """Check what `decode` says of values that a message cannot hold: they are left out."""
    for address in (message.query_address, message.response_address):
        assert address is None or len(address) in (4, 16)
    for port in (message.query_port, message.response_port):
        assert port is None or 0 <= port <= 65535
    for time in (message.query_time, message.response_time):
        assert time is None or 0 <= time < YEAR_10000


# -- DNS messages ------------------------------------------------------------------------------


class Counted(bytes):
    """Bytes that count how often they are looked at: the work, without a clock."""

    looks = 0

    def __getitem__(self, key: Any) -> Any:
        self.looks += 1
        return super().__getitem__(key)


def check_dnswire(message: bytes) -> None:
    """ValueError or what is in the message, in time linear in it: no pointer makes a loop."""
    for read in (read_header, read_question, read_body, read_rcode, _all_options, _first_name):
        wire = Counted(message)
        try:
            read(wire)  # type: ignore[operator]
        except ValueError:
            pass
        assert wire.looks <= 4 * len(message) + 16, f"{read}: looked {wire.looks} times"


def _all_options(wire: bytes) -> None:
    records, end = read_body(wire)
    assert end <= len(wire)
    for record in records:
        assert record.start < record.data <= record.end <= end
        try:
            options = read_options(wire, record)
        except ValueError:
            continue
        assert all(option.data <= option.end <= record.end for option in options)


def _first_name(wire: bytes) -> None:
    """Read the name of the question, which a question that was read always has."""
    question = read_question(wire)
    text, end = read_name(question.name, 0)
    assert end == len(question.name)
    assert text.endswith(".")
    assert text.isprintable()
