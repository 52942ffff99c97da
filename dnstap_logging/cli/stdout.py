"""Standard output with bounded waits: a collector must end, even if its reader does not read.

sys.stdout is not used: a thread would wait inside it, with a lock that is needed at exit.
"""

from __future__ import annotations

import math
import os
import select
import sys
from time import monotonic

from ..transport.waiting import WRITABLE, Deadline, wait_for
from .common import DAMAGED, CommandError

__all__ = ["Output"]

PORTION = int(getattr(select, "PIPE_BUF", 512))
"""Bytes that a pipe which is ready takes without waiting (POSIX)."""


class Output:
    """Standard output, written by one thread at a time; any other may call `close`.

    Raises:
        CommandError: there is none.
    """

    def __init__(self) -> None:
        if sys.stdout is None:
            raise CommandError("standard output is closed: let it go to a file or a program")
        self._descriptor = sys.stdout.fileno()
        self._give_up_at = math.inf

    def write(self, data: bytes) -> None:
        """Write all of it, at once.

        Raises:
            OSError: it cannot be written.
            CommandError: the reader took nothing in the time that `close` has left.
        """
        left = memoryview(data)
        while left:
            deadline = Deadline(math.inf, lambda: self._give_up_at)
            if not wait_for(self._descriptor, WRITABLE, deadline):
                text = "standard output: its reader takes nothing, what came last is lost"
                raise CommandError(text, DAMAGED)
            try:
                left = left[os.write(self._descriptor, left[:PORTION]) :]
            except BlockingIOError:
                continue  # somebody has made it non-blocking, and was faster

    def close(self, timeout: float) -> None:
        """Wait for the reader no longer than so many seconds from now on."""
        self._give_up_at = min(self._give_up_at, monotonic() + timeout)
