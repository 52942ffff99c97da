"""The page of diagnostics has every line that the library can log, and every reason in it.

The lines are found in the source itself: all calls that report one, with their kind, their levels
and what of their text is fixed.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

import pytest

import dnstap_logging
from dnstap_logging.filters import anonymizing, sampling
from dnstap_logging.transport import file, owned, reasons, stream, tls
from tests.helpers.pages import DOCS, names, rows_of

PACKAGE = Path(dnstap_logging.__file__).parent
PAGE = (DOCS / "reference" / "diagnostics.md").read_text(encoding="utf-8")
VARIABLE = "…"  # stands on the page for what differs

REPORTING = {
    "report": 0,
    "_report": 0,
    "_report_peer": 0,
    "_note": 0,
    "note": 0,
    "_say_waiting": 0,
    "_refuse": 1,
}
"""What reports a line, and which of its arguments is the kind."""

LEVELS = {"_say_waiting": "WARNING", "_refuse": "WARNING"}  # of those that do not take one


class Report(NamedTuple):
    """A call that reports a line.

    Attributes:
        place: the file and the line.
        kind: with a `VARIABLE` for what differs.
        level: its name; "": it is computed.
        text: the parts that are fixed.
    """

    place: str
    kind: str
    level: str
    text: List[str]


def fixed_parts(node: ast.expr) -> Optional[List[str]]:
    """Return what is fixed in a string of the source; None: it is not written there."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        parts = [part.value for part in node.values if isinstance(part, ast.Constant)]
        return [part for part in parts if isinstance(part, str)]
    return None


def source_files() -> Iterator[Tuple[str, ast.Module]]:
    """Yield every module of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def calls() -> Iterator[Tuple[str, str, ast.Call]]:
    """Yield every call of a method: where it is, the method's name, and the call."""
    for name, tree in source_files():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield f"{name}:{node.lineno}", node.func.attr, node


def reports() -> Iterator[Report]:
    """Yield every call that reports a line of a kind that is written there."""
    for place, method, call in calls():
        at = REPORTING.get(method)
        if at is None or len(call.args) < at + 2:
            continue
        kind = fixed_parts(call.args[at])
        if kind is None or (method == "_refuse" and len(call.args) < 3):
            continue  # it passes on what another has said, or is another method of that name
        level = LEVELS.get(method) or ast.unparse(call.args[at + 1])
        fixed = VARIABLE if isinstance(call.args[at], ast.JoinedStr) else ""
        text = fixed_parts(call.args[-1]) or []
        yield Report(
            place,
            "".join(kind) + fixed,
            level.partition("logging.")[2] or LEVELS.get(method, ""),
            text,
        )


REPORTS = list(reports())
ROWS = {names(row[0])[0]: row for row in rows_of(PAGE, "kind")}


def test_the_kinds_are_those_of_the_source() -> None:
    """Each kind of line has its row, and no row is about a line that is not there any more."""
    said = {report.kind for report in REPORTS}

    assert len(REPORTS) >= 25
    assert said == set(ROWS)


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: f"{report.kind}, {report.place}")
def test_a_line_is_said_as_its_row_says(report: Report) -> None:
    """Its level is there, and what is fixed in its text."""
    _, levels, lines, meaning = ROWS[report.kind]

    assert meaning
    if report.level:
        assert report.level in names(levels)
    for part in report.text:
        fixed = part.strip(" :;(),")
        assert fixed in lines, f"{fixed!r} is not in the row of {report.kind}"


def test_the_filters_complaints_are_there() -> None:
    """Both texts of a filter in the wrong place are in their row."""
    _, _, lines, _ = ROWS["misplaced"]
    for module in (anonymizing, sampling):
        begin, _, _ = module.MISPLACED.partition("where records")
        assert begin.split(";")[0].strip() in lines


def explained() -> Set[str]:
    """Return all reasons that are kept in a table of the source."""
    tables = (reasons._REASONS, reasons._UNIX_CONNECT_REASONS, file._OPEN_REASONS, tls._REASONS)
    fixed = {text.split("{")[0].rstrip(" (") for table in tables for text in table.values()}
    lost = {file.MOVED, file.CLOSED, file.EMPTIED, owned.CLOSED}
    return fixed | lost | {stream.StreamTransport.end}


def raised() -> Iterator[Tuple[str, str]]:
    """Yield the reasons that are written where a transport's error is raised: place and text."""
    errors = {"TransportError", "TransportTimeout", "PeerClosed", "FileLocked", "DiskFull"}
    for name, tree in source_files():
        if not name.startswith(("transport/", "delivery/")):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            if isinstance(node.func, ast.Name) and node.func.id in errors:
                for part in fixed_parts(node.args[1]) or []:
                    yield f"{name}:{node.lineno}", part.strip(" :;(),")


REASONS = PAGE.split("\n## Reasons\n")[1]


@pytest.mark.parametrize("reason", sorted(explained()))
def test_a_reason_of_the_system_is_there(reason: str) -> None:
    """What an error of the system is said to mean is on the page, with what to do."""
    assert reason in REASONS


@pytest.mark.parametrize(("place", "reason"), [found for found in raised() if len(found[1]) > 3])
def test_a_reason_of_ours_is_there(place: str, reason: str) -> None:
    """The reasons that the library writes itself are on the page, too."""
    assert reason in REASONS, place


def test_each_reason_says_what_to_do() -> None:
    """No cell of the tables of reasons is empty."""
    assert all(all(row) for row in rows_of(REASONS, "reason"))
