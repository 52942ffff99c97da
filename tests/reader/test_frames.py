"""The frames of a capture, which are not decoded, and where they are."""

from __future__ import annotations

import errno
import os
import pty
import tty
from pathlib import Path

import pytest

from dnstap_logging.exceptions import DecodeError
from dnstap_logging.reader.reader import DnstapReader
from tests.helpers.support import capture, data, dnstap_payload


def write(path: Path, stream: bytes) -> Path:
    """Write a file; return its path."""
    path.write_bytes(stream)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "dns.dnstap"


def test_frames_are_what_the_file_holds(path: Path) -> None:
    """frames() gives each payload as it is, and where its frame begins, with nothing decoded."""
    payloads = [dnstap_payload(0), b"no dnstap", dnstap_payload(1)]
    stream = write(path, capture(payloads)).read_bytes()

    with DnstapReader(path) as reader:
        frames = list(reader.frames())

    assert [payload for _, payload in frames] == payloads
    for offset, payload in frames:
        assert stream[offset : offset + 4 + len(payload)] == data(payload)
    assert reader.complete


def test_frames_and_messages_share_one_position(path: Path) -> None:
    """Each frame comes out once: what one of the two has taken, the other does not see again."""
    with DnstapReader(write(path, capture(map(dnstap_payload, range(4))))) as reader:
        assert next(reader).extra == b"0"
        assert next(reader.frames())[1] == dnstap_payload(1)
        assert next(reader).extra == b"2"
        assert [payload for _, payload in reader.frames()] == [dnstap_payload(3)]
        with pytest.raises(StopIteration):
            next(reader)


def test_frames_end_where_the_stream_is_cut(path: Path) -> None:
    """The whole frames come first, then the error, whose offset is the end of what is whole."""
    good = capture(map(dnstap_payload, range(2)), stop=False)
    found = []

    with pytest.raises(DecodeError) as caught, DnstapReader(write(path, good + b"\0\0")) as reader:
        found.extend(payload for _, payload in reader.frames())

    assert found == [dnstap_payload(0), dnstap_payload(1)]
    assert caught.value.offset == len(good)
    with pytest.raises(DecodeError) as caught:
        DnstapReader(write(path, b"GET / HTTP/1.1"))
    assert caught.value.offset == 0


def test_the_offset_of_a_payload_that_is_no_message(path: Path) -> None:
    """An error about a payload has the offset of its frame, too."""
    good = capture([dnstap_payload(0)], stop=False)
    reader = DnstapReader(write(path, good + data(b"\xff")))
    assert next(reader).extra == b"0"

    with pytest.raises(DecodeError) as caught:
        next(reader)

    assert caught.value.offset == len(good)


def test_a_file_that_cannot_be_read_further_is_named() -> None:
    """An error of the system in the middle of a capture says which file it is of."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.write(theirs, capture([dnstap_payload(1)], stop=False))
    with open(ours, "rb", buffering=0) as file:
        reader = DnstapReader(file)
        assert next(reader).extra == b"1"
        os.close(theirs)  # the kernel answers EIO from now on
        with pytest.raises(OSError, match="error") as caught:
            next(reader)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(ours))
