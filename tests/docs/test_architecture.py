"""docs/architecture.md: its tables of rooms and of states are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

import dnstap_logging
from dnstap_logging.framestream.state import SENT_BY, TRANSITIONS
from tests.helpers.pages import DOCS, names, sections
from tests.test_layers import FLOOR

ARCHITECTURE = sections(DOCS / "architecture.md")


def cells(text: str, columns: int) -> List[List[str]]:
    """Return the rows of the one table with so many columns in a text, without its heading."""
    lines = [line[1:-1].split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:] if len(line) == columns]


def test_rooms_are_all_there() -> None:
    """The table of rooms has every module and folder of the package, on its own level."""
    package = Path(dnstap_logging.__file__).parent
    there = {path.name for path in package.glob("*.py")}
    there |= {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    listed = {
        name: int(level)
        for level, room, _ in cells(ARCHITECTURE["The rooms"], 3)
        for name in names(room)
    }

    assert set(listed) == there
    floors = {name: FLOOR[re.sub(r"\.py$|/$", "", name)] for name in listed}
    assert listed == floors


def test_the_places_to_change_are_there() -> None:
    """Each module and folder of the table "where to change what" exists."""
    package = Path(dnstap_logging.__file__).parent
    rows = cells(ARCHITECTURE["Where to change what"], 2)
    places = [name for _, places in rows for name in names(places)]

    assert len(rows) >= 20
    assert [place for place in places if not (package / place).exists()] == []


def test_states_are_those_of_the_table() -> None:
    """The documented transitions are those that the sessions follow."""
    documented = [
        (direction, state, frame, sender, following)
        for direction, state, frame, sender, following in cells(ARCHITECTURE["Frame Streams"], 5)
    ]
    followed = [
        (direction.value, state.name, kind.name, SENT_BY[kind].value, following.name)
        for direction, transitions in TRANSITIONS.items()
        for (state, kind), following in transitions.items()
    ]

    assert documented == followed
