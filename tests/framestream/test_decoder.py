from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.exceptions import FrameTooLarge, RemoteProtocolError
from dnstap_logging.framestream.decoder import FrameDecoder
from dnstap_logging.framestream.frames import (
    DEFAULT_MAX_FRAME_SIZE,
    ControlFrame,
    Frame,
    FrameKind,
)
from tests.framestream.samples import (
    DATA,
    ESCAPE,
    MALFORMED,
    SAMPLES,
    START,
    STOP,
    control,
    data,
    single_bytes,
)

FOUR_GIB = b"\xff\xff\xff\xff"


def frames_of(decoder: FrameDecoder) -> list[Frame]:
    """Take all frames that are whole by now."""
    frames = []
    while (frame := decoder.next_frame()) is not None:
        frames.append(frame)
    return frames


def outcome(portions: list[bytes], limit: int = 100) -> tuple[list[Frame], str, int]:
    """Decode portions as they come: frames, then the error's text, and where decoding stands."""
    decoder = FrameDecoder(limit)
    frames: list[Frame] = []
    try:
        for portion in portions:
            decoder.feed(portion)
            while (frame := decoder.next_frame()) is not None:
                frames.append(frame)
    except RemoteProtocolError as error:
        return frames, str(error), decoder.offset
    return frames, "", decoder.offset


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_whole(name: str) -> None:
    """A frame that is fed whole is returned at once, and nothing is left."""
    stream, expected = SAMPLES[name]
    decoder = FrameDecoder()
    decoder.feed(stream)

    assert expected == decoder.next_frame()
    assert (len(stream), 0) == (decoder.offset, decoder.buffered)
    assert decoder.next_frame() is None


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_byte_by_byte(name: str) -> None:
    """Fed byte by byte, a frame is there with its last byte and not before."""
    stream, expected = SAMPLES[name]
    decoder = FrameDecoder()
    for fed, byte in enumerate(single_bytes(stream)):
        assert decoder.next_frame() is None, f"a frame after {fed} of {len(stream)} bytes"
        assert (0, fed) == (decoder.offset, decoder.buffered)
        decoder.feed(byte)

    assert expected == decoder.next_frame()
    assert (len(stream), 0) == (decoder.offset, decoder.buffered)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_with_a_tail(name: str) -> None:
    """What follows a frame is kept for the next one."""
    stream, expected = SAMPLES[name]
    decoder = FrameDecoder()
    decoder.feed(stream + DATA[:6])

    assert expected == decoder.next_frame()
    assert decoder.next_frame() is None
    assert (len(stream), 6) == (decoder.offset, decoder.buffered)

    decoder.feed(DATA[6:])

    assert decoder.next_frame() == b"hello"
    assert len(stream) == decoder.frame_offset


def test_nothing_fed_is_nothing_decoded() -> None:
    """An empty portion changes nothing."""
    decoder = FrameDecoder()
    decoder.feed(b"")

    assert decoder.next_frame() is None
    assert (decoder.offset, decoder.buffered) == (0, 0)


def test_payloads_are_bytes_whatever_was_fed() -> None:
    """A caller's buffer may be reused at once: payloads are copies."""
    decoder = FrameDecoder()
    buffer = bytearray(DATA)
    decoder.feed(buffer)  # type: ignore[arg-type]
    buffer[:] = b"\xff" * len(buffer)
    payload = decoder.next_frame()

    assert payload == b"hello"
    assert type(payload) is bytes


def test_many_frames_in_uneven_portions() -> None:
    """Portions of any size, frames in order, offsets that add up."""
    payloads = [bytes([65 + size % 26]) * size for size in range(1, 120)]
    stream = b"".join(map(data, payloads))
    for portion in (1, 3, 7, 64, 1000, len(stream)):
        decoder = FrameDecoder()
        frames: list[Frame] = []
        for at in range(0, len(stream), portion):
            decoder.feed(stream[at : at + portion])
            frames += frames_of(decoder)

        assert payloads == frames, f"in portions of {portion}"
        assert (len(stream), 0) == (decoder.offset, decoder.buffered)


