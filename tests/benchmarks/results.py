"""The results of a run: as a file of JSON, as text for a terminal, as tables for the manual."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence

from tests.benchmarks.figures import Figure, Section

HEADINGS = ("figure", "measured", "goal", "")


class Results(NamedTuple):
    """What a run has measured.

    Attributes:
        command: that made them.
        machine: on which it ran, with the versions.
        sections: by name.
    """

    command: str
    machine: Dict[str, str]
    sections: Dict[str, Section]

    @property
    def figures(self) -> List[Figure]:
        """The lines of the table."""
        return [figure for section in self.sections.values() for figure in section.figures]


def save(results: Results, path: Path) -> None:
    """Write the results as JSON."""
    sections = {
        name: {
            "title": section.title,
            "figures": [figure._asdict() for figure in section.figures],
            "details": section.details,
        }
        for name, section in results.sections.items()
    }
    content = {**results._asdict(), "sections": sections}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    """Read what `save` has written."""
    content = json.loads(path.read_text(encoding="utf-8"))
    sections = {
        name: Section(
            section["title"],
            [Figure(**figure) for figure in section["figures"]],
            section["details"],
        )
        for name, section in content["sections"].items()
    }
    return Results(content["command"], content["machine"], sections)


def cells(figure: Figure) -> Sequence[str]:
    """Return a line of the table."""
    return figure.name, f"{figure.measured:.2f} {figure.unit}", figure.aim, figure.verdict


def as_text(results: Results) -> str:
    """Return the whole for a terminal: the machine, the table, and what it was made from."""
    lines = [f"{name}: {value}" for name, value in results.machine.items()]
    rows = [HEADINGS, *map(cells, results.figures)]
    lines += ["", *(f"{row[0]:52}{row[1]:>14}   {row[2]:16}{row[3]}".rstrip() for row in rows)]
    for section in results.sections.values():
        lines += ["", section.title]
        width = max(map(len, section.details))
        for name, quantities in section.details.items():
            shown = ", ".join(f"{quantity} {value:,.2f}" for quantity, value in quantities.items())
            lines.append(f"  {name:{width}}  {shown}")
    return "\n".join(lines)


def as_markdown(results: Results) -> Dict[str, str]:
    """Return the parts of the pages that show results, by the names of their places."""
    parts = {
        "figures": f"{origin(results)}\n\n{figures_table(results)}\n\n{not_met(results)}",
    }
    for name, section in results.sections.items():
        parts[name] = f"{_sentence(section.title)}\n\n{details_table(section)}"
    if "cost" in results.sections:
        parts["readme"] = in_short(results)
    return parts


def in_short(results: Results) -> str:
    """Return the README's figure: what a query costs compared with a text log."""
    cost = {name: each["cpu"] for name, each in results.sections["cost"].details.items()}
    adapter, info, text = cost["adapter"], cost["info"], cost["text"]
    where = f"{results.machine['Python']}, {results.machine['machine']}"
    figure = (
        f"A query logged by `DnstapAdapter` costs **{adapter:.1f} µs** of CPU time, up to its last "
        f"byte in the capture. That is {adapter / text:.0%} of the {text:.1f} µs of a text log "
        f"(one line by the standard `FileHandler`). By `logger.info` it is {info:.1f} µs. "
        f"Measured by `{results.command}` ({where})."
    )
    return textwrap.fill(figure, 100, break_on_hyphens=False)


def origin(results: Results) -> str:
    """Return a list of where the figures come from."""
    command = f"- measured on {results.machine['date']} with `{results.command}`"
    rest = [f"- {name}: {value}" for name, value in results.machine.items() if name != "date"]
    return "\n".join([command, *rest])


def figures_table(results: Results) -> str:
    """Return the figures with their goals."""
    return _table([HEADINGS, *map(cells, results.figures)])


def not_met(results: Results) -> str:
    """Return a sentence of the goals that were not met."""
    missed = [figure for figure in results.figures if figure.verdict == "not met"]
    if not missed:
        return "All goals are met."
    listed = "; ".join(f"{each.name} ({each.measured:.2f}, {each.aim})" for each in missed)
    return f"Not met: {listed}."


def details_table(section: Section) -> str:
    """Return what was measured of each contender."""
    columns: List[str] = []
    for quantities in section.details.values():
        columns += [quantity for quantity in quantities if quantity not in columns]
    rows = [["", *columns]]
    for name, quantities in section.details.items():
        rows.append([name, *[_number(quantities.get(column)) for column in columns]])
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([head, "| --- " * len(rows[0]) + "|", *body])


def _number(value: Optional[float]) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.2f}"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}:"
