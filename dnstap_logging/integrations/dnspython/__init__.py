"""dnspython: queries and responses that it sends and receives, logged."""

from __future__ import annotations

from .client import DnstapClient

__all__ = ["DnstapClient"]
