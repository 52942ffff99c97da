"""Find out, at each record and without a system call, whether the process is a new fork.

A fork in C, as by a server that embeds Python, runs no at-fork hook, so each record has to check.
os.getpid() is a system call and takes a tenth of a record's time; reading a page that the kernel
clears in forked children (MADV_WIPEONFORK, madvise(2)) takes a third of that.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Union

__all__ = ["here", "mark_here"]

MADV_WIPEONFORK = 18
"""Linux 4.14 and newer; not in Python's mmap."""


class _Process:
    """Compares process ids, on systems without such a page."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __getitem__(self, index: int) -> int:
        return self._pid == os.getpid()

    def __setitem__(self, index: int, value: int) -> None:
        self._pid = os.getpid()


def _make_page() -> Union[mmap.mmap, _Process]:
    if not sys.platform.startswith("linux"):
        return _Process()
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(MADV_WIPEONFORK)
    except (OSError, ValueError):
        return _Process()
    return page


here = _make_page()
"""``here[0]`` is false in a forked child until it calls `mark_here`."""


def mark_here() -> None:
    """Make ``here[0]`` true in this process."""
    here[0] = 1


mark_here()
