"""What happens to all writer threads at once: a fork, and the end of the process.

Each `WriterThread` is known here from its beginning, by a weak reference.
"""

from __future__ import annotations

import atexit
import os
import sys
import weakref
from _thread import RLock
from typing import Callable, Protocol, Set

from ..diagnostics import renew_desk
from .forks import here, settle_here

__all__ = ["Member", "begin_anew", "close_with_multiprocessing", "instances", "orphans"]

RENEW_PATIENCE = 1.0
"""Seconds that a thread of a forked child waits while another one begins anew there. That takes no
time, unless the parent was just at it itself when it forked: then waiting does not help."""


class Member(Protocol):
    """A `WriterThread`, as far as it is known here."""

    def reset_in_child(self) -> None:
        """Begin anew in a forked child."""

    def join(self) -> None:
        """Wait for the end of a delivery that was asked to stop, at most until its deadline."""


instances: weakref.WeakSet[Member] = weakref.WeakSet()
# Threads that drain the queue of a handler that is gone; discarded as they are joined.
orphans: Set[Member] = set()

# Held while a forked child begins anew: where no hook ran, several of its threads may come at once,
# and none may go on with what is still the parent's. The C one, since a signal handler may log.
_renewing = RLock()


def begin_anew() -> None:
    """Begin anew in a forked child, once for all instances, and all its threads."""
    held = _renewing.acquire(timeout=RENEW_PATIENCE)
    try:
        if here[0]:
            return
        renew_desk()
        orphans.clear()
        for instance in list(instances):
            instance.reset_in_child()
    finally:
        settle_here()
        if held:
            _renewing.release()


def close_with_multiprocessing(owner: object, close: Callable[[], None]) -> None:
    """Have a function called at the end of a multiprocessing child, where atexit does not run.

    Args:
        owner: whom it closes. It is not kept alive; once it is gone, nothing is left of this.
        close: called when the owner is gone, too, and must not keep it alive.
    """
    process = sys.modules.get("multiprocessing.process")
    util = sys.modules.get("multiprocessing.util")
    if process and util and process.parent_process() is not None:
        util.Finalize(owner, close, exitpriority=10)


def _join_orphans() -> None:
    for orphan in list(orphans):
        orphan.join()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_anew)
atexit.register(_join_orphans)
