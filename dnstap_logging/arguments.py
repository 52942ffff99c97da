"""Checks of constructor arguments.

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
"""Seconds, a year: more is probably in another unit, and waits of threads would overflow."""

MAX_PERMISSIONS = 0o777
DEFAULT_PERMISSIONS = 0o640
"""Of captures. Not readable by everybody: client addresses are personal data."""

_OCTAL = re.compile(r"(0[oO]?)?[0-7]{3}")


class Default(enum.Enum):
    """The value of an argument that was left out, if None has a meaning."""

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
    """Return permissions, a number or text as for chmod, as a number."""
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
    """Check a time in seconds, above 0; ``zero`` allows 0."""
    right = f"seconds, {'0 or more' if zero else 'above 0'}, at most {MAX_DURATION:.0f}"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{argument}={value!r}: must be a number of {right}")
    # Not written as value > MAX_DURATION, because nan must fail too.
    if not 0 <= value <= MAX_DURATION or (value == 0 and not zero):
        refuse(argument, value, right)
    return float(value)


def choice(argument: str, value: object, choices: Tuple[str, ...]) -> str:
    """Check that a str is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        refuse(argument, value, " or ".join(repr(each) for each in choices))
    return value


def level(argument: str, value: object, low: int = 0) -> int:
    """Return a level of logging, a name or number, as its number."""
    right = f"a level of logging, its name ('INFO') or number, at least {low}"
    number = logging.getLevelName(value) if isinstance(value, str) else value
    if isinstance(number, str):  # from getLevelName, for an unknown name
        refuse(argument, value, right)
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{argument}={value!r}: must be {right}")
    if number < low:
        refuse(argument, value, right)
    return number


def logger(argument: str, value: Any) -> Any:
    """Check a logger: one of logging's, an adapter of one, or an object with their methods."""
    inner = value
    while isinstance(inner, logging.LoggerAdapter):
        inner = inner.logger
    if isinstance(inner, logging.Logger) or _is_like_a_logger(inner):
        return value
    hint = "logging.getLogger()"
    if isinstance(value, str):
        hint = f"logging.getLogger({value!r})"
    shown = shorten(value)  # an adapter's repr may raise
    raise TypeError(f"{argument}={shown}: must be a logger, as of {hint}, or an adapter of one")


def _is_like_a_logger(value: Any) -> bool:
    """Return whether another object, such as structlog's, has the methods of a logger."""
    try:
        methods = [getattr(value, name, None) for name in ("isEnabledFor", "log")]
    except Exception:  # noqa: BLE001 - whatever looking for an attribute raises
        return False
    return not isinstance(value, type) and all(map(callable, methods))


def callback(argument: str, value: Any, *arguments: object) -> Any:
    """Check that a function takes these arguments, and is neither a coroutine nor a generator."""
    import inspect  # late: only receivers need it, and importing it takes long
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
    # Not of other objects: asking for their signature could run their code.
    if inspect.isfunction(value) or inspect.ismethod(value) or type(value) is partial:
        try:
            signature = inspect.signature(value)
        except (TypeError, ValueError):  # a partial of a function without a signature
            return value
        try:
            signature.bind(*arguments)
        except TypeError as error:
            raise TypeError(f"{argument}={shorten(value)}: must be {right}: {error}") from None
    return value
