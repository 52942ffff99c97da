"""Values and errors as short, printable text for diagnostics.

Nothing here raises, even if a ``__repr__`` does, and the text has no control characters, since it
may go to a terminal. Any thread.
"""

from __future__ import annotations

import reprlib

from .interrupts import pass_on

__all__ = ["describe_error", "error_text", "place_of", "printable", "shorten", "type_name"]

MAX_SHOWN = 60  # characters of a value, enough to recognize it
MAX_ERROR = 200  # characters of an error's own text
MAX_SHOWN_BITS = 128  # of longer integers str() is slow, or refused


class _ShortRepr(reprlib.Repr):
    """The standard library's bounded repr, also for long bytes and integers."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel = 3
        self.maxstring = self.maxother = MAX_SHOWN

    def repr_bytes(self, x: bytes, level: int) -> str:
        return repr(x[:MAX_SHOWN])

    def repr_bytearray(self, x: bytearray, level: int) -> str:
        return repr(x[:MAX_SHOWN])

    def repr_int(self, x: int, level: int) -> str:
        bits = x.bit_length()
        return f"<integer of {bits} bits>" if bits > MAX_SHOWN_BITS else repr(x)


_short_repr = _ShortRepr()


def shorten(value: object) -> str:
    """Return the repr of any value, in at most 60 printable characters."""
    try:
        return printable(_short_repr.repr(value), MAX_SHOWN)
    except BaseException as problem:  # noqa: BLE001 - a hostile __repr__, __len__, __class__ ...
        pass_on(problem)
        return f"<{type_name(value)}>"


def type_name(value: object) -> str:
    """Return the name of the value's type, or "object" where even that raises."""
    try:
        return printable(type(value).__name__, MAX_SHOWN)
    except BaseException as problem:  # noqa: BLE001 - a hostile metaclass
        pass_on(problem)
        return "object"


def describe_error(error: BaseException) -> str:
    """Return an error's class and text as one printable line."""
    text = error_text(error)
    return f"{type_name(error)}: {text}" if text else type_name(error)


def place_of(error: BaseException) -> str:
    """Return an exception and where it was raised, as one line."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return repr(error)
    return f"{error!r} in {last.tb_frame.f_code.co_filename}, line {last.tb_lineno}"


def error_text(error: BaseException) -> str:
    """Return an error's text without its type, "" if it has no text or its str() raises."""
    try:
        return printable(str(error), MAX_ERROR)
    except BaseException as problem:  # noqa: BLE001 - a hostile __str__
        pass_on(problem)
        return ""


def printable(text: str, limit: int) -> str:
    """Cut text to a limit and replace its control characters; returns an exact str."""
    text = str.__str__(text)
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "?" for char in text)
