"""The checks of a chaos run: each finds what it is for."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from dnstap_logging.delivery.stats import CAUSES, Counters
from tests.helpers.support import data
from tests.situations.chaos.books import check
from tests.situations.chaos.peers import CONTENT_TYPE, READY, START, STOP, control
from tests.situations.chaos.plan import make_plan
from tests.situations.chaos.records import Mark, payload, wire
from tests.situations.chaos.streams import read_sessions

COUNT = 10


def record(number: int, process: str = "0") -> bytes:
    """Return the data frame of one record of thread t0."""
    return data(payload(wire(Mark(process, 0, "t0", number), number)))


def stream(frames: List[bytes]) -> List[bytes]:
    """Return a session with these frames."""
    return [control(READY, CONTENT_TYPE), control(START, CONTENT_TYPE), *frames, control(STOP)]


def report(**changes: Any) -> Dict[str, Any]:
    """Return what a program says that has logged ten records, all of them written."""
    frames = [record(number) for number in range(COUNT)]
    stats = Counters("unix:///x").snapshot(0)._asdict()
    stats.update(logged=COUNT, accepted=COUNT, written=COUNT, connects=1)
    stats.update(bytes_written=sum(map(len, frames)), dropped=dict.fromkeys(CAUSES, 0))
    stats.update(changes)
    books = {"number": 0, "stats": stats, "attempts": {"t0": COUNT}, "closed": True}
    return {
        "process": "0",
        "books": [books],
        "violations": [],
        "longest": {},
        "most_memory": 0,
    }


def failures(
    folder: Path, sessions: List[List[bytes]], said: Dict[str, Any], **options: Any
) -> List[str]:
    """Return what the check finds wrong with sessions whose bytes these are."""
    for number, frames in enumerate(sessions):
        (folder / f"{number:05}.bytes").write_bytes(b"".join(frames))
        (folder / f"{number:05}.kind").write_text("well")
    plan = make_plan(0, "unix")._replace(faults=[], options=options)
    return check(plan, [said], read_sessions(folder, bidirectional=True)).failures


def test_all_is_well(tmp_path: Path) -> None:
    """Where everything arrived once and in order, there is nothing to find."""
    frames = [record(number) for number in range(COUNT)]
    assert failures(tmp_path, [stream(frames)], report()) == []


def test_what_was_resent_may_come_twice(tmp_path: Path) -> None:
    """Doubles that the books know of are no failure, nor is what they say may be missing."""
    first = stream([record(number) for number in range(5)])[:-1]
    second = stream([record(number) for number in range(3, COUNT - 1)])
    assert failures(tmp_path, [first, second], report(resent=2, unconfirmed=1)) == []


def lost(frames: List[bytes]) -> None:
    del frames[4]


def doubled(frames: List[bytes]) -> None:
    frames.insert(4, frames[4])


def swapped(frames: List[bytes]) -> None:
    frames[4], frames[5] = frames[5], frames[4]


def invented(frames: List[bytes]) -> None:
    frames.append(record(COUNT))


def of_a_child(frames: List[bytes]) -> None:
    frames.append(record(0, "0-t0c1"))


def damaged(frames: List[bytes]) -> None:
    frames[4] = frames[4][:-5] + bytes([frames[4][-5] ^ 1]) + frames[4][-4:]


def torn(frames: List[bytes]) -> None:
    frames[4] = frames[4][:-5]


def begun_again(frames: List[bytes]) -> None:
    frames.insert(4, control(START, CONTENT_TYPE))


def empty(frames: List[bytes]) -> None:
    frames.insert(4, struct.pack(">I", 2) + b"\x78\x01")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lost, "of those written are missing"),
        (doubled, "came twice, but resent 0"),
        (doubled, "came again behind"),
        (swapped, "came after number"),
        (invented, "arrived, but never logged"),
        (of_a_child, "more than one writer in a session"),
        (damaged, "was changed"),
        (torn, "the frame at"),
        (begun_again, "not STOP"),
        (empty, "not a dnstap message"),
    ],
)
def test_a_spoilt_stream_is_found(
    tmp_path: Path, spoil: Callable[[List[bytes]], None], found: str
) -> None:
    """One frame lost, doubled, swapped, invented, damaged, or in a wrong place is noticed."""
    frames = [record(number) for number in range(COUNT)]
    spoil(frames)
    assert found in "\n".join(failures(tmp_path, [stream(frames)], report()))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"logged": COUNT + 1}, f"{COUNT} log calls, but logged"),
        ({"written": COUNT - 1}, f"{COUNT} arrived, but written"),
        ({"bytes_written": 7}, "bytes arrived"),
        ({"confirmed": 1}, "FINISH was sent for 0"),
        ({"invalid_fields": 1}, "invalid_fields"),
        ({"dropped": {**dict.fromkeys(CAUSES, 0), "too_large": 1}}, "0 records were too_large"),
    ],
)
def test_wrong_books_are_found(tmp_path: Path, changes: Dict[str, Any], found: str) -> None:
    """A counter that says something else than the streams is noticed."""
    frames = [record(number) for number in range(COUNT)]
    assert found in "\n".join(failures(tmp_path, [stream(frames)], report(**changes)))


def test_what_a_process_noticed_is_a_failure(tmp_path: Path) -> None:
    """An exception out of a call, or a descriptor left behind, fails the scenario."""
    frames = [record(number) for number in range(COUNT)]
    said = {**report(), "violations": ["close raised"]}
    assert failures(tmp_path, [stream(frames)], said) == ["process 0: close raised"]


def test_with_a_spool_all_handlers_are_checked_together(tmp_path: Path) -> None:
    """Others may send what a handler has stored, in another order; but nothing is missing."""
    frames = [record(number) for number in range(COUNT)]
    swapped = [frames[5:], frames[:7]]
    assert failures(tmp_path, list(map(stream, swapped)), report(), spool=True) == []
    (found,) = failures(tmp_path, [stream(frames[:5]), stream(frames[:7])], report(), spool=True)
    assert "3 records are missing, unconfirmed 0" in found
