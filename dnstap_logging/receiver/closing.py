"""The close of a receiver, as all its threads see it."""

from __future__ import annotations

import math
import time

__all__ = ["Closing"]


class Closing:
    """When the close began and when it must be over; read in every wait."""

    def __init__(self) -> None:
        self.began = math.inf
        self.deadline = math.inf

    def begin(self, timeout: float) -> None:
        """Have all threads end within the timeout; a later call can only shorten it."""
        now = time.monotonic()
        self.deadline = min(self.deadline, now + timeout)
        self.began = min(self.began, now)

    @property
    def begun(self) -> bool:
        """Return whether the receiver is being closed."""
        return self.began != math.inf
