"""Several collectors that are killed, stopped and started under load: each lost record is counted.

Without a wait for the next address a change takes as long as the system needs to refuse.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import pytest

from dnstap_logging import DnstapReceiver
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import (
    DEADLINE,
    OPTIONS,
    Captures,
    Load,
    Witness,
    outcome,
    show,
    wait_for_records,
)
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import Tap, numbers_in, tapped
from tests.situations.interop.tls_peers import make_pki

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell what was unread"
)

RATE = 3000
TIMES = [4, pytest.param(20, marks=pytest.mark.slow)]
MIXES = [("unix", "unix"), ("unix", "tcp"), ("tcp", "unix"), ("tcp", "tcp")]

LONG = 60.0
"""A reconnect_interval of which half is at least waited: no test that waits for it passes."""

NO_WAIT = 15.0
"""Seconds: far below that, and far above what a busy machine needs without such a wait."""


def folders(folder: Path, number: int) -> List[Path]:
    """Make a folder for each collector."""
    made = [folder / str(index) for index in range(number)]
    for each in made:
        each.mkdir()
    return made


def wait_for_address(tap: Tap, address: str) -> None:
    """Wait until the session is with this address."""
    wait_until(lambda: (tap.stats().connected, tap.stats().address) == (True, address), address)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("schemes", MIXES, ids="-".join)
def test_collectors_killed_and_started_in_turn(
    schemes: Tuple[str, str], times: int, tmp_path: Path
) -> None:
    """One is killed while the other one runs, again and again: what is nowhere is counted."""
    pairs = zip(schemes, folders(tmp_path, 2))
    collectors = [Witness(free_address(scheme, folder), folder) for scheme, folder in pairs]
    addresses = [each.address for each in collectors]
    waits: List[float] = []
    try:
        with tapped(addresses, **OPTIONS) as tap:
            collectors[0].start()
            with Load(tap, RATE) as load:
                wait_for_records(collectors[0])
                for number in range(times):
                    used, other = collectors[number % 2], collectors[(number + 1) % 2]
                    other.start()
                    used.end()
                    waits.append(wait_for_records(other))
                    wait_for_address(tap, other.address)
            stats = tap.close()
        load.check()
    finally:
        for each in collectors:
            each.end()

    found = outcome(load.logged, [number for each in collectors for number in each.numbers()])
    show(f"witnesses, {' and '.join(schemes)}, SIGKILL in turn", found, stats, waits)
    assert stats.logged == stats.written == load.logged, stats
    assert found.strange == 0
    assert found.twice <= stats.resent, (found, stats)
    assert found.missing <= stats.unconfirmed, (found, stats)
    if "tcp" not in schemes:
        assert found.missing == 0, (found, stats)
    assert statistics.median(waits) < NO_WAIT


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_refused_connection_costs_no_wait(scheme: str, tmp_path: Path) -> None:
    """From one that is gone to the next but one, past another that is not there."""
    several = [free_address(scheme, folder) for folder in folders(tmp_path, 3)]
    with FstrmCapture(several[0], tmp_path / "0.fstrm") as first:
        with FstrmCapture(several[2], tmp_path / "2.fstrm") as last:
            options = {**OPTIONS, "reconnect_interval": LONG, "max_reconnect_interval": LONG}
            with tapped(several, **options) as tap:
                tap.log_numbers(range(100))
                wait_for_address(tap, several[0])
                assert tap.handler.flush()
                first.stop()
                started = time.monotonic()
                tap.log_numbers(range(100, 200))
                wait_for_address(tap, several[2])
                assert time.monotonic() - started < NO_WAIT
                stats = tap.close()
            last.stop()
    assert (stats.attempts[several[1]][0], stats.attempts[several[2]]) == (1, (0, None))
    assert set(range(100, 200)) <= set(numbers_in(last.output))


@pytest.mark.parametrize("schemes", MIXES[:3], ids="-".join)
def test_a_collector_that_stands_still_has_failed(schemes: Tuple[str, str], tmp_path: Path) -> None:
    """Stopped in its tracks (SIGSTOP) under load: after `timeout` the next one gets everything."""
    pairs = zip(schemes, folders(tmp_path, 2))
    collectors = [Captures(free_address(scheme, folder), folder) for scheme, folder in pairs]
    addresses = [each.address for each in collectors]
    options = {**OPTIONS, "timeout": 0.5}
    try:
        for each in collectors:
            each.start()
        with tapped(addresses, **options) as tap:
            with Load(tap, RATE) as load:
                wait_for_records(collectors[0])
                collectors[0].fall_behind()
                wait_for_address(tap, addresses[1])
                wait_for_records(collectors[1])
            stats = tap.close()
        load.check()
        for each in collectors:
            each.end()
    finally:
        for each in collectors:
            each.kill()

    found = outcome(load.logged, [number for each in collectors for number in each.numbers()])
    show(f"fstrm_capture, {' and '.join(schemes)}, SIGSTOP", found, stats, [])
    error = stats.attempts[addresses[0]][1]
    assert error is not None
    assert "took nothing in 0.5 s" in error or "no ACCEPT" in error
    assert stats.written == load.logged
    assert found.missing <= stats.unconfirmed, (found, stats)
    assert found.twice <= stats.resent, (found, stats)


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_the_return_loses_nothing_and_sends_nothing_twice(scheme: str, tmp_path: Path) -> None:
    """Under load from the last of four to the first, one after the other, each with its FINISH."""
    collectors = [
        FstrmCapture(free_address(scheme, folder), tmp_path / f"{index}.fstrm")
        for index, folder in enumerate(folders(tmp_path, 4))
    ]
    addresses = [each.address for each in collectors]
    try:
        collectors[3].start()
        with tapped(addresses, **{**OPTIONS, "prefer_after": 0.05}) as tap:
            with Load(tap, RATE) as load:
                for index in (3, 2, 1, 0):
                    if index < 3:
                        collectors[index].start()
                    wait_for_address(tap, addresses[index])
                    written = tap.stats().written
                    wait_until(
                        lambda written=written: tap.stats().written > written + 100,
                        "records for this one",
                    )
            stats = tap.close()
        load.check()
        for each in collectors:
            each.stop()
    finally:
        for each in collectors:
            each.kill()

    captures = [numbers_in(each.output) for each in collectors]
    assert all(captures), [len(each) for each in captures]
    assert sorted(number for each in captures for number in each) == list(range(load.logged))
    assert (stats.resent, stats.unconfirmed, stats.disconnects) == (0, 0, 0), stats
    assert stats.confirmed == stats.written == load.logged
    assert stats.connects == 4


def test_all_are_gone_and_one_returns(tmp_path: Path) -> None:
    """What was logged meanwhile waits, and goes to whichever comes first."""
    several = [free_address("unix", folder) for folder in folders(tmp_path, 3)]
    with tapped(several, **OPTIONS) as tap:
        tap.log_numbers(range(1000))
        wait_until(
            lambda: all(failures > 1 for failures, _ in tap.stats().attempts.values()),
            "two attempts at each",
        )
        with FstrmCapture(several[1], tmp_path / "1.fstrm") as collector:
            wait_for_address(tap, several[1])
            stats = tap.close()
            collector.stop()
    assert (stats.written, stats.confirmed) == (1000, 1000)
    assert numbers_in(collector.output) == list(range(1000))


def test_from_tls_to_unix_and_back(tmp_path: Path) -> None:
    """TLS arguments serve the tls:// address, and nothing else of the list."""
    pki = make_pki(tmp_path)
    plain = free_address("unix", folders(tmp_path, 1)[0])
    secure = free_address("tls", tmp_path)
    received: List[List[Optional[bytes]]] = [[], []]

    def receiver(index: int) -> DnstapReceiver:
        take = received[index]
        context = None if index else pki.server_context()
        return DnstapReceiver(
            (secure, plain)[index], lambda message: take.append(message.extra), ssl_context=context
        ).start()

    with receiver(1), tapped([secure, plain], cafile=pki.cafile, prefer_after=0.1) as tap:
        first = receiver(0)
        tap.log_marked("0")
        wait_until(lambda: received[0], "the record within TLS")
        assert tap.stats().address == secure
        first.close()
        wait_until(lambda: tap.stats().address == plain, "the change")
        tap.log_marked("1")
        wait_until(lambda: b"1" in received[1], "the record without TLS")
        first = receiver(0)
        wait_for_address(tap, secure)
        tap.log_marked("2")
        wait_until(lambda: b"2" in received[0], "another record within TLS")
        stats = tap.close()
        first.close()
    assert (stats.logged, stats.written) == (3, 3)
    assert received[0] == [b"0", b"2"]
    assert received[1][-1] == b"1"  # before it perhaps the first: TLS hides what was read
    assert len(received[1]) == 1 + stats.resent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_forks_under_load(tmp_path: Path) -> None:
    """Children begin with the first address, while the parent looks for it all the time."""
    several = [free_address("unix", folder) for folder in folders(tmp_path, 2)]
    with FstrmCapture(several[1], tmp_path / "1.fstrm") as collector:
        with tapped(several, **{**OPTIONS, "prefer_after": 0.001}) as tap:
            with Load(tap, 1000) as load:
                wait_for_address(tap, several[1])
                for child in range(5):
                    pid = os.fork()
                    if not pid:
                        _log_in_child(tap, range(-10 * child - 10, -10 * child))
                    assert os.waitpid(pid, 0)[1] == 0
                    written = tap.stats().written
                    wait_until(
                        lambda written=written: tap.stats().written > written, "further records"
                    )
            stats = tap.close()
        load.check()
        collector.stop()
    assert stats.written == load.logged
    assert (stats.resent, stats.unconfirmed) == (0, 0)
    assert sorted(numbers_in(collector.output)) == list(range(-50, load.logged))


