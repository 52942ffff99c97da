"""How many connections the limit of open files leaves room for.

Without descriptors nothing is accepted, and a capture cannot be opened again. So no more
connections are served than there are descriptors for, and further senders are turned away at once,
instead of being left to wait.
"""

from __future__ import annotations

import os
from typing import Tuple

from .numbers import counted

__all__ = ["fit_connections"]

RESERVE = 32
"""Descriptors kept free: for the captures, listening sockets, and what libraries open."""


def fit_connections(wanted: int, addresses: int) -> Tuple[int, str]:
    """Return how many connections each address can have, and a line if that is less than wanted.

    Raises this process's limit as far as the system lets it.

    Args:
        wanted: connections to each address.
        addresses: how many there are.
    """
    taken = _count_open() + addresses + RESERVE
    limit = _limit_for(taken + wanted * addresses)
    fitting = max(1, (limit - taken) // addresses)
    if fitting >= wanted:
        return wanted, ""
    each = " each" if addresses > 1 else ""
    return fitting, (
        f"at most {counted(fitting, 'connection')}{each} instead of {wanted}: the limit of open "
        f"files is {limit}, raise it (ulimit -n, or LimitNOFILE= of systemd)"
    )


def _limit_for(needed: int) -> int:
    """Return the limit of open files, raised to what is needed if that is allowed."""
    try:
        import resource
    except ImportError:  # not on Windows, which has no such limit
        return needed
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    except (OSError, ValueError):  # a system that allows less than it says
        return soft
    return raised


def _count_open() -> int:
    """Return how many descriptors are open now."""
    try:
        return len(os.listdir("/dev/fd"))
    except OSError:
        return 3  # the standard streams
