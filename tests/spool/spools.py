"""Folders of the spool's tests, and what lies in them, read without the spool."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List, Sequence

from dnstap_logging.spool.folder import SpoolFolder
from dnstap_logging.spool.segment import Segment
from tests.helpers.support import dnstap_payload

MIB = 1024 * 1024
ADDRESS = "unix:///run/collector.sock"


def spool(path: Path, max_bytes: int = 64 * MIB, *addresses: str, **options: Any) -> SpoolFolder:
    """Return a folder that has been checked."""
    size = options.pop("max_frame_size", MIB)
    folder = SpoolFolder(str(path), max_bytes, addresses or (ADDRESS,), size)
    folder.check()
    return folder


def payloads(first: int, last: int) -> List[bytes]:
    """Return dnstap messages with the numbers from the first up to before the last."""
    return [dnstap_payload(number) for number in range(first, last)]


def filled(folder: SpoolFolder, *numbers: int) -> Segment:
    """Return a new segment with these messages."""
    segment = folder.create()
    segment.append([dnstap_payload(number) for number in numbers])
    return segment


def all_of(segment: Segment, max_records: int = 1000, max_bytes: int = MIB) -> List[bytes]:
    """Return all payloads of a segment, read from its beginning in portions."""
    found: List[bytes] = []
    offset = Segment.FIRST
    while True:
        more, after = segment.read(offset, max_records, max_bytes)
        if not more:
            assert after == offset
            return found
        assert len(more) <= max_records
        assert after == offset + sum(4 + len(each) for each in more)
        found += more
        offset = after


def names(path: Path) -> List[str]:
    """Return the names of all segments of a folder, in order."""
    return sorted(each.name for each in path.glob("*.fstrm"))


def put(path: Path, content: bytes, name: str = "1700000000000000000-1.fstrm") -> Path:
    """Put a file into a folder, as a process of an earlier run left it."""
    path.mkdir(exist_ok=True)
    file = path / name
    file.write_bytes(content)
    return file


def adopted(folder: SpoolFolder) -> Segment:
    """Return the oldest segment that nobody has; there must be one."""
    segment = folder.adopt()
    assert segment is not None
    assert segment.found
    return segment


def adopt_all(folder: SpoolFolder) -> Sequence[Segment]:
    """Return all segments that nobody has, the oldest first."""
    return list(iter(folder.adopt, None))
