"""Tell a forked child from its parent, for every record, without a system call.

At-fork hooks tell it too, but not every fork runs them: a server that embeds Python may fork by
itself. So every record has to ask. os.getpid() is a system call of a tenth of a microsecond, a
tenth of what a record costs its caller; a page of memory that the kernel clears in a forked child
(MADV_WIPEONFORK, madvise(2)) is read in a third of that.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Union

__all__ = ["here", "settle_here"]

MADV_WIPEONFORK = 18
"""Of Linux since 4.14; Python's mmap does not name it."""


class _Process:
    """What stands in for the page where there is none: asks for the process id."""

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
"""``here[0]`` is true, except in a forked child that `settle_here` was not called in yet."""


def settle_here() -> None:
    """Note that this process knows of itself."""
    here[0] = 1


settle_here()
