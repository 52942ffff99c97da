"""Where a capture ends: every cut of it, every damage, by its tail and from its beginning."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from pathlib import Path
from typing import List

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnstap_logging.capture.end import find_end
from dnstap_logging.capture.frames import CaptureEnd
from dnstap_logging.exceptions import DecodeError
from tests.helpers.capture_samples import (
    COSTLY_FRAMES,
    FRAME,
    HOSTILE_CAPTURES,
    LIMIT,
    ORDINARY_FRAMES,
    START_FRAME,
    STOP_FRAME,
    TAIL_SIZE,
    UNKNOWN_FRAME,
    WRONG_FRAMES,
    WRONG_OPENINGS,
    Periodic,
    Sample,
    Source,
    in_step,
    payload_with,
    sample,
    sound_second_chain,
)
from tests.helpers.support import control, data, dnstap_payload, require_program

BY_TAIL = 0
FROM_BEGINNING = 1 << 40
WAYS = pytest.mark.parametrize("way", [BY_TAIL, FROM_BEGINNING], ids=["tail", "beginning"])
"""For `forward_up_to`: the tail is used of whatever is larger than it."""

READINGS = 65536 + 2 * 520
"""Bytes read of a large file besides its tail: what may be zeros, the first and last frame."""


def end_of(stream: bytes, way: int = FROM_BEGINNING, limit: int = LIMIT) -> CaptureEnd:
    """Return where a stream ends."""
    return find_end(Source(stream).read_at, len(stream), max_frame_size=limit, forward_up_to=way)


def by_tail(source: Source, limit: int = LIMIT) -> CaptureEnd:
    """Return where a capture ends, found by its tail if that will do."""
    return find_end(source.read_at, source.size, max_frame_size=limit, forward_up_to=BY_TAIL)


def refusal(stream: bytes, way: int = FROM_BEGINNING, limit: int = LIMIT) -> str:
    """Return why a stream is not continued."""
    with pytest.raises(DecodeError) as caught:
        end_of(stream, way, limit)
    return str(caught.value)


def mixed_frames(count: int) -> List[bytes]:
    """Return data frames of several sizes, with a control frame of unknown type now and then."""
    frames = [data(payload_with(bytes(range(number % 90)))) for number in range(count)]
    frames[3::10] = [UNKNOWN_FRAME] * len(frames[3::10])
    return frames


@WAYS
@pytest.mark.parametrize("count", [0, 1, 5, 80])
def test_every_cut_of_a_capture(way: int, count: int) -> None:
    """Wherever a writer was killed: the whole frames stay, and the rest is torn."""
    whole = sample(mixed_frames(max(count, 4))[:count])
    stream = whole.stream + STOP_FRAME
    stopped = len(stream)

    for size in range(stopped):
        end = whole.end_if_cut(size)
        assert end_of(stream[:size], way) == (end, False, size - end), f"cut to {size} bytes"
    assert end_of(stream, way) == (len(whole.stream), True, 0)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(("stream", "reason"), WRONG_OPENINGS.values(), ids=WRONG_OPENINGS)
def test_what_is_no_dnstap_capture(stream: bytes, reason: str) -> None:
    """A file that is not ours is refused, and the error says what it is."""
    assert refusal(stream) == reason


@WAYS
@pytest.mark.parametrize("before", [0, 1, 100])
@pytest.mark.parametrize(("wrong", "reason"), WRONG_FRAMES.values(), ids=WRONG_FRAMES)
def test_damage_is_refused(wrong: bytes, reason: str, before: int, way: int) -> None:
    """What no writer that was killed leaves behind is not cut off, for much may follow it."""
    stream = START_FRAME + FRAME * before

    assert refusal(stream + wrong, way).startswith(f"byte {len(stream)}: {reason}")


@WAYS
@pytest.mark.parametrize(
    "frame",
    [FRAME, in_step(b"\x0a\xff\xff", 200), data(payload_with(data(b"x" * 500) * 40)[:LIMIT])],
    ids=["plain", "with a second chain", "with false frames"],
)
def test_damage_within_the_tail_is_refused(frame: bytes, way: int) -> None:
    """Whole frames after the damage do not hide it, nor do false ones that lead past it."""
    stream = START_FRAME + frame * 100

    for wrong, reason in WRONG_FRAMES.values():
        for after in (frame, frame * (800 // len(frame))):
            text = refusal(stream + wrong + after, way)
            assert text.startswith(f"byte {len(stream)}: {reason.split(' with ')[0]}"), text


def test_the_limit_is_the_callers() -> None:
    """A frame up to the limit is accepted, a larger one is refused."""
    stream = START_FRAME + data(b"\x1a\xe5\x07" + bytes(996) + b"x")

    assert end_of(stream, limit=1000) == (len(stream), False, 0)
    assert "a data frame of 1000 bytes, expected at most 999" in refusal(stream, limit=999)


# -- zeros -------------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("zeros", [1, 3, 4, 7, 8, 4096, 200_000])
@pytest.mark.parametrize("stop", [False, True])
def test_zeros_up_to_the_end_are_torn(zeros: int, stop: bool, way: int) -> None:
    """What a file system leaves after a power failure is cut off, with the STOP before it."""
    stream = START_FRAME + FRAME * 200

    end = end_of(stream + STOP_FRAME * stop + bytes(zeros), way)

    assert end == (len(stream), False, zeros + 12 * stop)


@WAYS
def test_a_frame_that_zeros_made_unreadable_is_torn(way: int) -> None:
    """Zeros can begin anywhere: a frame whose second half is lost cannot be read."""
    stream = START_FRAME + FRAME * 200

    for left in range(len(FRAME)):
        for zeros in (len(FRAME) - left, 1000):
            end = end_of(stream + FRAME[:left] + bytes(zeros), way)
            assert end == (len(stream), False, left + zeros), f"{left} bytes, {zeros} zeros"


@WAYS
def test_a_message_that_ends_with_zeros_is_whole(way: int) -> None:
    """Zeros that belong to a message are no damage, nor are those of an unknown control frame."""
    ends_with_zeros = data(dnstap_payload(1) + b"\x1a\x04" + bytes(4))
    stream = START_FRAME + FRAME * 200

    for frame in (ends_with_zeros, control(256), struct.pack(">IIIII", 0, 12, 99, 0, 0)):
        whole = stream + frame
        assert end_of(whole, way) == (len(whole), False, 0)
        assert end_of(whole + bytes(50), way) == (len(whole), False, 50)


@pytest.mark.parametrize("size", [0, 1, 4, 7, 8, 42, 5000, 300_000])
def test_a_file_of_zeros_is_started_again(size: int) -> None:
    """There is nothing in it that could be lost."""
    assert end_of(bytes(size)) == (0, False, size)


# -- by the tail -------------------------------------------------------------------------------


@given(whole=HOSTILE_CAPTURES, cut=st.integers(0, 700), zeros=st.sampled_from([0, 0, 1, 9, 3000]))
@example(whole=sample([sound_second_chain(200)] * 60 + [STOP_FRAME]), cut=0, zeros=0)
@example(whole=sample([sound_second_chain(200)] * 60), cut=100, zeros=0)
@example(whole=sample([in_step(b"\x0a\xff\xff", 200)] * 60), cut=20, zeros=0)
@example(whole=sample([data(payload_with(STOP_FRAME * 40))] * 60), cut=5, zeros=0)
def test_strangers_do_not_move_the_end(whole: Sample, cut: int, zeros: int) -> None:
    """Whatever DNS messages hold, both ways find the end that was noted while writing."""
    size = max(len(START_FRAME), len(whole.stream) - cut)
    stream = whole.stream[:size]
    stopped = cut == zeros == 0 and stream.endswith(STOP_FRAME)
    if zeros and whole.end_if_cut(size) != size:
        zeros = 0  # they could complete the frame that was cut
    end = whole.end_if_cut(size - 12 if stream.endswith(STOP_FRAME) else size)

    for way in (FROM_BEGINNING, BY_TAIL):
        expected = (end, stopped, 0 if stopped else size + zeros - end)
        assert end_of(stream + bytes(zeros), way) == expected


@pytest.mark.parametrize("frame", ORDINARY_FRAMES.values(), ids=ORDINARY_FRAMES)
def test_the_tail_is_enough(frame: bytes) -> None:
    """Wherever in the tail the first frame begins, the file is not read from its beginning."""
    stream = START_FRAME + frame * (200_000 // len(frame))

    for torn in (3, *range(0, len(frame), 5)):
        last = frame[:torn].rstrip(b"\0")
        source = Source(stream + last)
        end = by_tail(source)
        assert end == (len(stream), False, len(last))
        assert source.count <= TAIL_SIZE + READINGS, f"{torn} bytes of the last frame"


@pytest.mark.parametrize(("frame", "limit"), COSTLY_FRAMES.values(), ids=COSTLY_FRAMES)
def test_the_tail_is_given_up(frame: bytes, limit: int) -> None:
    """Where it leaves a doubt, or would take long, the file is read from its beginning."""
    stream = START_FRAME + frame * (400_000 // len(frame))

    for torn in range(0, len(frame), 1 + len(frame) // 20):
        last = frame[:torn].rstrip(b"\0")
        source = Source(stream + last)
        assert by_tail(source, limit) == (len(stream), False, len(last))
        assert source.count > source.size + 4 * limit, f"{torn} bytes of the last frame"


def test_a_tail_too_large_for_the_memory() -> None:
    """If a tail would be too large, the file is read from the start; long frames are skipped."""
    limit = 33_000_000
    source = Periodic(data(payload_with(b"x" * 20_000_000)), 10, STOP_FRAME)

    assert by_tail(source, limit) == (source.size - 12, True, 0)
    assert source.size > 4 * limit
    assert source.count < limit


@pytest.mark.parametrize("torn", [0, 100])
def test_ten_gigabytes(torn: int) -> None:
    """Of a large file only the tail is read: four of the largest frames."""
    unit = b"".join(data(payload_with(os.urandom(120 + n % 90))) for n in range(2000))
    last = FRAME + (data(bytes(500))[:torn] if torn else STOP_FRAME)
    source = Periodic(unit, 10_000_000_000 // len(unit), last)

    end = find_end(source.read_at, source.size)

    assert source.size > 9_900_000_000
    assert end == (source.size - (torn or 12), not torn, torn)
    assert source.count <= 4 * (4 + 1024 * 1024) + READINGS


# -- files -------------------------------------------------------------------------------------


@WAYS
@pytest.mark.parametrize("most", [1, 7, 500])
def test_short_reads(most: int, way: int) -> None:
    """A read may return less than was asked for."""
    stream = sample(mixed_frames(100)).stream
    source = Source(stream + FRAME[:5], most)

    end = find_end(source.read_at, source.size, max_frame_size=LIMIT, forward_up_to=way)

    assert end == (len(stream), False, 5)


@WAYS
def test_a_file_that_is_truncated_meanwhile(way: int) -> None:
    """A file that is shorter than it was ends where it ends now, at the latest."""
    whole = sample(mixed_frames(100))
    said = len(whole.stream) + 100_000

    for size in range(len(START_FRAME), len(whole.stream), 11):
        source = Source(whole.stream[:size])
        end = find_end(source.read_at, said, max_frame_size=LIMIT, forward_up_to=way)
        start = whole.end_if_cut(size)
        assert end == (start, False, size - start), f"truncated to {size} bytes"


@WAYS
@pytest.mark.parametrize("reads", [0, 1, 2, 3, 4])
def test_a_file_that_is_truncated_between_two_reads(reads: int, way: int) -> None:
    """No moment of a truncation makes the search fail, or end where no frame does."""
    whole = sample([FRAME] * 5000)

    for size in (0, 100, len(whole.stream) - 1000, len(whole.stream) - 1):
        source = Source(whole.stream, shrink=(reads, size))
        end = find_end(source.read_at, source.size, max_frame_size=LIMIT, forward_up_to=way)
        assert end.offset in [0, *whole.boundaries]
        assert not end.stopped
        assert end.offset + end.torn <= source.size


def test_frames_at_the_end_of_a_block() -> None:
    """Frames are read whole wherever a block of the file ends."""
    block = 1024 * 1024
    for before in (*range(50), *range(510, 530)):
        first = block - before
        stream = START_FRAME + data(b"\x1a" + bytes(first - 5)) + UNKNOWN_FRAME + FRAME
        assert end_of(stream + STOP_FRAME, limit=block) == (len(stream), True, 0), before
        assert end_of(stream[:-1], limit=block).torn == len(FRAME) - 1, before


def test_frames_longer_than_a_block() -> None:
    """The payload of a frame is skipped and not read, however long it is."""
    large = data(payload_with(bytes(5_000_000)))
    stream = START_FRAME + FRAME + large + FRAME + large + UNKNOWN_FRAME + FRAME
    source = Source(stream + large[:-1])

    end = find_end(source.read_at, source.size, max_frame_size=6_000_000)

    assert end == (len(stream), False, len(large) - 1)
    assert source.count < 5_000_000


def test_kdig_wrote_it(tmp_path: Path) -> None:
    """A capture of kdig's can be continued where its STOP is."""
    path = tmp_path / "kdig.fstrm"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = str(silent.getsockname()[1])
        command = [require_program("kdig"), "-E", str(path), "@127.0.0.1", "-p", port, "+retry=0"]
        subprocess.run([*command, "+timeout=1", "www.example.org"], capture_output=True, timeout=30)
    size = path.stat().st_size

    with open(path, "rb") as file:
        end = find_end(lambda offset, length: os.pread(file.fileno(), length, offset), size)

    assert size > len(START_FRAME) + 12
    assert end == (size - 12, True, 0)
