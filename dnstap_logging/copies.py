"""Refuse to copy or pickle what owns a thread, a socket or a file."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["refuse_copy"]


def refuse_copy(value: object, owns: str, instead: str) -> NoReturn:
    """Raise the TypeError of an object that pickle, copy or deepcopy is asked to copy.

    Args:
        value: the object.
        owns: what it owns.
        instead: what the user can do instead.
    """
    raise TypeError(f"{value!r} owns {owns}: it cannot be copied or pickled; {instead}")
