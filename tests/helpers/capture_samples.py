"""Captures for the search of their end: random ones, hostile ones, and one of ten gigabytes.

All frames are made by hand, and where they begin is noted while they are made.
"""

from __future__ import annotations

import itertools
import struct
from typing import Dict, List, NamedTuple, Sequence, Tuple

from hypothesis import strategies as st

from dnstap_logging.codec.proto import Dnstap
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    FINISH,
    READY,
    START,
    STOP,
    capture,
    control,
    data,
    dnstap_payload,
)

LIMIT = 600
"""The max_frame_size for hostile captures: it keeps the tail small, about 2.4 kB."""

LARGEST_FRAME = 4 + LIMIT
TAIL_SIZE = 4 * LARGEST_FRAME

START_FRAME = control(START, CONTENT_TYPE)
STOP_FRAME = control(STOP)
UNKNOWN_FRAME = control(99, b"of a later version")
FRAME = data(dnstap_payload(7))


class Sample(NamedTuple):
    """The bytes of a capture, and where its frames begin; last of all, where it ends."""

    stream: bytes
    boundaries: List[int]

    def end_if_cut(self, size: int) -> int:
        """Return where the last whole frame ends that is left in that many bytes."""
        return max([0, *(at for at in self.boundaries if at <= size)])


def sample(frames: Sequence[bytes]) -> Sample:
    """Join START and the frames."""
    whole = [START_FRAME, *frames]
    return Sample(b"".join(whole), list(itertools.accumulate(map(len, whole))))


class Source:
    """A file of bytes, which counts what is read.

    Args:
        stream: the bytes.
        most: how many a read returns at most.
        shrink: after how many reads the file is truncated, and to how many bytes.
    """

    def __init__(
        self, stream: bytes, most: int = 1 << 30, shrink: Tuple[int, int] = (1 << 30, 0)
    ) -> None:
        self._stream = stream
        self._most = most
        self._reads_left, self._later = shrink
        self.size = len(stream)
        self.count = 0

    def read_at(self, offset: int, length: int) -> bytes:
        """Return at most that many bytes, like os.pread."""
        assert offset >= 0, offset
        assert length > 0, length
        if self._reads_left == 0:
            self._stream = self._stream[: self._later]
        self._reads_left -= 1
        found = self._stream[offset : offset + min(length, self._most)]
        self.count += len(found)
        return found


class Periodic(Source):
    """A capture of any size: START, then the same bytes again and again, then a last part."""

    def __init__(self, unit: bytes, times: int, last: bytes) -> None:
        super().__init__(b"")
        self._unit = unit
        self._last = last
        self._middle = len(START_FRAME) + times * len(unit)
        self.size = self._middle + len(last)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return the bytes of that place, made as they are asked for."""
        first = START_FRAME[offset : offset + length]
        middle, last = b"", b""
        if offset + length > len(START_FRAME) and offset < self._middle:
            begin = max(0, offset - len(START_FRAME))
            end = min(offset + length, self._middle) - len(START_FRAME)
            skip = begin % len(self._unit)
            copies = (end - begin + skip) // len(self._unit) + 1
            middle = (self._unit * copies)[skip : skip + end - begin]
        if offset + length > self._middle:
            last = self._last[max(0, offset - self._middle) : offset + length - self._middle]
        self.count += len(first + middle + last)
        return first + middle + last


def payload_with(wire: bytes) -> bytes:
    """Return a dnstap message that holds a stranger's bytes."""
    dnstap = Dnstap()
    dnstap.type = dnstap.MESSAGE
    dnstap.message.type = dnstap.message.CLIENT_QUERY
    dnstap.message.query_message = wire
    return dnstap.SerializeToString()


def in_step(hidden: bytes, wire_size: int) -> bytes:
    """Return a frame whose stranger's bytes begin a false frame that ends in the next frame.

    Where frame after frame is this one, each false frame ends where the next begins: a second
    chain, in step with the true one, that never meets it.

    Args:
        hidden: with what the false frame's payload begins.
        wire_size: bytes of the stranger's message.
    """
    size = len(data(payload_with(bytes(wire_size))))
    wire = (size - 4).to_bytes(4, "big") + hidden
    return data(payload_with(wire.ljust(wire_size, b"\x11")))


