"""Run the command line: in this process, or as the program that users run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple, Union

from dnstap_logging.cli.main import main
from tests.helpers.programs import with_environment
from tests.helpers.said import let_earlier_lines_pass

TIMEOUT = 60.0
PROGRAM = [sys.executable, "-W", "error", "-m", "dnstap_logging"]
WITHOUT_DNSPYTHON = [
    sys.executable,
    "-c",
    "import sys; sys.modules['dns'] = None; from dnstap_logging.cli.main import main;"
    "sys.exit(main())",
]
"""The program, where dnspython is not installed as far as it can tell."""

Argument = Union[str, "os.PathLike[str]"]


class Outcome(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


def call(*arguments: Argument) -> Outcome:
    """Run a command in this process, which is quick."""
    let_earlier_lines_pass()  # or they would be on its standard error
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8"), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(list(map(os.fspath, arguments)))
        except SystemExit as end:  # argparse's
            status = int(end.code or 0)
    out.seek(0)
    return Outcome(status, out.read(), err.getvalue())


def run(
    *arguments: Argument, stdin: bytes = b"", program: Any = PROGRAM, **changes: str
) -> Outcome:
    """Run a command as a program of its own."""
    done = subprocess.run(
        [*program, *arguments],
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
        env=with_environment(**changes),
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
