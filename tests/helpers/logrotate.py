"""The real logrotate, for captures of a test."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tests.helpers.support import NOT_HERE, require_program

SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Where logrotate is on most systems is not on every user's PATH."""


class Logrotate:
    """The real logrotate with a configuration and a state of its own.

    Args:
        folder: for these two; not that of the captures.
        configuration: as in /etc/logrotate.d.
    """

    def __init__(self, folder: Path, configuration: str) -> None:
        self._program = require_program("logrotate", SYSTEM_PATH)
        self._state = folder / "logrotate.state"
        self._configuration = folder / "logrotate.conf"
        self._configuration.write_text(configuration)
        self._configuration.chmod(0o644)  # logrotate takes none that others may write

    def rotate(self) -> None:
        """Rotate now, whatever the day."""
        done = subprocess.run(
            [self._program, "-f", "-s", str(self._state), str(self._configuration)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr


def create() -> str:
    """Return the directive by which logrotate makes the next file as our user's."""
    try:
        user, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name
    except KeyError:
        pytest.skip(f"{NOT_HERE} a name of this user, which logrotate takes no number for")
    return f"create 0640 {user} {group}"
