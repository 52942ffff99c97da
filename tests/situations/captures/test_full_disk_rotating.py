"""Rollovers on a full disk: they are put off, and nothing is lost or doubled by that."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, List

import dnstap_logging.delivery.capture_writer
from dnstap_logging import RotatingDnstapHandler
from tests.helpers.support import wait_until
from tests.situations.captures.small_disk import (
    PAGE,
    Disk,
    fill_page,
    log_all,
    marks,
    on_a_small_disk,
    wait_for_full,
    watched,
)
from tests.situations.captures.whole import marks_of

ROLLOVER_RETRY_INTERVAL = 0.02
"""Seconds between attempts, instead of the usual ones."""


def rotating(disk: Disk, **arguments: Any) -> RotatingDnstapHandler:
    """Make a handler whose capture has two records."""
    dnstap_logging.delivery.capture_writer.ROLLOVER_RETRY_INTERVAL = ROLLOVER_RETRY_INTERVAL
    handler = RotatingDnstapHandler(
        disk.capture,
        backupCount=9,
        reconnect_interval=0.001,
        identity="",
        version="",
        **arguments,
    )
    log_all(handler, marks(0, 2))
    assert handler.flush(20), handler.stats()
    return handler


def all_marks(disk: Disk) -> List[str]:
    """Return the marks in all backups and the capture, each of which is whole, oldest first."""
    found: List[str] = []
    with tempfile.TemporaryDirectory() as folder:  # on a disk that has room
        for path in [*disk.backups, disk.capture]:
            content = path.read_bytes()
            copy = Path(folder, path.name)
            copy.write_bytes(gzip.decompress(content) if path.suffix == ".gz" else content)
            found += marks_of(copy)
    return found


@on_a_small_disk
def test_the_next_file_has_no_room(disk: Disk) -> None:
    """A capture that was moved aside is whole; records wait until the next one has its START."""
    handler = rotating(disk, maxBytes=2 * PAGE)
    with watched(handler):
        log_all(handler, marks(2, 15))
        assert handler.flush(20), handler.stats()
        assert PAGE < disk.capture.stat().st_size < 2 * PAGE, disk.capture.stat()
        disk.fill()
        log_all(handler, marks(15, 100))
        wait_for_full(handler)
        assert len(disk.backups) == 1, disk.backups
        assert marks_of(disk.backups[0]) == marks(0, handler.stats().written)
        wait_until(lambda: disk.capture.read_bytes() == b"", "an empty capture")
        disk.free()
        assert handler.flush(20), handler.stats()
    assert handler.stats().written == 100, handler.stats()
    assert all_marks(disk) == marks(0, 100)


@on_a_small_disk
def test_stop_has_no_room(disk: Disk) -> None:
    """A capture that cannot be ended is not moved aside; that is done when there is room."""
    handler = rotating(disk, maxBytes=PAGE + 10)
    with watched(handler):
        disk.fill()
        fill_page(disk, handler, 4)
        log_all(handler, marks(3, 100))
        wait_for_full(handler)
        assert disk.backups == []
        disk.free()
        assert handler.flush(20), handler.stats()
        handler.doRollover()
        assert len(disk.backups) == 1, handler.stats()
        log_all(handler, marks(100, 110))
    assert handler.stats().written == 110, handler.stats()
    found = all_marks(disk)
    assert found[:2] + found[3:] == marks(0, 2) + marks(3, 110)


def compress(source: str, dest: str) -> None:
    """Do what docs/captures.md has as an example."""
    with open(source, "rb") as capture, gzip.open(dest, "wb") as compressed:
        shutil.copyfileobj(capture, compressed)
    os.remove(source)


@on_a_small_disk
def test_a_rotator_has_no_room(disk: Disk) -> None:
    """A capture that cannot be compressed stays, the stream goes on in it; later it rolls over."""
    handler = rotating(disk, maxBytes=60_000)
    handler.namer = lambda name: name + ".gz"
    handler.rotator = compress
    texts = [os.urandom(150).hex() for _ in range(400)]  # half as large when they are compressed
    with watched(handler):
        log_all(handler, texts[:150])
        assert handler.flush(20), handler.stats()
        disk.fill(leave=8)  # enough to go on for a while, too little for the compressed capture
        log_all(handler, texts[150:200])
        wait_until(
            lambda: "rollover failed" in (handler.stats().last_error or ""), "a failed rollover"
        )
        assert "No space left" in (handler.stats().last_error or ""), handler.stats()
        assert handler.flush(20), handler.stats()
        assert disk.capture.stat().st_size > 60_000, disk.capture.stat()
        log_all(handler, texts[200:300])
        wait_for_full(handler)
        assert disk.backups == [], "the rest of a backup"
        disk.free()
        log_all(handler, texts[300:])
        assert handler.flush(20), handler.stats()
        wait_until(lambda: handler.doRollover() or disk.backups, "a backup")
    assert handler.stats().written == 402, handler.stats()
    assert all_marks(disk) == marks(0, 2) + texts
