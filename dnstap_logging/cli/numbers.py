"""Numbers on the command line, each with a line that says what would be right."""

from __future__ import annotations

import argparse
import re
from typing import Callable

from ..arguments import MAX_DURATION

__all__ = ["count", "counted", "positive", "seconds"]

MANY = 10**18  # more than anybody means

_DECIMAL = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,9})?")


def count(low: int, high: int = MANY) -> Callable[[str], int]:
    """Return what reads an integer from low to high."""

    def read(text: str) -> int:
        is_number = text.isascii() and text.isdigit()
        number = int(text[:20]) if is_number else -1  # more digits are too many anyway
        if not low <= number <= high:
            wide = high == MANY and number <= high
            right = f"at least {low}" if wide else f"{low} to {high}"
            raise argparse.ArgumentTypeError(f"{text!r} must be an integer of {right}")
        return number

    return read


def positive(text: str) -> float:
    """Read a number above 0."""
    number = float(text) if _DECIMAL.fullmatch(text) else 0.0
    if number <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0")
    return number


def seconds(text: str) -> float:
    """Read a time in seconds, above 0."""
    number = positive(text)
    if number > MAX_DURATION:
        raise argparse.ArgumentTypeError(f"{text!r} must be at most {MAX_DURATION:.0f} seconds")
    return number


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
