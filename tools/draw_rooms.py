"""Draw docs/images/rooms.svg: the rooms of the package, floor by floor, and a record's way.

The floors are read from tests/test_layers.py, the way is written here. `make docs` draws the
picture, and tests/docs/test_architecture.py compares it with these two.
"""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path
from typing import List, NamedTuple, Tuple

TOP = Path(__file__).resolve().parents[1]
PACKAGE = TOP / "dnstap_logging"
LAYERS = TOP / "tests" / "test_layers.py"
PICTURE = TOP / "docs" / "images" / "rooms.svg"

Floors = Tuple[Tuple[str, ...], ...]


class Step(NamedTuple):
    """One step of a record's way: the room it is in, and what happens there."""

    room: str
    name: str
    does: str


CALLING_THREAD = (
    Step("handler", "DnstapHandler.handle", "filters the record"),
    Step("message", "take_snapshot", "copies what could still change"),
    Step("delivery", "RecordQueue.offer", "queues it, or drops and counts it"),
)
WRITER_THREAD = (
    Step("delivery", "Delivery.turn", "connects, takes a batch"),
    Step("codec", "Encoder.encode_record", "checks and encodes each record"),
    Step("delivery", "FrameWriter.write", "joins the frames into one write"),
    Step("framestream", "WriterSession", "checks the order of frames"),
    Step("transport", "StreamTransport, FileTransport", "hands the bytes to the kernel"),
)
WAY = CALLING_THREAD + WRITER_THREAD

# In the units of the picture, which are pixels where it is not scaled.
WIDTH, MARGIN, HEADING = 1000, 20, 44
ROOMS_LEFT, ROOMS_WIDTH = 44, 620
ROOM_HEIGHT, FLOOR_HEIGHT, GAP, PADDING = 30, 46, 6, 6
CHARACTER = 6.7  # the width of one in monospace of 11 pixels
STEPS_LEFT, STEPS_WIDTH, STEP_HEIGHT, STEP_DISTANCE = 690, 290, 38, 50
THREAD_LABEL = 26  # above the first step of each thread

CALLING_COLOUR, WRITER_COLOUR, QUIET_COLOUR = "#b45309", "#1d4ed8", "#94a3b8"

HEAD = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"
 width="{width}" height="{height}">
