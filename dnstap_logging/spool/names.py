"""The names of segments, ``<time_ns>-<pid>.fstrm``: they sort in the order of their making."""

from __future__ import annotations

import os
import re
import time
from typing import Iterable, List, Tuple

__all__ = ["NEW_SUFFIX", "SUFFIX", "in_order", "is_new", "is_segment", "name_before", "next_name"]

SUFFIX = ".fstrm"
NEW_SUFFIX = ".new"
"""Added while the file has no whole START yet: nobody sees a segment without one."""

DIGITS = 19
"""Of the time, padded, so that a shell sorts the names as we do: enough until the year 2286."""

FIRST_GAP = 1_000_000_000
"""Nanoseconds, a second: how far before the first segment of a folder another one is named."""

is_segment = re.compile(r"[0-9]+-[0-9]+\.fstrm", re.ASCII).fullmatch
is_new = re.compile(r"[0-9]+-[0-9]+\.fstrm\.new", re.ASCII).fullmatch

# The last time in a name of this process, of all its handlers.
_last = [0]


def next_name() -> str:
    """Return a name behind all earlier ones of this process, also if the clock was set back."""
    _last[0] = max(time.time_ns(), _last[0] + 1)
    return _name(_last[0])


def name_before(name: str, others: Iterable[str]) -> str:
    """Return a name directly before another one.

    Args:
        name: of a segment.
        others: the names of all segments of the folder.
    """
    time_ns = _order(name)[0]
    earlier = [each for each in (_order(other)[0] for other in others) if each < time_ns]
    # In the middle, so that there is room for more of them on both sides.
    return _name((max(earlier, default=max(0, time_ns - 2 * FIRST_GAP)) + time_ns) // 2)


def in_order(names: Iterable[str]) -> List[str]:
    """Return the names of segments, the oldest first."""
    return sorted(names, key=_order)


def _name(time_ns: int) -> str:
    return f"{time_ns:0{DIGITS}}-{os.getpid()}{SUFFIX}"


def _order(name: str) -> Tuple[int, int]:
    time_ns, _, pid = name[: -len(SUFFIX)].partition("-")
    return int(time_ns), int(pid)
