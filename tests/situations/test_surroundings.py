"""The tests pass in any shell: its variables reach neither them nor their programs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict

import pytest

from tests.helpers.support import NOT_HERE
from tests.helpers.surroundings import HAVE_EFFECTS

REPOSITORY = Path(__file__).resolve().parents[2]
TIMEOUT = 300.0

SENSITIVE = [
    "tests/cli/test_demo.py::test_make_demo_runs_the_command",
    "tests/cli/test_send.py::test_signals_end_it_in_order[SIGINT]",
    "tests/cli/top/test_screen.py::test_no_color_is_respected",
    "tests/transport/test_connect.py::test_unix",
    "tests/transport/test_file.py::test_a_socket_is_refused",
]
"""Tests that run make and a terminal, send SIGINT, and have unix sockets."""

WITHOUT_SIGINT = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
"""What a shell does that runs a program in the background."""

SHELLS: Dict[str, Dict[str, str]] = {
    "of a make": {
        "MAKEFLAGS": "w",
        "MAKELEVEL": "1",
        "MFLAGS": "-w",
        "FORCE_COLOR": "1",
        "CLICOLOR_FORCE": "1",
        "LANG": "de_DE.UTF-8",
        "LANGUAGE": "de",
        "TZ": "Asia/Tokyo",
    },
    "of an editor": {
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "20",
        "LINES": "5",
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
        "PYTHONWARNINGS": "error",
        "PYTHONDEVMODE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "America/St_Johns",
    },
}


def run_tests(*tests: str, umask: int = 0o022, **environment: str) -> None:
    """Run some tests in a shell in which these variables and this umask are set."""
    before = os.umask(umask)
    try:
        done = subprocess.run(
            [
                *WITHOUT_SIGINT,
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *tests,
            ],
            cwd=REPOSITORY,
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_changes_nothing(shell: str, tmp_path: Path) -> None:
    """Whatever is set; no HOME, SIGINT ignored, a strict umask, a TMPDIR too long for sockets."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()

    run_tests(*SENSITIVE, umask=0o077, TMPDIR=str(folder), **SHELLS[shell])


def test_variables_are_left_out() -> None:
    """These variables are not set in the tests' environment; messages are in English."""
    assert [name for name in HAVE_EFFECTS if name in os.environ] == []
    assert os.environ["LC_ALL"] == "C.UTF-8"


def test_ci_runs_what_the_readme_says() -> None:
    """CI runs the README's command, and sets no variables that change the tests."""
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")

    assert re.search(r"^stage .* make test$", script, re.MULTILINE)
    assert re.search(r"^ +beside .* make lint$", script, re.MULTILINE)
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^make test$", readme, re.MULTILINE)
    assert "DNSTAP_LOGGING_" not in script
    assert NOT_HERE in script, "what is skipped there is not noticed"
