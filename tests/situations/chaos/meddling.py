"""What somebody does to the capture while it is written: one function for each fault of a "file".

Runs in a thread of the program, because only that sees its small disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import threading
import time
from pathlib import Path
from typing import Callable, ContextManager, Dict, Iterator, Sequence, Tuple

__all__ = ["MEDDLING", "meddle"]

_numbers = itertools.count(1)


def _aside(capture: Path) -> Path:
    """Return another name for a capture, which the books find."""
    return capture.with_name(f"{capture.name}.aside-{next(_numbers):03}")


@contextlib.contextmanager
def moved(capture: Path) -> Iterator[None]:
    capture.rename(_aside(capture))
    yield


@contextlib.contextmanager
def deleted(capture: Path) -> Iterator[None]:
    kept, gone = _aside(capture), _aside(capture)
    os.link(capture, kept)  # so that it is known what was in it
    try:
        capture.rename(gone)
    finally:
        # A rollover may have come between: then what is kept has its name, and is not deleted.
        if gone.exists() and kept.samefile(gone):
            gone.unlink()
        else:
            kept.unlink()
    yield


@contextlib.contextmanager
def truncated(capture: Path) -> Iterator[None]:
    os.truncate(capture, 0)
    yield


@contextlib.contextmanager
def locked(capture: Path) -> Iterator[None]:
    """Move the capture away, and lock the next one before its writer comes back."""
    capture.rename(_aside(capture))
    # By another name of the same file: this descriptor is not one that the library leaves behind.
    held = capture.with_name(f"held-{next(_numbers):03}")
    held.touch()
    os.link(held, capture)
    with open(held, "ab") as other:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
            return
    yield


@contextlib.contextmanager
def folder_away(capture: Path) -> Iterator[None]:
    away = capture.parent.with_name(f"{capture.parent.name}-away")
    capture.parent.rename(away)
    try:
        yield
    finally:
        away.rename(capture.parent)


@contextlib.contextmanager
def disk_full(capture: Path) -> Iterator[None]:
    ballast = capture.with_name("ballast")
    with contextlib.suppress(OSError), ballast.open("ab", buffering=0) as file:
        disk = os.fstatvfs(file.fileno())
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_bsize)
        while file.write(bytes(4096)) == 4096:
            pass  # what the capture has not taken meanwhile
    try:
        yield
    finally:
        os.truncate(ballast, 0)  # a child that was forked meanwhile may have it open
        ballast.unlink()


MEDDLING: Dict[str, Callable[[Path], ContextManager[None]]] = {
    each.__name__: each for each in (moved, deleted, truncated, locked, folder_away, disk_full)
}


def meddle(
    capture: Path, moments: Sequence[Tuple[float, float, str]], calm: threading.Event
) -> None:
    """Do what the plan says, at its times, until the faults end."""
    began = time.monotonic()
    for begin, end, name in moments:
        if name not in MEDDLING or calm.wait(max(0.0, began + begin - time.monotonic())):
            continue
        with contextlib.suppress(FileNotFoundError, FileExistsError):  # between two rollovers
            with MEDDLING[name](capture):
                calm.wait(max(0.0, began + end - time.monotonic()))
