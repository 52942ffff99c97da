"""Find where an existing capture ends, so that a writer can continue it. Nothing is written here.

Lengths come before their frames, and payloads hold bytes that strangers choose, so the last frame
cannot be found backwards from the end. Small files are read from their beginning. Of a large one
only the tail is read, and chains of frames are followed from every place where a frame could begin.
As frames have a limit, one of these places is right. If all chains break off or lead to the same
end, that is the end. Otherwise, as when somebody put bytes that look like frames into DNS messages,
the file is read from its beginning.

The tail does not show damage, or a STOP with bytes after it, far before the end. Such a file is
continued at its end, although readers stop at the damage.
"""

from __future__ import annotations

import struct
from typing import Tuple

from ..exceptions import DecodeError, RemoteProtocolError
from ..framestream.decoder import FrameDecoder
from ..framestream.frames import (
    DEFAULT_MAX_FRAME_SIZE,
    DNSTAP_CONTENT_TYPE,
    LENGTH,
    START,
    ControlFrame,
    FrameKind,
    foreign_opening,
)
from ..framestream.state import describe
from .frames import LARGEST_CONTROL, CaptureEnd, CaptureFrames, ReadAt
from .tail import search_tail

__all__ = ["find_end"]

SCAN_SIZE = 1024 * 1024
"""Bytes read at once from the beginning: few system calls, and little memory."""

FORWARD_UP_TO = 64 * 1024 * 1024
"""Bytes of the largest file that is read from the beginning, in a fraction of a second."""

WINDOW_FRAMES = 4
"""The tail's size in largest frames: one for the places where a frame could begin, the others so
that a false chain needs two whole frames before a torn one."""

MAX_WINDOW = 64 * 1024 * 1024
"""Bytes of the largest tail, which is held in memory. So each length's first byte is zero."""


def find_end(
    read_at: ReadAt,
    size: int,
    *,
    max_frame_size: int = DEFAULT_MAX_FRAME_SIZE,
    forward_up_to: int = FORWARD_UP_TO,
) -> CaptureEnd:
    """Find where the stream of a capture ends: an empty one, a whole one, or one cut anywhere.

    A last frame that reaches beyond the end of the file is torn, as after a writer was killed. So
    are zeros at the end of the file, as after a power failure, with the frame before them if they
    reach into it.

    Args:
        read_at: called with an offset and a length, returns at most that many bytes, like os.pread.
        size: bytes of the file.
        max_frame_size: the largest payload that may be there, in bytes (default 1 MiB).
        forward_up_to: bytes of the largest file that is always read from the beginning (default
            64 MiB).

    Raises:
        DecodeError: the file is not a dnstap capture, or so damaged that much could be lost by
            cutting it. The text has the byte offset, not the file.
        OSError: as `read_at` raises it.
    """
    capture = CaptureFrames(read_at, size, max_frame_size)
    opening = capture.read(0, LARGEST_CONTROL)
    if capture.data_end == 0 or (len(opening) < len(START) and START.startswith(opening)):
        return CaptureEnd(0, False, capture.size)
    if not opening.startswith(START):
        raise DecodeError(f"byte 0: {_wrong_opening(opening)}")
    window = WINDOW_FRAMES * capture.largest
    last = None
    if capture.data_end > max(forward_up_to, len(START) + window) and window <= MAX_WINDOW:
        last = search_tail(capture, window)
    return capture.end_after(_read_forward(capture, len(START)) if last is None else last)


def _wrong_opening(opening: bytes) -> str:
    """Return what is wrong with a file that does not begin with START."""
    foreign = foreign_opening(opening)
    if foreign:
        return foreign
    decoder = FrameDecoder()
    decoder.feed(opening)
    try:
        frame = decoder.next_frame()
    except RemoteProtocolError as error:
        return str(error)
    if not isinstance(frame, ControlFrame):
        return "the file ends inside its first frame, which is not START of a dnstap capture"
    if frame.type == FrameKind.READY:
        return "READY, where a file has START: a file cannot negotiate"
    if frame.type != FrameKind.START:
        return f"{describe(frame)} as the first frame, expected START"
    found = f"content type {frame.content_types[0]!r}" if frame.content_types else "no content type"
    return f"START with {found}, expected {DNSTAP_CONTENT_TYPE!r}"


def _read_forward(capture: CaptureFrames, at: int) -> int:
    """Follow all frames from `at` on; return where the last one begins, for `end_after`."""
    while at < capture.data_end:
        block = capture.read(at, SCAN_SIZE)
        place = 0
        while True:
            last, place = _skip_data_frames(block, place, capture.limit)
            here = at + place
            if here > capture.data_end:
                return at + last
            head = block[place : place + LARGEST_CONTROL]
            if len(head) < LARGEST_CONTROL and here + len(head) < capture.size:
                break  # the rest of it is in the next block
            after = capture.after(head, here)
            if after == here:
                return here
            place = after - at
        at = here
    return at


def _skip_data_frames(block: bytes, at: int, limit: int) -> Tuple[int, int]:
    """Follow data frames by their lengths; return where the last one begins, and where it ends.

    It ends beyond the block, or where no whole length of a data frame follows.
    """
    last = at
    length_at, header = LENGTH.unpack_from, LENGTH.size
    try:
        (length,) = length_at(block, at)
        while 0 < length <= limit:
            last = at
            at += header + length
            (length,) = length_at(block, at)
    except struct.error:
        pass
    return last, at
