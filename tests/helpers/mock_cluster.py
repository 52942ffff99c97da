"""librdkafka's own mock of a cluster: real sockets, and brokers that go, come, wait and refuse.

It is in confluent-kafka's wheel, without an interface for Python: hence ctypes.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from pathlib import Path
from types import TracebackType
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple, Type

import confluent_kafka

from tests.helpers.support import wait_until

__all__ = ["METADATA", "PRODUCE", "MockCluster", "Record", "read_records"]

PRODUCE, METADATA = 0, 3
"""The ApiKeys of the requests that bring records, and that ask for the topic."""

PRODUCER = 0


@functools.cache
def _library() -> Any:
    """Return librdkafka as confluent-kafka has it, with the types of what is used."""
    folder = Path(confluent_kafka.__file__).resolve().parents[1] / "confluent_kafka.libs"
    (path,) = folder.glob("librdkafka-*.so*")
    library = ctypes.CDLL(str(path))
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    kinds = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (integer, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [integer, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, integer]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_topic_create": (integer, [pointer, text, integer, integer]),
        "rd_kafka_mock_broker_set_down": (integer, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_up": (integer, [pointer, ctypes.c_int32]),
        "rd_kafka_mock_broker_set_rtt": (integer, [pointer, ctypes.c_int32, integer]),
        "rd_kafka_mock_topic_set_error": (None, [pointer, text, integer]),
        "rd_kafka_mock_partition_set_leader": (
            integer,
            [pointer, text, ctypes.c_int32, ctypes.c_int32],
        ),
        "rd_kafka_mock_clear_request_errors": (None, [pointer, ctypes.c_int16]),
        "rd_kafka_mock_push_request_errors_array": (
            None,
            [pointer, ctypes.c_int16, ctypes.c_size_t, ctypes.POINTER(integer)],
        ),
    }
    for name, (result, arguments) in kinds.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class MockCluster:
    """Brokers in this process, from ``with`` to its end.

    Args:
        topics: made at the beginning, each with its number of partitions.
        brokers: how many.
    """

    def __init__(self, *topics: Tuple[str, int], brokers: int = 1) -> None:
        self._topics = topics
        self._count = brokers

    def __enter__(self) -> MockCluster:
        library = _library()
        error = ctypes.create_string_buffer(512)
        settings = library.rd_kafka_conf_new()
        library.rd_kafka_conf_set(settings, b"log_level", b"0", error, len(error))
        self._client = library.rd_kafka_new(PRODUCER, settings, error, len(error))
        assert self._client, error.value
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, self._count)
        assert self._cluster
        for name, partitions in self._topics:
            self.make_topic(name, partitions)
        return self

    def make_topic(self, name: str, partitions: int) -> None:
        """Make a topic."""
        made = _library().rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        assert made == 0, name

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        library = _library()
        library.rd_kafka_mock_cluster_destroy(self._cluster)
        library.rd_kafka_destroy(self._client)

    @property
    def brokers(self) -> str:
        """Where they listen, as host:port,host:port."""
        brokers: bytes = _library().rd_kafka_mock_cluster_bootstraps(self._cluster)
        return brokers.decode()

    def address(self, topic: str) -> str:
        """Return the address of a topic for a handler."""
        return f"kafka://{self.brokers}/{topic}"

    def set_down(self, broker: int = 0) -> None:
        """Close all connections of a broker, or of all of them, and let none be made."""
        self._each("set_down", broker)

    def set_up(self, broker: int = 0) -> None:
        """Let connections be made again."""
        self._each("set_up", broker)

    def set_round_trip(self, milliseconds: int) -> None:
        """Let each answer come so much later."""
        self._each("set_rtt", 0, milliseconds)

    def _each(self, what: str, broker: int, *arguments: int) -> None:
        call = getattr(_library(), f"rd_kafka_mock_broker_{what}")
        for number in [broker] if broker else range(1, self._count + 1):
            assert call(self._cluster, number, *arguments) == 0

    def set_leader(self, topic: str, partition: int, broker: int) -> None:
        """Give a partition another leader. (Without one, the mock cluster crashes.)"""
        call = _library().rd_kafka_mock_partition_set_leader
        assert call(self._cluster, topic.encode(), partition, broker) == 0

    def set_topic_error(self, topic: str, error: int) -> None:
        """Answer questions for a topic, and what is sent to it, with an error; 0: no more."""
        _library().rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), error)

    def fail_next(self, *errors: int, request: int = PRODUCE) -> None:
        """Have the next requests of a kind answered with errors; 0 is none."""
        array = (ctypes.c_int * len(errors))(*errors)
        _library().rd_kafka_mock_push_request_errors_array(
            self._cluster, request, len(errors), array
        )

    def fail_no_more(self, request: int = PRODUCE) -> None:
        """Take back the errors that no request has met yet."""
        _library().rd_kafka_mock_clear_request_errors(self._cluster, request)


class Record(NamedTuple):
    """A record as a consumer gets it."""

    partition: int
    offset: int
    key: Optional[bytes]
    value: bytes
    headers: List[Tuple[str, bytes]]


def read_records(brokers: str, topic: str) -> List[Record]:
    """Return all records of a topic, partition by partition, in the order of their offsets."""
    with _consumer(brokers) as consumer:
        partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
        assert partitions, f"there is no topic {topic}"
        positions = [confluent_kafka.TopicPartition(topic, each, 0) for each in partitions]
        consumer.assign(positions)
        records: List[Record] = []
        ended = set()

        def take() -> bool:
            for message in consumer.consume(10_000, timeout=0.1):
                if message.error() is not None:
                    assert message.error().name() == "_PARTITION_EOF", message.error()
                    ended.add(message.partition())
                else:
                    records.append(_record(message))
            return len(ended) == len(partitions)

        wait_until(take, f"the end of {topic}", 60)
    return sorted(records, key=lambda record: record[:2])


def _record(message: Any) -> Record:
    return Record(
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        message.headers() or [],
    )


@contextlib.contextmanager
def _consumer(brokers: str) -> Iterator[Any]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "tests",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()
