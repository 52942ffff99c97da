"""The screen of `top` as lines of styled text, for any size. Pure; what draws it is in `screen.py`.

On 80 columns there is room for shares, on 120 and more for counts and bars too, and on a high one
for charts. What does not fit is cut; a line never has more columns than the screen.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

from .statistics import Ranking, Summary
from .summary import at_least, cut_text
from .units import duration, number, per_second, share, stamp

__all__ = ["Line", "Picture", "columns_of", "draw"]

Span = Tuple[str, str]
Line = List[Span]
"""Pieces of text, each with its style, in rich's words."""

HEAD, TITLE, BAR, QUIET, ALARM, PLAIN = "reverse", "bold", "cyan", "dim", "bold red", ""

WIDE = 120  # columns from which counts and bars are shown
HIGH = 36  # lines from which charts are shown
SMALL_ROWS, LARGE_ROWS = 5, 10  # of the four small tables
CHART_ROWS = 7
GAP = 2  # columns between two tables
SHARE_WIDTH, COUNT_WIDTH = 5, 12
LABEL_WIDTH = 18  # FORWARDER_RESPONSE
SHORT_WIDTH = 11  # DNSCryptUDP
ADDRESS_WIDTH = 39  # of the longest IPv6 address
NARROW_ADDRESS_WIDTH = 20
BARS = " ▁▂▃▄▅▆▇█"
EIGHTHS = " ▏▎▍▌▋▊▉█"


class Picture(NamedTuple):
    """What is shown.

    Attributes:
        summary: of the traffic so far.
        source: where it comes from, printable.
        status: what is going on, in a few words.
        now: messages a second that come in; None when no more come.
        history: the same of each of the last seconds; empty to show the time in the messages.
        alarm: whether the status is bad news.
        quit: how to leave.
    """

    summary: Summary
    source: str
    status: str
    now: Optional[float]
    history: Sequence[float]
    alarm: bool
    quit: str


def draw(picture: Picture, width: int, height: int) -> List[Line]:
    """Return the lines of a screen of this size; exactly as many as it has."""
    lines = [_head(picture, width), *_facts(picture), []]
    if height >= HIGH and width >= WIDE:
        lines += [*_charts(picture, width), []]
        rows = LARGE_ROWS
    else:
        lines.append([(text, BAR) for text in columns_of(_course(picture), width, 1)])
        rows = SMALL_ROWS
    lines += [*_tables(picture.summary, width, rows), []]
    lines += _rankings(picture.summary, width, max(0, height - len(lines)))
    lines = [_fit(line, width) for line in lines[:height]]
    return lines + [_fit([], width)] * (height - len(lines))


