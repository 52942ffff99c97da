"""Checks of constructor arguments, for handlers and receivers alike.

Each returns the value, or raises a TypeError or ValueError that names the argument, the value and
what is right.
"""

from __future__ import annotations

import enum
from typing import NoReturn, Optional, Tuple

__all__ = ["DEFAULT", "MAX_FRAME_SIZE", "Default", "choice", "flag", "integer", "refuse", "seconds"]

MAX_FRAME_SIZE = 0xFFFFFFFF
"""What the 32-bit length of a Frame Streams data frame can say."""

MAX_SECONDS = 86400.0 * 366
"""A bound for times: above a year somebody meant another unit, and thread waits overflow."""


class Default(enum.Enum):
    """What an argument has that was left out, where None means something."""

    DEFAULT = "default"


DEFAULT = Default.DEFAULT


def refuse(argument: str, value: object, right: str) -> NoReturn:
    """Raise the ValueError of an argument whose value cannot be used."""
    raise ValueError(f"{argument}={value!r}: must be {right}")


def flag(argument: str, value: object) -> bool:
    """Check a bool."""
    if not isinstance(value, bool):
        raise TypeError(f"{argument}={value!r}: must be True or False")
    return value


def integer(
    argument: str, value: object, low: int, high: Optional[int] = None, hint: str = ""
) -> int:
    """Check an integer from low to high; ``hint`` ends the text of what is right."""
    right = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}={value!r}: must be {right}{hint}")
    if value < low or (high is not None and value > high):
        refuse(argument, value, right + hint)
    return value


def seconds(argument: str, value: object, zero: bool = False) -> float:
    """Check a time in seconds; 0 only where it means something."""
    right = f"seconds, {'0 or more' if zero else 'above 0'}, at most {MAX_SECONDS:.0f}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{argument}={value!r}: must be a number of {right}")
    # Not written as value > MAX_SECONDS, because nan must fail too.
    if not 0 <= value <= MAX_SECONDS or (value == 0 and not zero):
        refuse(argument, value, right)
    return float(value)


def choice(argument: str, value: object, choices: Tuple[str, ...]) -> str:
    """Check that a str is one of a few."""
    if not isinstance(value, str) or value not in choices:
        refuse(argument, value, " or ".join(repr(each) for each in choices))
    return value
