"""The summary of the traffic, as lines of text and as JSON."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

from ...text.json import json_text
from .statistics import Ranking, Row, Summary
from .units import duration, number, per_second, share, stamp

__all__ = ["as_json", "as_text", "at_least", "cut_text", "foremost"]

WIDTH_OF_NAMES = 60  # columns; longer names are cut, their beginning is what tells
WIDTH_OF_LABELS = 20
ELLIPSIS = "…"
LIMIT = 20  # rows of a table of types or codes; the others are added up


def at_least(row: Row) -> str:
    """Return a row's count; with "+" where it may be higher."""
    return number(row.messages) + ("+" if row.missed else "")


def as_text(summary: Summary, source: str) -> str:
    """Return the summary in lines.

    Args:
        summary: of the traffic.
        source: where it came from, printable.
    """
    blocks = [
        _facts(summary, source),
        _table("types", summary.types, summary.messages),
        _table("response codes", summary.rcodes, sum(count for _, count in summary.rcodes)),
        _table("protocols", summary.protocols, summary.messages),
        _table("query types", summary.query_types, sum(count for _, count in summary.query_types)),
        _ranking("busiest names", summary.names, summary.messages),
        _ranking("busiest clients", summary.clients, summary.messages),
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _facts(summary: Summary, source: str) -> List[str]:
    latency, pairs = summary.latency, summary.pairs
    facts = [
        ("source", source),
        ("messages", f"{number(summary.messages)}, {per_second(summary.mean)} on average"),
        ("first", stamp(summary.first)),
        ("last", stamp(summary.last)),
        (
            "latency",
            f"p50 {duration(latency.p50)}, p95 {duration(latency.p95)}, "
            f"p99 {duration(latency.p99)}, max {duration(latency.maximum)} "
            f"({number(latency.measured)} measured)",
        ),
        (
            "queries",
            f"{number(pairs.answered)} answered, {number(pairs.unanswered)} unanswered, "
            f"{number(pairs.waiting)} waiting, {number(pairs.repeated)} repeated, "
            f"{number(pairs.forgotten)} forgotten",
        ),
        ("responses", f"{number(pairs.unasked)} without a query"),
    ]
    return [f"{name:<{WIDTH_OF_LABELS}} {value}" for name, value in facts]


def _table(title: str, rows: Sequence[Tuple[str, int]], total: int) -> List[str]:
    cells = [(text, number(count), share(count, total)) for text, count in foremost(rows, LIMIT)]
    return [title, *_lines(cells)] if rows else []


def _ranking(title: str, ranking: Ranking, total: int) -> List[str]:
    cells = [(row.text, at_least(row), share(row.messages, total)) for row in ranking.rows]
    lines = _lines(cells)
    if any(row.missed for row in ranking.rows):
        lines.append(f"  (+: or more, by {number(ranking.missed)} at most)")
    return [title, *lines] if lines else []


def _lines(cells: Sequence[Tuple[str, str, str]]) -> List[str]:
    """Return a table's lines; what is too long for its column is cut at its end."""
    longest = max((len(text) for text, _, _ in cells), default=0)
    room = max(WIDTH_OF_LABELS - 2, min(longest, WIDTH_OF_NAMES))
    return [
        f"  {cut_text(text, room):<{room}} {count:>12} {part:>8}" for text, count, part in cells
    ]


def foremost(rows: Sequence[Tuple[str, int]], limit: int) -> List[Tuple[str, int]]:
    """Return at most so many rows; the last adds up the others if there are more."""
    if len(rows) <= limit:
        return list(rows)
    kept = list(rows[: limit - 1])
    others = rows[limit - 1 :]
    return [*kept, (f"{number(len(others))} others", sum(count for _, count in others))]


def cut_text(text: str, room: int) -> str:
    """Return text in at most so many columns."""
    return text if len(text) <= room else text[: room - 1] + ELLIPSIS


def as_json(summary: Summary, source: str) -> str:
    """Return the summary as one line of JSON; times in nanoseconds."""
    latency = summary.latency
    found: Dict[str, Any] = {
        "source": source,
        "messages": summary.messages,
        "messages_per_second": summary.mean,
        "first_time_ns": summary.first,
        "last_time_ns": summary.last,
        "types": dict(summary.types),
        "rcodes": dict(summary.rcodes),
        "protocols": dict(summary.protocols),
        "query_types": dict(summary.query_types),
        "names": _as_mappings(summary.names, "name"),
        "clients": _as_mappings(summary.clients, "address"),
        "latency_ns": {
            "count": latency.measured,
            "p50": latency.p50,
            "p95": latency.p95,
            "p99": latency.p99,
            "max": latency.maximum,
            "histogram": [bar._asdict() for bar in latency.bars],
        },
        "pairs": summary.pairs._asdict(),
        "timeline": {
            "width_ns": summary.width,
            "bins": [each._asdict() for each in summary.bins],
        },
    }
    return json_text(found) + "\n"


def _as_mappings(ranking: Ranking, name: str) -> List[Dict[str, Any]]:
    return [
        {name: row.text, "messages": row.messages, "missed": row.missed} for row in ranking.rows
    ]
