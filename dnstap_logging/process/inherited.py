"""What a forked child must not keep: descriptors of its parent's connections and files.

Whoever forks does not know what the writer threads are doing. A connection that one of them is just
making would be held by the child for as long as it lives: the collector would never see its end,
and one that shakes hands with one sender after the other would wait for it. A capture would stay
locked. So every descriptor is known here while it is open, and no fork may come between the system
call that opens or closes it and the note of that.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from time import monotonic, sleep
from typing import Any, Callable, Dict, Iterator, Tuple, TypeVar

__all__ = ["close_in_child", "no_fork"]

FORK_PATIENCE = 0.5
"""Seconds from its beginning for which a fork waits for an open or a close. They take microseconds,
unless a file system hangs; then there is no descriptor yet that a child could inherit."""

OPEN_PATIENCE = 2.0
"""Seconds for which an open or a close waits for forks: a program may fork without a pause."""

POLL_INTERVAL = 0.0005

_Owner = TypeVar("_Owner")

_closers: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()

# Plain dicts instead of a lock, as each operation on them is atomic: a lock would have to survive
# signal handlers, forks and a file system that hangs, which may hold up no other handler.
_changes: Dict[object, Tuple[int, float]] = {}  # under way: the thread of each, and its beginning
_forks: Dict[int, int] = {}  # under way: the thread of each


def close_in_child(owner: _Owner, close: Callable[[_Owner], None]) -> None:
    """Have a forked child close its copy of a descriptor at once.

    Args:
        owner: of the descriptor; it is not kept alive.
        close: called with the owner in the child; must neither write, unlock nor wait.
    """
    _closers[owner] = close


@contextlib.contextmanager
def no_fork() -> Iterator[None]:
    """Have forks wait while a descriptor is opened and noted, or closed.

    Not for anything else: no waiting, and no code of the user's.
    """
    change = object()
    thread = threading.get_ident()
    give_up = monotonic() + OPEN_PATIENCE
    while True:
        # In this order, while a fork announces itself first and then looks: one of the two sees
        # the other.
        _changes[change] = thread, monotonic()
        if not _others(_forks, thread) or monotonic() >= give_up:
            break
        del _changes[change]
        sleep(POLL_INTERVAL)
    try:
        yield
    finally:
        _changes.pop(change, None)


def _others(threads: Dict[int, int], mine: int) -> bool:
    return any(thread != mine for thread in list(threads))


def _before_fork() -> None:
    mine = threading.get_ident()
    _forks[mine] = mine
    while True:
        oldest = monotonic() - FORK_PATIENCE
        changes = list(_changes.values())
        # A signal handler that forks may have interrupted a change of its own thread.
        if not any(thread != mine and began > oldest for thread, began in changes):
            return
        sleep(POLL_INTERVAL)


def _after_fork_in_parent() -> None:
    _forks.pop(threading.get_ident(), None)


def _after_fork_in_child() -> None:
    _changes.clear()
    _forks.clear()
    for owner, close in list(_closers.items()):
        try:
            close(owner)
        except OSError:
            pass  # the descriptor is gone in any case
    _closers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
