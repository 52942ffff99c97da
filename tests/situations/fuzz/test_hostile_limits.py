"""Whatever comes: memory bounded by the limits, and no work that grows faster than the bytes.

Work is counted in bytes that are moved, never by a clock.
"""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any, Callable, List

import pytest
from hypothesis import given

from dnstap_logging.exceptions import DecodeError, RemoteProtocolError
from dnstap_logging.framestream import session_base as endpoint
from dnstap_logging.framestream.decoder import FrameDecoder
from dnstap_logging.framestream.frames import DEFAULT_MAX_FRAME_SIZE, DNSTAP_CONTENT_TYPE
from dnstap_logging.framestream.session import ReaderSession, WriterSession
from dnstap_logging.framestream.state import Direction
from dnstap_logging.reader.reader import DnstapReader
from tests.framestream.samples import (
    ACCEPT,
    ESCAPE,
    READY,
    START,
    STOP,
    UNKNOWN,
    data,
    single_bytes,
)
from tests.situations.fuzz import promises, seeds, strategies
from tests.situations.fuzz.promises import LIMIT

FOUR_GIB = b"\xff\xff\xff\xff"
SMALL = 100_000
"""Bytes that a refusal may take at most: the error, its text, what was fed. Not the claim."""


def peak_of(work: Callable[[], object]) -> int:
    """Return the most bytes that were taken during some work."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def feed(session: Any, stream: bytes) -> None:
    """Let a session of either kind take a stream byte by byte."""
    for byte in single_bytes(stream):
        session.receive(byte)
        if isinstance(session, ReaderSession):
            list(session.payloads())


def capture_of(stream: bytes) -> DnstapReader:
    """Read a capture that comes byte by byte, as from a slow pipe."""
    return DnstapReader(promises.Portions(single_bytes(stream)))  # type: ignore[arg-type]


FIELD = ESCAPE + struct.pack(">III", 12, 2, 1) + FOUR_GIB
CLAIMS = [FOUR_GIB, ESCAPE + FOUR_GIB, FIELD, ESCAPE + struct.pack(">I", 513)]


@pytest.mark.parametrize("claim", CLAIMS, ids=["data", "control", "field", "513"])
@pytest.mark.parametrize("before", [b"", START, READY, READY + START, START + STOP])
def test_a_claim_takes_no_memory(claim: bytes, before: bytes) -> None:
    """A frame of 4 GiB is refused at its length, in every state of every reader."""

    def claim_from(session: Any, good: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            feed(session, good + claim + bytes(1000))

    def claim_from_file() -> None:
        with pytest.raises(DecodeError):
            list(capture_of(before + claim))

    def claim_from_writer() -> None:
        session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.BIDIRECTIONAL)
        session.start()
        claim_from(session, ACCEPT if before else b"")

    for work in (
        lambda: claim_from(ReaderSession(DNSTAP_CONTENT_TYPE), before),
        claim_from_file,
        claim_from_writer,
    ):
        peak = peak_of(work)
        assert peak < SMALL, f"{peak} bytes were taken"


def test_a_failed_session_keeps_nothing_more() -> None:
    """Bytes that a failed session is given take no memory."""
    session = ReaderSession(DNSTAP_CONTENT_TYPE)
    session.receive(FOUR_GIB)
    with pytest.raises(RemoteProtocolError):
        list(session.payloads())
    portion = bytes(65536)

    def go_on() -> None:
        for _ in range(1000):
            with pytest.raises(RemoteProtocolError):
                session.receive(portion)

    peak = peak_of(go_on)
    assert peak < SMALL, f"{peak} bytes were taken for 64 MB"


@pytest.mark.parametrize(
    ("frame", "volume", "bound"),
    [
        pytest.param(UNKNOWN, 1_000_000, 400_000, marks=pytest.mark.slow),
        (seeds.FRAMES, 4_000_000, 400_000),
        (data(bytes(DEFAULT_MAX_FRAME_SIZE)), 20_000_000, 4 * DEFAULT_MAX_FRAME_SIZE),
    ],
    ids=["unknown control frames", "messages", "frames at the limit"],
)
def test_an_endless_stream_takes_no_more_than_a_frame(
    frame: bytes, volume: int, bound: int
) -> None:
    """Megabytes in blocks of 64 KiB: what is kept is one block and one frame, a few times over."""
    session = ReaderSession(DNSTAP_CONTENT_TYPE)
    session.receive(START)
    stream = frame * (65536 // len(frame) + 1)

    def flow() -> None:
        for _ in range(volume // len(stream)):
            for at in range(0, len(stream), 65536):
                session.receive(stream[at : at + 65536])
                for _payload in session.payloads():
                    pass

    peak = peak_of(flow)
    assert peak < bound, f"{peak} bytes were taken, expected less than {bound}"
    assert session.buffered == 0


# -- time, counted in bytes that are moved -----------------------------------------------------


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> List[int]:
    """Note how many bytes each session's decoder moves into a new buffer, each time."""
    noted: List[int] = []

    class CountingDecoder(FrameDecoder):
        __slots__ = ()

        def _rebase(self, buffer: bytes) -> bytes:
            noted.append(len(buffer))
            return super()._rebase(buffer)

    monkeypatch.setattr(endpoint, "FrameDecoder", CountingDecoder)
    return noted


