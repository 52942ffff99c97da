"""From the queue to payloads: when records are taken, and how many at once."""

from __future__ import annotations

import threading
import time
from typing import List

import pytest

from dnstap_logging.address import parse_address
from dnstap_logging.delivery import intake
from dnstap_logging.delivery.intake import Intake
from dnstap_logging.delivery.queue import RecordQueue
from dnstap_logging.diagnostics import Reporter
from dnstap_logging.handler import DnstapHandler
from dnstap_logging.message.snapshot import take_snapshot
from tests.helpers.support import wait_until


def make_intake(queue_size: int = 100) -> Intake:
    handler = DnstapHandler("unix:///nowhere", queue_size=queue_size)
    queue = RecordQueue(queue_size, 1 << 30, False, "unix:///nowhere")
    reporter = Reporter(str(parse_address("unix:///nowhere")), 10)
    made = Intake(queue, handler._options, reporter, 256, 64 * 1024)
    handler.close()
    return made


def log(made: Intake, records: int = 1) -> None:
    for _ in range(records):
        assert made._queue.offer(take_snapshot({"dns_message_type": "CLIENT_QUERY"}, 1.7e9))


def gather(made: Intake) -> List[bytes]:
    payloads: List[bytes] = []
    made.gather(20, lambda: False, payloads)
    return payloads


def test_under_load_records_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first record is taken at once, those that follow together, once there are enough."""
    monkeypatch.setattr(intake, "GATHER_TIME", 3600)
    made = make_intake(queue_size=20)
    log(made)
    assert len(gather(made)) == 1

    found: List[List[bytes]] = []
    writer = threading.Thread(target=lambda: found.append(gather(made)), daemon=True)
    writer.start()
    wait_until(lambda: made._queue._wake_at == 9, "the writer to let records gather")
    log(made, 9)
    assert writer.is_alive(), "it took fewer than half of what fits"
    log(made)
    writer.join(20)

    assert [len(payloads) for payloads in found] == [10]


def test_records_do_not_gather_for_long() -> None:
    """What comes after a first record is taken after some milliseconds, however little it is."""
    made = make_intake()
    log(made)
    gather(made)
    log(made)

    assert len(gather(made)) == 1
    assert made._queue.snapshot().in_flight == 2


def test_a_flush_lets_nothing_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flush does not wait for later records."""
    monkeypatch.setattr(intake, "GATHER_TIME", 3600)
    made = make_intake()
    log(made)
    gather(made)
    found: List[List[bytes]] = []
    writer = threading.Thread(target=lambda: found.append(gather(made)), daemon=True)
    writer.start()
    wait_until(lambda: made._queue._wake_at == 49, "the writer to let records gather")
    log(made)

    assert made._queue.wait_settled(time.monotonic()) is False
    writer.join(20)

    assert [len(payloads) for payloads in found] == [1]
