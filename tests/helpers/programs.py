"""Python programs of the tests, each run in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Optional

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