def false_dnstap(size: int) -> bytes:
    """Begin a payload of that many bytes that protobuf takes: one field holds whatever follows."""
    assert 131 <= size < 16384, size
    rest = size - 3
    return b"\x1a" + bytes([rest & 0x7F | 0x80, rest >> 7])


def sound_second_chain(wire_size: int, last: bytes = b"") -> bytes:
    """Return a frame for `in_step` whose false frames are dnstap messages, too.

    Args:
        wire_size: bytes of the stranger's message.
        last: with what it ends.
    """
    size = len(data(payload_with(bytes(wire_size))))
    hidden = false_dnstap(size - 4)
    return in_step(hidden.ljust(wire_size - 4 - len(last), b"\x11") + last, wire_size)


LEADS_TO_A_TRUE_FRAME = b"\0\0\0\x0c\x1a" + b"z" * 9
"""With this at its end, a stranger's message has a false frame that ends where the true one does.

What follows it in the payload is the type, two bytes."""


EXPECTED_START = f"expected {CONTENT_TYPE!r}"

WRONG_OPENINGS: Dict[str, Tuple[bytes, str]] = {
    "text": (
        b"2024-01-01 12:00:00 query from 192.0.2.1\n" * 20,
        "byte 0: this is not Frame Streams: it begins with b'2024-01-01 12:00'",
    ),
    "one byte": (b"x", "byte 0: this is not Frame Streams: it begins with b'x'"),
    "three zeros and a one": (
        b"\0\0\0\1",
        "byte 0: this is not Frame Streams: it begins with b'\\x00\\x00\\x00\\x01'",
    ),
    "READY": (
        control(READY, CONTENT_TYPE),
        "byte 0: READY, where a file has START: a file cannot negotiate",
    ),
    "another content type": (
        control(START, b"protobuf:another.Thing"),
        f"byte 0: START with content type b'protobuf:another.Thing', {EXPECTED_START}",
    ),
    "no content type": (
        control(START) + FRAME,
        f"byte 0: START with no content type, {EXPECTED_START}",
    ),
    "STOP": (STOP_FRAME, "byte 0: STOP as the first frame, expected START"),
    "unknown": (
        UNKNOWN_FRAME,
        "byte 0: a control frame of unknown type 99 as the first frame, expected START",
    ),
    "malformed": (
        control(START, CONTENT_TYPE, CONTENT_TYPE),
        "byte 0: received START with 2 content type(s), expected at most 1",
    ),
    "an endless control frame": (
        b"\0\0\0\0\xff\xff\xff\xff",
        "byte 0: received a control frame of 4294967295 bytes, expected at most 512",
    ),
    "half of another START": (
        control(START, b"protobuf:another.Thing")[:-1],
        "byte 0: the file ends inside its first frame, which is not START of a dnstap capture",
    ),
}

WRONG_FRAMES: Dict[str, Tuple[bytes, str]] = {
    "a second START": (START_FRAME, "START after START, expected data frames and STOP"),
    "READY": (control(READY), "READY after START, expected data frames and STOP"),
    "ACCEPT": (control(ACCEPT), "ACCEPT after START, expected data frames and STOP"),
    "FINISH": (control(FINISH), "FINISH after START, expected data frames and STOP"),
    "STOP before data": (STOP_FRAME + FRAME, f"STOP with {len(FRAME)} bytes after it"),
    "STOP twice": (STOP_FRAME * 2, "STOP with 12 bytes after it"),
    "two captures": (STOP_FRAME + capture([dnstap_payload(1)]), "STOP with "),
    "a malformed STOP": (
        control(3, b"x"),
        "received STOP with 1 content type(s), expected at most 0",
    ),
    "a control frame without a type": (
        b"\0\0\0\0\0\0\0\0\1\1",
        "received a control frame of 0 bytes, expected at least 4",
    ),
    "a long control frame": (
        struct.pack(">II", 0, 513) + b"\1" * 513,
        "a control frame of 513 bytes, expected at most 512",
    ),
    "a long data frame": (
        data(b"x" * (LIMIT + 1)),
        f"a data frame of {LIMIT + 1} bytes, expected at most {LIMIT}",
    ),
    "text": (b"killed by signal 9\n" * 50, "a data frame of 1802071148 bytes, expected at most "),
}

