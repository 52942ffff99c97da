"""A full disk: a segment takes all of what it is given, or nothing, and stays whole."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from dnstap_logging.exceptions import DiskFull
from dnstap_logging.spool.segment import Segment
from tests.situations.captures.small_disk import INODES, PAGE, Disk, on_a_small_disk
from tests.situations.captures.whole import read_whole
from tests.spool.spools import all_of, filled, payloads, spool

BATCH = [bytes([number]) * 300 for number in range(50)]


@on_a_small_disk
def test_all_or_nothing_is_stored(disk: Disk) -> None:
    """What found no room is not in the segment; when there is room again, it goes on."""
    folder = spool(disk.capture.parent / "spool")
    segment = filled(folder, 0)
    disk.fill(leave=1)
    for _ in range(3):
        with pytest.raises(DiskFull, match="no space left"):
            segment.append(BATCH)
    assert all_of(segment) == payloads(0, 1)
    segment.append(payloads(1, 2))
    assert folder.size == Path(segment.path).stat().st_size

    disk.free()
    segment.append(BATCH)
    assert all_of(segment) == [*payloads(0, 2), *BATCH]
    assert folder.size == Path(segment.path).stat().st_size
    segment.release()
    assert [len(each) for each in map(all_of, iter(folder.adopt, None))] == [52]


@on_a_small_disk
def test_stop_is_left_out_where_it_has_no_room(disk: Disk) -> None:
    """The segment is whole but for its STOP, and is read to its end."""
    folder = spool(disk.capture.parent / "spool")
    segment = folder.create()
    segment.append([b"x" * (PAGE - 42 - 4 - 5)])
    disk.fill()
    segment.stop()
    segment.release()

    assert Path(segment.path).stat().st_size == PAGE - 5
    found = folder.adopt()
    assert found is not None
    assert [len(each) for each in all_of(found)] == [PAGE - 51]
    found.delete()
    assert (folder.size, folder.files) == (0, 0)


@on_a_small_disk
def test_no_segment_is_made_without_room(disk: Disk) -> None:
    """Neither without a page nor without an inode; nothing half made is left."""
    path = disk.capture.parent / "spool"
    folder = spool(path)
    segments: List[Segment] = []
    with pytest.raises(DiskFull, match=r"^spool='.*': no space left on the device"):
        segments.extend(filled(folder, 1) for _ in range(INODES))
    assert len(segments) > INODES // 2
    assert len(list(path.iterdir())) == 1 + len(segments)
    segments.pop().delete()
    disk.fill()
    with pytest.raises(DiskFull):
        folder.create()
    assert len(list(path.iterdir())) == 1 + len(segments)
    spool(path)  # room may come before the first record
    for segment in segments:
        segment.release()
        assert read_whole(Path(segment.path)) == payloads(1, 2)


@on_a_small_disk
def test_a_folder_on_a_full_disk_can_be_used_later(disk: Disk) -> None:
    """Where not even the addresses could be noted, they are noted with the first segment."""
    disk.fill()
    path = disk.capture.parent / "spool"
    path.mkdir()
    folder = spool(path)
    assert list(path.iterdir()) == []
    with pytest.raises(DiskFull):
        folder.create()
    disk.free()

    filled(folder, 1).release()
    assert len(list(path.iterdir())) == 2
