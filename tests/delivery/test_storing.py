"""A handler with a spool: what is stored, in which order it goes out, and what the books say."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, List

import pytest

from dnstap_logging import Stats
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import Captures
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import Tap, numbers_in, tapped

TIMES = {"reconnect_interval": 0.01, "max_reconnect_interval": 0.05}
NEVER = {"timeout": 1000.0, **TIMES}  # what waits is stored for another reason than time


def segments(spool: Path) -> List[Path]:
    """Return the segments, the oldest first."""
    return sorted(spool.glob("*.fstrm"))


def stored(spool: Path) -> List[int]:
    """Return the numbers of all records that are stored."""
    return [number for path in segments(spool) for number in numbers_in(path)]


def wait_for(tap: Tap, **expected: int) -> Stats:
    """Wait until the books have these numbers."""

    def reached() -> Any:
        stats = tap.stats()
        return all(getattr(stats, name) == value for name, value in expected.items()) and stats

    stats = wait_until(reached, f"{expected}, now {tap.stats()}")
    assert isinstance(stats, Stats)
    return stats


def full(said: Said) -> bool:
    """Return whether it was said that nothing can be stored; last_error may say more by then."""
    return bool(said.with_text("nothing can be stored"))


def received(collector: FstrmCapture) -> List[int]:
    """End the collector in order; return the numbers of all that it has."""
    collector.stop()
    return numbers_in(collector.output)


def test_a_healthy_collector_leaves_the_spool_empty(
    tmp_path: Path, address: str, spool: Path
) -> None:
    """Nothing is stored while records go on, and there is no segment after close()."""
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        with tapped(address, spool=spool) as tap:
            tap.log_numbers(range(1000))
            assert tap.handler.flush(60)
            stats = tap.close()
        assert (stats.written, stats.spooled, stats.recovered) == (1000, 0, 0), stats
        assert segments(spool) == []
        assert received(collector) == list(range(1000))


def test_a_flush_right_after_the_first_record_stores_nothing(
    tmp_path: Path, address: str, spool: Path, said: Said
) -> None:
    """The first attempt is waited for: with a collector there, nothing goes to the disk."""
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        for number in range(20):
            with tapped(address, spool=spool) as tap:
                tap.log_numbers([number])
                assert tap.handler.flush(60)
                assert tap.close().connects == 1
        assert received(collector) == list(range(20))
    assert said.with_text("records are stored") == []


def test_half_a_queue_is_stored_and_sent_in_order(
    tmp_path: Path, address: str, spool: Path
) -> None:
    """Without a session, half a queue is stored at once; all goes out once, in order."""
    with tapped(address, spool=spool, queue_size=100, **NEVER) as tap:
        for first in range(0, 1000, 50):
            tap.log_numbers(range(first, first + 50))
            wait_for(tap, spooled=first + 50)
        assert stored(spool) == list(range(1000))
        stats = tap.stats()
        assert stats.spooled_bytes == sum(path.stat().st_size for path in segments(spool))
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            stats = wait_for(tap, written=1000, spooled=0, in_flight=0)
            wait_until(lambda: segments(spool) == [], "the segments to be deleted")
            tap.log_numbers(range(1000, 1010))
            assert tap.handler.flush(60)
            stats = tap.close()
            assert (stats.written, stats.recovered, stats.spooled_bytes) == (1010, 0, 0), stats
            assert sum(stats.dropped.values()) == 0
            assert received(collector) == list(range(1010))


def test_what_waits_for_the_timeout_is_stored(address: str, spool: Path) -> None:
    """A single record is stored once it has waited `timeout` without a session."""
    with tapped(address, spool=spool, timeout=0.2, **TIMES) as tap:
        tap.log_numbers([7])
        wait_for(tap, spooled=1)
        assert stored(spool) == [7]


def test_an_attempt_that_fails_says_what_is_stored(address: str, spool: Path, said: Said) -> None:
    """What waits is in the line: on the queue, and stored; of earlier handlers, the bytes."""
    with tapped(address, spool=spool, report_interval=0, **NEVER) as tap:
        tap.log_numbers(range(10))
        assert tap.handler.flush(60)
        said.wait_for("(0 records waiting, 10 stored)")
    (segment,) = segments(spool)
    with tapped(address, spool=spool, report_interval=0, **NEVER) as tap:
        tap.log_numbers([10])
        said.wait_for(f"(1 record waiting, {segment.stat().st_size} bytes stored)")


def test_flush_without_a_session_stores_at_once(address: str, spool: Path) -> None:
    """flush() takes what is stored as settled, and does not wait for `timeout`."""
    with tapped(address, spool=spool, **NEVER) as tap:
        tap.log_numbers(range(10))
        assert tap.handler.flush(60)
        assert tap.stats().spooled == 10
        assert stored(spool) == list(range(10))


def test_close_stores_and_the_next_handler_sends(tmp_path: Path, address: str, spool: Path) -> None:
    """Without a session, close() tries once and stores; the next handler recovers it all."""
    with tapped(address, spool=spool, **NEVER) as tap:
        tap.log_numbers(range(10))
        stats = tap.close()
    assert stats.spooled == 10, stats
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        with tapped(address, spool=spool) as tap:
            tap.log_numbers([10])
            wait_for(tap, recovered=10, written=11)
            stats = tap.close()
            assert (stats.spooled, stats.spooled_bytes) == (0, 0), stats
        assert received(collector) == list(range(11))
    assert segments(spool) == []


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_stopped_collector_loses_nothing(tmp_path: Path, spool: Path, scheme: str) -> None:
    """While the collector stands still, sends and handshakes wait; storing goes on."""
    address = free_address(scheme, tmp_path)
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        with tapped(address, spool=spool, queue_size=200, timeout=0.3, **TIMES) as tap:
            tap.log_numbers(range(10))
            assert tap.handler.flush(60)
            collector.pause()
            for first in range(10, 20_010, 50):
                tap.log_numbers(range(first, first + 50), padding=bytes(200))
                wait_until(lambda: tap.stats().queued < 100, "room on the queue")
            stats = tap.stats()
            assert sum(stats.dropped.values()) == 0, stats
            assert stats.spooled > 10_000, stats
            collector.resume()
            stats = wait_for(tap, written=20_010, spooled=0, in_flight=0)
            tap.close()
        numbers = received(collector)
    assert set(numbers) == set(range(20_010))


def test_a_full_spool_drops_the_newest_and_says_so(address: str, spool: Path, said: Said) -> None:
    """Beyond spool_bytes records find no room: spool_full; the folder keeps its bound."""
    with tapped(address, spool=spool, spool_bytes=1 << 20, queue_size=100, **NEVER) as tap:
        logged = 0
        while not tap.stats().dropped["spool_full"]:
            tap.log_numbers(range(logged, logged + 10), padding=bytes(2000))
            logged += 10
            wait_until(lambda: tap.stats().queued < 50 or full(said), "room on the queue")
        said.wait_for("nothing can be stored")
        stats = tap.close()
    assert stats.dropped["spool_full"] + stats.spooled == stats.logged == logged, stats
    assert sum(path.stat().st_size for path in segments(spool)) <= 1 << 20
    assert stored(spool) == list(range(stats.spooled))


def test_callers_wait_only_when_the_spool_is_full(
    tmp_path: Path, address: str, spool: Path, said: Said
) -> None:
    """overflow="block" takes the spool as room: only a full one makes callers wait."""
    options = {"spool_bytes": 1 << 20, "queue_size": 100, "overflow": "block", **NEVER}
    with tapped(address, spool=spool, **options) as tap:
        total = 2000
        logged = threading.Thread(
            target=tap.log_numbers, args=(range(total), bytes(1000)), daemon=True
        )
        logged.start()
        wait_until(lambda: full(said), "the spool to be full")
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            logged.join(60)
            assert not logged.is_alive()
            stats = wait_for(tap, written=total)
            assert sum(stats.dropped.values()) == 0, stats
            tap.close()
            assert received(collector) == list(range(total))


def test_the_last_attempt_ends_attempts_and_not_storing(
    tmp_path: Path, address: str, spool: Path, said: Said
) -> None:
    """After max_reconnect_attempts records are still accepted and stored; reopen() revives."""
    options = {"max_reconnect_attempts": 1, "queue_size": 20, **NEVER}
    with tapped(address, spool=spool, **options) as tap:
        tap.log_numbers([0])
        said.wait_for("gave up after max_reconnect_attempts=1")
        tap.log_numbers(range(1, 10))
        wait_for(tap, spooled=10)
        assert sum(tap.stats().dropped.values()) == 0
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            tap.handler.reopen()
            wait_for(tap, written=10)
            tap.close()
            assert received(collector) == list(range(10))


def test_ready_payloads_are_stored(tmp_path: Path, address: str, spool: Path) -> None:
    """What emit_payload takes goes through the spool byte for byte."""
    with tapped(address, spool=spool, **NEVER) as tap:
        tap.log_numbers(range(3))
        assert tap.handler.flush(60)
        (segment,) = segments(spool)
        payloads = segment.read_bytes()
        tap.handler.emit_payload(b"\x78\x01\x12\x03abc")
        assert tap.handler.flush(60)
    assert b"\x78\x01\x12\x03abc" in segment.read_bytes()
    assert payloads[:20] == segment.read_bytes()[:20]


@pytest.fixture
def found(address: str, spool: Path) -> Path:
    """Return a segment that an earlier handler has left, with the numbers from 0 to 9."""
    with tapped(address, spool=spool, **NEVER) as tap:
        tap.log_numbers(range(10))
        tap.close()
    (segment,) = segments(spool)
    return segment


def test_a_torn_tail_is_said_once_and_kept_aside(
    tmp_path: Path, address: str, spool: Path, found: Path, said: Said
) -> None:
    """The front of a torn segment is sent; what is left of it is spool_lost, and kept."""
    os.truncate(found, found.stat().st_size - 20)  # STOP, and a part of the last record
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        with tapped(address, spool=spool) as tap:
            tap.log_numbers([10])
            wait_for(tap, written=10)
            said.wait_for(found.name)
            wait_until(lambda: segments(spool) == [], "the segment to be set aside")
            stats = tap.close()
        assert (stats.recovered, stats.dropped["spool_lost"]) == (10, 1), stats
        assert received(collector) == [*range(9), 10]
    assert found.with_suffix(".damaged").exists()
    assert len(said.with_text("of its records are lost")) == 1


def test_a_segment_deleted_by_hand_is_lost(
    address: str, spool: Path, said: Said, tmp_path: Path
) -> None:
    """Its records are spool_lost, with one line; what is logged later goes on."""
    with tapped(address, spool=spool, queue_size=20, **NEVER) as tap:
        tap.log_numbers(range(10))
        wait_for(tap, spooled=10)
        for path in segments(spool):
            path.unlink()
        tap.log_numbers(range(10, 20))
        stats = wait_for(tap, spooled=10)
        wait_until(lambda: tap.stats().dropped["spool_lost"] == 10, f"{stats!r}")
        said.wait_for("it was deleted")
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            wait_for(tap, written=10, spooled=0)
            tap.close()
            assert received(collector) == list(range(10, 20))
    assert len(said.with_text("of its records are lost")) == 1


def test_old_frames_may_be_too_large_now(tmp_path: Path, address: str, spool: Path) -> None:
    """Found frames over max_frame_size are too_large; those around them are sent."""
    with tapped(address, spool=spool, **NEVER) as tap:
        tap.log_numbers([0])
        tap.log_numbers([1], padding=bytes(2000))
        tap.log_numbers([2, 3])
        tap.close()
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        with tapped(address, spool=spool, max_frame_size=1000) as tap:
            tap.log_numbers([4])
            stats = wait_for(tap, written=4, recovered=4)
            assert stats.dropped["too_large"] == 1
            tap.close()
        assert received(collector) == [0, 2, 3, 4]


def test_restarts_under_load_keep_order_and_lose_nothing(tmp_path: Path, spool: Path) -> None:
    """The collector comes and goes; with FINISH at each end, each record is there."""
    address = free_address("tcp", tmp_path)
    captures = Captures(address, tmp_path)
    options = {"queue_size": 100, "timeout": 0.5, **TIMES}
    with tapped(address, spool=spool, **options) as tap:
        try:
            total = 0
            for _ in range(4):
                for _ in range(40):
                    tap.log_numbers(range(total, total + 40))
                    total += 40
                    wait_until(lambda: tap.stats().queued < 50, "room on the queue")
                captures.start()
                tap.log_numbers(range(total, total + 40))
                total += 40
                wait_until(captures.has_records, "records after the return")
                captures.end()
            captures.start()
            stats = wait_for(tap, spooled=0, queued=0, in_flight=0)
            tap.close()
            captures.end()
        finally:
            captures.kill()
    assert sum(stats.dropped.values()) == 0, stats
    assert set(captures.numbers()) == set(range(total))


def test_what_comes_during_an_outage_grows_one_segment(address: str, spool: Path) -> None:
    """Attempts that fail do not end a segment, or an outage would leave one for each."""
    with tapped(address, spool=spool, queue_size=20, **NEVER) as tap:
        for first in range(0, 500, 10):
            tap.log_numbers(range(first, first + 10))
            wait_for(tap, spooled=first + 10)
        assert len(segments(spool)) == 1
        error = tap.stats().last_error
    assert stored(spool) == list(range(500)), error


def test_a_loss_after_a_full_spool_has_its_own_cause(
    tmp_path: Path, address: str, spool: Path, said: Said
) -> None:
    """Once the spool is empty again, a full queue is queue_full."""
    with tapped(address, spool=spool, spool_bytes=1 << 20, queue_size=100, **NEVER) as tap:
        logged = 0
        while not full(said):
            tap.log_numbers(range(logged, logged + 10), padding=bytes(2000))
            logged += 10
            wait_until(lambda: tap.stats().queued < 50 or full(said), "room on the queue")
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            wait_for(tap, written=logged, spooled=0)
            tap.log_numbers([logged])
            assert tap.handler.flush(60)
            assert tap.handler._writer_thread._queue.full_because is None
            tap.close()
            assert received(collector) == list(range(logged + 1))
