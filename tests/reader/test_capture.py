"""The reader on real captures, and on every way in which a file can be wrong."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path
from typing import Iterator, List, Union

import pytest

from dnstap_logging.exceptions import DecodeError
from dnstap_logging.message.enums import MessageType
from dnstap_logging.reader.reader import DnstapReader
from tests.helpers.support import (
    CONTENT_TYPE,
    READY,
    START,
    STOP,
    capture,
    control,
    data,
    dnstap_payload,
)

START_SIZE = len(control(START, CONTENT_TYPE))


def numbers(reader: Iterator[object]) -> List[int]:
    """Return what `dnstap_payload` was given for each message."""
    return [int(message.extra) for message in reader]  # type: ignore[attr-defined]


def write(path: Path, stream: bytes) -> Path:
    """Write a file; return its path."""
    path.write_bytes(stream)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a file that is not there yet."""
    return tmp_path / "dns.dnstap"


def read_until_error(path: Path) -> tuple[List[int], str]:
    """Return the messages before the damage, and the error's text."""
    found: List[int] = []
    with pytest.raises(DecodeError) as caught, DnstapReader(path) as reader:
        found.extend(int(message.extra or b"-1") for message in reader)
    return found, str(caught.value)


@pytest.mark.parametrize("as_type", [str, Path])
def test_reads_a_whole_capture(path: Path, as_type: type[Union[str, Path]]) -> None:
    """Every message comes out, in order, decoded; the end is known to be the end."""
    stream = capture(dnstap_payload(n) for n in range(2000))

    with DnstapReader(as_type(write(path, stream))) as reader:
        assert reader.content_type == CONTENT_TYPE
        assert not reader.complete, "nothing but START has been read"
        assert reader.offset == START_SIZE
        messages = list(reader)

    assert [int(message.extra or b"") for message in messages] == list(range(2000))
    assert {message.message_type for message in messages} == {MessageType.CLIENT_QUERY}
    assert reader.complete
    assert reader.offset == len(stream), "all of the file is accounted for"


def test_reads_lazily(path: Path) -> None:
    """The offset follows the messages, so a reader can tell how far it is."""
    payloads = [dnstap_payload(n) for n in range(3)]

    with DnstapReader(write(path, capture(payloads))) as reader:
        offsets = [reader.offset]
        for _ in reader:
            offsets.append(reader.offset)

    sizes = [4 + len(payload) for payload in payloads]
    assert offsets == [START_SIZE + sum(sizes[:n]) for n in range(4)]


def test_a_frame_larger_than_a_block(path: Path) -> None:
    """A frame that spans several blocks comes out whole."""
    payload = dnstap_payload(7) + b"\x1a\x80\x80\x0c" + b"7" * (3 << 16)  # extra, again: last wins

    with DnstapReader(write(path, capture([dnstap_payload(1), payload, dnstap_payload(2)]))) as got:
        assert [len(message.extra or b"") for message in got] == [1, 3 << 16, 1]


def test_next_and_for_share_one_position(path: Path) -> None:
    """It is an iterator: what next() has taken, a for loop does not see again."""
    with DnstapReader(write(path, capture(dnstap_payload(n) for n in range(3)))) as reader:
        assert next(reader).extra == b"0"
        assert numbers(iter(reader)) == [1, 2]
        with pytest.raises(StopIteration):
            next(reader)


def test_a_capture_without_messages(path: Path) -> None:
    """START and STOP alone are a complete capture."""
    with DnstapReader(write(path, capture([]))) as reader:
        assert list(reader) == []
        assert reader.complete


def test_without_stop_ends_quietly(path: Path) -> None:
    """A writer that was killed between two frames left no damage, only an open end."""
    stream = capture(map(dnstap_payload, range(3)), stop=False)

    with DnstapReader(write(path, stream)) as reader:
        assert numbers(reader) == [0, 1, 2]
        assert not reader.complete