def test_portions_fed_before_anything_is_asked() -> None:
    """All may be fed first and decoded afterwards."""
    decoder = FrameDecoder()
    for byte in single_bytes(START + DATA * 3 + STOP):
        decoder.feed(byte)

    assert len(frames_of(decoder)) == 5
    assert decoder.buffered == 0


@pytest.mark.parametrize("limit", [1, 5, 98304])
def test_a_payload_at_the_limit_is_taken_and_one_above_is_not(limit: int) -> None:
    """The limit is the largest payload that passes; one byte more is refused by its length."""
    decoder = FrameDecoder(limit)
    decoder.feed(data(b"x" * limit) + (limit + 1).to_bytes(4, "big"))

    assert decoder.next_frame() == b"x" * limit
    with pytest.raises(
        FrameTooLarge, match=f"data frame of {limit + 1} bytes, expected at most {limit}"
    ):
        decoder.next_frame()


def test_the_default_limit_is_one_mebibyte() -> None:
    """Without an argument, 1 MiB passes and a byte more does not."""
    decoder = FrameDecoder()
    decoder.feed((DEFAULT_MAX_FRAME_SIZE + 1).to_bytes(4, "big"))

    assert DEFAULT_MAX_FRAME_SIZE == 1 << 20
    with pytest.raises(FrameTooLarge):
        decoder.next_frame()


@pytest.mark.parametrize("before", [b"", DATA])
def test_four_gib_are_refused_from_four_bytes(before: bytes) -> None:
    """A length of 4 GiB is refused when its four bytes are there, and nothing is kept for it."""
    decoder = FrameDecoder()
    decoder.feed(before + FOUR_GIB[:3])
    frames_of(decoder)
    tracemalloc.start()
    try:
        decoder.feed(FOUR_GIB[3:])
        with pytest.raises(FrameTooLarge, match="4294967295 bytes, expected at most 1048576"):
            decoder.next_frame()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 100_000, f"{peak} bytes were taken"


@pytest.mark.parametrize("size", [513, 2**32 - 1])
def test_a_long_control_frame_is_refused_from_its_length(size: int) -> None:
    """A control frame above 512 bytes is refused from its eight bytes of header."""
    decoder = FrameDecoder()
    decoder.feed(ESCAPE + size.to_bytes(4, "big"))

    with pytest.raises(FrameTooLarge, match=f"control frame of {size} bytes, expected at most 512"):
        decoder.next_frame()


def test_an_unknown_control_frame_of_512_bytes_is_taken() -> None:
    """The limit on control frames is for unknown types too, and 512 is within it."""
    decoder = FrameDecoder()
    decoder.feed(ESCAPE + b"\x00\x00\x02\x00" + b"\x00\x00\x00\x63" + b"\xff" * 508)

    assert decoder.next_frame() == ControlFrame(99)
    assert decoder.buffered == 0


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_control_frame_is_refused(name: str) -> None:
    """A malformed control frame is the sender's error."""
    stream, text = MALFORMED[name]
    for portions in ([stream], list(single_bytes(stream)), [stream + DATA]):
        frames, error, _ = outcome(portions, limit=1000)

        assert frames == []
        assert text in error


def test_known_types_come_back_as_their_names() -> None:
    """A known type reads as its name in diagnostics, an unknown one as its number."""
    decoder = FrameDecoder()
    decoder.feed(STOP + control(99))

    assert "FrameKind.STOP" in repr(decoder.next_frame())
    assert "99" in repr(decoder.next_frame())


def test_frames_before_an_error_are_all_delivered() -> None:
    """An error comes at its own place, after everything that was good."""
    stream = START + DATA * 3
    frames, error, offset = outcome([stream + FOUR_GIB + DATA])

    assert frames == [ControlFrame(FrameKind.START, (b"protobuf:dnstap.Dnstap",))] + [b"hello"] * 3
    assert "4294967295" in error
    assert len(stream) == offset


def test_an_error_consumes_nothing() -> None:
    """Asked again, the decoder finds the same frame and refuses it again."""
    decoder = FrameDecoder()
    decoder.feed(DATA + FOUR_GIB)
    decoder.next_frame()
    for _ in range(2):
        with pytest.raises(FrameTooLarge):
            decoder.next_frame()
        assert (len(DATA), len(DATA), 4) == (
            decoder.offset,
            decoder.frame_offset,
            decoder.buffered,
        )


