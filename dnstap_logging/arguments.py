"""Checks of constructor arguments, for handlers and receivers alike.

Each returns the value, or raises a TypeError or ValueError that names the argument, the value and
what is right.
"""

from __future__ import annotations

import enum
import logging
import re
from typing import Any, NoReturn, Optional, Tuple

from .shorten import shorten

__all__ = [
    "DEFAULT",
    "Default",
    "callback",
    "choice",
    "flag",
    "integer",
    "level",
    "logger",
    "permissions",
    "refuse",
    "seconds",
]

MAX_DURATION = 86400.0 * 366
"""A bound for times: above a year somebody meant another unit, and thread waits overflow."""

MAX_PERMISSIONS = 0o777
_OCTAL = re.compile(r"(0[oO]?)?[0-7]{3}")


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


def permissions(argument: str, value: object) -> int:
    """Return the permissions of a file, which may be text as for chmod, as a number."""
    right = "from 0 to 0o777, as 0o640 or '0640'"
    if isinstance(value, str):
        if not _OCTAL.fullmatch(value):
            refuse(argument, value, right)
        return int(value, 8)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{argument}={value!r}: must be {right}")
    if not 0 <= value <= MAX_PERMISSIONS:
        meant = 0 < value < 1000 and _OCTAL.fullmatch(str(value))
        refuse(argument, value, right + (f"; did you mean 0o{value}?" if meant else ""))
    return value


def seconds(argument: str, value: object, zero: bool = False) -> float:
    """Check a time in seconds; 0 only where it means something."""
    right = f"seconds, {'0 or more' if zero else 'above 0'}, at most {MAX_DURATION:.0f}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{argument}={value!r}: must be a number of {right}")
    # Not written as value > MAX_DURATION, because nan must fail too.
    if not 0 <= value <= MAX_DURATION or (value == 0 and not zero):
        refuse(argument, value, right)
    return float(value)


def choice(argument: str, value: object, choices: Tuple[str, ...]) -> str:
    """Check that a str is one of a few."""
    if not isinstance(value, str) or value not in choices:
        refuse(argument, value, " or ".join(repr(each) for each in choices))
    return value


def level(argument: str, value: object, low: int = 0) -> int:
    """Return a level of logging, which may be a name, as its number."""
    right = f"a level of logging, its name ('INFO') or number, at least {low}"
    number = logging.getLevelName(value) if isinstance(value, str) else value
    if isinstance(number, str):  # what getLevelName makes of a name that it does not know
        refuse(argument, value, right)
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{argument}={value!r}: must be {right}")
    if number < low:
        refuse(argument, value, right)
    return number


def logger(argument: str, value: Any) -> Any:
    """Check a logger: one of logging's, an adapter around one, or what has their methods."""
    inner = value
    while isinstance(inner, logging.LoggerAdapter):
        inner = inner.logger
    if isinstance(inner, logging.Logger) or _is_like_a_logger(inner):
        return value
    hint = "logging.getLogger()"
    if isinstance(value, str):
        hint = f"logging.getLogger({value!r})"
    shown = shorten(value)  # the repr of an adapter of nothing raises
    raise TypeError(f"{argument}={shown}: must be a logger, as of {hint}, or an adapter of one")


def _is_like_a_logger(value: Any) -> bool:
    """Return whether something else, such as structlog's, can be asked what a logger is asked."""
    try:
        methods = [getattr(value, name, None) for name in ("isEnabledFor", "log")]
    except Exception:  # noqa: BLE001 - whatever looking for an attribute raises
        return False
    return not isinstance(value, type) and all(map(callable, methods))


def callback(argument: str, value: Any, *arguments: object) -> Any:
    """Check a function that is called with these arguments, and whose call does its work."""
    import inspect  # here, for only receivers have callbacks, and it takes long to import
    from functools import partial

    right = f"a function of {len(arguments)} argument{'' if len(arguments) == 1 else 's'}"
    if isinstance(value, type) or not callable(value):
        raise TypeError(f"{argument}={shorten(value)}: must be callable, {right}, and not a class")
    asks = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(ask(value) or ask(getattr(value, "__call__", None)) for ask in asks):  # noqa: B004
        raise TypeError(
            f"{argument}={shorten(value)}: must be {right} that does its work when it is called,"
            " and not one with async or yield, whose call does nothing"
        )
    # Of other objects, to find out what they take could run code of their own.
    if inspect.isfunction(value) or inspect.ismethod(value) or type(value) is partial:
        try:
            signature = inspect.signature(value)
        except (TypeError, ValueError):  # a partial call of what does not say what it takes
            return value
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise TypeError(f"{argument}={shorten(value)}: must be {right}: {error}") from None
    return value
