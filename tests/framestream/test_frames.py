from __future__ import annotations

import pytest

from dnstap_logging.exceptions import LocalProtocolError
from dnstap_logging.framestream.decoder import FrameDecoder
from dnstap_logging.framestream.frames import (
    MAX_CONTENT_TYPE_SIZE,
    MAX_CONTROL_FRAME_SIZE,
    MAX_FRAME_SIZE,
    ControlFrame,
    FrameKind,
    decode_control,
    encode_control,
    encode_data,
    encode_header,
)
from tests.framestream.samples import SAMPLES

KNOWN = {name: sample for name, sample in SAMPLES.items() if not name.startswith("unknown")}


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_frame_encodes_to_the_annotated_bytes(name: str) -> None:
    """A frame becomes exactly the bytes of the specification."""
    stream, frame = KNOWN[name]

    assert stream == (encode_data(frame) if isinstance(frame, bytes) else encode_control(frame)), (
        name
    )


def test_an_empty_payload_cannot_be_framed() -> None:
    """Length 0 is the escape of a control frame, so an empty data frame is refused."""
    with pytest.raises(LocalProtocolError, match="data frame of 0 bytes, expected 1 to 4294967295"):
        encode_data(b"")


@pytest.mark.parametrize("size", [-1, 0, MAX_FRAME_SIZE + 1])
def test_a_length_outside_32_bits_is_refused(size: int) -> None:
    """A header says 1 to 2**32-1 bytes and nothing else; never a struct.error."""
    with pytest.raises(LocalProtocolError, match=f"data frame of {size} bytes"):
        encode_header(size)


def test_the_longest_length_is_encoded() -> None:
    """The limit itself is still a length."""
    assert encode_header(MAX_FRAME_SIZE) == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("number", [-1, 0, 6, 99, 2**32])
def test_an_unknown_control_type_is_not_sent(number: int) -> None:
    """What we would skip from others, we do not send."""
    with pytest.raises(LocalProtocolError, match=f"unknown type {number}, expected 1 to 5"):
        encode_control(ControlFrame(number))


@pytest.mark.parametrize(
    ("control", "count", "most"),
    [
        (FrameKind.START, 2, 1),
        (FrameKind.STOP, 1, 0),
        (FrameKind.FINISH, 1, 0),
    ],
)
def test_too_many_content_types_are_not_sent(control: FrameKind, count: int, most: int) -> None:
    """START has at most one content type, STOP and FINISH none."""
    frame = ControlFrame(control, (b"a",) * count)

    with pytest.raises(
        LocalProtocolError, match=rf"{count} content type\(s\), expected at most {most}"
    ):
        encode_control(frame)


def test_a_content_type_has_at_most_256_bytes() -> None:
    """256 bytes go both ways; 257 are refused."""
    longest = ControlFrame(FrameKind.START, (b"t" * MAX_CONTENT_TYPE_SIZE,))
    decoder = FrameDecoder()
    decoder.feed(encode_control(longest))

    assert longest == decoder.next_frame()

    with pytest.raises(LocalProtocolError, match="content type of 257 bytes, expected at most 256"):
        encode_control(ControlFrame(FrameKind.START, (b"t" * 257,)))


def test_a_control_frame_has_at_most_512_bytes() -> None:
    """Content types fill a READY to 512 bytes, and not to 513."""
    full = ControlFrame(FrameKind.READY, (b"t" * 256, b"u" * 236))
    encoded = encode_control(full)

    assert len(encoded) - 8 == MAX_CONTROL_FRAME_SIZE

    decoder = FrameDecoder()
    decoder.feed(encoded)

    assert full == decoder.next_frame()

    with pytest.raises(LocalProtocolError, match="READY in 513 bytes, expected at most 512"):
        encode_control(ControlFrame(FrameKind.READY, (b"t" * 256, b"u" * 237)))


def test_as_many_content_types_as_fit_are_allowed_on_ready_and_accept() -> None:
    """READY and ACCEPT have 0 to n content types: 63 empty ones fill a frame to the last field."""
    for control in (FrameKind.READY, FrameKind.ACCEPT):
        frame = ControlFrame(control, (b"",) * 63)

        assert frame == decode_control(encode_control(frame)[8:]), control
