"""What all writer threads do after a fork and at the end of the process."""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from _thread import RLock
from typing import Callable, Protocol, Set

from ..diagnostics import renew_desk
from .forks import here, mark_here

__all__ = ["Member", "close_with_multiprocessing", "instances", "orphans", "reset_child"]

RESET_PATIENCE = 1.0
"""Seconds that a thread of a forked child waits for another one that resets it. That takes no time;
but if the lock was held when the parent forked, nobody in the child will release it."""


class Member(Protocol):
    """What is used of a `WriterThread` here."""

    def reset_in_child(self) -> None:
        """Drop in a forked child what belongs to the parent."""

    def join(self) -> None:
        """Wait for the end of a delivery that was told to stop, at most until its deadline."""


instances: weakref.WeakSet[Member] = weakref.WeakSet()
# Threads that drain the queue of a deleted handler; discarded when joined.
orphans: Set[Member] = set()

# Where no at-fork hook ran, several threads of the child may come at once, and none may go on
# before the reset is done. The C one, since a signal handler may log.
_resetting = RLock()


def reset_child() -> None:
    """Reset all writer threads and the diagnostics in a forked child, once."""
    held = _resetting.acquire(timeout=RESET_PATIENCE)
    try:
        if here[0]:
            return
        renew_desk()
        orphans.clear()
        for instance in list(instances):
            instance.reset_in_child()
    finally:
        mark_here()
        if held:
            _resetting.release()


def close_with_multiprocessing(owner: object, close: Callable[[], None]) -> None:
    """Have a function called at the end of a multiprocessing child, where atexit does not run.

    Args:
        owner: what it closes. It is not kept alive, and the registration ends with it.
        close: called also when the owner is deleted; must not keep it alive.
    """
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process and util and process.parent_process() is not None:
        util.Finalize(owner, close, exitpriority=10)


def _join_orphans() -> None:
    for orphan in list(orphans):
        orphan.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=reset_child)
atexit.register(_join_orphans)
