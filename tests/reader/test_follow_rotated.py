"""A reader that follows, and a path that gets another file, or a file another stream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dnstap_logging.exceptions import DecodeError
from dnstap_logging.framestream.frames import STOP
from dnstap_logging.reader.reader import DnstapReader
from tests.helpers.support import wait_until
from tests.reader.following import START_FRAME, Following, append, frames


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a capture with one message, as its writer has it open."""
    path = tmp_path / "dns.dnstap"
    path.write_bytes(frames(0))
    return path


def test_rotated_with_create(path: Path) -> None:
    """The old file is read to its STOP, also behind the move; then the new one, from its START."""
    moved = path.with_name("moved")
    with Following(path) as following:
        following.wait_for(0)
        path.rename(moved)
        following.wait_for_looks()
        path.write_bytes(b"")  # logrotate's create: the writer does not know yet
        following.wait_for_looks()
        append(moved, frames(1, start=False) + STOP)
        following.wait_for(0, 1)
        append(path, frames(2))
        following.wait_for(0, 1, 2)
        assert following.reader.offset == path.stat().st_size


def test_rotated_between_two_looks(path: Path) -> None:
    """What was written to the old file, and to the new one, before the move was seen comes too."""
    with Following(path) as following:
        following.wait_for(0)
        append(path, frames(1, start=False) + STOP)
        path.rename(path.with_name("moved"))
        path.write_bytes(frames(2) + STOP)
        following.wait_for(0, 1, 2)
        wait_until(lambda: following.reader.complete, "STOP")
        path.rename(path.with_name("moved.2"))
        path.write_bytes(frames(3))
        following.wait_for(0, 1, 2, 3)


def test_rotated_faster_than_it_is_read(path: Path) -> None:
    """A reader who is behind reads every file that took the path's place meanwhile."""
    several = range(1, 10_000)  # many blocks
    append(path, frames(*several, start=False))
    with DnstapReader(path, follow=True) as reader:
        found = [int(next(reader).extra or b"-1")]
        for number in range(3):
            append(path, STOP)
            path.rename(path.with_name(f"moved.{number}"))
            path.write_bytes(frames(10_000 + number))
            found += [int(next(reader).extra or b"-1") for _ in range(3000)]
        found += [int(next(reader).extra or b"-1") for _ in range(len(several) + 4 - len(found))]

    assert found == [*range(10_003)]


def test_a_writer_that_was_killed_and_a_new_file(path: Path) -> None:
    """A frame that nobody will complete is skipped, and its bytes are counted."""
    append(path, frames(9, start=False)[:5])
    with Following(path) as following:
        following.wait_for(0)
        path.rename(path.with_name("moved"))
        path.write_bytes(frames(1))
        following.wait_for(0, 1)
        assert following.reader.skipped == 5


@pytest.mark.parametrize("size", [0, 1])
def test_emptied_in_place(path: Path, size: int) -> None:
    """After copytruncate the same file holds a new stream, which is read from its START."""
    append(path, frames(*range(1, 20), start=False))
    with Following(path) as following:
        following.wait_for(*range(20))
        os.truncate(path, 0)
        append(path, frames(20)[: size * len(START_FRAME)])
        following.wait_for_looks()
        append(path, frames(20)[size * len(START_FRAME) :])
        following.wait_for(*range(21))


def test_emptied_and_filled_beyond_where_it_was_read(path: Path) -> None:
    """A new stream that is already longer than the old one is noticed by its bytes."""
    with Following(path) as following:
        following.wait_for(0)
        following.wait_for_looks()
        new = path.with_name("new")
        new.write_bytes(frames(*range(100, 200)))
        with open(path, "r+b", buffering=0) as file:
            file.write(new.read_bytes())  # in one go: no look finds it shorter
        following.wait_for(0, *range(100, 200))


def test_a_file_that_was_emptied_under_its_writer(path: Path) -> None:
    """Frames without START, which a writer puts right in the next moment, are no damage yet."""
    following = Following(path)
    stream: Any = following.reader._stream
    look = stream._source.look

    def look_a_moment_later(*args: Any, **kwargs: Any) -> Any:
        if stream._doubted == 0:
            path.write_bytes(frames(2))
        return look(*args, **kwargs)

    stream._source.look = look_a_moment_later
    with following:
        following.wait_for(0)
        path.write_bytes(frames(1, start=False)[:-1])
        following.wait_for(0, 2)


def test_a_file_that_became_something_else(path: Path) -> None:
    """What is still no stream in a second look is an error."""
    with Following(path) as following:
        following.wait_for(0)
        path.write_bytes(b"GET / HTTP/1.1")
        error = following.wait_for_end()

    assert isinstance(error, DecodeError)
    assert (error.offset, "not Frame Streams" in str(error)) == (0, True)