def columns_of(values: Sequence[float], width: int, rows: int) -> List[str]:
    """Return values as columns of blocks, stretched or merged to the width, the top line first."""
    if not values or not width:
        return [" " * width] * rows
    heights = []
    for column in range(width):
        start = column * len(values) // width
        part = values[start : max(start + 1, (column + 1) * len(values) // width)]
        heights.append(sum(part) / len(part))
    scale = rows * (len(BARS) - 1) / (max(heights) or 1)
    # Anything above 0 is visible.
    eighths = [max(1, round(each * scale)) if each else 0 for each in heights]
    steps = len(BARS) - 1
    return [
        "".join(BARS[min(steps, max(0, each - row * steps))] for each in eighths)
        for row in reversed(range(rows))
    ]


def _head(picture: Picture, width: int) -> Line:
    left = " dnstap-logging top  "
    right = f"  {picture.quit} "
    room = max(0, width - len(left) - len(right) - len(picture.status) - 1)
    source = f"{cut_text(picture.source, room):<{room}} "
    return [
        (left, f"{HEAD} {TITLE}"),
        (source, HEAD),
        (picture.status, f"{HEAD} {ALARM}" if picture.alarm else HEAD),
        (right, HEAD),
    ]


def _facts(picture: Picture) -> List[Line]:
    summary, pairs, latency = picture.summary, picture.summary.pairs, picture.summary.latency
    queries = sum(pairs[:5])
    return [
        _fact(
            "messages",
            f"{number(summary.messages):<14} now {per_second(picture.now):<12} "
            f"mean {per_second(summary.mean)}",
        ),
        _fact(
            "latency",
            f"p50 {duration(latency.p50):<9} p95 {duration(latency.p95):<9} "
            f"p99 {duration(latency.p99):<9} max {duration(latency.maximum)}",
        ),
        _fact(
            "unanswered",
            f"{number(pairs.unanswered)} of {number(queries)} queries "
            f"({share(pairs.unanswered, queries)}), {number(pairs.waiting)} waiting",
        ),
    ]


def _fact(name: str, value: str) -> Line:
    return [(f" {name:<11}", TITLE), (value, PLAIN)]


def _course(picture: Picture) -> Sequence[float]:
    if picture.history:
        return picture.history
    return [each.queries + each.responses for each in picture.summary.bins]


def _charts(picture: Picture, width: int) -> List[Line]:
    """Draw the messages over time, next to the histogram of latencies."""
    left = (width - GAP) * 3 // 5
    right = width - GAP - left
    summary = picture.summary
    title = "MESSAGES A SECOND" if picture.history else "MESSAGES"
    ends = ("", "now") if picture.history else (stamp(summary.first), stamp(summary.last))
    course = _chart(title, _course(picture), ends, left)
    bars = summary.latency.bars
    ends = (duration(bars[0].low), duration(bars[-1].high)) if bars else ("", "")
    return _beside(
        [(course, left), (_chart("LATENCY", [bar.latencies for bar in bars], ends, right), right)]
    )


def _chart(title: str, values: Sequence[float], ends: Tuple[str, str], width: int) -> List[Line]:
    begin, end = ends
    return [
        [(title, TITLE)],
        *([(text, BAR)] for text in columns_of(values, width, CHART_ROWS)),
        [(begin + f"{end:>{max(0, width - len(begin))}}", QUIET)],
    ]


def _tables(summary: Summary, width: int, rows: int) -> List[Line]:
    """Draw types, response codes, protocols and query types, side by side."""
    tables = (
        ("TYPES", summary.types),
        ("RCODES", summary.rcodes),
        ("PROTOCOLS", summary.protocols),
        ("QUERY TYPES", summary.query_types),
    )
    surplus = width - 3 * GAP - LABEL_WIDTH - 3 * SHORT_WIDTH - 4 * SHARE_WIDTH
    blocks = []
    for title, entries in tables:
        label = LABEL_WIDTH if title == "TYPES" else SHORT_WIDTH
        room = label + SHARE_WIDTH + max(0, surplus // 4)
        blocks.append((_table(title, entries[:rows], _total(entries), room, label, rows), room))
    return _beside(blocks)


def _total(entries: Sequence[Tuple[str, int]]) -> int:
    return sum(count for _, count in entries)


def _table(
    title: str,
    entries: Sequence[Tuple[str, int]],
    total: int,
    width: int,
    label: int,
    rows: int,
) -> List[Line]:
    lines: List[Line] = [[(title, TITLE)]]
    bar = width - label - SHARE_WIDTH
    counts = bar >= COUNT_WIDTH
    if counts:
        bar -= COUNT_WIDTH
    for text, count in entries:
        line = [(f"{cut_text(text, label):<{label}}", PLAIN)]
        if counts:
            line.append((f"{number(count):>{COUNT_WIDTH}}", PLAIN))
        line.append((f"{_percent(count, total):>{SHARE_WIDTH}}", QUIET))
        if bar > GAP:
            line.append((" " + _bar(count, total, bar - 1), BAR))
        lines.append(line)
    return lines + [[]] * (rows + 1 - len(lines))


def _percent(count: int, total: int) -> str:
    """Return a share in at most four columns."""
    percent = 100 * count / total
    return "<1%" if percent < 1 else f"{percent:.0f}%"


def _bar(count: int, total: int, width: int) -> str:
    eighths = max(1, round(count / total * width * 8))
    return EIGHTHS[-1] * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _rankings(summary: Summary, width: int, rows: int) -> List[Line]:
    """Draw the busiest names and clients, side by side."""
    address = ADDRESS_WIDTH if width >= WIDE else NARROW_ADDRESS_WIDTH
    right = address + COUNT_WIDTH
    left = max(0, width - GAP - right)
    name = max(0, left - COUNT_WIDTH)
    names = _ranking("NAMES", summary.names, name, rows)
    clients = _ranking("CLIENTS", summary.clients, address, rows)
    return _beside([(names, left), (clients, right)])


def _ranking(title: str, ranking: Ranking, label: int, rows: int) -> List[Line]:
    lines: List[Line] = [[(f"{title:<{label}}", TITLE), (f"{'messages':>{COUNT_WIDTH}}", QUIET)]]
    for row in ranking.rows[: max(0, rows - 1)]:
        text = f"{cut_text(row.text, label):<{label}}"
        lines.append([(text, PLAIN), (f"{at_least(row):>{COUNT_WIDTH}}", PLAIN)])
    return lines


def _beside(blocks: Sequence[Tuple[List[Line], int]]) -> List[Line]:
    """Put blocks of lines side by side, each in so many columns."""
    lines = []
    for number_of_line in range(max(len(block) for block, _ in blocks)):
        line: Line = []
        for index, (block, width) in enumerate(blocks):
            if index:
                line.append((" " * GAP, PLAIN))
            line += _fit(block[number_of_line] if number_of_line < len(block) else [], width)
        lines.append(line)
    return lines


def _fit(line: Line, width: int) -> Line:
    """Cut or fill a line to a width."""
    fitted, room = [], width
    for text, style in line:
        fitted.append((text[:room], style))
        room -= len(fitted[-1][0])
    return [*fitted, (" " * room, PLAIN)]
