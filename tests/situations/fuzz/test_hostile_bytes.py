"""Any bytes give frames or messages, or the one documented error, and nothing else."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Callable, Iterable, List, Optional, Tuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnstap_logging.codec.decoding import decode
from dnstap_logging.exceptions import DecodeError, LocalProtocolError, RemoteProtocolError
from dnstap_logging.framestream.frames import DNSTAP_CONTENT_TYPE
from dnstap_logging.framestream.session import ReaderSession, WriterSession
from dnstap_logging.framestream.state import Direction, State
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.receiver import DnstapReceiver, ReceiverStats
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.fuzz import promises, seeds, strategies
from tests.situations.fuzz.promises import LIMIT, check_dnswire, check_message

Check = Callable[[bytes, Iterable[bytes]], None]


CHECKS: List[Check] = [
    promises.check_decoder,
    promises.check_reader_session,
    promises.check_writer_session,
    promises.check_reader,
]


@pytest.mark.parametrize("check", CHECKS)
def test_any_stream_in_any_portions(check: Check) -> None:
    """Each of the four that read streams keeps its promises, whatever comes."""

    @settings(strategies.patient, max_examples=300)
    @given(strategies.streams, strategies.sizes)
    def try_one(stream: bytes, pattern: List[int]) -> None:
        check(stream, strategies.portions(stream, pattern))

    try_one()


@pytest.mark.parametrize("stream", seeds.STREAMS + seeds.ANSWERS)
def test_a_bit_flipped_anywhere(stream: bytes) -> None:
    """Every single byte of a valid stream, damaged in three ways: no promise is broken."""
    for at in range(len(stream)):
        for mask in (0x01, 0x80, 0xFF):
            bad = stream[:at] + bytes((stream[at] ^ mask,)) + stream[at + 1 :]
            for check in CHECKS:
                check(bad, [bad])


# -- two sessions, and damage between them -----------------------------------------------------


class Channel:
    """One direction of a connection, on which something happens to the bytes once.

    Args:
        at: before which byte.
        lost: how many bytes are taken away there.
        added: what is put there.
    """

    def __init__(self, at: int, lost: int, added: bytes) -> None:
        self.at, self.lost, self.added = at, lost, added
        self.passed = 0

    def carry(self, portion: bytes) -> bytes:
        """Return what arrives."""
        begin, self.passed = self.passed, self.passed + len(portion)
        first = max(self.at - begin, 0)
        kept = portion[:first], portion[max(self.at + self.lost - begin, 0) :]
        return (self.added if begin <= self.at < self.passed else b"").join(kept)

    @property
    def intact(self) -> bool:
        """Return whether everything that passed so far is unchanged."""
        return self.passed <= self.at


channels = st.builds(Channel, st.integers(0, 400), st.integers(0, 50), st.binary(max_size=12))


@settings(strategies.patient, max_examples=400)
@given(
    st.sampled_from(Direction),
    st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    channels,
    channels,
)
def test_damage_between_a_writer_and_a_reader(
    direction: Direction, payloads: List[bytes], there: Channel, back: Channel
) -> None:
    """What came through before the damage is handed on unchanged; then one of the two errors."""
    writer = WriterSession(DNSTAP_CONTENT_TYPE, direction)
    reader = ReaderSession(DNSTAP_CONTENT_TYPE)
    received: List[bytes] = []
    intact = 0

    def deliver(portion: bytes) -> None:
        while portion:
            reader.receive(there.carry(portion))
            for payload in reader.payloads():
                received.append(payload)  # one by one: those before an error stay
            portion = writer.receive(back.carry(reader.data_to_send()))

    try:
        deliver(writer.start())
        for payload in payloads:
            deliver(writer.frame(payload))
            intact += there.intact
        deliver(writer.stop())
    except RemoteProtocolError:
        assert State.FAILED in (writer.state, reader.state)
    except LocalProtocolError:
        # The answer was lost, so there is nothing yet that the writer might send.
        assert writer.state is State.NEGOTIATING
    assert received[:intact] == payloads[:intact]
    if there.intact and back.intact:
        assert received == payloads
        assert (writer.finished, reader.finished) == (True, True)


# -- the receiver ------------------------------------------------------------------------------


def send(path: str, portions: Iterable[bytes]) -> Optional[bytes]:
    """Send a stream and its end; return the answers, or None if the connection was reset."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(path)
        answers = b""
        try:
            for portion in portions:
                sock.sendall(portion)
            sock.shutdown(socket.SHUT_WR)
            while portion := sock.recv(4096):
                answers += portion
        except (BrokenPipeError, ConnectionResetError):
            return None
        return answers