@pytest.mark.parametrize("missing", [1, 3, 13, 15])
def test_cut_inside_a_frame(path: Path, missing: int) -> None:
    """Every whole message first, then an error that says where the cut one begins."""
    payloads = [dnstap_payload(n) for n in range(3)]
    stream = capture(payloads, stop=False)
    last = len(stream) - len(data(payloads[2]))

    found, text = read_until_error(write(path, stream[:-missing]))

    assert found == [0, 1]
    assert text.startswith(f"{path}: byte {last}: the file ends inside a frame"), text


def test_a_cut_at_any_place_is_never_silent(path: Path) -> None:
    """Whatever length a damaged copy has: whole messages come out, and nothing else does."""
    payloads = [dnstap_payload(n) for n in range(3)]
    stream = capture(payloads)
    bounds = [START_SIZE]
    for payload in payloads:
        bounds.append(bounds[-1] + 4 + len(payload))

    for size in range(len(stream)):
        expected = list(range(sum(size >= bound for bound in bounds[1:])))
        write(path, stream[:size])
        if size in bounds:
            with DnstapReader(path) as reader:
                assert numbers(reader) == expected
                assert not reader.complete
        else:
            found, _ = read_until_error(path)
            assert found == expected, f"cut after {size} bytes"


def test_damage_in_the_middle(path: Path) -> None:
    """A length that cannot be is refused where it stands, after the messages before it."""
    good = capture([dnstap_payload(0)], stop=False)

    found, text = read_until_error(write(path, good + b"\xff\xff\xff\xff" + bytes(100)))

    assert found == [0]
    assert text.startswith(f"{path}: byte {len(good)}: "), text
    assert "4294967295" in text
    assert "1048576" in text


def test_max_frame_size_is_the_caller_s(path: Path) -> None:
    """The limit is an argument: the same frame is taken or refused."""
    payload = dnstap_payload(1)
    write(path, capture([payload]))

    with DnstapReader(path, max_frame_size=len(payload)) as reader:
        assert numbers(reader) == [1]
    reader = DnstapReader(path, max_frame_size=len(payload) - 1)
    with pytest.raises(DecodeError, match=f"byte {START_SIZE}: "):
        next(reader)


def test_a_payload_that_is_no_dnstap_message(path: Path) -> None:
    """The error names the frame's own offset, not the next one's."""
    good = capture([dnstap_payload(0)], stop=False)

    found, text = read_until_error(write(path, good + data(b"\xff\xff\xff") + control(STOP)))

    assert found == [0]
    assert text.startswith(f"{path}: byte {len(good)}: "), text


@pytest.mark.parametrize("tail", [b"\0", b"rubbish", data(dnstap_payload(9))])
def test_bytes_after_stop_are_damage(path: Path, tail: bytes) -> None:
    """Bytes that are not another stream are an error, and not skipped."""
    stream = capture([dnstap_payload(0)])

    found, text = read_until_error(write(path, stream + tail))

    assert found == [0]
    assert text.startswith(f"{path}: byte {len(stream)}: "), text


def test_bytes_after_stop_in_the_next_block(tmp_path: Path) -> None:
    """The same when the block ends exactly behind STOP."""

    class TwoBlocks(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return blocks.pop(0)

    blocks = [capture([dnstap_payload(0)]), b"x", b""]
    with DnstapReader(TwoBlocks()) as reader:  # type: ignore[arg-type]
        assert next(reader).extra == b"0"
        with pytest.raises(DecodeError, match="after the end"):
            next(reader)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"", "byte 0: the file is empty"),
        (b"\0\0", "byte 0: the file ends inside a frame"),
        (control(START, CONTENT_TYPE)[:20], "byte 0: the file ends inside a frame"),
        (control(START, b"text/plain"), "b'text/plain'"),
        (control(READY, CONTENT_TYPE), "a file cannot negotiate"),
        (control(STOP), "STOP"),
        (data(dnstap_payload(1)), "this is not Frame Streams"),
        (b"GET / HTTP/1.1\r\n\r\n", "it begins with b'GET / HTTP/1.1\\r\\n'"),
        (gzip.compress(capture([])), "it looks like gzip"),
        (bytes(100), "byte 0: received a control frame of 0 bytes"),
    ],
    ids=["empty", "two", "cut", "type", "ready", "stop", "data", "http", "gzip", "zeros"],
)
def test_what_is_no_capture(path: Path, stream: bytes, expected: str) -> None:
    """Each kind of wrong file is one clear error at once, which names the file."""
    with pytest.raises(DecodeError) as caught:
        DnstapReader(write(path, stream))

    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert expected in text


