from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.exceptions import ContentTypeMismatch, RemoteProtocolError
from dnstap_logging.framestream.session import ReaderSession, WriterSession
from dnstap_logging.framestream.state import Direction, State
from tests.framestream.samples import DNSTAP, single_bytes


class Wire:
    """A writer and a reader in memory; each gets every byte of the other at once.

    Args:
        direction: the writer's.
        portion: how many bytes travel at a time; 0 for all.
    """

    def __init__(self, direction: Direction, portion: int = 0) -> None:
        self.writer = WriterSession(DNSTAP, direction)
        self.reader = ReaderSession(DNSTAP)
        self.portion = portion
        self.payloads: list[bytes] = []

    def carry(self, data: bytes) -> None:
        """Bring bytes of the writer to the reader, and the answers back, until all is quiet."""
        while data:
            for portion in self._portions(data):
                self.reader.receive(portion)
                self.payloads += self.reader.payloads()
            data = b"".join(
                self.writer.receive(portion)
                for portion in self._portions(self.reader.data_to_send())
            )

    def _portions(self, data: bytes) -> list[bytes]:
        step = self.portion or len(data) or 1
        return [data[at : at + step] for at in range(0, len(data), step)]


@pytest.mark.parametrize("portion", [0, 1, 3])
@pytest.mark.parametrize("direction", Direction)
def test_two_sessions_understand_each_other(direction: Direction, portion: int) -> None:
    """A writer and a reader go through a whole stream together, in either direction."""
    wire = Wire(direction, portion)
    sent = [b"a", b"bb" * 500, b"\x00" * 4, b"c" * 70_000]

    wire.carry(wire.writer.start())
    assert (wire.writer.state, wire.reader.state) == (State.STREAMING, State.STREAMING)
    for payload in sent:
        wire.carry(wire.writer.frame(payload))
    wire.carry(wire.writer.stop())

    assert sent == wire.payloads
    assert wire.writer.finished
    assert wire.reader.finished
    assert direction is wire.reader.direction
    assert wire.reader.content_type == DNSTAP


@pytest.mark.parametrize("direction", Direction)
def test_two_sessions_end_an_empty_stream(direction: Direction) -> None:
    """A stream without any payload is a stream."""
    wire = Wire(direction)
    wire.carry(wire.writer.start())
    wire.carry(wire.writer.stop())

    assert wire.payloads == []
    assert wire.writer.finished
    assert wire.reader.finished


@pytest.mark.parametrize("direction", Direction)
def test_both_peers_go_through_the_same_states(direction: Direction) -> None:
    """The table is one for both ends: after each exchange they are in the same state."""
    wire = Wire(direction)
    steps = [
        wire.writer.start,
        lambda: wire.writer.frame(b"payload"),
        wire.writer.stop,
    ]
    for step in steps:
        wire.carry(step())
        assert wire.writer.state is wire.reader.state, step


def test_sessions_of_different_content_types_part_at_ready() -> None:
    """The reader refuses the READY, and the writer never gets to START."""
    writer = WriterSession(b"x:y", Direction.BIDIRECTIONAL)
    reader = ReaderSession(DNSTAP)
    reader.receive(writer.start())

    with pytest.raises(ContentTypeMismatch, match="READY with b'x:y'"):
        list(reader.payloads())
    assert reader.data_to_send() == b""
    assert writer.state is State.NEGOTIATING


@pytest.mark.parametrize("direction", Direction)
def test_two_writers_refuse_each_other(direction: Direction) -> None:
    """A writer at both ends is told from the first frame."""
    one = WriterSession(DNSTAP, direction)
    two = WriterSession(DNSTAP, direction)
    one.start()

    with pytest.raises(RemoteProtocolError, match="from the reader while"):
        one.receive(two.start())
    assert one.state is State.FAILED


@given(
    st.sampled_from(Direction),
    st.lists(st.binary(min_size=1, max_size=300), max_size=20),
    st.integers(0, 50),
)
def test_whatever_goes_in_comes_out(
    direction: Direction, payloads: list[bytes], portion: int
) -> None:
    """Any payloads in any portions come out unchanged, in order, once."""
    wire = Wire(direction, portion)
    wire.carry(wire.writer.start())
    frames = b"".join(wire.writer.frame(payload) for payload in payloads)
    wire.carry(frames)
    wire.carry(wire.writer.stop())

    assert payloads == wire.payloads
    assert wire.writer.finished
    assert wire.reader.finished


def test_header_and_payload_are_a_frame() -> None:
    """Headers and payloads, joined by the caller, are what `frame` makes."""
    writer = WriterSession(DNSTAP, Direction.UNIDIRECTIONAL)
    reader = ReaderSession(DNSTAP)
    reader.receive(writer.start())
    payloads = [b"1", b"22", b"333"]
    headers = writer.headers([len(payload) for payload in payloads])
    batch = b"".join(part for pair in zip(headers, payloads) for part in pair)

    assert headers == [writer.frame(payload)[:4] for payload in payloads]
    assert batch == b"".join(map(writer.frame, payloads))
    for byte in single_bytes(batch):
        reader.receive(byte)
    assert payloads == list(reader.payloads())