MEGABYTE = 1_000_000
TINY = [1, 3, 2, 7, 1, 5]


@pytest.mark.parametrize("pattern", [[1], TINY], ids=["byte by byte", "tiny"])
@pytest.mark.parametrize(
    ("frame", "times", "bound"),
    [(data(b"z" * MEGABYTE), 1, 1.1), (data(b"z" * 50), 5_000, 2), (UNKNOWN, 15_000, 3)],
    ids=["one frame", "small frames", "control frames"],
)
def test_a_stream_in_tiny_portions(
    frame: bytes, times: int, bound: float, pattern: List[int], moved: List[int]
) -> None:
    """A reading session moves each byte a few times at most, not once for each portion."""
    session = ReaderSession(DNSTAP_CONTENT_TYPE)
    session.receive(START)
    assert list(session.payloads()) == []
    frames = frame * times
    payloads = 0
    for portion in strategies.portions(frames, pattern):
        session.receive(portion)
        for _ in session.payloads():
            payloads += 1

    assert payloads == (0 if frame is UNKNOWN else times)
    assert session.buffered == 0
    assert sum(moved) < bound * len(frames) + 100, f"{sum(moved)} bytes moved"


def test_a_writer_reads_byte_by_byte(moved: List[int]) -> None:
    """The same for what a reader sends to a writing session."""
    session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.BIDIRECTIONAL)
    session.start()
    session.receive(ACCEPT)
    frames = UNKNOWN * 15_000
    for byte in single_bytes(frames):
        session.receive(byte)

    assert session.streaming
    assert sum(moved) < 3 * len(frames) + 100, f"{sum(moved)} bytes moved"


def test_a_capture_that_comes_byte_by_byte(moved: List[int]) -> None:
    """The same for the reader of a pipe that brings one byte at a time."""
    stream = START + seeds.FRAMES * 500 + STOP
    reader = capture_of(stream)

    assert sum(1 for _ in reader) == 500 * len(seeds.PAYLOADS)
    assert reader.complete
    assert sum(moved) < 2 * len(stream), f"{sum(moved)} bytes moved for {len(stream)}"


@strategies.patient
@given(strategies.streams, strategies.sizes)
def test_no_portions_make_more_work(stream: bytes, pattern: List[int]) -> None:
    """However a stream is cut, each byte is moved four times at most."""
    total = 0

    class CountingDecoder(FrameDecoder):
        __slots__ = ()

        def _rebase(self, buffer: bytes) -> bytes:
            nonlocal total
            total += len(buffer)
            return super()._rebase(buffer)

    decoder = CountingDecoder(LIMIT)
    try:
        for portion in strategies.portions(stream, pattern):
            decoder.feed(portion)
            while decoder.next_frame() is not None:
                pass
    except RemoteProtocolError:
        pass
    assert total <= 4 * len(stream)
