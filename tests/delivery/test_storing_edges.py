"""A handler with a spool at the edges: odd sizes, odd folders, odd moments."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import List

import pytest

from tests.delivery.test_storing_losses import accept, deaf
from tests.helpers.support import wait_until
from tests.helpers.workers import Workers
from tests.situations.interop.collectors import FstrmCapture
from tests.situations.interop.taps import numbers_in, tapped

NEVER = {"timeout": 1000.0, "reconnect_interval": 0.01, "max_reconnect_interval": 0.05}

__all__ = ["deaf"]


def test_a_large_record_that_does_not_fit_beside_a_small_one_is_no_reason_to_wait(
    address: str, spool: Path
) -> None:
    """With overflow="block", callers wait for a full spool only; not for half a queue of bytes."""
    options = {"queue_bytes": 100_000, "overflow": "block", **NEVER}
    with tapped(address, spool=spool, **options) as tap:
        sizes = [40_000, 65_000] * 5
        with Workers(lambda: [tap.log_numbers([1], bytes(size)) for size in sizes]):
            wait_until(lambda: tap.stats().logged == 10, "all records to be accepted")
        stats = tap.stats()
        assert sum(stats.dropped.values()) == 0, stats
        assert stats.spooled >= 5, stats


def test_a_damaged_segment_is_sent_again_up_to_its_damage(
    tmp_path: Path, spool: Path, deaf: socket.socket
) -> None:
    """Its session breaks after all of its front was sent: the front goes out again, whole."""
    address = f"unix://{tmp_path / 'deaf'}"
    with tapped(address, spool=spool, **NEVER) as tap:
        tap.log_numbers(range(10))
        assert tap.close().spooled == 10
    (segment,) = spool.glob("*.fstrm")
    with segment.open("ab") as file:
        file.write(b"what is no frame" * 10)
    deaf.listen()
    peers: List[socket.socket] = []
    done = threading.Event()
    with tapped(address, spool=spool, queue_size=1, **NEVER) as tap:
        with Workers(lambda: accept(deaf, peers, done)):
            tap.log_numbers([10])
            wait_until(lambda: tap.stats().written >= 9, "the front to be sent")
            done.set()
        (tmp_path / "deaf").unlink()
        for peer in [*peers, deaf]:
            peer.close()
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            wait_until(lambda: list(spool.glob("*.damaged")), "the segment to be set aside")
            wait_until(lambda: tap.stats().spooled == 0, "the rest to be sent")
            stats = tap.close()
            collector.stop()
        read = set(numbers_in(collector.output))
    assert stats.dropped["spool_lost"] == 1, stats
    assert stats.connects < 20, stats
    assert len(read) == stats.written, (read, stats)


def test_a_session_that_breaks_at_its_end_is_followed_by_a_pause(
    tmp_path: Path, spool: Path, deaf: socket.socket
) -> None:
    """The collector goes where its FINISH should come: it is not called again in a busy loop."""
    address = f"unix://{tmp_path / 'deaf'}"
    with tapped(address, spool=spool, **NEVER) as tap:
        tap.log_numbers(range(10))
        assert tap.close().spooled == 10
    deaf.listen()
    peers: List[socket.socket] = []
    done = threading.Event()
    slow = {"timeout": 1000.0, "reconnect_interval": 500.0, "max_reconnect_interval": 500.0}
    with tapped(address, spool=spool, close_timeout=0.1, **slow) as tap:
        with Workers(lambda: accept(deaf, peers, done)):
            tap.log_numbers([10])
            wait_until(lambda: tap.stats().written >= 10, "the segment to be sent")
            peers[0].close()
            wait_until(lambda: not tap.stats().connected, "the session to be over")
            tap.log_numbers(range(11, 20))
            assert tap.handler.flush(60)
            done.set()
        stats = tap.stats()
        for peer in peers:
            peer.close()
        assert (stats.connects, stats.unconfirmed) == (1, 0), stats


def test_a_flush_with_a_full_spool_waits_without_spinning(
    address: str, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can neither be sent nor stored is tried now and then, not as fast as the thread can."""
    options = {"spool_bytes": 1 << 20, "queue_size": 100, **NEVER, "close_timeout": 0.1}
    with tapped(address, spool=spool, **options) as tap:
        wait_until(
            lambda: tap.log_numbers(range(10), bytes(20_000)) or tap.stats().dropped["spool_full"],
            "the spool to be full",
        )
        delivery = tap.handler._writer_thread._delivery
        turns: List[None] = []
        turn = delivery.turn
        monkeypatch.setattr(delivery, "turn", lambda: turns.append(None) or turn())
        assert not tap.handler.flush(0.5)
    assert len(turns) < 1000, "attempts and looks are some hundredths of a second apart"


def test_nobody_waits_for_a_full_spool_once_the_handler_has_given_up(
    tmp_path: Path, address: str, spool: Path
) -> None:
    """With overflow="block", too: the records are dropped as spool_full, until reopen()."""
    options = {"spool_bytes": 1 << 20, "queue_size": 50, "overflow": "block", **NEVER}
    with tapped(address, spool=spool, max_reconnect_attempts=0, **options) as tap:
        logger = threading.Thread(
            target=lambda: [tap.log_numbers([n], bytes(20_000)) for n in range(200)], daemon=True
        )
        logger.start()
        logger.join(60)
        assert not logger.is_alive()
        dropped = tap.stats().dropped["spool_full"]
        assert dropped > 50, tap.stats()
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            tap.handler.reopen()
            wait_until(lambda: tap.stats().written == 200 - dropped, "what was kept to be sent")
            tap.log_numbers(range(200, 300), bytes(20_000))
            assert tap.handler.flush(60)
            stats = tap.close()
            collector.stop()
    assert sum(stats.dropped.values()) == dropped, stats
    numbers = numbers_in(tmp_path / "out.fstrm")
    assert numbers == sorted(set(numbers))
    assert numbers[-100:] == list(range(200, 300))
    assert len(numbers) == 300 - dropped
