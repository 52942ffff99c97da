"""One segment: written, read while it is written, and let go."""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from pathlib import Path

import pytest

from dnstap_logging import DnstapReader
from dnstap_logging.exceptions import PeerClosed
from dnstap_logging.spool.segment import Segment, SegmentDamaged
from tests.helpers.support import CONTENT_TYPE, START, STOP, capture, control, data
from tests.situations.captures.whole import read_whole
from tests.situations.interop.captures import run_tool
from tests.spool.spools import MIB, adopted, all_of, filled, payloads, put, spool

WHOLE = capture(payloads(0, 5))
OPENING = control(START, CONTENT_TYPE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the folder is."""
    return tmp_path / "spool"


def is_locked(path: Path) -> bool:
    """Return whether somebody has locked a file."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def test_a_segment_is_a_capture_that_is_readable_at_every_moment(path: Path) -> None:
    """From its first moment on, with whatever was appended; in the end it is a whole one."""
    segment = spool(path).create()
    file = Path(segment.path)
    for count in range(4):
        shown, notes = run_tool("dnstap", "-r", file, "-q")
        assert (shown.count("\n"), "error" in notes.lower()) == (count, False), notes
        with DnstapReader(file) as reader:
            assert len(list(reader)) == count
        assert is_locked(file)
        segment.append(payloads(count, count + 1))
    segment.stop()
    segment.release()

    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert not is_locked(file)
    assert read_whole(file) == payloads(0, 4)


def test_what_was_appended_is_read_back_from_anywhere(path: Path) -> None:
    """In portions of any size, from any frame, also what is appended after the end was reached."""
    segment = spool(path).create()
    expected = payloads(0, 50)
    offset = Segment.FIRST
    offsets = []
    for number in range(50):
        assert segment.read(offset, 10, MIB) == ([], offset)
        segment.append([expected[number]])
        offsets.append(offset)
        found, offset = segment.read(offset, 10, MIB)
        assert found == [expected[number]]
        assert offset == segment.end

    assert all_of(segment, 7) == expected
    assert all_of(segment, 1000, 1) == expected
    for number in (30, 3, 49):
        assert segment.read(offsets[number], 1000, MIB) == (expected[number:], segment.end)
    segment.stop()
    assert all_of(segment) == expected


def test_large_and_small_frames_are_read_across_blocks(path: Path) -> None:
    """Frames that are longer than what is read at once, among short ones."""
    segment = spool(path).create()
    expected = [bytes([number]) * (number * 50_001 % 700_000 + 1) for number in range(40)]
    segment.append(expected)

    assert all_of(segment, 3) == expected
    assert all_of(segment, 1000, 100_000) == expected


def test_max_bytes_ends_a_portion(path: Path) -> None:
    """A portion has one payload more than max_bytes allows, at most."""
    segment = spool(path).create()
    segment.append([b"x" * 1000] * 10)

    assert len(segment.read(Segment.FIRST, 100, 2500)[0]) == 3
    assert len(segment.read(Segment.FIRST, 2, 2500)[0]) == 2


def test_a_found_segment_is_read_to_its_stop_or_its_end(path: Path) -> None:
    """With or without STOP, and with control frames of later versions among the data."""
    folder = spool(path)
    unknown = control(77)
    with_unknown = OPENING + unknown + data(b"a") + unknown + data(b"b") + unknown + control(STOP)
    for content, expected in (
        (WHOLE, payloads(0, 5)),
        (WHOLE[:-12], payloads(0, 5)),
        (OPENING, []),
        (OPENING + control(STOP), []),
    ):
        put(path, content)
        segment = adopted(folder)
        assert all_of(segment) == expected
        assert all_of(segment, 2) == expected
        assert segment.end == len(OPENING) + sum(4 + len(each) for each in expected)
        segment.delete()
    put(path, with_unknown)
    segment = adopted(folder)
    found, offset = segment.read(Segment.FIRST, 100, MIB)
    assert found == [b"a", b"b"]
    assert segment.read(offset, 100, MIB)[0] == []
    segment.delete()


def test_a_segment_that_was_cut_anywhere(path: Path) -> None:
    """All whole frames are read, and a torn one is told from damage; nothing else is lost."""
    folder = spool(path)
    for cut in range(1, len(WHOLE) - 12):
        put(path, WHOLE[:cut])
        whole = [
            each
            for number, each in enumerate(payloads(0, 5))
            if cut >= len(capture(payloads(0, number + 1), stop=False))
        ]
        end = len(capture(whole, stop=False))
        segment = adopted(folder)
        found, offset = ([], Segment.FIRST)
        if cut > len(OPENING):
            found, offset = segment.read(Segment.FIRST, 1000, MIB) if whole else ([], offset)
        assert found == whole, cut
        if cut == end:
            assert segment.read(offset, 1000, MIB) == ([], offset)
        else:
            for _ in range(2):
                with pytest.raises(SegmentDamaged) as caught:
                    segment.read(offset, 1000, MIB)
                assert (caught.value.torn, caught.value.gone) == (True, False), cut
        segment.delete()


@pytest.mark.parametrize("zeros", [1, 3, 4, 8, 12, 511, 4096, 1 << 20])
@pytest.mark.parametrize("keep", [0, 20, len(OPENING), -21, -12])
def test_zeros_after_a_power_cut_are_a_torn_end(path: Path, zeros: int, keep: int) -> None:
    """What the file system left as zeros was never stored; the frames before it are read."""
    content = WHOLE[:keep]
    put(path, content + bytes(zeros))
    segment = adopted(spool(path))
    expected = payloads(0, 5)[: {-12: 5, -21: 4}.get(keep, 0)]
    found, offset = segment.read(Segment.FIRST, 100, MIB) if expected else ([], Segment.FIRST)

    assert found[: len(expected)] == expected
    # A frame that reaches into the zeros cannot be told from one that ends in zeros.
    assert [len(each) for each in found[len(expected) :]] in ([], [len(payloads(4, 5)[0])])
    with pytest.raises(SegmentDamaged) as caught:
        segment.read(offset, 100, MIB)
    assert caught.value.torn
    segment.delete()


DAMAGE = {
    "a length beyond all limits": struct.pack(">I", 0x78787878) + b"x" * 100,
    "a length beyond the file": struct.pack(">I", 10 * MIB) + b"x" * (2 * MIB),
    "a malformed control frame": struct.pack(">III", 0, 2, 3) + b"x" * 100,
    "a large control frame": struct.pack(">II", 0, 4000) + b"x" * 5000,
    "START": OPENING + data(b"more"),
    "STOP with frames after it": control(STOP) + data(b"more"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_segment_is_read_up_to_the_damage(path: Path, damage: bytes) -> None:
    """Then each read says where and what it is; set aside, nobody takes it up again."""
    file = put(path, WHOLE[:-12] + damage)
    folder = spool(path)
    segment = adopted(folder)
    found, offset = segment.read(Segment.FIRST, 1000, MIB)

    assert (found, offset) == (payloads(0, 5), len(WHOLE) - 12)
    for _ in range(2):
        with pytest.raises(SegmentDamaged, match=f"^byte {offset}: ") as caught:
            segment.read(offset, 1000, MIB)
        assert (caught.value.torn, caught.value.gone, caught.value.offset) == (False, False, offset)
    aside = Path(segment.set_aside())
    assert aside == file.with_suffix(".damaged")
    assert aside.read_bytes() == WHOLE[:-12] + damage
    assert (folder.adopt(), folder.size, folder.files) == (None, 0, 0)
    folder.look()
    assert (folder.size, folder.files) == (0, 0)


@pytest.mark.parametrize(
    "content", [b"GET / HTTP/1.1\r\n\r\n", control(STOP), b"\0\0\0\0\0\0\0\x22x" * 9]
)
def test_a_foreign_file_is_damaged_from_its_beginning(path: Path, content: bytes) -> None:
    """A file that only has the name of a segment."""
    put(path, content)
    segment = adopted(spool(path))

    with pytest.raises(SegmentDamaged, match=r"^byte 0: ") as caught:
        segment.read(Segment.FIRST, 1000, MIB)
    assert not caught.value.torn
    segment.delete()


def test_frames_larger_than_ours_are_read(path: Path) -> None:
    """An earlier run may have had a larger max_frame_size."""
    put(path, capture([b"a", b"x" * 3 * MIB, b"b"]))
    segment = adopted(spool(path, max_frame_size=512))

    assert all_of(segment) == [b"a", b"x" * 3 * MIB, b"b"]
    segment.delete()


def test_a_segment_that_was_deleted_by_hand(path: Path) -> None:
    """It is gone for reading and writing, and letting it go does no harm to a new file there."""
    folder = spool(path)
    segment, other = filled(folder, 1, 2), filled(folder, 3)
    os.unlink(segment.path)

    with pytest.raises(PeerClosed):
        segment.append([b"more"])
    with pytest.raises(SegmentDamaged, match="moved or deleted") as caught:
        segment.read(Segment.FIRST, 100, MIB)
    assert caught.value.gone
    Path(segment.path).write_bytes(b"of somebody else")
    segment.delete()
    assert Path(segment.path).read_bytes() == b"of somebody else"
    other.delete()


def test_a_segment_that_was_emptied_by_hand(path: Path) -> None:
    """Its frames are gone, and no hole of zeros is written into it."""
    segment = filled(spool(path), 1, 2)
    os.truncate(segment.path, 0)

    with pytest.raises(PeerClosed):
        segment.append([b"more"])
    with pytest.raises(SegmentDamaged) as caught:
        segment.read(Segment.FIRST, 100, MIB)
    assert caught.value.gone
    assert os.path.getsize(segment.path) == 0
    segment.delete()
    assert not os.path.exists(segment.path)


def test_stop_is_written_once(path: Path) -> None:
    """Stopped, released and released again, a segment has one STOP."""
    segment = filled(spool(path), 1)
    for _ in range(2):
        segment.stop()
    for _ in range(2):
        segment.release()

    assert read_whole(Path(segment.path)) == payloads(1, 2)
