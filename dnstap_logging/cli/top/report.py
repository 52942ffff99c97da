"""The summary as one HTML page that needs nothing else: no script, no picture, no font.

Everything that came from the network is escaped, and a content security policy forbids the page to
load or run anything.
"""

from __future__ import annotations

import os
from html import escape
from typing import List, Sequence, Tuple

from ..._version import __version__
from ..common import CommandError
from ..files import create
from .charts import latency_chart, time_chart
from .page import PAGE, STYLE
from .statistics import Ranking, Summary
from .summary import at_least, foremost
from .units import duration, number, per_second, share, stamp

__all__ = ["as_html", "check_place", "write_report"]

TIME_CHART = (1040, 230)
LATENCY_CHART = (1040, 200)
LIMIT = 12  # rows of a table of types or codes; the others are added up


def check_place(path: str, source: str) -> None:
    """Make sure, before the traffic is collected, that a page can be written there.

    Args:
        path: of the page.
        source: what the messages are read from, as the user wrote it.

    Raises:
        CommandError: it cannot; the text says why.
    """
    folder = os.path.dirname(path) or "."
    why = None
    if not path:
        why = "is empty; name a file"
    elif os.path.isdir(path):
        why = "is a directory; name a file in it"
    elif not os.path.isdir(folder):
        why = f"there is no directory {folder!r}; make it first"
    elif not os.access(path if os.path.exists(path) else folder, os.W_OK):
        why = "permission denied; name another place"
    elif os.path.exists(path) and os.path.exists(source) and os.path.samefile(path, source):
        why = "is the capture that is read; name another file"
    if why is not None:
        raise CommandError(f"--report={path!r}: {why}")


def write_report(path: str, summary: Summary, source: str) -> None:
    """Write the page.

    Raises:
        CommandError: it cannot be written.
    """
    try:
        with open(path, "w", encoding="utf-8", opener=create) as file:
            file.write(as_html(summary, source))
    except OSError as error:
        raise CommandError(f"--report={path!r}: {error.strerror}; name another place") from None


def as_html(summary: Summary, source: str) -> str:
    """Return the page.

    Args:
        summary: of the traffic.
        source: where it came from, printable.
    """
    responses = sum(count for _, count in summary.rcodes)
    questions = sum(count for _, count in summary.query_types)
    tables = [
        _table("types", "Message types", summary.types, summary.messages),
        _table("rcodes", "Response codes", summary.rcodes, responses),
        _table("protocols", "Protocols", summary.protocols, summary.messages),
        _table("query-types", "Query types", summary.query_types, questions),
        _ranking("names", "Busiest names", summary.names, summary.messages),
        _ranking("clients", "Busiest clients", summary.clients, summary.messages),
    ]
    return PAGE.format(
        style=STYLE,
        source=escape(source),
        first=stamp(summary.first),
        last=stamp(summary.last),
        tiles=_tiles(summary),
        width=escape(duration(summary.width)),
        time=time_chart(summary.bins, summary.width, size=TIME_CHART),
        tables="".join(tables),
        percentiles=_percentiles(summary),
        latency=latency_chart(summary.latency.bars, size=LATENCY_CHART),
        pairs=_pairs(summary),
        notes=_notes(summary),
        version=escape(__version__),
    )


def _tiles(summary: Summary) -> str:
    pairs = summary.pairs
    queries = sum(pairs[:5])
    tiles = [
        ("messages", "Messages", number(summary.messages), f"{number(queries)} queries"),
        ("mean", "Mean rate", per_second(summary.mean), f"busiest {_busiest(summary)}"),
        (
            "p50",
            "Median latency",
            duration(summary.latency.p50),
            f"95 % within {duration(summary.latency.p95)}",
        ),
        (
            "unanswered",
            "Unanswered",
            number(pairs.unanswered),
            f"{share(pairs.unanswered, queries)} of the queries",
        ),
    ]
    return "".join(
        f'<div class="tile"><h3>{name}</h3><p id="{key}">{escape(value)}</p>'
        f"<small>{escape(more)}</small></div>"
        for key, name, value, more in tiles
    )


def _busiest(summary: Summary) -> str:
    most = max((each.queries + each.responses for each in summary.bins), default=0)
    return per_second(most * 1e9 / summary.width) if most else "-"


def _table(key: str, title: str, rows: Sequence[Tuple[str, int]], total: int) -> str:
    cells = [
        (text, number(count), count, share(count, total)) for text, count in foremost(rows, LIMIT)
    ]
    return _bars(key, title, cells)


def _ranking(key: str, title: str, ranking: Ranking, total: int) -> str:
    cells = [
        (row.text, at_least(row), row.messages, share(row.messages, total)) for row in ranking.rows
    ]
    return _bars(key, title, cells)


def _bars(key: str, title: str, cells: Sequence[Tuple[str, str, int, str]]) -> str:
    """Return a table whose rows have bars; the longest is that of the highest count."""
    highest = max((count for _, _, count, _ in cells), default=0)
    rows: List[str] = [
        f'<tr><th scope="row" title="{escape(text)}">{escape(text)}</th>'
        f'<td class="bar"><i style="width:{100 * count / highest:.1f}%"></i></td>'
        f"<td>{escape(shown)}</td><td>{escape(part)}</td></tr>"
        for text, shown, count, part in cells
    ]
    body = "".join(rows) or '<tr><td class="none">none</td></tr>'
    return f'<section><h2>{escape(title)}</h2><table id="{key}">{body}</table></section>'


def _percentiles(summary: Summary) -> str:
    latency = summary.latency
    named = (
        ("p50", latency.p50),
        ("p95", latency.p95),
        ("p99", latency.p99),
        ("max", latency.maximum),
    )
    return "".join(f"<span><b>{name}</b> {escape(duration(value))}</span>" for name, value in named)


def _pairs(summary: Summary) -> str:
    pairs = summary.pairs
    return (
        f"{number(pairs.answered)} queries answered, {number(pairs.unanswered)} unanswered, "
        f"{number(pairs.waiting)} still waiting at the end, {number(pairs.repeated)} repeated, "
        f"{number(pairs.forgotten)} forgotten; {number(pairs.unasked)} responses without a query."
    )


def _notes(summary: Summary) -> str:
    notes = "Percentiles are cut to three digits; all other numbers are exact"
    missed = max(summary.names.missed, summary.clients.missed)
    if missed:
        notes += f", but for counts with a +, which may be higher by {number(missed)} at most"
    return escape(notes + ".")