def test_where_no_data_frame_is_legal_the_first_bytes_tell_a_foreign_protocol() -> None:
    """With a limit of 0, text read as a length is called what it is."""
    decoder = FrameDecoder(0)
    decoder.feed(b"HTTP/1.1 400 Bad Request\r\n")

    with pytest.raises(RemoteProtocolError, match=r"does not speak Frame Streams.*b'HTTP'") as info:
        decoder.next_frame()
    assert not isinstance(info.value, FrameTooLarge)


def test_where_no_data_frame_is_legal_a_later_one_is_named() -> None:
    """After a good frame, an illegal data frame is called a data frame."""
    decoder = FrameDecoder(0)
    decoder.feed(STOP + DATA)
    decoder.next_frame()

    with pytest.raises(RemoteProtocolError, match="data frame of 5 bytes, expected only control"):
        decoder.next_frame()


def test_a_negative_limit_is_refused() -> None:
    """A limit that nothing can meet is a mistake of the caller's."""
    with pytest.raises(ValueError, match="max_frame_size=-1"):
        FrameDecoder(-1)


def moved_bytes(size: int) -> int:
    """Feed one frame byte by byte and count what the decoder copies into a new buffer."""
    moved = 0

    class CountingDecoder(FrameDecoder):
        __slots__ = ()

        def _rebase(self, buffer: bytes) -> bytes:
            nonlocal moved
            moved += len(buffer)
            return super()._rebase(buffer)

    decoder = CountingDecoder()
    for byte in single_bytes(data(b"z" * size)):
        decoder.feed(byte)
        frame = decoder.next_frame()
    assert frame == b"z" * size, "the payload did not come whole with its last byte"
    return moved


def test_one_megabyte_byte_by_byte_is_linear() -> None:
    """1 MB in a million portions copies each byte a fixed number of times, not once a portion."""
    size = 1_000_000

    assert moved_bytes(size) < 2 * size


def test_many_small_frames_in_one_portion_are_linear() -> None:
    """A large portion with many frames is cut up without moving the rest for each of them."""
    moved = 0

    class CountingDecoder(FrameDecoder):
        __slots__ = ()

        def _rebase(self, buffer: bytes) -> bytes:
            nonlocal moved
            moved += len(buffer)
            return super()._rebase(buffer)

    stream = DATA * 20_000
    decoder = CountingDecoder()
    for at in range(0, len(stream), 65_536):
        decoder.feed(stream[at : at + 65_536])
        frames_of(decoder)

    assert len(stream) == decoder.offset
    assert moved < 2 * len(stream)


frames_on_the_wire = st.one_of(
    st.binary(min_size=1, max_size=100).map(data),
    st.sampled_from([sample for sample, _ in SAMPLES.values()]),
)
near_misses = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([sample for sample, _ in MALFORMED.values()]),
    st.integers(0, 2**32 - 1).map(lambda size: ESCAPE + size.to_bytes(4, "big")),
)
streams = st.lists(st.one_of(frames_on_the_wire, frames_on_the_wire, near_misses), max_size=12).map(
    b"".join
)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Cut a stream at some of its offsets."""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[begin:end] for begin, end in zip(edges, edges[1:])]


@given(st.one_of(streams, st.binary(max_size=200)))
def test_any_bytes_give_frames_or_a_remote_protocol_error(stream: bytes) -> None:
    """Whatever comes: frames, a wait for more, or RemoteProtocolError; nothing else."""
    frames, error, offset = outcome([stream])

    assert 0 <= offset <= len(stream)
    for frame in frames:
        assert isinstance(frame, (bytes, ControlFrame))
        assert frame != b""
    assert error or len(stream) - offset < 4 + 512 + 4 + 100


@given(streams, st.lists(st.integers(0, 10_000), max_size=20))
def test_any_split_gives_the_same_frames(stream: bytes, cuts: list[int]) -> None:
    """How a stream was cut into portions can be seen in nothing that comes out."""
    whole = outcome([stream])

    assert whole == outcome(split(stream, cuts))
    assert whole == outcome(list(single_bytes(stream)))
