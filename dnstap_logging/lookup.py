"""Find the handlers that exist, such as those that dictConfig made."""

from __future__ import annotations

from typing import List, Optional

from .handler import DnstapHandler, living

__all__ = ["get_handler", "handlers"]


def handlers() -> List[DnstapHandler]:
    """Return all dnstap handlers that exist, the oldest first."""
    # valuerefs() copies in one step: another thread may be making a handler.
    found = (reference() for reference in living.valuerefs())
    return [handler for handler in found if handler is not None]


def get_handler(name: str) -> Optional[DnstapHandler]:
    """Return the newest dnstap handler of this name, such as the key in dictConfig, or None."""
    for handler in reversed(handlers()):
        if handler.name == name:
            return handler
    return None
