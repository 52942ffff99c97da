"""Programs of the tests, each a process of its own: run to their end, or started and killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, Optional, Sequence

from tests.helpers.pages import REPOSITORY

TIMEOUT = 60.0
"""Seconds for a program: generous, since no test is about speed here."""


def run_python(
    code: str,
    *arguments: object,
    warnings: str = "error",
    timeout: float = TIMEOUT,
    protobuf: Optional[str] = None,
) -> subprocess.CompletedProcess[str]:
    """Run code to its end, at the top of the repository; return its status and what it printed.

    Args:
        code: the program.
        arguments: become its sys.argv[1:].
        warnings: what becomes of them, as in `python -W`.
        timeout: seconds until the test fails.
        protobuf: which implementation it is to use, "upb" or "python"; None: the default one.
    """
    environment = dict(os.environ)
    if protobuf is not None:
        environment["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = protobuf
    return subprocess.run(
        [sys.executable, "-W", warnings, "-c", code, *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def with_environment(**changes: str) -> Dict[str, str]:
    """Return this process's environment, in which the package is found, with some changes."""
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **changes}


def run_program(
    folder: Path, command: Sequence[str], **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, which must not be a traceback.

    Args:
        folder: the current one of the command.
        command: its program and arguments.
        options: of `subprocess.run`, if they are to differ.
    """
    usual = {"env": with_environment(), "stdin": subprocess.DEVNULL, "timeout": TIMEOUT}
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, **{**usual, **options}
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextlib.contextmanager
def started_program(
    folder: Path, command: Sequence[str], **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start a command in a folder; kill it if the test leaves it running."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    usual = {"env": with_environment(), **pipes}
    with subprocess.Popen(command, cwd=folder, **{**usual, **options}) as process:
        try:
            yield process
        finally:
            process.kill()
