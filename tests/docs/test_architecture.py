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
LISTED = ARCHITECTURE["The way of a record"]


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
    assert {step.room for step in draw_rooms.WAY} <= set(FLOOR)
    steps = [name for step in draw_rooms.WAY for name in step.name.split(", ")]
    assert [name for name in steps if name not in LISTED] == []


def test_the_steps_of_a_record_are_where_the_page_says() -> None:
    """Each name in the list is in the file or folder next to it."""
    package = Path(dnstap_logging.__file__).parent
    steps = re.findall(r"(?m)^ +(\S.*?) {2,}([a-z_]+(?:/[a-z_]+)?(?:\.py|/))", LISTED)
    wrong = []
    for step, place in steps:
        path = package / place
        files = path.glob("*.py") if path.is_dir() else [path]
        text = "".join(file.read_text(encoding="utf-8") for file in files)
        wrong += [
            (name, place)
            for name in re.findall(r"\w+", step)
            if not re.search(rf"\b{name}\b", text)
        ]

    assert len(steps) >= 12
    assert wrong == []


def test_the_locks_are_those_of_the_source() -> None:
    """Each lock that the page names by its attribute is made somewhere in the package."""
    package = Path(dnstap_logging.__file__).parent
    source = "".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    named = re.findall(r"(?m)^\|[^|]*?`(\w+)`", ARCHITECTURE["Locks"])
    made = set(re.findall(r"\b(\w+)(?:: \w+)? = (?:threading\.)?R?Lock\(", source))

    assert {"mutex", "_driving"} <= set(named)
    assert [name for name in named if name not in made | {"logging"}] == []


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


def test_modules_that_the_source_names_are_there() -> None:
    """A module in a comment or docstring is in the same folder, or named from the package's."""
    package = Path(dnstap_logging.__file__).parent
    missing = []
    for path in package.rglob("*.py"):
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", path.read_text(encoding="utf-8")):
            places = (path.parent, package, package.parent)
            if not any((place / name).exists() for place in places):
                missing.append((path.relative_to(package).as_posix(), name))

    assert missing == []
