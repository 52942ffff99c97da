"""The threaded collector: `DnstapReceiver`, and its statistics."""

from __future__ import annotations

from .receiver import DnstapReceiver
from .stats import ReceiverStats

__all__ = ["DnstapReceiver", "ReceiverStats"]
