"""docs/reliability.md: the tests that it names are there, and its numbers are those of the code."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import Dict, List, Set

import pytest

from dnstap_logging.codec.encoding import DEFAULT_MAX_PAYLOAD
from dnstap_logging.delivery import options
from dnstap_logging.delivery.destination import Destination
from dnstap_logging.delivery.outbox import MOST_ROUNDS
from dnstap_logging.framestream.frames import MAX_CONTROL_FRAME_SIZE

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "reliability.md").read_text(encoding="utf-8")

ROW = re.compile(r"^\| (P\d\d) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PATH = re.compile(r"`(tests/[\w./]+)`")


def rows() -> Dict[str, List[str]]:
    """Return what the table has for each number: what broke, and the rest of the row."""
    return {number: [what, where] for number, what, where in ROW.findall(PAGE)}


@functools.cache
def names_in(path: str) -> Set[str]:
    """Return the names of the tests that pytest finds in a file, without importing it."""
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_fault_has_its_row() -> None:
    """P01 to P48 are all in the table, once and in order, each with a test."""
    assert [number for number, _, _ in ROW.findall(PAGE)] == [f"P{n:02}" for n in range(1, 49)]
    without = [number for number, (_, where) in rows().items() if not TEST.search(where)]
    assert without == [], "these name no test"


@pytest.mark.parametrize("number", rows())
def test_every_test_that_is_named_exists(number: str) -> None:
    """A test that is renamed or removed takes its row of the table along."""
    for path, name in TEST.findall(rows()[number][1]):
        assert (REPOSITORY / path).is_file(), f"{number}: there is no {path}"
        assert name in names_in(path), f"{number}: {path} has no {name}"


def test_every_path_that_is_named_exists() -> None:
    """The files and folders of tests that the sections name are there."""
    paths = PATH.findall(PAGE)

    assert len(paths) > 10, "the page names files of tests"
    assert [path for path in paths if not (REPOSITORY / path).exists()] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("last `resend_bytes` (256 KiB) of frames", options.DEFAULT_RESEND_BYTES == 256 * 1024),
        ("| 256 records, or the record", Destination.batch_records == 256),
        ("with which 64 KiB are reached", Destination.batch_bytes == 64 * 1024),
        ("`max_frame_size` (96 KiB)", DEFAULT_MAX_PAYLOAD == 96 * 1024),
        ("a control frame of 512 bytes", MAX_CONTROL_FRAME_SIZE == 512),
        ("when four sessions in a\nrow", MOST_ROUNDS == 4),
        ("(1 s for unix sockets and files", options.RECONNECT_CEILINGS["file"] == 1.0),
        ("10 s for TCP and TLS)", options.RECONNECT_CEILINGS["tls"] == 10.0),
    ],
)
def test_numbers_are_those_of_the_code(text: str, value: bool) -> None:
    """Limits that the page names, and that nobody can look up in the handler's arguments."""
    assert text in PAGE, f"the page no longer says {text!r}"
    assert value, f"the page says {text!r}, the code something else"
