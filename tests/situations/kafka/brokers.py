"""Brokers in the place of a collector, in the tests of collectors that come and go."""

from __future__ import annotations

from typing import Any, Dict, List

import confluent_kafka

from tests.helpers.mock_cluster import MockCluster, read_records
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE, OPTIONS
from tests.situations.interop.taps import marks_in

__all__ = ["KAFKA_OPTIONS", "Brokers"]

TOPIC = "dnstap"
NOT_FOR_KAFKA = "max_reconnect_interval"

KAFKA_OPTIONS: Dict[str, Any] = {
    **{name: value for name, value in OPTIONS.items() if name != NOT_FOR_KAFKA},
    "kafka_options": {"reconnect.backoff.max.ms": 500},
    "timeout": 1.0,
}
"""As `OPTIONS`, for brokers: what they have not acknowledged is looked at again each second."""


class Brokers:
    """A topic of a cluster that goes and comes; inside the ``with`` of the cluster.

    Args:
        cluster: runs; it has no topics yet.
    """

    def __init__(self, cluster: MockCluster) -> None:
        self._cluster = cluster
        cluster.make_topic(TOPIC, 1)
        self.address = cluster.address(TOPIC)
        self._at_start = 0
        self._consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": cluster.brokers, "group.id": "tests", "log_level": 0}
        )

    def start(self) -> None:
        """Let connections be made."""
        self._cluster.set_up()
        wait_until(lambda: self._count() >= 0, "the brokers to answer", DEADLINE)
        self._at_start = self._count()

    def end(self) -> None:
        """Close all connections, and let none be made."""
        self._cluster.set_down()

    def fall_behind(self) -> None:
        """Do nothing: what brokers have not acknowledged is not written."""

    def has_records(self) -> bool:
        """Whether there are records that came since the start."""
        return self._count() > self._at_start

    def _count(self) -> int:
        place = confluent_kafka.TopicPartition(TOPIC, 0)
        try:
            _, end = self._consumer.get_watermark_offsets(place, timeout=1.0)
        except confluent_kafka.KafkaException:
            return -1  # it has not connected again yet
        return int(end)

    def numbers(self) -> List[int]:
        """Return the numbers of all records."""
        self._cluster.set_up()
        records = read_records(self._cluster.brokers, TOPIC)
        return [int(mark) for mark in marks_in(record.value for record in records)]

    def close(self) -> None:
        """End what looks at the topic."""
        self._consumer.close()
