"""Standard input, output and error as they may be: full, closed, or never waiting."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import PROGRAM, TIMEOUT, run
from tests.cli.samples import payloads, query, response, write
from tests.helpers.programs import with_environment
from tests.helpers.support import capture, wait_until


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize(
    "line",
    ["read FILE", "read -", "check FILE", "check FILE --repair -", "top FILE", "top --json FILE"],
)
@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_full_disk(line: str, unbuffered: str, tmp_path: Path) -> None:
    """Where standard output takes no more, one line says so; status 2, also at the end."""
    path = write(tmp_path / "FILE", [query()])
    with open("/dev/full", "wb") as full, path.open("rb") as stdin:
        done = subprocess.run(
            [*PROGRAM, *line.split()],
            stdin=stdin,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
            check=False,
            env=with_environment(PYTHONUNBUFFERED=unbuffered),
            cwd=tmp_path,
        )
    said = f"dnstap-logging {line.split()[0]}: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize("command", ["read", "check", "top"])
def test_a_standard_input_that_does_not_wait(command: str) -> None:
    """A pipe that somebody has made non-blocking is waited for like any other."""
    stream = capture(payloads([query(), response(1)]))
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with subprocess.Popen(
        [*PROGRAM, command, "-"],
        stdin=ours,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=with_environment(),
    ) as process:
        os.write(theirs, stream[:60])
        # Taken, and so the command has come to where there is nothing.
        wait_until(lambda: not select.select([ours], [], [], 0)[0], "the first bytes read")
        os.close(ours)
        os.write(theirs, stream[60:])
        os.close(theirs)
        printed, said = process.communicate(timeout=TIMEOUT)

    assert (process.returncode, said) == (0, "")
    assert printed


def test_closed_standard_error_leaves_standard_output_alone(tmp_path: Path) -> None:
    """What is for standard error goes nowhere where that is closed, least of all into captures."""
    path = write(tmp_path / "1", [query()])
    done = subprocess.run(
        [
            "sh",
            "-c",
            'exec "$0" -m dnstap_logging check "$1" --repair - 2>&-',
            sys.executable,
            path,
        ],
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        env=with_environment(),
    )
    assert (done.returncode, done.stdout) == (0, path.read_bytes())


@pytest.mark.parametrize("line", ["read none", "read", "check --frobnicate", "top none"])
def test_bad_use_with_closed_standard_error(line: str, tmp_path: Path) -> None:
    """The status is the same where nobody can be told."""
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh"]

    assert run(*line.split(), program=[*closed, *PROGRAM]) == (2, "", "")
