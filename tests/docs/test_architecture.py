"""docs/architecture.md: its tables and its picture of the rooms are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

import dnstap_logging
from dnstap_logging.framestream.state import SENT_BY, TRANSITIONS
from tests.helpers.pages import DOCS, names, sections
from tests.test_layers import FLOOR, FLOORS
from tools import draw_rooms

ARCHITECTURE = sections(DOCS / "architecture.md")


def cells(text: str, columns: int) -> List[List[str]]:
    """Return the rows of the one table with that many columns in a text, without its heading."""
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


def test_the_picture_is_drawn_from_the_floors() -> None:
    """The picture is what its tool draws today, from the floors that the layer test checks."""
    assert draw_rooms.read_floors() == FLOORS
    drawn = draw_rooms.PICTURE.read_text(encoding="utf-8")
    assert drawn == draw_rooms.draw(FLOORS), "not up to date: run `make docs`"
    assert "](images/rooms.svg)" in ARCHITECTURE["The rooms"]


def test_the_way_of_a_record_is_the_same_in_words_and_picture() -> None:
    """Each step in the picture is in a room that exists, and is named in the page's list too."""
    listed = ARCHITECTURE["The way of a record"]

    assert {step.room for step in draw_rooms.WAY} <= set(FLOOR)
    steps = [name for step in draw_rooms.WAY for name in step.name.split(", ")]
    assert [name for name in steps if name not in listed] == []


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
