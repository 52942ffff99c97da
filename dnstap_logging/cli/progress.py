"""A progress bar on standard error, where that is a terminal and rich is installed."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from typing import Any, Callable, Iterator, Optional

__all__ = ["file_size", "show_progress"]

INTERVAL = 0.1  # seconds between two looks of the bar at how far it is


def file_size(path: str) -> Optional[int]:
    """Return the size of a regular file in bytes; None: it is not known."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextlib.contextmanager
def show_progress(what: str, total: Optional[int]) -> Iterator[Callable[[int, int], None]]:
    """Show a bar while the body runs; it is gone at the end.

    Args:
        what: is being done, a word.
        total: bytes; None: unknown.

    Yields:
        A function of the bytes and messages done so far, to be called as often as one likes.
    """
    bar = _make_bar() if sys.stderr is not None and sys.stderr.isatty() else None
    if bar is None:
        yield lambda done, messages: None
        return
    task = bar.add_task(what, total=total, messages=0)
    next_look = 0.0

    def advance(done: int, messages: int) -> None:
        nonlocal next_look
        now = time.monotonic()
        if now >= next_look:
            next_look = now + INTERVAL
            bar.update(task, completed=done, messages=messages)

    with bar:
        yield advance


def _make_bar() -> Any:  # a rich.progress.Progress, or None
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return None
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn("{task.fields[messages]:,} messages"),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
