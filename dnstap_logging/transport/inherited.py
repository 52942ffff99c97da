"""What a forked child must not keep: descriptors of its parent's connections and files.

Whoever forks does not know what the writer threads are doing. A connection that one of them is just
making would be held by the child for as long as it lives: the collector would never see its end,
and one that shakes hands with one sender after the other would wait for it. So every descriptor is
known here from the moment in which it is opened.
"""

from __future__ import annotations

import os
import weakref
from typing import Any, Callable, TypeVar

__all__ = ["close_in_child"]

_Owner = TypeVar("_Owner")

_closers: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def close_in_child(owner: _Owner, close: Callable[[_Owner], None]) -> None:
    """Have a forked child close its copy of a descriptor at once.

    Args:
        owner: of the descriptor; it is not kept alive.
        close: called with the owner in the child; must neither write, unlock nor wait.
    """
    _closers[owner] = close


def _close_all() -> None:
    for owner, close in list(_closers.items()):
        try:
            close(owner)
        except OSError:
            pass  # the descriptor is gone in any case
    _closers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all)
