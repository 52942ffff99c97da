"""A reader that follows a file that grows, or goes on after its STOP, and what ends it."""

from __future__ import annotations

import io
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import BinaryIO, Iterator, List, Union

import pytest

from dnstap_logging.exceptions import DecodeError
from dnstap_logging.framestream.frames import STOP
from dnstap_logging.reader.follow import POLL_INTERVAL
from dnstap_logging.reader.reader import DnstapReader
from tests.helpers.support import (
    CONTENT_TYPE,
    READY,
    START,
    control,
    data,
    dnstap_payload,
    wait_until,
)
from tests.reader.following import START_FRAME, Following, append, frames


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a capture with one message, as its writer has it open."""
    path = tmp_path / "dns.dnstap"
    path.write_bytes(frames(0))
    return path


def test_goes_on_at_the_end_of_a_growing_file(path: Path) -> None:
    """What is written later comes out, message by message, until close() ends the iteration."""
    with Following(path) as following:
        following.wait_for(0)
        for number in range(1, 4):
            append(path, frames(number, start=False))
            following.wait_for(*range(number + 1))
        assert following.reader.content_type == CONTENT_TYPE
        assert following.reader.offset == path.stat().st_size
        assert not following.reader.complete


def test_a_torn_frame_is_not_yet_whole(path: Path) -> None:
    """A frame that comes byte by byte comes out once it is whole, and is no damage before."""
    with Following(path) as following:
        following.wait_for(0)
        frame = frames(1, start=False)
        for byte in frame[:-1]:
            append(path, bytes([byte]))
        following.wait_for_looks()
        following.wait_for(0)
        append(path, frame[-1:])
        following.wait_for(0, 1)
    assert following.reader.skipped == 0


def test_a_file_that_begins_empty(path: Path) -> None:
    """A file without its START, or with a part of it, is waited for; None is its content type."""
    path.write_bytes(b"")
    with Following(path) as following:
        assert following.reader.content_type is None
        append(path, START_FRAME[:7])
        following.wait_for_looks()
        append(path, START_FRAME[7:] + frames(5, start=False))
        following.wait_for(5)
        assert following.reader.content_type == CONTENT_TYPE


@pytest.mark.parametrize("more", [frames(1, start=False), frames(1, 2, 3, start=False)])
def test_a_capture_that_is_continued_after_its_stop(path: Path, more: bytes) -> None:
    """A STOP that the next frame is written over, as mode="a" does, was not the end."""
    append(path, STOP)
    with Following(path) as following:
        following.wait_for(0)
        wait_until(lambda: following.reader.complete, "STOP")
        whole = path.stat().st_size - len(STOP)
        os.truncate(path, whole)
        append(path, more)
        wait_until(lambda: following.reader.offset == whole + len(more), "the new frames")
        append(path, STOP)
        wait_until(lambda: following.reader.complete, "STOP again")
        following.wait_for(*range(len(following.numbers)))
        assert len(following.numbers) >= 2


def test_a_frame_as_long_as_stop_in_its_place(path: Path) -> None:
    """The size does not tell that something was written over STOP; the bytes do."""
    short = b"\x78\x01\x72\x04\x08\x05\x10\x01"  # a whole message in 8 bytes: no extra, so -1
    assert len(data(short)) == len(STOP)
    append(path, STOP)
    with Following(path) as following:
        following.wait_for(0)
        wait_until(lambda: following.reader.complete, "STOP")
        following.wait_for_looks()
        with open(path, "r+b") as file:
            file.seek(-len(STOP), os.SEEK_END)
            file.write(data(short))
        following.wait_for(0, -1)


def test_a_torn_frame_that_is_cut_off(path: Path) -> None:
    """What a killed writer left is cut off by the next one: its first frame stands there then."""
    append(path, frames(7, start=False)[:-2])
    with Following(path) as following:
        following.wait_for(0)
        following.wait_for_looks()
        os.truncate(path, len(frames(0)))
        append(path, frames(1, 2, start=False))
        following.wait_for(0, 1, 2)


def test_damage_ends_it(path: Path) -> None:
    """What no writer can have meant is an error with its offset, in whatever part it stands."""
    with Following(path) as following:
        following.wait_for(0)
        append(path, b"\xff\xff\xff\xff garbage")
        error = following.wait_for_end()

    assert isinstance(error, DecodeError)
    assert error.offset == len(frames(0))
    assert str(error).startswith(f"{path}: byte {error.offset}: received a data frame of 42949")


def test_bytes_after_stop_are_damage(path: Path) -> None:
    """Nothing but another stream may follow a STOP, in a file that is followed neither."""
    append(path, STOP + frames(1, start=False))
    with Following(path) as following:
        error = following.wait_for_end()

    assert following.numbers == [0]
    assert "after the end of the stream" in str(error)


def test_a_payload_that_is_no_message(path: Path) -> None:
    """An undecodable payload is an error there, too, with the offset of its frame."""
    with Following(path) as following:
        following.wait_for(0)
        append(path, data(b"\xff"))
        error = following.wait_for_end()

    assert isinstance(error, DecodeError)
    assert error.offset == len(frames(0))


def test_zeros_that_a_reading_met_are_read_again(path: Path) -> None:
    """Bytes that were never meant, seen between a writer's two calls, are no damage."""
    append(path, STOP)
    following = Following(path)
    source = following.reader._stream._source
    seen: List[bytes] = []

    class Torn(io.FileIO):
        def read(self, size: int = -1) -> bytes:
            block = super().read(size)
            if block.endswith(STOP) and not seen:
                seen.append(block)
                return block[: -len(STOP)] + bytes(len(STOP))
            return block

    source._file.close()
    source._file = Torn(path)
    source.go_to(len(START_FRAME))
    following.reader._stream._go_on_from(len(START_FRAME), b"")
    with following:
        following.wait_for(0)
        wait_until(lambda: following.reader.complete, "STOP, in the second reading")
    assert seen


