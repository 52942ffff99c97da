"""A handler that writes to Kafka: what arrives, what is booked, and what brokers do to that."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from dnstap_logging.kafka.producer import KafkaProducer
from tests.helpers.mock_cluster import MockCluster, read_records
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.taps import Tap, marks_in, tapped
from tests.situations.spool.scenes import stored, wait_for

TOPIC = "dnstap"
OPTIONS: Dict[str, Any] = {"close_timeout": DEADLINE, "timeout": 0.5, "queue_size": 200_000}
NOT_ENOUGH_REPLICAS = 19
MSG_SIZE_TOO_LARGE = 10


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster((TOPIC, 4)) as cluster:
        yield cluster


def arrived(cluster: MockCluster) -> Counter[int]:
    """Return how often each number arrived."""
    records = read_records(cluster.brokers, TOPIC)
    return Counter(map(int, marks_in(record.value for record in records)))


def once(count: int) -> Counter[int]:
    """Return what `arrived` returns if nothing is missing and nothing came twice."""
    return Counter(range(count))


def test_written_is_acknowledged(cluster: MockCluster) -> None:
    """After flush() each record is in the topic, and the books call it written and confirmed."""
    with tapped(cluster.address(TOPIC), identity="ns1", **OPTIONS) as tap:
        tap.log_numbers(range(5000))
        assert tap.handler.flush(DEADLINE)
        stats = tap.stats()
        assert (stats.written, stats.confirmed, stats.connected) == (5000, 5000, True), stats
        assert arrived(cluster) == once(5000)
        stats = tap.close()
    assert (stats.written, stats.confirmed, stats.unconfirmed) == (5000, 5000, 0), stats
    assert (stats.connects, stats.disconnects, sum(stats.dropped.values())) == (1, 0, 0), stats


def test_nothing_is_written_before_its_acknowledgement(cluster: MockCluster) -> None:
    """While the answer is on its way, the records are in flight."""
    with tapped(cluster.address(TOPIC), **{**OPTIONS, "timeout": DEADLINE}) as tap:
        tap.log_numbers([0])
        assert tap.handler.flush(DEADLINE)
        cluster.set_round_trip(3000)
        tap.log_numbers(range(1, 11))
        stats = wait_for(tap, in_flight=10)
        assert (stats.written, stats.confirmed) == (1, 1), stats
        cluster.set_round_trip(0)
        wait_for(tap, written=11, confirmed=11, in_flight=0)
        tap.close()
    assert arrived(cluster) == once(11)


def test_brokers_that_go_and_come(cluster: MockCluster, said: Said) -> None:
    """Nothing is missing, nothing came twice, each key is in order; `connected` shows it."""
    total = 0
    with tapped(cluster.address(TOPIC), identity="ns1", report_interval=0, **OPTIONS) as tap:
        for _ in range(3):
            tap.log_numbers(range(total, total + 500))
            assert tap.handler.flush(DEADLINE)
            cluster.set_down()
            tap.log_numbers(range(total + 500, total + 1000))
            wait_until(lambda: not tap.stats().connected, "connected to be false", DEADLINE)
            cluster.set_up()
            total += 1000
            assert tap.handler.flush(DEADLINE)
            assert tap.stats().connected
        stats = tap.close()
    assert (stats.confirmed, stats.resent, stats.disconnects) == (total, 0, 0), stats
    records = read_records(cluster.brokers, TOPIC)
    assert [int(mark) for mark in marks_in(each.value for each in records)] == list(range(total))
    line = said.wait_for("nothing acknowledged for ")
    assert f" by {cluster.brokers}" in line  # and why, where librdkafka has said it by then
    assert line.startswith(f"{cluster.address(TOPIC)}: cannot write: ")


def failures(tap: Tap) -> int:
    """Return how often in a row something failed."""
    (attempts,) = tap.stats().attempts.values()
    return attempts[0]


def test_a_silent_cluster_makes_one_line(cluster: MockCluster, said: Said) -> None:
    """However often it is looked at, it is said once in a report_interval."""
    with tapped(cluster.address(TOPIC), **{**OPTIONS, "timeout": 0.02}) as tap:
        tap.log_numbers([0])
        wait_for(tap, written=1)
        cluster.set_down()
        tap.log_numbers([1])
        wait_until(lambda: failures(tap) >= 4, "four looks", DEADLINE)
        assert len(said.with_text("nothing acknowledged")) == 1
        cluster.set_up()
        wait_for(tap, written=2)
        tap.close()


@pytest.mark.parametrize("back", [True, False])
def test_a_line_that_had_to_wait(back: bool, cluster: MockCluster, said: Said) -> None:
    """It says what is so when it is said: for how long nothing came, or nothing if it came."""
    options = {**OPTIONS, "timeout": 0.1, "report_interval": 5.0}
    options["kafka_options"] = {"reconnect.backoff.max.ms": 100}  # back long before that is over
    with tapped(cluster.address(TOPIC), **options) as tap:
        tap.log_numbers([0])
        wait_for(tap, written=1)
        cluster.set_down()
        tap.log_numbers([1])
        said.wait_for("nothing acknowledged")
        reporter = tap.handler._writer_thread._reporter
        wait_until(lambda: "write" in reporter.pending(), "a line that waits", DEADLINE)
        if back:
            cluster.set_up()
            wait_for(tap, written=2)
        wait_until(lambda: "write" not in reporter.pending(), "the line to be due", DEADLINE)
        if not back:
            wait_until(lambda: len(said.with_text("nothing ackn")) == 2, "the line", DEADLINE)
            cluster.set_up()
            wait_for(tap, written=2)
        tap.close()
    lines = said.with_text("nothing acknowledged for ")
    assert len(lines) == (1 if back else 2), lines
    if not back:
        assert float(lines[1].partition(" for ")[2].split()[0]) > 1.0, lines


def test_errors_that_pass_are_tried_again(cluster: MockCluster) -> None:
    """What the brokers refuse for now goes out again, once, and in order."""
    with tapped(cluster.address(TOPIC), identity="ns1", **OPTIONS) as tap:
        tap.log_numbers([0])
        assert tap.handler.flush(DEADLINE)
        cluster.fail_next(*[NOT_ENOUGH_REPLICAS] * 3)
        tap.log_numbers(range(1, 1000))
        assert tap.handler.flush(DEADLINE)
        stats = tap.close()
    assert (stats.confirmed, sum(stats.dropped.values())) == (1000, 0), stats
    records = read_records(cluster.brokers, TOPIC)
    assert [int(mark) for mark in marks_in(each.value for each in records)] == list(range(1000))


def test_close_while_brokers_are_away(cluster: MockCluster) -> None:
    """What was never sent is `disconnected`; nothing of it is called written."""
    with tapped(cluster.address(TOPIC), **{**OPTIONS, "close_timeout": 0.2}) as tap:
        tap.log_numbers(range(10))
        assert tap.handler.flush(DEADLINE)
        cluster.set_down()
        tap.log_numbers([10])  # may have been sent for all that anybody knows
        wait_until(lambda: not tap.stats().connected, "connected to be false", DEADLINE)
        tap.log_numbers(range(11, 61))
        stats = tap.close()
    assert (stats.confirmed, stats.dropped["disconnected"] - 50 + stats.unconfirmed) == (10, 1)
    assert stats.written == 10 + stats.unconfirmed, stats


def test_close_while_nothing_is_acknowledged(cluster: MockCluster) -> None:
    """What is under way is purged: written and unconfirmed."""
    with tapped(cluster.address(TOPIC), **{**OPTIONS, "close_timeout": 0.2}) as tap:
        tap.log_numbers(range(10))
        assert tap.handler.flush(DEADLINE)
        cluster.set_round_trip(60_000)
        tap.log_numbers(range(10, 30))
        wait_for(tap, in_flight=20)
        began = time.monotonic()
        stats = tap.close()
        assert time.monotonic() - began < DEADLINE / 2
    assert (stats.written, stats.confirmed, stats.unconfirmed) == (30, 10, 20), stats
    assert sum(stats.dropped.values()) == 0, stats


def test_the_rest_is_stored(cluster: MockCluster, tmp_path: Path) -> None:
    """With a spool nothing is lost while brokers are away, and nothing comes twice."""
    spool = tmp_path / "spool"
    options = {**OPTIONS, "spool": spool, "queue_size": 200}
    with tapped(cluster.address(TOPIC), identity="ns1", **options) as tap:
        tap.log_numbers(range(50))
        wait_for(tap, confirmed=50)
        cluster.set_down()
        log_slowly(tap, 50, 2000)
        stats = wait_until(lambda: tap.stats() if tap.stats().spooled else None, "stored", DEADLINE)
        assert stats.in_flight > 0, stats
        cluster.set_up()
        wait_for(tap, confirmed=2000, spooled=0)
        log_slowly(tap, 2000, 2100)
        assert tap.handler.flush(DEADLINE)
        stats = tap.close()
    assert (stats.confirmed, stats.unconfirmed, sum(stats.dropped.values())) == (2100, 0, 0), stats
    records = read_records(cluster.brokers, TOPIC)
    assert [int(mark) for mark in marks_in(each.value for each in records)] == list(range(2100))
    assert stored(spool) == []


def test_what_is_left_at_close_is_stored(cluster: MockCluster, tmp_path: Path) -> None:
    """The next handler sends it; what was under way is perhaps doubled, and nothing is missing."""
    spool = tmp_path / "spool"
    options = {**OPTIONS, "spool": spool, "close_timeout": 1.0}
    with tapped(cluster.address(TOPIC), **options) as tap:
        tap.log_numbers(range(50))
        wait_for(tap, confirmed=50)
        cluster.set_down()
        tap.log_numbers(range(50, 300))
        wait_until(lambda: not tap.stats().connected, "connected to be false", DEADLINE)
        stats = tap.close()
        assert sum(stats.dropped.values()) == 0, stats
    cluster.set_up()
    assert stored(spool) == list(range(50, 300))
    with tapped(cluster.address(TOPIC), **{**OPTIONS, "spool": spool}) as tap:
        tap.log_numbers([300])
        wait_until(lambda: not stored(spool) and tap.stats().written >= 251, "all sent", DEADLINE)
        tap.close()
    found = arrived(cluster)
    assert set(found) == set(range(301))


def log_slowly(tap: Tap, first: int, end: int) -> None:
    """Log numbers, and never so many that the queue is full."""
    for start in range(first, end, 50):
        tap.log_numbers(range(start, min(end, start + 50)))
        wait_until(lambda: tap.stats().queued < 100, "room on the queue", DEADLINE)


def test_one_record_that_is_refused(cluster: MockCluster, said: Said) -> None:
    """It is dropped as too large, with one line; all that was sent with it arrives."""
    with tapped(cluster.address(TOPIC), identity="ns1", **OPTIONS) as tap:
        tap.log_numbers([0])
        assert tap.handler.flush(DEADLINE)
        cluster.set_round_trip(200)
        tap.log_numbers([1])
        wait_for(tap, in_flight=1)
        tap.log_numbers(range(2, 10))  # together, once that is acknowledged
        # The eight are refused, the first half of them, the first quarter, and the first alone.
        cluster.fail_next(*[MSG_SIZE_TOO_LARGE] * 4)
        cluster.set_round_trip(0)
        stats = wait_for(tap, queued=0, in_flight=0)
        tap.close()
    assert (stats.dropped["too_large"], stats.confirmed) == (1, 9), stats
    assert sum(arrived(cluster).values()) == 9
    assert len(said.with_text("record dropped (too_large)")) == 1


@pytest.mark.parametrize("error", [2, 3, 5, 20, 29, 31, 37, 45, 47, 56, 59, 87])
def test_errors_that_end_a_producer(error: int, cluster: MockCluster) -> None:
    """Whatever the brokers answer, each record is acknowledged, perhaps twice, or dropped."""
    with tapped(cluster.address(TOPIC), identity="ns1", **OPTIONS) as tap:
        tap.log_numbers([0])
        assert tap.handler.flush(DEADLINE)
        cluster.fail_next(error)
        tap.log_numbers(range(1, 100))
        assert tap.handler.flush(DEADLINE)
        tap.log_numbers(range(100, 200))
        assert tap.handler.flush(DEADLINE)
        stats = tap.close()
    lost = sum(stats.dropped.values())
    assert (stats.confirmed + lost, stats.dropped["invalid"]) == (200, lost), stats
    assert lost == (1 if error == 87 and lost else 0), stats
    assert len(arrived(cluster)) == 200 - lost


def test_a_send_that_is_interrupted(cluster: MockCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever breaks in the middle of a group, the group is sent again; none counts too early."""
    send = KafkaProducer.send

    def interrupted(self: KafkaProducer, payloads: List[bytes]) -> None:
        monkeypatch.undo()
        send(self, payloads[:1])
        raise RuntimeError("in the middle")

    monkeypatch.setattr(KafkaProducer, "send", interrupted)
    with tapped(cluster.address(TOPIC), **OPTIONS) as tap:
        tap.log_numbers(range(100))
        assert tap.handler.flush(DEADLINE)
        stats = tap.close()
    assert (stats.confirmed, sum(stats.dropped.values())) == (100, 0), stats
    assert set(arrived(cluster)) == set(range(100))


def test_reopen_makes_another_producer(cluster: MockCluster) -> None:
    """A reopen() begins another session; nothing is missing and nothing comes twice."""
    with tapped(cluster.address(TOPIC), **OPTIONS) as tap:
        for number in range(3):
            tap.log_numbers([number])
            assert tap.handler.flush(DEADLINE)
            tap.handler.reopen()
            wait_for(tap, connects=number + 2)
        stats = tap.close()
    assert (stats.connects, stats.disconnects, stats.confirmed) == (4, 0, 3), stats
    assert arrived(cluster) == once(3)


def test_reopen_while_brokers_are_away(cluster: MockCluster) -> None:
    """What is held stays with its producer, so that nothing comes twice."""
    with tapped(cluster.address(TOPIC), **OPTIONS) as tap:
        tap.log_numbers([0])
        assert tap.handler.flush(DEADLINE)
        cluster.set_down()
        tap.log_numbers([1])
        wait_until(lambda: not tap.stats().connected, "connected to be false", DEADLINE)
        tap.handler.reopen()
        cluster.set_up()
        wait_for(tap, confirmed=2)
        tap.close()
    assert arrived(cluster) == once(2)
