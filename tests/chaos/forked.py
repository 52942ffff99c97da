"""A forked child, with the methods of a process of multiprocessing."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Callable, Optional

__all__ = ["Forked"]


class Forked:
    """A child of os.fork, with the methods of multiprocessing's."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.exitcode: Optional[int] = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                work()
            finally:
                os._exit(0)

    def join(self, timeout: float) -> None:
        """Wait for its end."""
        deadline = time.monotonic() + timeout
        while self.exitcode is None and time.monotonic() < deadline:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self.exitcode = status
            else:
                threading.Event().wait(0.005)

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Forget it."""
