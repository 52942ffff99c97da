"""examples/README.md knows every example, and every command that is written there can be run."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Iterator, List, Set

import pytest

from tests.examples.programs import DEADLINE, EXAMPLES, REPOSITORY, run
from tests.helpers.programs import with_environment

NAMES = sorted(path.name for path in EXAMPLES.glob("[!_]*.py"))
PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")
MOST_LINES = 170


def docstring(name: str) -> str:
    """Return the docstring of an example."""
    return ast.get_docstring(ast.parse((EXAMPLES / name).read_text(encoding="utf-8"))) or ""


@cache
def options(name: str) -> Set[str]:
    """Return the options that an example's --help shows."""
    done = run(REPOSITORY, name, "--help")
    assert done.returncode == 0, done.stderr
    return set(re.findall(r"^  (--[a-z-]+)", done.stdout, re.MULTILINE))


def commands(text: str) -> Iterator[List[str]]:
    """Return the command lines of a text that start an example, from the example's name on."""
    for match in re.finditer(r"python examples/((?:\\\n|.)*)", text):
        yield shlex.split(match.group(1).replace("\\\n", " ").split("`")[0], comments=True)


def test_readme_lists_the_options_of_the_server() -> None:
    """The page has a row for every option of dns_server.py, and no other."""
    section = PAGE.partition("\n## dns_server.py\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(--[a-z]+)`", section, re.MULTILINE)

    assert listed, "no table of options"
    assert set(listed) == options("dns_server.py")


def test_readme_has_a_row_for_every_example() -> None:
    """The page's first table names each example once, and no other."""
    assert sorted(re.findall(r"^\| \[`(\w+\.py)`\]\(\1\) \|", PAGE, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_commands_use_options_that_exist(name: str) -> None:
    """The docstring and the page say how to start it, and by options that it has."""
    for where, text in (("docstring", docstring(name)), ("page", PAGE)):
        found = [command for command in commands(text) if command[0] == name]
        assert found, f"the {where} does not say how to start {name}"
        for command in found:
            used = {word for word in command if word.startswith("--")}
            assert used <= options(name), f"{where}: {command}"


@pytest.mark.parametrize("name", NAMES)
def test_help_needs_no_collector(name: str) -> None:
    """`--help` works everywhere and begins with what the example is."""
    assert {"--address"} <= options(name)


def test_importing_an_example_starts_nothing(tmp_path: Path) -> None:
    """Importing the examples starts nothing and configures nothing."""
    modules = ", ".join(name[: -len(".py")] for name in NAMES)
    code = (
        f"import logging, signal, threading, {modules}\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not logging.getLogger('dns').handlers\n"
        "assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())"
    )
    path = os.pathsep.join(map(str, (EXAMPLES, REPOSITORY)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env=with_environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_examples_are_short() -> None:
    """An example is something to read at one go."""
    lengths = {name: len((EXAMPLES / name).read_text("utf-8").splitlines()) for name in NAMES}
    assert {name for name, count in lengths.items() if count > MOST_LINES} == set()
