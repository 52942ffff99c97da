"""Several streams in one file, as `cat a b` makes them: each is read, and they are counted."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

from dnstap_logging import DnstapReader
from dnstap_logging.exceptions import DecodeError
from tests.cli.running import call, run
from tests.helpers.support import CONTENT_TYPE, START, STOP, capture, control, data, dnstap_payload
from tests.reader.following import Following, append


def stream(*numbers: int, stop: bool = True) -> bytes:
    """Return a stream with these messages."""
    return capture([dnstap_payload(each) for each in numbers], stop=stop)


def numbers_in(reader: DnstapReader) -> List[int]:
    """Return the numbers of the messages that a reader yields."""
    return [int(each.extra or b"-1") for each in reader]


class Trickle(io.RawIOBase):
    """A source that gives a few bytes at a time, as pipes may."""

    def __init__(self, content: bytes, portion: int) -> None:
        super().__init__()
        self._content, self._portion = io.BytesIO(content), portion

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(size, self._portion))


@pytest.mark.parametrize("portion", [1, 3, 41, 42, 43, 97, 1 << 20])
def test_all_streams_are_read(portion: int) -> None:
    """Wherever the blocks are cut: every message in its order, and empty streams too."""
    content = stream(0, 1) + stream() + stream(2) + stream(3, 4)
    with DnstapReader(Trickle(content, portion)) as reader:  # type: ignore[arg-type]
        assert numbers_in(reader) == [0, 1, 2, 3, 4]
        assert (reader.streams, reader.complete, reader.offset) == (4, True, len(content))


def test_one_stream_is_one() -> None:
    """Also while it is read."""
    with DnstapReader(io.BytesIO(stream(0, 1))) as reader:
        assert reader.streams == 1
        assert numbers_in(reader) == [0, 1]
        assert reader.streams == 1


def test_frames_know_where_they_are() -> None:
    """Offsets are those in the file, also behind the first STOP."""
    content = stream(0) + stream(1)
    with DnstapReader(io.BytesIO(content)) as reader:
        found = list(reader.frames())

    assert [content[at : at + 4 + len(payload)] for at, payload in found] == [
        data(dnstap_payload(number)) for number in (0, 1)
    ]


FIRST = stream(0)
SECOND = stream(1, 2)
BAD: Dict[str, Tuple[bytes, List[int], int, str]] = {
    "without STOP": (stream(1, 2, stop=False), [0, 1, 2], 0, ""),
    "cut in a frame": (stream(1, 2, stop=False)[:-3], [0, 1], 1, "the file ends inside a frame"),
    "cut in START": (SECOND[:20], [0], -1, "bytes after the end of the stream"),
    "garbage": (b"garbage and more of it", [0], -1, "bytes after the end of the stream"),
    "zeros": (bytes(4096), [0], -1, "bytes after the end of the stream"),
    "one byte": (b"\0", [0], -1, "bytes after the end of the stream"),
    "data": (data(b"x"), [0], -1, "bytes after the end of the stream"),
    "STOP": (control(STOP), [0], -1, "bytes after the end of the stream"),
    "READY": (control(4, CONTENT_TYPE), [0], -1, "READY, where a file has START"),
    "another content type": (control(START, b"protobuf:other"), [0], -1, "protobuf:other"),
}
"""What follows the first stream, what is read, at which message the damage is, and what is said."""


@pytest.mark.parametrize("name", BAD)
def test_what_follows_may_be_damaged(name: str, tmp_path: Path) -> None:
    """What is whole of it is read, and the damage has its place in the file."""
    rest, expected, damaged, text = BAD[name]
    reader = DnstapReader(io.BytesIO(FIRST + rest))
    found: List[int] = []
    if not text:
        found = numbers_in(reader)
        assert not reader.complete
    else:
        with pytest.raises(DecodeError, match=text) as caught:
            found.extend(int(each.extra or b"-1") for each in reader)
        at = len(FIRST) if damaged < 0 else len(FIRST) + len(stream(1, stop=False))
        assert caught.value.offset == at
    assert found == expected

    path = tmp_path / "joined"
    path.write_bytes(FIRST + rest)
    outcome = call("check", "--json", path)
    report = json.loads(outcome.out)
    assert (outcome.status, report["whole"], report["messages"]) == (1, False, len(expected))


def test_a_stream_that_was_cut_ends_all() -> None:
    """A START within a stream is no legal frame: nothing says where the cut one ends."""
    with pytest.raises(DecodeError, match="START"):
        numbers_in(DnstapReader(io.BytesIO(stream(0, stop=False) + stream(1))))


def test_followed_files_go_on_over_stop(tmp_path: Path) -> None:
    """Streams that were there, that are added at once, and that come byte by byte."""
    path = tmp_path / "followed"
    path.write_bytes(stream(0) + stream(1))
    with Following(path) as following:
        following.wait_for(0, 1)
        append(path, stream(2))
        following.wait_for(0, 1, 2)
        for octet in stream(3, stop=False):
            append(path, bytes((octet,)))
        following.wait_for(0, 1, 2, 3)
        append(path, data(dnstap_payload(4)) + control(STOP) + stream(5))
        following.wait_for(0, 1, 2, 3, 4, 5)


# -- the command line --------------------------------------------------------------------------


@pytest.fixture
def joined(tmp_path: Path) -> Path:
    """Return two captures in one file."""
    path = tmp_path / "joined.fstrm"
    path.write_bytes(FIRST + SECOND)
    return path


@pytest.mark.parametrize("source", ["file", "pipe"])
def test_read_prints_all_and_says_so_once(source: str, joined: Path) -> None:
    """As in `cat a b | dnstap-logging read -`."""
    is_file = source == "file"
    name: str = str(joined) if is_file else "-"
    outcome = run(
        "read", "--format", "{extra}", name, stdin=b"" if is_file else joined.read_bytes()
    )

    assert (outcome.status, outcome.out.split()) == (0, ["0", "1", "2"])
    assert outcome.err.count("\n") == 1
    assert ": 2 streams, one after the other" in outcome.err


def test_check_says_how_many(joined: Path) -> None:
    """It is whole, with a line that other programs will not see all of it."""
    outcome = call("check", joined)
    assert outcome.status == 0
    assert "  2 streams, one after the other" in outcome.out
    report = json.loads(call("check", "--json", joined).out)
    assert (report["whole"], report["streams"], report["messages"]) == (True, 2, 3)


def test_repair_makes_one_stream_of_them(joined: Path, tmp_path: Path) -> None:
    """What other programs read to its end."""
    out = tmp_path / "one"
    assert call("check", "--repair", out, joined).status == 0

    assert out.read_bytes() == stream(0, 1, 2)


def test_top_and_send_take_all(joined: Path) -> None:
    """The others read by the same reader."""
    assert json.loads(call("top", "--json", joined).out)["messages"] == 3


@pytest.mark.parametrize("opened", ["path", "file", "pipe"])
def test_a_reader_reads_all_of_it(opened: str, joined: Path) -> None:
    """`DnstapReader`, of whatever source."""
    if opened == "path":
        reader = DnstapReader(joined)
        assert numbers_in(reader) == [0, 1, 2]
        return
    if opened == "file":
        with joined.open("rb") as file:
            assert numbers_in(DnstapReader(file)) == [0, 1, 2]
        return
    end, other_end = os.pipe()

    def write() -> None:
        with os.fdopen(other_end, "wb") as pipe:
            pipe.write(joined.read_bytes())

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(end, "rb") as pipe:
        assert numbers_in(DnstapReader(pipe)) == [0, 1, 2]
    thread.join()
