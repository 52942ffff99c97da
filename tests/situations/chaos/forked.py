"""A forked child, with the methods of a process of multiprocessing."""

from __future__ import annotations

import os
import signal
from typing import Callable, Optional

__all__ = ["Forked"]


class Forked:
    """A child of os.fork, with the methods of multiprocessing's."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._status: Optional[int] = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                work()
            finally:
                os._exit(0)

    @property
    def exitcode(self) -> Optional[int]:
        """How it ended; None: it has not."""
        if self._status is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                self._status = status
        return self._status

    def kill(self) -> None:
        """End it."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Forget it."""