def expected_of(stream: bytes) -> Tuple[List[DnstapMessage], bytes, List[str], int]:
    """Return what a receiver must make of a stream: messages, answers, its end, undecodable."""
    payloads, answers, session = promises.read_session([stream])
    messages: List[DnstapMessage] = []
    for payload in payloads:
        try:
            messages.append(decode(payload))
        except DecodeError:
            pass
    ends = ["finished" if session.finished else "interrupted"]
    if session.failure:
        ends = ["protocol_errors"]
    if "after the end" in session.failure:
        ends.append("finished")  # closed before those bytes came
    return messages, answers, ends, len(payloads) - len(messages)


def test_a_receiver_takes_any_stream(tmp_path: Path, said: Said) -> None:
    """Over a real socket: the messages, the answers and the books are those of the session."""
    inbox: List[DnstapMessage] = []
    address = f"unix://{tmp_path}/d.sock"
    receiver = DnstapReceiver(address, inbox.append, max_frame_size=LIMIT, report_interval=600.0)

    def ended(before: ReceiverStats) -> Optional[ReceiverStats]:
        stats = receiver.stats()
        return stats if stats.connections > before.connections and not stats.active else None

    @settings(strategies.patient, max_examples=200)
    @given(strategies.streams, strategies.sizes)
    def try_one(stream: bytes, pattern: List[int]) -> None:
        before = receiver.stats()
        inbox.clear()
        answers = send(str(tmp_path / "d.sock"), strategies.portions(stream, pattern))
        after = wait_until(lambda: ended(before), "the connection to end")
        messages, expected_answers, ends, undecodable = expected_of(stream)
        assert inbox == messages
        assert after.messages - before.messages == len(messages)
        assert after.undecodable - before.undecodable == undecodable
        assert any(getattr(after, end) == getattr(before, end) + 1 for end in ends), (ends, after)
        if "protocol_errors" not in ends:
            assert answers == expected_answers

    with receiver:
        try_one()
    assert said.with_text("unexpected") == [], "a mistake of the receiver's own"


# -- messages ----------------------------------------------------------------------------------


@settings(strategies.patient, max_examples=400)
@given(strategies.payloads)
def test_any_payload(payload: bytes) -> None:
    """DecodeError, or a message that both functions of `text` show and the encoder takes again."""
    check_message(payload)


@settings(strategies.patient, max_examples=200)
@given(strategies.filled_payloads())
def test_fields_of_any_value(payload: bytes) -> None:
    """A payload that is right in form is a message, whatever is in its fields."""
    assert check_message(payload) is not None


@pytest.mark.parametrize("payload", seeds.PAYLOADS)
def test_a_payload_with_a_bit_flipped_anywhere(payload: bytes) -> None:
    """Every byte of a message, damaged in three ways, and every length of it."""
    for at in range(len(payload)):
        check_message(payload[:at])
        for mask in (0x01, 0x80, 0xFF):
            check_message(payload[:at] + bytes((payload[at] ^ mask,)) + payload[at + 1 :])


@settings(strategies.patient, max_examples=400)
@given(strategies.dns_messages)
@example(b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c")  # a pointer to itself
@example(b"\0\1\1\0\0\2\0\0\0\0\0\0\xc0\x0e\xc0\x0c\0\1\0\1")  # two that point to each other
def test_any_dns_message(wire: bytes) -> None:
    """ValueError or an answer, and work in proportion to the message."""
    check_dnswire(wire)


COUNTS = b"\xff\xff" * 4
LONGEST = 65535 - 12
ROOT = b"\0\0\1\0\1"
CHAIN = [12, *range(17, 0x3FFF, 6)]  # questions, each of which points to the one before
POINTERS = b"".join(struct.pack("!3H", 0xC000 | at, 1, 1) for at in CHAIN)


@pytest.mark.parametrize(
    "body",
    [
        b"\0" * LONGEST,
        ROOT * (LONGEST // 5),
        b"\xc0\x0c\0\1\0\1" * (LONGEST // 6),
        (ROOT + b"\xc0\x0c\0\1\0\1") * (LONGEST // 11),
        ROOT + POINTERS,
        b"\1a" * (LONGEST // 2),
        b"\1a" * (LONGEST // 2 - 1) + b"\0",
        b"\0\0\x29" * (LONGEST // 3),
        ROOT * 65 + b"\0\0\x29\0\0\0\0\0\0\xff\0" + b"\0" * 0xFF00,
    ],
    ids=["zeros", "roots", "self", "back", "chain", "labels", "one name", "opt", "options"],
)
def test_the_longest_dns_messages(body: bytes) -> None:
    """64 KiB that announce all they can: pointers, names without end, records by the thousand."""
    for counts in (COUNTS, b"\0\1" * 4, b"\0\x41" + b"\0" * 5 + b"\1", b"\0" * 6 + b"\xff\xff"):
        check_dnswire(b"\0\1\1\0" + counts + body[:LONGEST])
