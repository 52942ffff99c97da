"""Segments with any content: read up to what cannot be read, in bounded memory and time."""

from __future__ import annotations

import tempfile
import tracemalloc
from pathlib import Path
from typing import List

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dnstap_logging.spool.segment import Segment, SegmentDamaged
from tests.helpers.support import CONTENT_TYPE, START, STOP, capture, control, data
from tests.spool.spools import MIB, adopted, payloads, put, spool

PIECES = st.lists(
    st.one_of(
        st.binary(min_size=1, max_size=60),
        st.binary(min_size=1, max_size=60).map(data),
        st.sampled_from(payloads(0, 20)).map(data),
        st.sampled_from(
            [control(START, CONTENT_TYPE), control(STOP), control(99), bytes(12), bytes(4)]
        ),
    ),
    max_size=12,
).map(b"".join)
FRAMES = st.lists(st.binary(min_size=1, max_size=300), max_size=12)


def read_all(segment: Segment, max_records: int, max_bytes: int) -> List[bytes]:
    """Return what can be read; whatever comes then, comes again at the next read."""
    found: List[bytes] = []
    offset = Segment.FIRST
    while True:
        damage = None
        try:
            more, after = segment.read(offset, max_records, max_bytes)
        except SegmentDamaged as error:
            damage = error
        if damage is not None:
            with pytest.raises(SegmentDamaged) as again:
                segment.read(offset, max_records, max_bytes)
            assert (again.value.offset, again.value.torn) == (damage.offset, damage.torn)
            return found
        if not more:
            assert segment.read(after, max_records, max_bytes) == ([], after)
            return found
        assert after > offset
        found += more
        offset = after


@example(content=data(b"\0") + control(0) + data(b"\0"), limit=1, size=1, opened=True)
@given(content=PIECES, limit=st.integers(1, 9), size=st.integers(1, 200), opened=st.booleans())
def test_any_content_is_read_to_its_end(
    content: bytes, limit: int, size: int, opened: bool
) -> None:
    """However it is read, the same frames are found; nothing but SegmentDamaged is raised."""
    content = control(START, CONTENT_TYPE) + content if opened else content or b"x"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool"
        put(path, content)
        segment = adopted(spool(path))
        at_once = read_all(segment, 10_000, 64 * MIB)
        in_portions = read_all(segment, limit, size)
        segment.delete()

    assert at_once == in_portions
    # Each is there, behind the one before it; control frames of other kinds may lie between.
    place = 0
    for frame in map(data, at_once):
        place = content.find(frame, place)
        assert place >= 0, frame
        place += len(frame)


@given(frames=FRAMES, tail=st.binary(max_size=50))
def test_the_front_of_a_damaged_segment_is_never_lost(frames: List[bytes], tail: bytes) -> None:
    """All frames before the damage are read."""
    whole = capture(frames, stop=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spool"
        put(path, whole + tail)
        segment = adopted(spool(path))
        found = read_all(segment, 5, MIB)
        segment.delete()

    assert found[: len(frames)] == frames


def test_memory_is_bounded_by_what_is_asked_for(tmp_path: Path) -> None:
    """A large segment is read in portions; a length that promises much takes no memory."""
    path = tmp_path / "spool"
    folder = spool(path, 1024 * MIB)
    segment = folder.create()
    for _ in range(80):
        segment.append([bytes(1000)] * 200)
    segment.release()
    put(path, capture([], stop=False) + b"\xff\xff\xff\xff" + bytes(MIB), "1-1.fstrm")
    hostile, large = adopted(folder), adopted(folder)
    tracemalloc.start()
    try:
        assert read_all(hostile, 1000, MIB) == []
        offset, count = Segment.FIRST, 0
        while True:
            found, offset = large.read(offset, 1000, 200_000)
            if not found:
                break
            count += len(found)
        del found
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 16_000
    assert peak < 2 * MIB, peak
    hostile.delete()
    large.delete()
