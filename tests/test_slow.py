"""The slow tests are few, and CONTRIBUTING.md lists each with its reason."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, Set

REPOSITORY = Path(__file__).resolve().parents[1]
ROW = re.compile(r"^\| `(tests/[\w/]+\.py::\w+)` \| (\d+) \| (\S[^|]+) \|$", re.MULTILINE)
MARK = "mark." + "slow"


def listed() -> Dict[str, int]:
    """Return the tests in the table, with their seconds."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = ROW.findall(text.partition("### Slow tests")[2])
    assert len({test for test, _, _ in rows}) == len(rows), "a test has two rows"
    return {test: int(seconds) for test, seconds, _ in rows}


@functools.cache
def collected(*arguments: str) -> Set[str]:
    """Return the tests that pytest selects in the files that use the marker."""
    folder = REPOSITORY / "tests"
    files = [each for each in folder.rglob("*.py") if MARK in each.read_text(encoding="utf-8")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *arguments, *map(str, files)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {line for line in done.stdout.splitlines() if "::" in line}


def test_each_slow_test_is_listed_with_its_seconds_and_reason() -> None:
    """The table has exactly the tests that are marked, and each takes five seconds or more."""
    slow = {test.partition("[")[0] for test in collected("-m", "slow and not hours")}

    assert sorted(listed()) == sorted(slow)
    assert {test: seconds for test, seconds in listed().items() if seconds < 5} == {}


def test_slow_tests_run_where_they_are_asked_for() -> None:
    """`make test` leaves them out by setup.cfg alone; -m on the command line replaces that."""
    usual, slow = collected(), collected("-m", "slow and not hours")
    every = collected("-m", "not hours")

    assert usual
    assert slow
    assert usual | slow == every
    assert not usual & slow


def test_slow_tests_are_few() -> None:
    """Nine tests of ten, at least, are in `make test`."""
    sources = [each.read_text(encoding="utf-8") for each in REPOSITORY.glob("tests/**/test_*.py")]
    functions = sum(len(re.findall(r"^def test_", source, re.MULTILINE)) for source in sources)

    assert 10 * len(collected("-m", "slow and not hours")) <= functions
