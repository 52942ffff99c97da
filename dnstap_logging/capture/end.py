"""Where an existing capture ends, so that a writer can continue it. Nothing is written here.

Frame Streams has lengths that point forwards only, and payloads hold bytes that strangers choose:
nothing that is found by looking backwards from the end of a file proves itself. Small files are
therefore read from their beginning. Of a large one the tail is read, and the frames that could be
there are followed from every place where one could begin. A frame has a limit, so one of these
places is a true one, and from there the true frames lead to the end. Where all others break off,
or lead to the same end, it is certain. Where they do not, because somebody put bytes that look
like frames into DNS messages, or no chain is sound, the file is read from its beginning after all.

What the tail cannot show: damage, or a STOP with bytes after it, far before the end. Such a file is
continued where it ends, though readers stop at the damage; nothing that they could read is lost.
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
    ControlType,
    foreign_opening,
)
from ..framestream.state import describe
from .frames import LARGEST_CONTROL, CaptureEnd, CaptureFrames, ReadAt
from .tail import search_tail

__all__ = ["find_end"]

SCAN_SIZE = 1024 * 1024
"""Bytes read at once from the beginning on: system calls no longer count, nor does the memory."""

FORWARD_UP_TO = 64 * 1024 * 1024
"""Files up to this are read from the beginning: that takes a fraction of a second."""

WINDOW_FRAMES = 4
"""How many of the largest frames the tail holds: one for the places where a frame could begin, the
others so that a false chain needs two whole frames before it can claim that the last one is torn.
"""

MAX_WINDOW = 64 * 1024 * 1024
"""The largest tail, which is held in memory; so no frame's length begins with more than a zero."""


def find_end(
    read_at: ReadAt,
    size: int,
    *,
    max_frame_size: int = DEFAULT_MAX_FRAME_SIZE,
    forward_up_to: int = FORWARD_UP_TO,
) -> CaptureEnd:
    """Find where the stream of a capture ends: an empty one, a whole one, or one cut anywhere.

    A last frame that reaches beyond the end of the file is torn, as a writer that was killed
    leaves it. So are zeros from a frame's end to that of the file, as a file system leaves them
    after a power failure, with the frame before them if they made it unreadable.

    Args:
        read_at: called with an offset and a length, returns at most so many bytes, like os.pread;
            none at the end of the file.
        size: bytes of the file.
        max_frame_size: the largest payload that may be there, in bytes (default 1 MiB).
        forward_up_to: bytes of the largest file that is read from the beginning in any case
            (default 64 MiB).

    Raises:
        DecodeError: this is no dnstap capture, or damaged so that cutting it could throw away
            much. The text names the byte offset, not the file.
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
    return capture.settle(_read_forward(capture, len(START)) if last is None else last)


def _wrong_opening(opening: bytes) -> str:
    """Return what is wrong with a file that does not begin with our START."""
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
    if frame.type == ControlType.READY:
        return "READY, where a file has START: a file cannot negotiate"
    if frame.type != ControlType.START:
        return f"{describe(frame)} as the first frame, expected START"
    found = f"content type {frame.content_types[0]!r}" if frame.content_types else "no content type"
    return f"START with {found}, expected {DNSTAP_CONTENT_TYPE!r}"


def _read_forward(capture: CaptureFrames, at: int) -> int:
    """Follow all frames from `at` on; return where the last one begins, as `settle` wants it."""
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
    """Follow data frames by their lengths alone: return where the last one begins, and ends.

    It ends beyond the block, or where the block has no whole length, or that of no data frame.
    """
    last = at
    length_at = LENGTH.unpack_from
    try:
        (length,) = length_at(block, at)
        while 0 < length <= limit:
            last = at
            at += 4 + length
            (length,) = length_at(block, at)
    except struct.error:
        pass
    return last, at