@pytest.mark.parametrize(
    "stream",
    [b"GET / HTTP/1.1\r\n\r\n", control(READY, CONTENT_TYPE), b"\x1f\x8b12345"],
    ids=["http", "ready", "gzip"],
)
def test_what_is_no_capture(path: Path, stream: bytes) -> None:
    """A file that can never become a capture is refused at once."""
    path.write_bytes(stream)

    with pytest.raises(DecodeError, match=f"^{path}: byte 0: "):
        DnstapReader(path, follow=True)


def test_a_wrong_content_type(path: Path) -> None:
    """A stream of another content type is refused by the iteration."""
    path.write_bytes(control(START, b"text/plain"))

    with DnstapReader(path, follow=True) as reader, pytest.raises(DecodeError, match="text/plain"):
        next(reader)


@pytest.mark.parametrize("kind", ["file", "socket"])
def test_only_a_path_can_be_followed(path: Path, kind: str) -> None:
    """What cannot be opened again is refused, and the text says so."""
    one, other = socket.socketpair()
    with one, other, open(path, "rb") as file:
        source: Union[BinaryIO, socket.socket] = file if kind == "file" else one
        with pytest.raises(ValueError, match="follow=True needs a path"):
            DnstapReader(source, follow=True)


def test_only_a_regular_file_can_be_followed(tmp_path: Path) -> None:
    """A fifo is refused without waiting for its writer, a missing file as without following."""
    os.mkfifo(tmp_path / "fifo")

    with pytest.raises(ValueError, match="follow=True needs a regular file"):
        DnstapReader(tmp_path / "fifo", follow=True)
    with pytest.raises(FileNotFoundError):
        DnstapReader(tmp_path / "absent", follow=True)
    with pytest.raises(IsADirectoryError):
        DnstapReader(tmp_path, follow=True)


def test_frames_follow_too(path: Path) -> None:
    """frames() goes on like the messages, with offsets in the file."""
    with DnstapReader(path, follow=True) as reader:
        found: Iterator[tuple[int, bytes]] = reader.frames()
        assert next(found) == (len(START_FRAME), dnstap_payload(0))
        append(path, frames(1, start=False))
        assert next(found) == (len(frames(0)), dnstap_payload(1))


def test_close_by_a_signal_handler(path: Path) -> None:
    """A signal handler may close the reader that its own thread is waiting in."""
    following = Following(path)
    reader = following.reader

    def interrupt() -> None:
        following.wait_for_looks()
        signal.pthread_kill(main, signal.SIGUSR1)

    main = threading.get_ident()
    previous = signal.signal(signal.SIGUSR1, lambda *_: reader.close())
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        found = [message.extra for message in reader]
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, previous)

    assert found == [b"0"]
    with pytest.raises(StopIteration):
        next(reader)


def test_close_before_the_first_message(path: Path) -> None:
    """A reader that was closed while nobody iterated it has ended, and its file is closed."""
    reader = DnstapReader(path, follow=True)
    reader.close()

    assert list(reader) == []
    assert reader._stream._source._file.closed


def test_waits_between_two_looks(path: Path) -> None:
    """An idle reader looks some ten times a second, and does not turn in circles."""
    with Following(path) as following:
        following.wait_for(0)
        following.wait_for_looks()
        started = time.monotonic()
        following.wait_for_looks(6)
        elapsed = time.monotonic() - started

    assert elapsed >= 5 * POLL_INTERVAL