def _log_in_child(tap: Tap, numbers: Sequence[int]) -> None:
    """Log, close and end; the status says whether all was written."""
    ended = 1
    try:
        tap.log_numbers(numbers)
        stats = tap.close()
        ended = 0 if stats.written == stats.confirmed == len(numbers) else 2
    finally:
        os._exit(ended)


def test_the_return_with_a_spool(tmp_path: Path) -> None:
    """From the second to the first while a spool is drained: nothing is lost, nothing is twice."""
    several = [free_address("unix", folder) for folder in folders(tmp_path, 2)]
    collectors = [
        FstrmCapture(address, tmp_path / f"{index}.fstrm") for index, address in enumerate(several)
    ]
    # 1 MiB of spool has small segments, and so a drain has many sessions.
    options = {
        **OPTIONS,
        "queue_size": 2000,
        "prefer_after": 0.001,
        "spool": tmp_path / "spool",
        "spool_bytes": 1 << 20,
    }
    try:
        with tapped(several, **options) as tap:
            for first in range(0, 10_000, 500):
                tap.log_numbers(range(first, first + 500))
                wait_until(lambda: tap.stats().queued < 1000, "the spool to take what waits")
            collectors[1].start()
            wait_for_address(tap, several[1])
            collectors[0].start()
            number = 10_000
            while tap.stats().address != several[0] or tap.stats().spooled:
                if tap.stats().queued < 100:
                    tap.log_numbers([number])
                    number += 1
            tap.log_numbers([number])
            assert tap.handler.flush(DEADLINE)
            stats = tap.close()
        for each in collectors:
            each.stop()
    finally:
        for each in collectors:
            each.kill()

    captures = [numbers_in(each.output) for each in collectors]
    assert all(captures)
    assert sum(stats.dropped.values()) == 0, stats
    assert sorted(captures[0] + captures[1]) == list(range(number + 1))


def test_the_last_attempt_is_one_at_each_address(tmp_path: Path) -> None:
    """At close() without a session the second one is tried, before all is stored."""
    several = [free_address("unix", folder) for folder in folders(tmp_path, 2)]
    options = {**OPTIONS, "reconnect_interval": LONG, "max_reconnect_interval": LONG}
    with tapped(several, spool=tmp_path / "spool", **options) as tap:
        tap.log_numbers(range(10))
        wait_until(
            lambda: all(failures for failures, _ in tap.stats().attempts.values()), "attempts"
        )
        with FstrmCapture(several[1], tmp_path / "1.fstrm") as collector:
            stats = tap.close()
            collector.stop()
    assert (stats.written, stats.spooled) == (10, 0), stats
    assert numbers_in(collector.output) == list(range(10))