def test_a_start_without_content_type_is_taken(path: Path) -> None:
    """Frame Streams allows it; the messages tell."""
    stream = control(START) + data(dnstap_payload(5)) + control(STOP)

    with DnstapReader(write(path, stream)) as reader:
        assert reader.content_type is None
        assert numbers(reader) == [5]


def test_an_absent_file_and_a_folder(path: Path, tmp_path: Path) -> None:
    """The error of open is passed on, with the name."""
    with pytest.raises(FileNotFoundError, match=str(path)):
        DnstapReader(path)
    with pytest.raises(IsADirectoryError):
        DnstapReader(tmp_path)


@pytest.mark.parametrize("wrong", [None, 3, b"name", True])
def test_a_wrong_path_argument(wrong: object) -> None:
    """What is neither path nor file is refused by name, descriptors among them."""
    with pytest.raises(TypeError, match="source="):
        DnstapReader(wrong)  # type: ignore[arg-type]


def test_a_file_in_text_mode(path: Path) -> None:
    """A file opened in text mode is refused, and told how to open it."""
    write(path, capture([]))

    with open(path, encoding="latin-1") as file, pytest.raises(TypeError, match="binary mode"):
        DnstapReader(file)  # type: ignore[arg-type]


def test_an_open_file_stays_open(path: Path) -> None:
    """A file object is read from where it stands, and is its owner's to close."""
    stream = capture(map(dnstap_payload, range(2)))

    with open(write(path, b"preface" + stream), "rb") as file:
        file.seek(7)
        with DnstapReader(file) as reader:
            assert numbers(reader) == [0, 1]
            assert reader.offset == len(stream)
        assert not file.closed


def open_descriptors(path: Path) -> int:
    """Count this process's descriptors of a file."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}") == str(path)
        except OSError:
            pass  # the descriptor of the listing itself
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_the_file_is_closed_in_every_case(path: Path) -> None:
    """At the end, after an error, by close, by the with block, and when START is wrong."""
    write(path, capture([dnstap_payload(0)]))
    reader = DnstapReader(path)
    assert open_descriptors(path) == 1
    list(reader)
    assert open_descriptors(path) == 0, "at the end"

    with DnstapReader(path) as reader:
        next(reader)
    reader.close()
    assert open_descriptors(path) == 0, "after the with block"

    write(path, capture([b"\xff"]))
    with pytest.raises(DecodeError):
        next(DnstapReader(path))
    assert open_descriptors(path) == 0, "after damage"

    write(path, b"no capture")
    with pytest.raises(DecodeError):
        DnstapReader(path)
    assert open_descriptors(path) == 0, "after a failed construction"


def test_after_close(path: Path) -> None:
    """A closed reader says so, rather than pretend that the capture has ended."""
    reader = DnstapReader(write(path, capture([dnstap_payload(0)])))
    reader.close()
    reader.close()

    with pytest.raises(ValueError, match="closed"):
        list(reader)


def test_a_pipe_gives_messages_as_they_come() -> None:
    """A message is handed out when it is there, not when a block is full."""
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as source, open(write_end, "wb", buffering=0) as sink:
        sink.write(control(START, CONTENT_TYPE))
        reader = DnstapReader(source)
        for number in range(3):
            sink.write(data(dnstap_payload(number)))
            assert next(reader).extra == b"%d" % number
        sink.write(control(STOP))
        sink.close()
        assert list(reader) == []
        assert reader.complete
