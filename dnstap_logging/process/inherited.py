"""Close in a forked child the descriptors of its parent's connections and files.

If the child kept them, the collector would not see the parent's connection end, and a capture would
stay locked. So all open descriptors are registered here, and forks wait while one is opened and
registered, or closed.
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
"""Seconds that an open or close can delay a fork. It takes microseconds, unless a file system
hangs; then there is no descriptor yet that a child could inherit."""

OPEN_PATIENCE = 2.0
"""Seconds that an open or close waits for forks: a program may fork all the time."""

POLL_INTERVAL = 0.0005

_Owner = TypeVar("_Owner")

_closers: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()

# Dicts, whose operations are atomic. A lock would have to survive signal handlers and forks, and a
# file system that hangs would block all other handlers.
_changes: Dict[object, Tuple[int, float]] = {}  # opens and closes now: thread and start time
_forks: Dict[int, int] = {}  # threads that are forking


def close_in_child(owner: _Owner, close: Callable[[_Owner], None]) -> None:
    """Have forked children call ``close(owner)``, which must not write, unlock or wait.

    The owner is not kept alive.
    """
    _closers[owner] = close


@contextlib.contextmanager
def no_fork() -> Iterator[None]:
    """Have forks wait while a descriptor is opened and registered, or closed.

    The block must not wait or call user code.
    """
    change = object()
    thread = threading.get_ident()
    give_up = monotonic() + OPEN_PATIENCE
    while True:
        # First announce, then look, as a fork does: so at least one of the two sees the other.
        _changes[change] = thread, monotonic()
        forking = any(other != thread for other in list(_forks))
        if not forking or monotonic() >= give_up:
            break
        del _changes[change]
        sleep(POLL_INTERVAL)
    try:
        yield
    finally:
        _changes.pop(change, None)


def _before_fork() -> None:
    mine = threading.get_ident()
    _forks[mine] = mine
    while True:
        oldest = monotonic() - FORK_PATIENCE
        changes = list(_changes.values())
        # Not for its own thread: a signal handler that forks may have interrupted an open there.
        if not any(thread != mine and began > oldest for thread, began in changes):
            return
        sleep(POLL_INTERVAL)


def _after_fork_in_parent() -> None:
    _forks.pop(threading.get_ident(), None)


def _after_fork_in_child() -> None:
    _changes.clear()
    _forks.clear()
    for owner, close in list(_closers.items()):
        with contextlib.suppress(OSError):  # it is closed even so
            close(owner)
    _closers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
