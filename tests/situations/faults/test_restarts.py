"""The collector is stopped, killed or paused under load: every lost record is counted."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any, List, Mapping, Tuple, Union

import pytest

from dnstap_logging import Stats
from tests.helpers.mock_cluster import MockCluster
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import (
    BURSTS_PER_SECOND,
    DEADLINE,
    OPTIONS,
    Captures,
    Load,
    Outcome,
    Witness,
    outcome,
    show,
    wait_for_records,
)
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import Tap, numbers_in, tapped
from tests.situations.kafka.brokers import KAFKA_OPTIONS, Brokers

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell what was unread"
)

TIMES = [4, pytest.param(20, marks=pytest.mark.slow)]
"""How often a collector is ended and comes back: the second is what docs/reliability.md shows."""

RATE = 5000
PAUSE = 0.5
"""Seconds for which the collector is away: the pause is the scenario."""

UNREAD = 500
"""Records that the collector leaves unread each other time: less than what goes out again."""

STANDSTILLS = [2, pytest.param(10, marks=pytest.mark.slow)]
"""Seconds for which the collector stands still."""

RESUMES_WITHIN = 1.0
"""Seconds after the standstill, as promised."""

GRACE = 30.0
"""Seconds more for a machine that is busy with other things."""


def restart_again_and_again(
    collector: Union[Captures, Witness, Brokers],
    address: str,
    times: int,
    options: Mapping[str, Any] = OPTIONS,
) -> Tuple[Outcome, Stats, List[float]]:
    """End the collector under load and start it again; return what came of it."""
    waits: List[float] = []
    with tapped(address, **options) as tap:
        collector.start()
        with Load(tap, RATE) as load:
            wait_for_records(collector)
            for number in range(times):
                # Not always at the same moment after its return.
                threading.Event().wait(0.2 + 0.01 * number)
                if number % 2:  # otherwise it is as fast as we are, and leaves nothing unread
                    collector.fall_behind()
                    written = tap.stats().written
                    wait_until(
                        lambda written=written: tap.stats().written > written + UNREAD,
                        "records that the collector does not read",
                        DEADLINE,
                    )
                collector.end()
                threading.Event().wait(PAUSE)
                collector.start()
                waits.append(wait_for_records(collector))
        stats = tap.close()
        collector.end()

    load.check()
    assert stats.logged == stats.written == load.logged, stats
    assert stats.connects > times or options is not OPTIONS, stats
    return outcome(load.logged, collector.numbers()), stats, waits


def check(found: Outcome, stats: Stats, scheme: str) -> None:
    """Check that what is missing, or there twice, is counted; on unix, that nothing is missing."""
    assert found.strange == 0
    assert found.twice <= stats.resent, (found, stats)
    assert found.missing <= stats.unconfirmed, (found, stats)
    if scheme == "unix":
        assert (found.missing, stats.unconfirmed) == (0, 0), (found, stats)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_collector_that_is_stopped_and_started_again(
    scheme: str, times: int, tmp_path: Path
) -> None:
    """fstrm_capture restarted by an operator under load: what is in no capture is counted."""
    address = free_address(scheme, tmp_path)
    collector = Captures(address, tmp_path)
    try:
        found, stats, waits = restart_again_and_again(collector, address, times)
    finally:
        collector.kill()

    show(f"fstrm_capture, {scheme}, SIGTERM, {times} times", found, stats, waits)
    check(found, stats, scheme)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_collector_that_is_killed_and_started_again(
    scheme: str, times: int, tmp_path: Path
) -> None:
    """A receiver that keeps nothing back, killed under load: on unix it misses no record at all."""
    address = free_address(scheme, tmp_path)
    collector = Witness(address, tmp_path)
    try:
        found, stats, waits = restart_again_and_again(collector, address, times)
    finally:
        collector.end()

    assert stats.resent > 0, "the collector never left anything unread: nothing was tested"
    show(f"witness, {scheme}, SIGKILL, {times} times", found, stats, waits)
    check(found, stats, scheme)


def test_brokers_that_go_and_come_back() -> None:
    """Brokers of Kafka under load: nothing is missing, and nothing came twice."""
    with MockCluster(brokers=2) as cluster:
        brokers = Brokers(cluster)
        try:
            found, stats, waits = restart_again_and_again(
                brokers, brokers.address, 4, KAFKA_OPTIONS
            )
        finally:
            brokers.close()

    show("librdkafka's mock cluster, down and up, 4 times", found, stats, waits)
    assert (found.missing, found.twice, found.strange) == (0, 0, 0), (found, stats)
    assert (stats.confirmed, stats.resent, stats.unconfirmed) == (stats.logged, 0, 0), stats


@pytest.mark.parametrize("seconds", STANDSTILLS)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_collector_that_stands_still_for_seconds(
    scheme: str, seconds: int, tmp_path: Path
) -> None:
    """While fstrm_capture is stopped in its tracks nothing is lost; when it goes on, all arrives.

    It is one session, so nothing goes out twice either; and what was logged after the end of the
    standstill arrives within a second of it.
    """
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address(scheme, tmp_path), path) as collector:
        with tapped(collector.address, **OPTIONS) as tap:
            with Load(tap, 10 * BURSTS_PER_SECOND) as load:
                wait_until(lambda: tap.stats().written > 0, "the session", DEADLINE)
                collector.pause()
                paused_at = load.logged
                threading.Event().wait(seconds)
                wait_until(
                    lambda: load.logged > paused_at + 1000, "records during the pause", DEADLINE
                )
                collector.resume()
                wait = wait_for_number(tap, collector, load.logged)
            stats = tap.close()
        collector.stop()

    load.check()
    numbers = numbers_in(path)
    show(
        f"fstrm_capture, {scheme}, SIGSTOP for {seconds} s",
        outcome(load.logged, numbers),
        stats,
        [wait],
    )
    assert wait < RESUMES_WITHIN + GRACE
    assert (stats.logged, sum(stats.dropped.values())) == (load.logged, 0), stats
    assert (stats.connects, stats.disconnects, stats.resent, stats.unconfirmed) == (1, 0, 0, 0)
    assert numbers == list(range(load.logged))


def wait_for_number(tap: Tap, collector: FstrmCapture, number: int) -> float:
    """Wait until a collector has this number, or a later one; return the seconds it took."""
    started = time.monotonic()
    # Reading the whole capture takes long on a busy machine: not before it can be there.
    wait_until(lambda: tap.stats().written > number, "it to be written", DEADLINE)

    def there() -> bool:
        collector.flush()
        return max(numbers_in(collector.output), default=-1) >= number

    wait_until(there, "what was logged after the standstill", DEADLINE)
    return time.monotonic() - started
