"""A small disk that becomes full: a tmpfs of a few pages, in a mount namespace of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from pathlib import Path
from typing import Iterator, List

from dnstap_logging import DnstapHandler, Stats
from tests.helpers.namespaces import in_namespaces
from tests.helpers.support import assert_balanced, wait_until
from tests.situations.captures.whole import log_mark

PAGE = 4096
DISK_SIZE = 64 * PAGE
INODES = 16
NO_RETRY = 30.0
"""A reconnect_interval so long that only reopen() tries again within a test."""


class Disk:
    """A small file system.

    Attributes:
        capture: a path in it.
    """

    def __init__(self, folder: Path) -> None:
        self.capture = folder / "capture.fstrm"
        self._ballast = folder / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Fill all but that many pages; room in the last pages of other files is left."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as ballast:
            while ballast.write(bytes(PAGE)) == PAGE:
                pass
        os.truncate(self._ballast, self._ballast.stat().st_size - leave * PAGE)

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()

    @property
    def backups(self) -> List[Path]:
        """The captures that were moved aside, oldest first."""
        found = self.capture.parent.glob(f"{self.capture.name}.*")
        return sorted(found, key=lambda path: int(path.name.split(".")[2]), reverse=True)


def mount(folder: Path) -> Disk:
    """Mount a small disk on a folder."""
    options = f"size={DISK_SIZE},nr_inodes={INODES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    return Disk(folder)


on_a_small_disk = in_namespaces(mount, "mount")
"""Decorator: run the body of a test in a process of its own that has a small disk."""


@contextlib.contextmanager
def watched(handler: DnstapHandler) -> Iterator[None]:
    """Look at the books all the time, which balance in every snapshot; close in the end."""
    stop = threading.Event()
    snapshots: List[Stats] = []
    unbalanced: List[AssertionError] = []

    def watch() -> None:
        while not stop.wait(0.001):
            snapshots.append(handler.stats())
            try:
                assert_balanced(snapshots[-1])
            except AssertionError as error:
                unbalanced.append(error)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
        wait_until(lambda: len(snapshots) > 10, "snapshots of the books")
    finally:
        stop.set()
        thread.join()
        handler.close()
    assert not unbalanced, unbalanced[0]
    stats = handler.stats()
    assert_balanced(stats)
    assert stats.queued == stats.in_flight == 0, stats


def marks(first: int, last: int) -> List[str]:
    """Return marks from a number up to before another, 300 characters each."""
    return [f"{number:0300}" for number in range(first, last)]


def log_all(handler: DnstapHandler, texts: List[str]) -> None:
    """Log records with these marks."""
    for text in texts:
        log_mark(handler, text)


def fill_page(disk: Disk, handler: DnstapHandler, rest: int) -> None:
    """Log one record after which the capture ends that many bytes before the end of a page.

    The capture has two records of 300 characters and nothing else, so that its frames are known.
    """
    overhead = handler.stats().bytes_written // 2 - 300
    log_mark(handler, "x" * (-disk.capture.stat().st_size % PAGE - rest - overhead))
    assert handler.flush(20), handler.stats()
    assert disk.capture.stat().st_size % PAGE == PAGE - rest, disk.capture.stat()


def wait_for_full(handler: DnstapHandler) -> None:
    """Wait until the handler has noticed that the disk is full."""
    wait_until(lambda: "no space left" in (handler.stats().last_error or ""), "the disk to be full")


def forget_error(handler: DnstapHandler) -> None:
    """Reset the handler's last error, so that the next one can be waited for."""
    handler._writer_thread._queue.book(last_error=None)
