"""A full disk: records wait, the file stays whole, and what is lost is counted by its cause."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from dnstap_logging import DnstapHandler, DnstapReader
from dnstap_logging.exceptions import TransportError
from tests.helpers.support import wait_until
from tests.situations.captures.small_disk import (
    INODES,
    NO_RETRY,
    Disk,
    fill_page,
    forget_error,
    log_all,
    marks,
    on_a_small_disk,
    wait_for_full,
    watched,
)
from tests.situations.captures.whole import log_mark, marks_of
from tests.situations.interop.captures import read_capture
from tests.situations.interop.taps import marks_in


def handler_on(disk: Disk, **arguments: Any) -> DnstapHandler:
    """Make a handler whose capture has two records."""
    handler = DnstapHandler(disk.capture, identity="", version="", **arguments)
    log_all(handler, marks(0, 2))
    assert handler.flush(20), handler.stats()
    return handler


@on_a_small_disk
def test_records_wait_for_room(disk: Disk) -> None:
    """While the disk is full all frames in the file are whole; then it goes on, nothing is lost."""
    handler = handler_on(disk, reconnect_interval=NO_RETRY)
    with watched(handler):
        disk.fill()
        log_all(handler, marks(2, 100))
        wait_for_full(handler)

        written = handler.stats().written
        found = read_capture(disk.capture)
        assert marks_in(found.payloads) == marks(0, written)
        assert (found.complete, found.rest) == (False, 0), found
        with DnstapReader(disk.capture) as reader:
            assert len(list(reader)) == written
        assert written < 100, "the disk was not full"
        assert sum(handler.stats().dropped.values()) == 0, handler.stats()

        disk.free()
        handler.reopen()
        assert handler.flush(20), handler.stats()
    assert handler.stats().written == 100, handler.stats()
    assert (handler.stats().connects, handler.stats().disconnects) == (1, 0), handler.stats()
    assert marks_of(disk.capture) == marks(0, 100)


@on_a_small_disk
def test_writing_is_tried_again_by_itself(disk: Disk) -> None:
    """Room that comes, goes and comes again is used without anybody's doing."""
    handler = handler_on(disk, reconnect_interval=0.001)
    with watched(handler):
        for first in range(2, 302, 100):
            disk.fill()
            log_all(handler, marks(first, first + 100))
            wait_for_full(handler)
            disk.free()
            assert handler.flush(20), handler.stats()
            forget_error(handler)
    assert handler.stats().written == 302, handler.stats()
    assert marks_of(disk.capture) == marks(0, 302)


@on_a_small_disk
def test_what_finds_the_queue_full_is_lost_to_the_disk(disk: Disk) -> None:
    """Records that find the queue full then are lost to disk_full, until there is room again."""
    handler = handler_on(disk, reconnect_interval=NO_RETRY, queue_size=50)
    with watched(handler):
        disk.fill()
        log_all(handler, marks(2, 52))
        wait_for_full(handler)
        wait_until(lambda: handler.stats().in_flight, "records in flight")
        before = handler.stats()
        log_all(handler, marks(52, 152))
        stats = handler.stats()
        assert stats.queued == 50, stats
        assert stats.dropped["disk_full"] == 100 - (50 - before.queued), (before, stats)
        assert stats.dropped["queue_full"] == before.dropped["queue_full"], (before, stats)

        disk.free()
        handler.reopen()
        assert handler.flush(20), handler.stats()
        assert handler._writer_thread._queue.full_because is None
    kept = marks_of(disk.capture)
    assert len(kept) == handler.stats().written
    assert kept == sorted(set(kept)), "in order, each once"


@on_a_small_disk
def test_bytes_that_find_no_room_are_lost_to_the_disk(disk: Disk) -> None:
    """The same goes for queue_bytes."""
    handler = handler_on(disk, reconnect_interval=NO_RETRY, queue_bytes=20_000)
    with watched(handler):
        disk.fill()
        log_all(handler, marks(2, 32))
        wait_for_full(handler)
        before = handler.stats()
        log_all(handler, marks(32, 132))
        stats = handler.stats()
        assert stats.dropped["disk_full"] > 0, stats
        assert stats.dropped["queue_bytes"] == before.dropped["queue_bytes"], (before, stats)
        disk.free()


def close_on_full_disk(disk: Disk, room: int) -> None:
    """Close a handler whose capture ends that many bytes before the last page does."""
    handler = handler_on(disk, reconnect_interval=0.001, close_timeout=0.2)
    with watched(handler):
        disk.fill()
        fill_page(disk, handler, room)
        log_all(handler, marks(3, 13))
        wait_for_full(handler)
        handler.close()
        stats = handler.stats()
        assert (stats.written, stats.dropped["disk_full"]) == (3, 10), stats
    found = read_capture(disk.capture)
    assert (len(found.payloads), found.complete, found.rest) == (3, room >= 12, 0), found
    disk.free()
    second = DnstapHandler(disk.capture)
    log_mark(second, "second")
    second.close()
    assert [*marks_of(disk.capture)[:2], marks_of(disk.capture)[3]] == [*marks(0, 2), "second"]


@on_a_small_disk
def test_a_close_on_a_full_disk(disk: Disk) -> None:
    """What still waits is counted disk_full; where STOP has room, the capture gets it."""
    close_on_full_disk(disk, room=100)


@on_a_small_disk
def test_a_close_without_room_for_stop(disk: Disk) -> None:
    """Otherwise the capture ends with its last whole frame, and the next handler goes on there."""
    close_on_full_disk(disk, room=4)


@on_a_small_disk
def test_not_even_start_fits(disk: Disk) -> None:
    """On a disk that is full from the start records wait, too, and the file stays empty."""
    disk.fill()
    handler = DnstapHandler(disk.capture, reconnect_interval=0.001)
    with watched(handler):
        log_all(handler, marks(0, 10))
        wait_for_full(handler)
        stats = handler.stats()
        assert (stats.queued, stats.written, stats.connects) == (10, 0, 0), stats
        assert disk.capture.stat().st_size == 0
        disk.free()
        assert handler.flush(20), handler.stats()
    assert marks_of(disk.capture) == marks(0, 10)


@on_a_small_disk
def test_a_disk_that_stays_full(disk: Disk) -> None:
    """Where not even START fits until the end, all is disk_full, and the empty file can be used."""
    disk.fill()
    handler = DnstapHandler(disk.capture, reconnect_interval=0.001, close_timeout=0.2)
    with watched(handler):
        log_all(handler, marks(0, 10))
        wait_for_full(handler)
        handler.close()
        assert handler.stats().dropped["disk_full"] == 10, handler.stats()
    assert disk.capture.read_bytes() == b""
    disk.free()
    DnstapHandler(disk.capture).close()
    assert marks_of(disk.capture) == []


@on_a_small_disk
def test_no_room_for_the_file_itself(disk: Disk) -> None:
    """A file that cannot be made is an error at construction; a handler with delay waits."""
    names = [disk.capture.with_name(str(number)) for number in range(INODES)]
    with contextlib.suppress(OSError):
        for name in names:
            name.touch()
    with pytest.raises(TransportError, match="no space left") as caught:
        DnstapHandler(disk.capture)
    assert str(caught.value).startswith(f"address={str(disk.capture)!r}: "), caught.value
    handler = DnstapHandler(disk.capture, delay=True, reconnect_interval=0.001)
    with watched(handler):
        log_all(handler, marks(0, 10))
        wait_for_full(handler)
        names[0].unlink()
        assert handler.flush(20), handler.stats()
    assert marks_of(disk.capture) == marks(0, 10)
