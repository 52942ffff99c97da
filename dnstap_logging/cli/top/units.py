"""Numbers, times and shares as people read them. Pure."""

from __future__ import annotations

from typing import Optional

from ...message.values import NS
from ...text.json import time_text
from ...text.line import UNKNOWN

__all__ = ["duration", "number", "per_second", "share", "stamp"]

_DURATIONS = ((NS, "s"), (1_000_000, "ms"), (1000, "µs"), (1, "ns"))
_ONE_DECIMAL = 100  # below it a rate shows a tenth


def number(value: int) -> str:
    """Return a count with separators between its thousands: 1,234,567."""
    return f"{value:,}"


def per_second(rate: Optional[float]) -> str:
    """Return a rate: 3.5/s, 1,234/s; "-" for none."""
    if rate is None:
        return UNKNOWN
    return f"{rate:,.1f}/s" if rate < _ONE_DECIMAL else f"{rate:,.0f}/s"


def share(count: int, total: int) -> str:
    """Return what part of a total it is, in percent with one decimal."""
    return f"{100 * count / total:.1f} %" if total else UNKNOWN


def duration(nanoseconds: Optional[int]) -> str:
    """Return a length of time with three digits in its best unit: 1.23 ms; "-" for none."""
    if nanoseconds is None:
        return UNKNOWN
    for unit, name in _DURATIONS:
        if nanoseconds >= unit:
            value = nanoseconds / unit
            # Three digits in all; whole units where these have them already, or no part.
            digits = 0 if nanoseconds % unit == 0 else max(0, 3 - len(str(int(value))))
            return f"{value:,.{digits}f} {name}"
    return "0 ns"


def stamp(nanoseconds: Optional[int]) -> str:
    """Return a time since the epoch in UTC, as `check` does; "-" for none."""
    return UNKNOWN if nanoseconds is None else str(time_text(nanoseconds))
