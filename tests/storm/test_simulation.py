"""The simulation: it is what it says, its arithmetic is the real one, and what it shows holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from dnstap_logging import DnstapHandler
from dnstap_logging.delivery.queue import RecordQueue
from dnstap_logging.message.snapshot import take_snapshot
from tests.helpers.support import wait_until
from tests.storm.policies import AlwaysHalf
from tests.storm.simulation import (
    MAX_RECONNECT_INTERVAL,
    Scene,
    Store,
    least,
    run,
    share_dropped,
)

RECORD_SIZE = 1000


def test_the_same_seed_gives_the_same_storm() -> None:
    """Chance comes from the seed alone."""
    scene = Scene(300, 50, 10)

    assert run(scene) == run(scene)
    assert run(scene) != run(scene._replace(seed=2))


@pytest.mark.parametrize("outage", [10.0, 60.0])
def test_without_a_limit_all_are_back_within_the_longest_delay(outage: float) -> None:
    """Who finds a collector that answers at once is back with the next attempt."""
    result = run(Scene(200, None, outage))

    back = result.all_back(outage)
    assert back is not None
    assert back <= MAX_RECONNECT_INTERVAL
    assert all(away is not None and away >= outage for away in result.away)


def test_nobody_is_faster_than_the_hands() -> None:
    """All need a handshake each; with a short accept queue they take hardly longer than that."""
    scene = Scene(1000, 50, 60, waiting=128)

    back = run(scene).all_back(scene.outage)

    assert back is not None
    assert least(scene) <= back <= least(scene) + 5


@pytest.mark.parametrize("outage", [10.0, 60.0, 600.0])
def test_a_thousand_come_back_to_fifty_handshakes_a_second(outage: float) -> None:
    """As the backoff is, in 45 seconds; as it was before, it took more than a minute or had no end.

    That half of each delay was left to chance, after an unanswered handshake too.
    """
    scene = Scene(1000, 50, outage)

    now = run(scene).all_back(outage)
    before = run(scene._replace(policy=AlwaysHalf)).all_back(outage)

    assert now is not None
    assert now < 45
    assert before is None or before > now + 10


@pytest.mark.parametrize("outage", [0.5, 10.0, 60.0])
@pytest.mark.parametrize("senders", [1, 100])
def test_few_senders_are_back_as_soon_as_before(senders: int, outage: float) -> None:
    """Where every handshake is answered in time, nothing has changed."""
    scene = Scene(senders, 50, outage)

    assert run(scene) == run(scene._replace(policy=AlwaysHalf))


def test_with_a_second_collector_nobody_waits_for_the_first() -> None:
    """The real failover goes on to the one that is there."""
    result = run(Scene(100, 50, 600, failover=True))

    assert result.all_back(0.0) is not None
    assert max(away for away in result.away if away is not None) <= 5
    assert result.attempts == 100


def is_settled(handler: DnstapHandler) -> bool:
    """Return whether all records are stored, or the spool is full."""
    stats = handler.stats()
    return stats.queued + stats.in_flight == 0 or "nothing can be stored" in str(stats.last_error)


@pytest.mark.parametrize(
    "store",
    [
        Store(queue_size=50, record_size=RECORD_SIZE),
        Store(queue_size=1000, queue_bytes=64 * RECORD_SIZE, record_size=RECORD_SIZE),
        Store(queue_size=1000, record_size=RECORD_SIZE),
    ],
    ids=["by number", "by bytes", "none"],
)
def test_the_queue_drops_as_the_real_one(store: Store) -> None:
    """So many records of one size, and nobody who takes them: the same number is dropped."""
    real = RecordQueue(store.queue_size, store.queue_bytes, blocking=False, address="")
    extras = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(RECORD_SIZE)}
    for _ in range(200):
        real.offer(take_snapshot(extras, created=1.7e9))

    assert sum(real.snapshot().dropped.values()) == store.dropped(100, 2.0)


def test_the_spool_drops_as_the_real_one(tmp_path: Path) -> None:
    """A spool of 1 MiB and a queue of 100, without a collector: dropped within eight in a hundred.

    Segments have a beginning and an end, and a batch is under way, which the arithmetic leaves out.
    """
    store = Store(100, spool_bytes=1 << 20, record_size=RECORD_SIZE)
    handler = DnstapHandler(
        f"unix://{tmp_path}/absent",
        spool=tmp_path / "spool",
        spool_bytes=1 << 20,
        queue_size=100,
        max_frame_size=RECORD_SIZE,
        close_timeout=0.1,
    )
    for _ in range(40):
        for _ in range(50):
            handler.emit_payload(bytes(RECORD_SIZE))
        wait_until(lambda: is_settled(handler), "all to be stored that can be", 60)
    stats = handler.stats()
    handler.close()

    assert sum(stats.dropped.values()) == pytest.approx(store.dropped(1000, 2.0), rel=0.08)
    assert stats.dropped["spool_full"] > 0


def test_what_is_dropped_is_counted_while_they_are_away() -> None:
    """A queue of ten seconds drops one record in six of a minute, a longer one nothing."""
    result = run(Scene(10, None, 50.0))
    away = sum(each for each in result.away if each is not None)

    lost = share_dropped(result, Store(queue_size=1000), 100)

    assert lost == pytest.approx(1 - 10 * 10 / away, abs=0.01)
    assert share_dropped(result, Store(queue_size=6000), 100) == 0
