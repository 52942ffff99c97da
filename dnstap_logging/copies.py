"""Refusing copies: what owns a thread, a socket or a file exists once, in one process.

Copying such an object would share what one of the two then closes, and pickling it fails somewhere
inside with a sentence about a lock. Any thread may ask.
"""

from __future__ import annotations

from typing import NoReturn

__all__ = ["refuse_copy"]


def refuse_copy(value: object, owns: str, instead: str) -> NoReturn:
    """Raise the TypeError of an object that pickle, copy or deepcopy is asked to copy.

    Args:
        value: the object.
        owns: what it owns, which cannot be in two places.
        instead: what to do.
    """
    raise TypeError(f"{value!r} owns {owns}: it cannot be copied or pickled; {instead}")
