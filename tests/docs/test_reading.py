"""docs/reading.md: its commands and its programs read and follow a capture."""

from __future__ import annotations

import shlex
import signal
from pathlib import Path

import pytest

from tests.helpers.pages import DEADLINE, SOCKET, example, run, run_command, start

QUICK_START = example("logging.md", "python")
READING, FOLLOWING = (example("reading.md", "python", number) for number in range(2))
COMMANDS = [
    line for number in range(2) for line in example("reading.md", "sh", number).splitlines()
]


def write_capture(path: Path, stop: bool = True) -> None:
    """Write a capture of the quick start's two messages."""
    run(path.parent, QUICK_START.replace(SOCKET, str(path)))
    if not stop:
        path.write_bytes(path.read_bytes()[:-12])  # escape, length and type of STOP


@pytest.mark.parametrize("whole", [True, False])
def test_reading_example_reads(tmp_path: Path, whole: bool) -> None:
    """The reader's example prints every message of a capture, and whether it was ended."""
    write_capture(tmp_path / "dns.fstrm", stop=whole)

    lines = run(tmp_path, READING).splitlines()

    end = "whole" if whole else "the writer did not end it"
    assert lines == ["CLIENT_QUERY 192.0.2.1 29", "CLIENT_RESPONSE 192.0.2.1 0", end]


def test_following_example_follows(tmp_path: Path) -> None:
    """The follower prints what is written when it is written, into a pipe too; SIGTERM ends it."""
    write_capture(tmp_path / "dns.fstrm")
    with start(tmp_path, FOLLOWING) as process:
        try:
            assert process.stdout is not None
            before = [process.stdout.readline() for _ in range(2)]
            write_capture(tmp_path / "dns.fstrm")  # mode="a": behind what is there
            after = [process.stdout.readline() for _ in range(2)]
            process.send_signal(signal.SIGTERM)
            rest, said = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()

    assert (process.returncode, rest, said) == (0, "", "")
    assert before == after == ["CLIENT_QUERY 192.0.2.1\n", "CLIENT_RESPONSE 192.0.2.1\n"]


MARKS = {"fstrm_dump": "Data frame", "check": "  CLIENT_"}
"""What a command shows of each message, where it is not the client's address."""


@pytest.mark.parametrize("line", [line for line in COMMANDS if " top " not in line])
def test_commands_show_both_messages(tmp_path: Path, line: str) -> None:
    """Every command that prints or counts messages shows both of a capture of ours."""
    write_capture(tmp_path / "dns.fstrm")

    output = run_command(tmp_path, line)

    program, first, *_ = shlex.split(line)
    assert output.count(MARKS.get(program) or MARKS.get(first, "192.0.2.1")) >= 2, output


@pytest.mark.parametrize("line", [line for line in COMMANDS if " top " in line])
def test_top_sums_up_a_capture(tmp_path: Path, line: str) -> None:
    """The command for what is in a capture names its client, its name and its types."""
    write_capture(tmp_path / "dns.fstrm")

    output = run_command(tmp_path, line)

    for each in ("192.0.2.1", "example.net.", "CLIENT_QUERY", "CLIENT_RESPONSE"):
        assert each in output
