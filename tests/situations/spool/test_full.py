"""A disk, and a spool, that become full in the middle and have room again; a record that kills."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from dnstap_logging.delivery.outbox import MOST_ROUNDS
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.captures.small_disk import Disk, on_a_small_disk
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import Tap, numbers_in, tapped
from tests.situations.spool.scenes import TIMES, SteadyLoad, audit, segments, wait_for
from tests.situations.spool.takers import Taker

RATE = 3000
OPTIONS = {"queue_size": 1000, "timeout": 0.3, "close_timeout": DEADLINE, **TIMES}
POISON = 30


def wait_for_full(tap: Tap) -> None:
    """Wait until records are dropped because nothing can be stored."""
    wait_until(lambda: tap.stats().dropped["spool_full"] > 100, "a full spool", DEADLINE)


def check_healed(tap: Tap, output: Path, logged: int, address: str, spool: Path) -> None:
    """Start a collector: all that was stored arrives in order, and the books say what did not."""
    with FstrmCapture(address, output) as collector:
        wait_for(tap, spooled=0, queued=0, in_flight=0)
        dropped = sum(tap.stats().dropped.values())
        tap.log_numbers(range(logged, logged + 100))
        assert tap.handler.flush(DEADLINE)
        stats = tap.close()
        collector.stop()
    assert sum(stats.dropped.values()) == dropped == stats.dropped["spool_full"], stats
    numbers = numbers_in(output)
    assert numbers == sorted(set(numbers))
    assert len(numbers) == stats.written == logged + 100 - dropped
    (run,) = audit(output)
    assert (run["count"], run["missing"], run["dropped"]) == (stats.written, 0, dropped)
    assert segments(spool) == []


def test_a_spool_that_becomes_full_in_the_middle(tmp_path: Path, said: Said) -> None:
    """Only spool_full is dropped, and counted, with one line; then everything goes on."""
    spool, address = tmp_path / "spool", free_address("unix", tmp_path)
    options = {**OPTIONS, "spool_bytes": 1 << 20, "sequence": True}
    with tapped(address, spool=spool, **options) as tap:
        with SteadyLoad(tap, RATE, 1000) as load:
            wait_for_full(tap)
        load.check()
        assert sum(path.stat().st_size for path in segments(spool)) <= 1 << 20
        check_healed(tap, tmp_path / "out.fstrm", load.logged, address, spool)
    assert len(said.with_text("nothing can be stored")) == 1


@on_a_small_disk
def test_a_disk_that_becomes_full_in_the_middle(disk: Disk) -> None:
    """Only spool_full is dropped; with room again storing goes on, and all of it arrives."""
    folder = disk.capture.parent
    spool, address = folder / "spool", free_address("unix", folder)
    said = Said()
    logging.getLogger("dnstap_logging").addHandler(said)
    with tempfile.TemporaryDirectory() as elsewhere:
        with tapped(address, spool=spool, sequence=True, **OPTIONS) as tap:
            tap.log_numbers([0])
            wait_for(tap, spooled=1)
            disk.fill(leave=4)
            with SteadyLoad(tap, RATE, 100, first=1) as load:
                wait_for_full(tap)
                disk.free()
                stored = tap.stats().spooled
                wait_until(lambda: tap.stats().spooled > stored + 100, "storing again", DEADLINE)
            load.check()
            check_healed(tap, Path(elsewhere) / "out.fstrm", load.logged, address, spool)
    assert len(said.with_text("nothing can be stored")) == 1
    assert "no space left" in said.with_text("nothing can be stored")[0]


def test_a_stored_record_that_ends_each_session(tmp_path: Path, said: Said) -> None:
    """After some sessions it is passed by, with one line; all others arrive, the gap is counted."""
    spool, address = tmp_path / "spool", free_address("unix", tmp_path)
    options = {**OPTIONS, "spool_bytes": 1 << 20, "queue_size": 40, "report_interval": 600.0}
    with tapped(address, spool=spool, **options) as tap:
        with SteadyLoad(tap, RATE, 500) as load:
            wait_until(lambda: tap.stats().spooled > 500, "stored records", DEADLINE)
            with Taker(address, poison=POISON) as taker:
                wait_until(lambda: tap.stats().unconfirmed, "the record to be passed by", DEADLINE)
                load.stopping.set()
                load.join()
                tap.log_numbers([load.logged])
                wait_for(tap, spooled=0, queued=0, in_flight=0)
                wait_until(lambda: load.logged in taker.numbers, "the last record", DEADLINE)
                stats = tap.close()
        load.check()
    missing = set(range(load.logged + 1)) - set(taker.numbers)
    assert POISON in missing
    assert len(missing) <= stats.unconfirmed + sum(stats.dropped.values()), (sorted(missing), stats)
    resets = [session for session in taker.sessions if session and session[-1] == POISON - 1]
    assert len(resets) <= MOST_ROUNDS + 3, "the same frame goes out again and again"
    said.wait_for("will not be sent again")
    assert len(said.with_text("will not be sent again")) == 1
