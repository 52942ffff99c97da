"""docs/command-line.md says of `listen`, `send`, `top` and `demo` what is true."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator, List, Set

import pytest

from dnstap_logging.cli import listen, send, top
from dnstap_logging.cli.demo import command as demo
from dnstap_logging.cli.main import make_parser
from tests.cli.programs import DEADLINE, REPOSITORY
from tests.helpers.programs import with_environment
from tests.helpers.support import capture, dnstap_payload

PAGE = (REPOSITORY / "docs" / "command-line.md").read_text(encoding="utf-8")
COMMANDS = {"listen": listen, "send": send, "top": top, "demo": demo}


def section(name: str) -> str:
    """Return the section of a command."""
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def options(module: ModuleType) -> Set[str]:
    """Return all options that a command takes."""
    parser = argparse.ArgumentParser(add_help=False)
    module.add_arguments(parser)
    return {option for action in parser._actions for option in action.option_strings}


def blocks(name: str) -> List[str]:
    """Return the shell blocks of a section."""
    return re.findall(r"^```sh\n(.*?)^```", section(name), re.MULTILINE | re.DOTALL)


def commands(name: str) -> Iterator[List[str]]:
    """Yield the arguments of each command in a section, without what the shell does."""
    for block in blocks(name):
        for line in block.splitlines():
            for part in re.split(r"\||>|&", line):
                words = shlex.split(part, comments=True)
                if words[:1] == ["dnstap-logging"]:
                    yield words[1:]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_tables(name: str) -> None:
    """The section names each option, in its table or the rows of formats and filters; no other."""
    rows = re.findall(r"^\| ([^|]*) \| (.*)\|$", section(name), re.MULTILINE)
    listed: Set[str] = set()
    for first, rest in rows:
        source = rest.partition("; not with")[0] if first in ("formats", "filters") else first
        listed |= set(re.findall(r"`(-[\w=-]+)`", source))

    assert listed == options(COMMANDS[name])


@pytest.mark.parametrize("name", ["listen", "send", "top"])
def test_commands_can_be_given(name: str) -> None:
    """Each command line of the section is one that the program takes."""
    found = list(commands(name))
    assert len(found) >= 4
    for arguments in found:
        assert make_parser().parse_args(arguments).command in COMMANDS


def test_the_copy_is_a_copy(tmp_path: Path) -> None:
    """The last block of `send`, run by a shell, copies a capture byte for byte."""
    (tmp_path / "dns.fstrm").write_bytes(capture(map(dnstap_payload, range(9))))
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "dnstap-logging"
    python = shlex.quote(sys.executable)
    program.write_text(f'#!/bin/sh\nexec {python} -m dnstap_logging "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", "-ec", blocks("send")[-1]],
        cwd=tmp_path,
        env=with_environment(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}"),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "9 of 9 messages sent, 9 confirmed" in done.stdout
    assert (tmp_path / "copy.fstrm").read_bytes() == (tmp_path / "dns.fstrm").read_bytes()
