"""Two bar charts as inline SVG: messages over time, and the histogram of latencies. Pure.

Colours and fonts are those of the page (its classes); every bar tells its numbers when pointed at.
"""

from __future__ import annotations

import time
from html import escape
from typing import List, Sequence, Tuple

from .latency import Bar
from .timeline import DAY, SECOND, Bin
from .units import duration, number

__all__ = ["latency_chart", "time_chart"]

LEFT, TOP, BOTTOM = 56, 8, 26  # room for the labels of the axes
GRID_LINES = 4
TIME_LABELS = 6
MAX_LATENCY_LABELS = 12
_ROUND = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
_INTERVALS = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86400),
)


def time_chart(bins: Sequence[Bin], width: int, *, size: Tuple[int, int]) -> str:
    """Return queries and responses over time, one on the other.

    Args:
        bins: of the time, without a gap.
        width: of a bin, in nanoseconds.
        size: of the picture, in pixels.
    """
    if not bins:
        return ""
    top, scale = _scale(max(each.queries + each.responses for each in bins), size)
    step = (size[0] - LEFT) / len(bins)
    parts = _grid(top, scale, size)
    base = size[1] - BOTTOM
    for place, each in enumerate(bins):
        x, thick = LEFT + place * step, max(0.6, step * 0.86)
        low = each.queries * scale
        tip = f"{_clock(each.start, len(bins) * width)}: {number(each.queries)} queries, "
        tip += f"{number(each.responses)} responses in {duration(width)}"
        high = each.responses * scale
        parts.append(
            f"<g><title>{escape(tip)}</title>{_rect(x, base - low, thick, low, 'queries')}"
            f"{_rect(x, base - low - high, thick, high, 'responses')}</g>"
        )
    every = _label_interval(len(bins) * width, width)
    for place, each in enumerate(bins):
        if each.start % every == 0 and place < len(bins) - len(bins) // (2 * TIME_LABELS):
            text = _clock(each.start, len(bins) * width)
            parts.append(_label(LEFT + place * step, size[1] - 8, text, "start"))
    return _svg(parts, size, "Messages over time")


def latency_chart(bars: Sequence[Bar], *, size: Tuple[int, int]) -> str:
    """Return how many latencies there are of each length, in steps of 1, 2 and 5.

    Args:
        bars: of the histogram, without a gap.
        size: of the picture, in pixels.
    """
    if not bars:
        return ""
    top, scale = _scale(max(bar.latencies for bar in bars), size)
    step = (size[0] - LEFT) / len(bars)
    parts, base = _grid(top, scale, size), size[1] - BOTTOM
    every = -(-len(bars) // MAX_LATENCY_LABELS)
    for place, bar in enumerate(bars):
        x, high = LEFT + place * step, bar.latencies * scale
        tip = f"{duration(bar.low)} to {duration(bar.high)}: {number(bar.latencies)}"
        rect = _rect(x + 1, base - high, step - 2, high, "queries")
        parts.append(f"<g><title>{escape(tip)}</title>{rect}</g>")
        if place % every == 0:
            parts.append(_label(x, size[1] - 8, duration(bar.low), "start"))
    return _svg(parts, size, "Latency from query to response")


def _scale(highest: int, size: Tuple[int, int]) -> Tuple[int, float]:
    """Return where the axis ends, a round number, and the pixels of one message."""
    unit = -(-highest // GRID_LINES)
    power: int = 10 ** max(0, len(str(unit)) - 2)  # two digits: 12, 15, 20, 250 ...
    unit = -(-unit // power)
    unit = next(round_one for round_one in _ROUND if round_one >= unit) * power
    top = unit * GRID_LINES
    return top, (size[1] - TOP - BOTTOM) / top


def _label_interval(span: int, width: int) -> int:
    """Return the time between two labels: a round one, at most `TIME_LABELS` in the whole."""
    for seconds in _INTERVALS:
        if seconds * SECOND % width == 0 and seconds * SECOND * TIME_LABELS >= span:
            return seconds * SECOND
    return -(-span // (width * TIME_LABELS)) * width


def _grid(top: int, scale: float, size: Tuple[int, int]) -> List[str]:
    parts = []
    for line in range(GRID_LINES + 1):
        value = top * line // GRID_LINES
        y = size[1] - BOTTOM - value * scale
        parts.append(f'<line x1="{LEFT}" x2="{size[0]}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_label(LEFT - 8, y + 4, number(value), "end"))
    return parts


def _rect(x: float, y: float, width: float, height: float, name: str) -> str:
    if not height:
        return ""
    return (
        f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _clock(nanoseconds: int, span: int) -> str:
    """Return a time of day; with the date where the whole is longer than a day."""
    form = "%m-%d %H:%M" if span > DAY else "%H:%M:%S"
    return time.strftime(form, time.gmtime(nanoseconds // SECOND))


def _svg(parts: Sequence[str], size: Tuple[int, int], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
