"""The end of a large capture, found in its last bytes alone, where it can be found for certain."""

from __future__ import annotations

import re
from typing import Dict, List, Optional, Set

from ..codec import proto
from ..exceptions import DecodeError
from ..framestream.frames import LENGTH
from .frames import LARGEST_CONTROL, CaptureFrames

__all__ = ["search_tail"]

BYTES_FOR_ONE_STEP = 8
"""How many bytes of the tail allow one step. DNS traffic takes one for 20 to 80, the shortest of
messages one for 14: more steps are only taken where somebody wants it to take long.
"""

PARSED_FOR_ONE_BYTE = 16
"""How often a byte of the tail may be parsed, on the average: once, and what strangers add."""

_DEAD = -1  # instead of where a chain ends: it breaks off
_length_at = LENGTH.unpack_from


def search_tail(capture: CaptureFrames, window: int) -> Optional[int]:
    """Return where the last frame begins, as `CaptureFrames.settle` wants it.

    Args:
        capture: larger than the window.
        window: bytes at its end to look at, several times the largest frame.

    Returns:
        None where the tail does not make it certain.
    """
    base = capture.data_end - window
    data = capture.read(base, window)
    last = _Tail(capture, data, base).last_frame() if len(data) == window else None
    return None if last is None else base + last


def _frames_like(limit: int) -> re.Pattern[bytes]:
    """Compile what finds every place where a frame of a valid stream could begin, and few others.

    Of a data frame: a length up to about the limit, and the first tag of a protobuf message: a
    field from 1 on, and a wire type that exists. Of a control frame: a length that is legal, and
    no known type: START, READY and the like are not expected, and STOP only at the end.
    """
    tags = b"".join(b"\\x%02x" % tag for tag in range(8, 256) if tag & 7 in (0, 1, 2, 3, 5))
    data = rb"[\x00-\x%02x]..[%s]" % (limit >> 16, tags)
    control = rb"\x00{5}(?:\x00[\x04-\xff]|\x01.|\x02\x00)(?!\x00{3}[\x01-\x05])"
    return re.compile(rb"\x00(?=%s|%s)" % (data, control), re.DOTALL)


class _Tail:
    """The last bytes of a capture, and the chains of frames that could be there.

    A chain goes from place to place by the lengths alone. Whether payloads are dnstap is asked
    afterwards, and of few: most chains break off, or meet the true one, long before.
    """

    def __init__(self, capture: CaptureFrames, data: bytes, base: int) -> None:
        self._capture = capture
        self._data = data
        self._base = base  # where data begins in the file
        self._ends: Dict[int, int] = {}  # where a frame could begin: where its chain ends
        self._broken: Set[int] = set()  # where a chain begins that is not all dnstap
        self._to_parse = len(data) * PARSED_FOR_ONE_BYTE

    def last_frame(self) -> Optional[int]:
        """Return where the last frame begins, if all sound chains lead there and there is one."""
        found = None
        for start in self._follow_all():
            end = self._ends[start]
            # Also where a chain meets one that was looked at: it may be the sound part of that.
            if end not in (found, _DEAD) and self._is_sound(start, end):
                if found is not None:
                    return None
                found = end
        return found if self._to_parse >= 0 else None

    def _follow_all(self) -> List[int]:
        """Follow all chains; return where they begin, or nothing if that takes too many steps.

        A frame of a valid stream begins within the first bytes, as many as the largest has.
        """
        # Matches look ahead, so the search must see more than these bytes.
        area = self._capture.largest + LARGEST_CONTROL
        matches = _frames_like(self._capture.limit).finditer(self._data, 0, area)
        starts = [match.start() for match in matches]
        for start in starts:
            self._follow(start)
            if len(self._ends) > len(self._data) // BYTES_FOR_ONE_STEP:
                return []
        return starts

    def _follow(self, at: int) -> None:
        """Follow a chain up to where it is known already, and note where it ends."""
        data, ends, limit = self._data, self._ends, self._capture.limit
        size = len(data)
        path = []
        while at not in ends:
            path.append(at)
            if at > size - LENGTH.size:
                end = at
                break
            (length,) = _length_at(data, at)
            after = at + 4 + length if 0 < length <= limit else self._after_other(at)
            if after > size or after in (at, _DEAD):
                end = _DEAD if after == _DEAD else at
                break
            at = after
        else:
            end = ends[at]
        ends.update(dict.fromkeys(path, end))

    def _after_other(self, at: int) -> int:
        """Return where the frame behind a control frame begins, like `CaptureFrames.after`."""
        head = self._data[at : at + LARGEST_CONTROL]
        try:
            return self._capture.after(head, self._base + at) - self._base
        except DecodeError:
            return _DEAD

    def _is_sound(self, at: int, end: int) -> bool:
        """Tell whether the payloads of a chain are dnstap; not more of them than is allowed."""
        data, broken = self._data, self._broken
        path = []
        while at != end:
            path.append(at)
            (length,) = _length_at(data, at)
            self._to_parse -= length
            if self._to_parse < 0:
                return False
            after = at + 4 + length if length else self._after_other(at)
            if at in broken or (length and not _is_dnstap(data[at + 4 : after])):
                broken.update(path)
                return False
            at = after
        return True


def _is_dnstap(payload: bytes) -> bool:
    """Tell whether protobuf takes a payload: what it refuses, every reader does.

    Not `decode`, which does not know the messages of later versions: a true chain may hold them.
    """
    try:
        proto.Dnstap.FromString(payload)
    except Exception:  # noqa: BLE001 - the runtimes raise several kinds of errors
        return False
    return True
