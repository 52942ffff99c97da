"""Counts of enumerators in bounded memory: those that are unknown can be any number."""

from __future__ import annotations

import enum
from typing import Dict, Iterable, List, Optional, Tuple, TypeVar

from ..text.line import UNKNOWN

__all__ = ["Tally"]

MOST_KINDS = 64
"""Far more than any enumeration has; further unknown ones are counted together."""

OTHERS = "OTHER"

E = TypeVar("E", bound=enum.Enum)


class Tally(Dict[Optional[E], int]):
    """How often each enumerator came.

    Args:
        known: those that come first, in this order.

    Attributes:
        others: how often one came for which there was no room.
    """

    def __init__(self, known: Iterable[E] = ()) -> None:
        super().__init__(dict.fromkeys(known, 0))
        self.others = 0

    def add(self, member: Optional[E]) -> None:
        """Count one; None where a message says nothing."""
        if member in self:
            self[member] += 1
        elif len(self) < MOST_KINDS:
            self[member] = 1
        else:
            self.others += 1

    def named(self) -> List[Tuple[str, int]]:
        """Return the names of those that came, and their counts."""
        found = [(UNKNOWN if each is None else each.name, count) for each, count in self.items()]
        return [row for row in [*found, (OTHERS, self.others)] if row[1]]
