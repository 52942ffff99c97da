"""The brokers of a Kafka, and what happens to them: one function for each fault of "brokers".

They are librdkafka's mock cluster, in the runner's process: it keeps what arrived, whatever happens
to its brokers, but it does not leave out what comes twice. So a broker goes only when no answer of
its is on the way.
"""

from __future__ import annotations

import contextlib
import threading
from itertools import groupby
from random import Random
from typing import Callable, ContextManager, Dict, Iterator, List, Sequence, Tuple

from tests.helpers.mock_cluster import METADATA, MockCluster, Record, read_records
from tests.situations.chaos.streams import Stream, read_partition

__all__ = ["BROKERS", "Brokers"]

TOPIC = "chaos"
PARTITIONS = 4
COUNT = 3

UNKNOWN_TOPIC = 3
PASSING = (
    5,  # LEADER_NOT_AVAILABLE
    6,  # NOT_LEADER_FOR_PARTITION
    7,  # REQUEST_TIMED_OUT
    13,  # NETWORK_EXCEPTION
    19,  # NOT_ENOUGH_REPLICAS
    -195,  # the connection is closed
)
"""Errors after which the producer sends again."""


class Brokers:
    """The cluster of a scenario, with the methods of `moments.CollectorProcess`.

    Args:
        seed: of the plan.
    """

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.cluster = MockCluster((TOPIC, PARTITIONS), brokers=COUNT)
        self._records: List[Record] = []
        self._running = contextlib.ExitStack()
        self._runs = False

    @property
    def address(self) -> str:
        """The address for a handler."""
        return self.cluster.address(TOPIC)

    def start(self) -> None:
        """Start them; nothing, if they run."""
        if not self._runs:
            self._runs = True
            self._running.enter_context(self.cluster)

    def end(self, how: int = 0) -> None:
        """Take what arrived, and end them."""
        if self._runs:
            self._runs = False
            with self._running:
                self._records = read_records(self.cluster.brokers, TOPIC)

    def streams(self) -> List[Stream]:
        """Return what arrived, a stream for each partition; once they have ended."""
        by_partition = groupby(self._records, lambda record: record.partition)
        return [read_partition(number, list(records)) for number, records in by_partition]

    def live_through(
        self, moments: Sequence[Tuple[float, float, str]], calm: threading.Event
    ) -> None:
        """Do what the plan says, for as long as it says."""
        at = 0.0
        for begin, end, name in moments:
            if calm.wait(max(0.0, begin - at)):
                return
            with BROKERS[name](self):
                calm.wait(end - begin)
            at = end


@contextlib.contextmanager
def brokers_down(brokers: Brokers) -> Iterator[None]:
    brokers.cluster.set_down()
    yield
    brokers.cluster.set_up()


@contextlib.contextmanager
def one_broker_down(brokers: Brokers) -> Iterator[None]:
    number = brokers.rng.randrange(COUNT) + 1
    brokers.cluster.set_down(number)
    yield
    brokers.cluster.set_up(number)


@contextlib.contextmanager
def slow_brokers(brokers: Brokers) -> Iterator[None]:
    milliseconds = brokers.rng.choice((5, 50, 300))
    brokers.cluster.set_round_trip(milliseconds)
    yield
    brokers.cluster.set_round_trip(0)
    threading.Event().wait(0.05 + milliseconds / 1000)  # for the answers that are on their way


@contextlib.contextmanager
def passing_errors(brokers: Brokers) -> Iterator[None]:
    brokers.cluster.fail_next(*brokers.rng.choices(PASSING, k=brokers.rng.choice((1, 3, 10))))
    yield
    brokers.cluster.fail_no_more()


@contextlib.contextmanager
def no_metadata(brokers: Brokers) -> Iterator[None]:
    brokers.cluster.fail_next(*[PASSING[0]] * 5, request=METADATA)
    yield
    brokers.cluster.fail_no_more(request=METADATA)


@contextlib.contextmanager
def leaders_move(brokers: Brokers) -> Iterator[None]:
    for partition in range(PARTITIONS):
        brokers.cluster.set_leader(TOPIC, partition, brokers.rng.randrange(COUNT) + 1)
    yield


@contextlib.contextmanager
def topic_gone(brokers: Brokers) -> Iterator[None]:
    brokers.cluster.set_topic_error(TOPIC, UNKNOWN_TOPIC)
    yield
    brokers.cluster.set_topic_error(TOPIC, 0)


BROKERS: Dict[str, Callable[[Brokers], ContextManager[None]]] = {
    each.__name__: each
    for each in (
        brokers_down,
        one_broker_down,
        slow_brokers,
        passing_errors,
        no_metadata,
        leaders_move,
        topic_gone,
    )
}
BROKERS["brokers_absent"] = brokers_down
