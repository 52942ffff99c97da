"""A terminal to run the command in: a pty of the kernel's, drawn by pyte."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
from types import TracebackType
from typing import Any, Dict, List, Optional, Type

import pyte

from tests.helpers.support import require_program, wait_until

DEADLINE = 60.0
BLOCK = 65536
HOME = b"\x1b[H"
"""What every picture begins with."""


class Terminal:
    """A terminal in which a command runs.

    Args:
        command: what runs in it.
        columns: its width.
        lines: its height.
        environment: variables to add to those of the tests.

    Attributes:
        written: every byte that came out of it.
        process: the command's; a session leader with this terminal.
    """

    def __init__(
        self,
        command: List[str],
        columns: int = 80,
        lines: int = 24,
        environment: Optional[Dict[str, str]] = None,
    ) -> None:
        self._master, self._slave = pty.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self._set_size(columns, lines)
        self.settings_before = self.settings
        given = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            if name not in (environment or {}):
                given.pop(name, None)
        self.process = subprocess.Popen(
            [require_program("setsid"), "--ctty", *command],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=given,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self._master)
        os.close(self._slave)

    @property
    def settings(self) -> List[Any]:
        """The line discipline's settings."""
        return termios.tcgetattr(self._slave)

    def lines(self) -> List[str]:
        """Take what has come, and return what is on the screen."""
        while select.select([self._master], [], [], 0)[0]:
            block = os.read(self._master, BLOCK)
            self.written += block
            self._stream.feed(block)
        return list(self._screen.display)

    def wait_for(self, text: str) -> List[str]:
        """Wait until a text is on the screen, and its picture is whole; return the screen."""
        wait_until(
            lambda: any(text in line for line in self.lines()), f"{text!r} on the screen", DEADLINE
        )
        return self.next_picture()

    def next_picture(self) -> List[str]:
        """Wait until another picture begins: the one before is whole then; return the screen."""
        pictures = self.written.count(HOME)
        wait_until(
            lambda: self.lines() and self.written.count(HOME) > pictures, "a picture", DEADLINE
        )
        return self.lines()

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as a window manager does; the kernel sends SIGWINCH."""
        self.lines()
        self._screen.resize(lines, columns)
        self._set_size(columns, lines)

    def end(self) -> int:
        """Wait for the end of the command; return its status."""
        wait_until(lambda: self.lines() and self.process.poll() is not None, "the end", DEADLINE)
        self.lines()
        return self.process.returncode

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    def _set_size(self, columns: int, lines: int) -> None:
        size = struct.pack("4H", lines, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
