"""Find the end of a large capture in its last bytes, if it can be found for certain."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Set

from ..codec import proto
from ..exceptions import DecodeError
from ..framestream.frames import LENGTH
from .frames import LARGEST_CONTROL, CaptureFrames

__all__ = ["search_tail"]

BYTES_FOR_ONE_STEP = 8
"""Bytes of the tail for each step that may be taken. DNS traffic takes one for 20 to 80 bytes, the
shortest messages one for 14: more steps mean that somebody wants it to take long."""

PARSED_FOR_ONE_BYTE = 16
"""How often a byte of the tail may be parsed, on average: strangers' bytes may need more than
once."""

_DEAD = -1  # the end of a chain that breaks off
_length_at = LENGTH.unpack_from


def search_tail(capture: CaptureFrames, window: int) -> Optional[int]:
    """Return where the last frame begins, for `CaptureFrames.end_after`.

    Args:
        capture: larger than the window.
        window: bytes at its end to read, several times the largest frame.

    Returns:
        None if the tail does not make it certain.
    """
    base = capture.data_end - window
    data = capture.read(base, window)
    last = _Tail(capture, data, base).last_frame() if len(data) == window else None
    return None if last is None else base + last


def _frames_like(limit: int) -> re.Pattern[bytes]:
    """Return the pattern of every place where a frame of a valid stream could begin.

    A data frame has a length up to about the limit, and the first tag of a protobuf message: a
    field from 1 on, and a wire type that exists. A control frame has a legal length, and an unknown
    type: START and the like are not allowed here, and STOP only at the end.
    """
    tags = b"".join(b"\\x%02x" % tag for tag in range(8, 256) if tag & 7 in (0, 1, 2, 3, 5))
    data = rb"[\x00-\x%02x]..[%s]" % (limit >> 16, tags)
    control = rb"\x00{5}(?:\x00[\x04-\xff]|\x01.|\x02\x00)(?!\x00{3}[\x01-\x05])"
    return re.compile(rb"\x00(?=%s|%s)" % (data, control), re.DOTALL)


class _Tail:
    """The last bytes of a capture, and the chains of frames that could be there.

    Chains are followed by the lengths. Whether payloads are dnstap is checked afterwards, of few:
    most chains have broken off by then, or met the true one.
    """

    def __init__(self, capture: CaptureFrames, data: bytes, base: int) -> None:
        self._capture = capture
        self._data = data
        self._base = base  # where data begins in the file
        self._ends: Dict[int, int] = {}  # from where a frame could begin to where its chain ends
        self._broken: Set[int] = set()  # beginnings of chains with payloads that are not dnstap
        self._to_parse = len(data) * PARSED_FOR_ONE_BYTE

    def last_frame(self) -> Optional[int]:
        """Return where the last frame begins, if all sound chains lead to it."""
        found = None
        for start in self._follow_all():
            end = self._ends[start]
            # Even if it meets a chain that was checked: it may be the sound part of that.
            if end not in (found, _DEAD) and self._is_sound(start, end):
                if found is not None:
                    return None
                found = end
        return found if self._to_parse >= 0 else None

    def _follow_all(self) -> List[int]:
        """Follow all chains; return where they begin, or nothing if that takes too many steps.

        A frame of a valid stream begins within the size of the largest frame.
        """
        # Matches look ahead, so the search must see a little more.
        area = self._capture.largest + LARGEST_CONTROL
        matches = _frames_like(self._capture.limit).finditer(self._data, 0, area)
        starts = [match.start() for match in matches]
        for start in starts:
            self._follow(start)
            if len(self._ends) > len(self._data) // BYTES_FOR_ONE_STEP:
                return []
        return starts

    def _follow(self, at: int) -> None:
        """Follow a chain to its end, or to where another one was, and store where it ends."""
        data, ends, limit = self._data, self._ends, self._capture.limit
        size, header = len(data), LENGTH.size
        path = []
        while at not in ends:
            path.append(at)
            if at > size - header:
                end = at
                break
            (length,) = _length_at(data, at)
            after = at + header + length if 0 < length <= limit else self._after_other(at)
            if after > size or after in (at, _DEAD):
                end = _DEAD if after == _DEAD else at
                break
            at = after
        else:
            end = ends[at]
        ends.update(dict.fromkeys(path, end))

    def _after_other(self, at: int) -> int:
        """Return where the frame after a control frame begins, like `CaptureFrames.after`."""
        head = self._data[at : at + LARGEST_CONTROL]
        try:
            return self._capture.after(head, self._base + at) - self._base
        except DecodeError:
            return _DEAD

    def _is_sound(self, at: int, end: int) -> bool:
        """Return whether the payloads of a chain are dnstap; parse only as much as is allowed."""
        data, broken, header = self._data, self._broken, LENGTH.size
        path = []
        while at != end:
            path.append(at)
            (length,) = _length_at(data, at)
            self._to_parse -= length
            if self._to_parse < 0:
                return False
            after = at + header + length if length else self._after_other(at)
            if at in broken or (length and not _is_dnstap(data[at + header : after])):
                broken.update(path)
                return False
            at = after
        return True


def _is_dnstap(payload: bytes) -> bool:
    """Return whether protobuf can parse a payload; if not, no reader can.

    Not `decode`, which refuses messages of later versions: a true chain may hold them.
    """
    try:
        proto.Dnstap.FromString(payload)
    except Exception:  # noqa: BLE001 - the runtimes raise several kinds of errors
        return False
    return True