ORDINARY_FRAMES: Dict[str, bytes] = {
    "data frames": FRAME,
    "the largest data frames": data(b"\x1a\xd5\x04" + b"x" * 597),
    "fields in another order": data(b"\x78\x01\x72\x02\x08\x05" + b"\x1a\x14" + b"x" * 20),
    "an unknown field first": data(b"\x98\x06\x01\x78\x01\x72\x02\x08\x05\x1a\x10" + b"x" * 16),
    "control frames of unknown type": UNKNOWN_FRAME,
    "a false chain that is no dnstap": in_step(b"\x0a\xff\xff", 200),
    "false frames that lead to true ones": data(payload_with(b"y" * 40 + LEADS_TO_A_TRUE_FRAME)),
    "long runs of zeros": data(payload_with(bytes(468))),
}


def too_much_to_parse(wire_size: int) -> bytes:
    """Return a frame with many false ones, all sound, that lead to a chain that is not."""
    target = len(data(payload_with(bytes(wire_size)))) - 4
    nested, place = b"", wire_size - 10
    while len(nested) < wire_size // 2:
        rest = place - len(nested) - 4
        nested += rest.to_bytes(4, "big") + false_dnstap(rest)
    wire = nested.ljust(place, b"\x11") + target.to_bytes(4, "big") + b"\x0a\xff\xff"
    return data(payload_with(wire.ljust(wire_size, b"\x11")))


COSTLY_FRAMES: Dict[str, Tuple[bytes, int]] = {
    "a second chain that is sound": (sound_second_chain(200), LIMIT),
    "the same behind frames that lead to true ones": (
        sound_second_chain(200, LEADS_TO_A_TRUE_FRAME),
        LIMIT,
    ),
    "too many places to try": (data(b"\x0a\x01x"), LIMIT),
    "too much to parse": (too_much_to_parse(15_000), 16_000),
}


STRANGERS_PIECES = st.one_of(
    st.binary(max_size=60),
    st.integers(0, 90).map(bytes),
    st.just(data(dnstap_payload(1))),
    st.just(data(payload_with(b""))),
    st.just(data(dnstap_payload(1)) * 5),
    st.just(STOP_FRAME),
    st.just(START_FRAME),
    st.just(control(READY, CONTENT_TYPE)),
    st.just(control(FINISH)),
    st.just(UNKNOWN_FRAME),
    st.just(capture([dnstap_payload(1), dnstap_payload(2)])),
    st.just(b"\0\0\0\1" * 20),
    st.just(b"\0\0\0\1\x0a" * 20),
    st.just(b"\0\0\1\0\x0a\x01" * 15),
    st.builds(lambda size: size.to_bytes(4, "big") + b"\x1a", st.integers(1, LIMIT + 20)),
    st.builds(
        lambda size: size.to_bytes(4, "big") + false_dnstap(size), st.integers(131, LIMIT + 20)
    ),
)
"""What a stranger can put into a DNS message to be taken for frames."""

HOSTILE_FRAMES = st.one_of(
    st.lists(STRANGERS_PIECES, max_size=4)
    .map(lambda pieces: payload_with(b"".join(pieces)[: LIMIT - 20]))
    .map(data),
    st.integers(0, 1000).map(dnstap_payload).map(data),
    st.just(UNKNOWN_FRAME),
    st.integers(140, 500).map(sound_second_chain),
    st.integers(140, 500).map(lambda size: sound_second_chain(size, LEADS_TO_A_TRUE_FRAME)),
    st.integers(140, 500).map(lambda size: in_step(b"\x0a\xff\xff\xff", size)),
)

HOSTILE_CAPTURES = st.builds(
    lambda frames, times, stop: sample(frames * times + [STOP_FRAME] * stop),
    st.lists(HOSTILE_FRAMES, min_size=1, max_size=8),
    st.integers(1, 60),
    st.booleans(),
)
