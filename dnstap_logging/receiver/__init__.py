"""The threaded collector: `DnstapReceiver`, and its statistics."""

from __future__ import annotations

from .receiver import DnstapReceiver, ReceiverStats

__all__ = ["DnstapReceiver", "ReceiverStats"]
