"""Drains of many segments: to collectors without FINISH, interrupted, and gone on with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Set

import pytest

from tests.helpers.programs import started_program
from tests.helpers.support import dnstap_payload, wait_until
from tests.situations.faults.receivers import DEADLINE, Captures
from tests.situations.interop.collectors import free_address, stopwatch
from tests.situations.interop.taps import Tap, tapped
from tests.situations.spool.scenes import TIMES, segments, stored, wait_for
from tests.situations.spool.takers import Taker

SEGMENTS = 20
PADDING = bytes(1000)
EACH = 16
"""Records of a segment: at least 16 KiB of them."""

COUNT = SEGMENTS * EACH
SMALL: Dict[str, Any] = {
    "spool_bytes": 1 << 20,
    "queue_size": 2 * EACH,
    "close_timeout": DEADLINE,
    **TIMES,
}
"""Arguments with which a segment has `EACH` records with `PADDING`."""

SEND_OFF = 0.5
"""The timeout of handlers whose collector says nothing after STOP."""


def store(tap: Tap, spool: Path) -> None:
    """Store that many segments, without a collector."""
    for first in range(0, COUNT, EACH):
        tap.log_numbers(range(first, first + EACH), PADDING)
        wait_for(tap, spooled=first + EACH)
    assert len(segments(spool)) == SEGMENTS


def leave_behind(address: str, spool: Path) -> None:
    """Have an earlier handler leave that many segments."""
    with tapped(address, spool=spool, timeout=1000.0, **SMALL) as tap:
        store(tap, spool)
        tap.close()
    assert stored(spool) == list(range(COUNT))


@pytest.mark.parametrize(
    ("ending", "bidirectional"), [("close", True), ("silent", True), ("close", False)]
)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
@pytest.mark.parametrize("found", [False, True])
def test_collectors_without_finish(
    found: bool, scheme: str, ending: str, bidirectional: bool, tmp_path: Path
) -> None:
    """One that says nothing is waited for once in a drain; its files go; nothing is missing."""
    spool = tmp_path / "spool"
    address = free_address(scheme, tmp_path)
    options = {**SMALL, "timeout": SEND_OFF, "bidirectional": bidirectional}
    if found:
        leave_behind(address, spool)
    with tapped(address, spool=spool, **options) as tap:
        if not found:
            store(tap, spool)
        with Taker(address, ending, bidirectional) as taker:
            with stopwatch(SEND_OFF * SEGMENTS * 0.9, "the drain"):
                tap.log_numbers([COUNT])
                wait_for(tap, written=COUNT + 1, spooled=0, queued=0, in_flight=0)
                wait_until(lambda: COUNT in taker.numbers, "the last record", DEADLINE)
            with stopwatch(SEND_OFF * SEGMENTS * 0.9, "close()"):
                stats = tap.close()
            wait_until(lambda: set(taker.numbers) == set(range(COUNT + 1)), "all", DEADLINE)
    # What was sent directly, and perhaps not read, is stored for the next run.
    assert stored(spool) in ([], [COUNT])
    assert sum(stats.dropped.values()) == 0, stats
    assert stats.recovered == (COUNT if found else 0)


def test_unconfirmed_segments_go_while_records_come(tmp_path: Path) -> None:
    """Without FINISH a segment is deleted once so much was sent that the ring has forgotten it."""
    spool = tmp_path / "spool"
    address = free_address("unix", tmp_path)
    options = {**SMALL, "timeout": SEND_OFF, "resend_bytes": 30_000}
    with tapped(address, spool=spool, **options) as tap:
        store(tap, spool)
        with Taker(address, "close") as taker:
            wait_for(tap, written=COUNT, spooled=0)
            assert len(segments(spool)) < 5
            total = COUNT
            while segments(spool):
                tap.log_numbers([total], PADDING)
                total += 1
                # Not flush(): between two sessions it stores the record, as one more segment.
                wait_for(tap, written=total)
                assert total < COUNT + 200
            wait_until(lambda: set(taker.numbers) == set(range(total)), "all", DEADLINE)
            tap.close()


def test_reopen_in_the_middle_of_a_drain(tmp_path: Path) -> None:
    """The drain goes on; nothing is missing, and the spool becomes empty."""
    spool = tmp_path / "spool"
    address = free_address("unix", tmp_path)
    leave_behind(address, spool)
    captures = Captures(address, tmp_path)
    captures.start()
    try:
        with tapped(address, spool=spool, **SMALL) as tap:
            tap.log_numbers([COUNT])

            def reopened() -> bool:
                tap.handler.reopen()
                return tap.stats().written >= COUNT / 2

            wait_until(reopened, "half of the drain", DEADLINE)
            wait_for(tap, written=COUNT + 1, spooled=0)
            stats = tap.close()
        captures.end()
    finally:
        captures.kill()
    assert (stats.recovered, sum(stats.dropped.values())) == (COUNT, 0), stats
    assert set(captures.numbers()) == set(range(COUNT + 1))
    assert segments(spool) == []


@pytest.mark.parametrize("stands_still", [False, True])
@pytest.mark.parametrize("close_timeout", [0.0, 0.02, 1.0])
def test_close_in_the_middle_of_a_drain(
    close_timeout: float, stands_still: bool, tmp_path: Path
) -> None:
    """What was not sent stays in the folder, and the next handler goes on."""
    spool = tmp_path / "spool"
    address = free_address("unix", tmp_path)
    leave_behind(address, spool)
    options = {**SMALL, "close_timeout": close_timeout}
    with Taker(address) as taker:
        with tapped(address, spool=spool, **options) as tap:
            if stands_still:
                taker.reading.clear()
            tap.log_numbers([COUNT])
            enough = 0 if stands_still else EACH
            wait_until(lambda: tap.stats().written > enough, "some of the drain", DEADLINE)
            with stopwatch(close_timeout + DEADLINE / 4, "close()"):
                stats = tap.close()
            assert sum(stats.dropped.values()) == 0, stats
            taker.reading.set()
        with tapped(address, spool=spool, **SMALL) as tap:
            tap.log_numbers([COUNT + 1])
            wait_until(lambda: segments(spool) == [], "an empty spool", DEADLINE)
            wait_for(tap, spooled=0, queued=0, in_flight=0)
            again = tap.close()
            assert sum(again.dropped.values()) == 0, again
        wait_until(lambda: set(taker.numbers) == set(range(COUNT + 2)), "all", DEADLINE)


KILLED = """
import sys
from tests.situations.spool.test_drains import SMALL, COUNT
from tests.situations.interop.taps import Tap
from dnstap_logging import DnstapHandler
address, spool = sys.argv[1:]
tap = Tap(DnstapHandler(address, spool=spool, **SMALL))
tap.log_numbers([COUNT])
print("logged", flush=True)
sys.stdin.read()
"""


def test_a_program_killed_in_the_middle_of_a_drain(tmp_path: Path) -> None:
    """The next program sends again what was not confirmed; of the segments nothing is missing."""
    spool = tmp_path / "spool"
    address = free_address("unix", tmp_path)
    leave_behind(address, spool)
    command = [sys.executable, "-c", KILLED, address, str(spool)]
    taken: Set[int] = set()
    for records in (1, EACH + 1, COUNT // 2):
        with Taker(address, most=records) as taker:
            with started_program(tmp_path, command, stdin=subprocess.PIPE) as program:
                wait_until(
                    lambda taker=taker, records=records: len(taker.numbers) >= records,
                    "the drain",
                    DEADLINE,
                )
                program.kill()
                program.wait()
        taken.update(taker.numbers)
        assert set(range(COUNT)) <= taken.union(stored(spool))
    with Taker(address) as taker, tapped(address, spool=spool, **SMALL) as tap:
        left = stored(spool)
        tap.log_numbers([COUNT + 1])
        wait_until(lambda: segments(spool) == [], "an empty spool", DEADLINE)
        wait_for(tap, spooled=0, queued=0, in_flight=0)
        assert set(left) <= set(taker.numbers)


def test_ready_payloads_and_blocked_callers_in_a_drain(tmp_path: Path) -> None:
    """emit_payload and overflow="block" while a drain goes on: all arrives, once, in order.

    Segments of an earlier handler come between, when there are none of our own.
    """
    spool = tmp_path / "spool"
    address = free_address("unix", tmp_path)
    leave_behind(address, spool)
    with Taker(address) as taker, tapped(address, spool=spool, overflow="block", **SMALL) as tap:
        for number in range(COUNT, 2 * COUNT, 2):
            tap.log_numbers([number], PADDING)
            tap.handler.emit_payload(dnstap_payload(number + 1))
        wait_for(tap, written=2 * COUNT, spooled=0, recovered=COUNT)
        stats = tap.close()
        numbers = taker.numbers
        assert sorted(numbers) == list(range(2 * COUNT)), stats
        for found in (True, False):
            part = [number for number in numbers if (number < COUNT) is found]
            assert part == sorted(part)
    assert segments(spool) == []


@pytest.mark.parametrize("schemes", [("unix", "tcp"), ("tcp", "unix")])
def test_all_addresses_are_down_and_the_second_comes(schemes: Any, tmp_path: Path) -> None:
    """Failover and a spool: while all are away records are stored; whoever comes gets them."""
    spool = tmp_path / "spool"
    addresses = [free_address(scheme, tmp_path) for scheme in schemes]
    with tapped(addresses, spool=spool, sequence=True, **SMALL) as tap:
        store(tap, spool)
        with Taker(addresses[1]) as second:
            wait_for(tap, written=COUNT, spooled=0)
            wait_until(lambda: tap.stats().address == addresses[1], "the second", DEADLINE)
            tap.log_numbers(range(COUNT, COUNT + EACH), PADDING)
            assert tap.handler.flush(DEADLINE)
        tap.log_numbers(range(COUNT + EACH, COUNT + 2 * EACH), PADDING)
        with Taker(addresses[0]) as first:
            wait_for(tap, written=COUNT + 2 * EACH, spooled=0, queued=0, in_flight=0)
            stats = tap.close()
        numbers = set(second.numbers) | set(first.numbers)
    assert numbers == set(range(COUNT + 2 * EACH)), stats
    assert sum(stats.dropped.values()) == 0, stats
    assert segments(spool) == []