<title>The rooms of dnstap_logging and the way of a record</title>
<style>
text {{ font-family: "DejaVu Sans", Verdana, sans-serif; font-size: 11px; fill: #0f172a }}
.heading {{ font-size: 14px; font-weight: bold }}
.quiet {{ fill: #64748b }}
.code {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace }}
.middle {{ text-anchor: middle }}
.badge {{ font-size: 10px; font-weight: bold; fill: #ffffff; text-anchor: middle }}
</style>
<rect width="{width}" height="{height}" fill="#ffffff"/>
"""


def read_floors() -> Floors:
    """Return FLOORS of tests/test_layers.py, the lowest floor first."""
    for node in ast.parse(LAYERS.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "FLOORS" and node.value:
            floors: Floors = ast.literal_eval(node.value)
            return floors
    raise SystemExit(f"{LAYERS} has no FLOORS")


def file_name(room: str) -> str:
    """Return a room as it is listed in the package: a folder ends in a slash."""
    return f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py"


def colour(number: int) -> str:
    """Return the colour of the thread that takes a step."""
    return CALLING_COLOUR if number <= len(CALLING_THREAD) else WRITER_COLOUR


def text(x: float, y: float, words: str, style: str = "") -> str:
    """Return a line of text that begins at x, or has its middle there if the style says so."""
    return f'<text x="{x:g}" y="{y:g}" class="{style}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, stroke: str, fill: str) -> str:
    """Return a rectangle with round corners."""
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4"'
        f' stroke="{stroke}" fill="{fill}"/>'
    )


def badge(x: float, y: float, number: int) -> str:
    """Return the number of a step in a disc of its thread's colour."""
    disc = f'<circle cx="{x:g}" cy="{y:g}" r="8" fill="{colour(number)}"/>'
    return disc + text(x, y + 3.5, str(number), "badge")


def draw_room(x: float, y: float, width: float, room: str) -> List[str]:
    """Return a room's box, with the numbers of the steps that are taken in it."""
    steps = [number for number, step in enumerate(WAY, 1) if step.room == room]
    fill = "#fff7ed" if steps else "#f8fafc"
    parts = [box(x, y, width, ROOM_HEIGHT, "#334155" if steps else QUIET_COLOUR, fill)]
    parts.append(text(x + width / 2, y + 19, file_name(room), "code middle"))
    # On the box's upper edge, the last one near its right corner.
    parts += [
        badge(x + width - 8 - 18 * (len(steps) - place), y, number)
        for place, number in enumerate(steps, 1)
    ]
    return parts


def draw_floors(floors: Floors) -> List[str]:
    """Return the floors, the highest at the top, with their rooms."""
    parts = [text(ROOMS_LEFT, 28, "The rooms: imports go down only", "heading")]
    for place, (floor, rooms) in enumerate(reversed(list(enumerate(floors)))):
        y = HEADING + place * FLOOR_HEIGHT
        parts.append(text(ROOMS_LEFT - 20, y + 19, str(floor), "quiet middle"))
        widths = [len(file_name(room)) * CHARACTER + 2 * PADDING for room in rooms]
        # Rooms that leave space get some more, up to a limit, so that badges have their place.
        spare = (ROOMS_WIDTH - sum(widths) - GAP * (len(rooms) - 1)) / len(rooms)
        x: float = ROOMS_LEFT
        for room, width in zip(rooms, widths):
            width += min(max(spare, 0), 60)
            parts += draw_room(x, y, width, room)
            x += width + GAP
    return parts


def draw_steps(y: float, label: str, first: int, steps: Tuple[Step, ...]) -> List[str]:
    """Return the steps that one thread takes, from y downwards, with arrows between them."""
    parts = [text(STEPS_LEFT, y + 14, label, "quiet")]
    middle = STEPS_LEFT + STEPS_WIDTH / 2
    for place, (number, step) in enumerate(enumerate(steps, first)):
        top = y + THREAD_LABEL + place * STEP_DISTANCE
        parts.append(box(STEPS_LEFT, top, STEPS_WIDTH, STEP_HEIGHT, colour(number), "#ffffff"))
        parts.append(badge(STEPS_LEFT + 18, top + STEP_HEIGHT / 2, number))
        parts.append(text(STEPS_LEFT + 36, top + 16, step.name, "code"))
        parts.append(text(STEPS_LEFT + 36, top + 30, f"{file_name(step.room)}: {step.does}"))
        if place + 1 < len(steps):
            parts.append(arrow(middle, top + STEP_HEIGHT, STEP_DISTANCE - STEP_HEIGHT))
    return parts


def arrow(x: float, y: float, length: float) -> str:
    """Return an arrow downwards."""
    end = y + length
    return (
        f'<path d="M{x:g} {y:g}V{end - 5:g}M{x - 4:g} {end - 6:g}L{x:g} {end - 1:g}'
        f'L{x + 4:g} {end - 6:g}" stroke="{QUIET_COLOUR}" fill="none"/>'
    )


def draw(floors: Floors) -> str:
    """Return the whole picture as SVG."""
    second = HEADING + THREAD_LABEL + len(CALLING_THREAD) * STEP_DISTANCE + 14
    bottom = second + THREAD_LABEL + len(WRITER_THREAD) * STEP_DISTANCE
    height = max(bottom + 20, HEADING + len(floors) * FLOOR_HEIGHT) + MARGIN
    writer_label = "the writer thread, whenever there are records"
    parts = [
        *draw_floors(floors),
        text(STEPS_LEFT, 28, "The way of a record", "heading"),
        *draw_steps(HEADING - 10, "the calling thread, in logger.info(…)", 1, CALLING_THREAD),
        *draw_steps(second, writer_label, len(CALLING_THREAD) + 1, WRITER_THREAD),
        text(STEPS_LEFT + 36, bottom + 14, "to a collector, or into a capture file", "quiet"),
    ]
    return HEAD.format(width=WIDTH, height=height) + "\n".join(parts) + "\n</svg>\n"


if __name__ == "__main__":
    PICTURE.write_text(draw(read_floors()), encoding="utf-8")
