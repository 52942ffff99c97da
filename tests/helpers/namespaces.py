"""Tests in namespaces of their own: each a process that may mount what it likes and be cut off."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, TypeVar

import pytest

from tests.helpers.support import NOT_HERE, require_program

T = TypeVar("T")

DEADLINE = 120  # seconds for one test's process: generous, since nothing here is a matter of speed
REPOSITORY = Path(__file__).parents[2]

RUN = """
import importlib, sys
from pathlib import Path
maker, make, module, name, folder = sys.argv[1:]
place = getattr(importlib.import_module(maker), make)(Path(folder))
print("set up", flush=True)
getattr(importlib.import_module(module), name).body(place)
"""


def in_namespaces(
    make: Callable[[Path], T], *kinds: str
) -> Callable[[Callable[[T], None]], Callable[[Path], None]]:
    """Make a decorator that runs the body of a test in a process with namespaces of its own.

    Where they cannot be had the test is skipped, as without a program; .ci/run takes that for a
    failure.

    Args:
        make: a function or class of a module, called there with the test's folder; it sets up
            what the body gets.
        kinds: of the namespaces, as unshare(1) calls them.
    """
    # Other users become root in a user namespace.
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    unshare = ["unshare", *as_root, *(f"--{kind}" for kind in kinds)]

    def decorate(body: Callable[[T], None]) -> Callable[[Path], None]:
        names = (make.__module__, make.__name__, body.__module__, body.__name__)

        @functools.wraps(body)
        def test(tmp_path: Path) -> None:
            require_program("unshare")
            done = subprocess.run(
                [*unshare, sys.executable, "-W", "error", "-c", RUN, *names, str(tmp_path)],
                cwd=REPOSITORY,
                capture_output=True,
                text=True,
                timeout=DEADLINE,
            )
            if "set up" not in done.stdout:
                pytest.skip(
                    f"{NOT_HERE} {' and '.join(kinds)} namespaces ({' '.join(unshare)}); a "
                    f"container must allow them (CAP_SYS_ADMIN), and mount (util-linux) and ip "
                    f"(iproute2) must be there: {done.stderr.strip().rpartition(chr(10))[2]}"
                )
            assert done.returncode == 0, done.stdout + done.stderr

        test.body = body  # type: ignore[attr-defined]
        del test.__wrapped__  # pytest would look there for the arguments, and ask for fixtures
        return test

    return decorate
