"""The destination that is a topic of Kafka.

It keeps one producer from session to session: there is another one only after a reopen(), after an
error that ends a producer, and in a forked child.
"""

from __future__ import annotations

from typing import Optional

from ..kafka.producer import KafkaProducer, keep_for_ever
from ..kafka.settings import Settings, make_settings
from ..transport.waiting import Until
from .destination import Destination
from .kafka_writer import KafkaWriter
from .options import Options

__all__ = ["KafkaDestination"]


class KafkaDestination(Destination):
    """A topic of Kafka.

    Args:
        options: the handler's arguments.
        settings: of its parent, in a forked child; None: they are made, which checks them.

    Raises:
        ModuleNotFoundError: confluent-kafka is not installed.
        ValueError: librdkafka refuses an option.
    """

    lasting = True
    acknowledges = True
    end = "every acknowledgement"
    # A batch waits for its acknowledgement, so it must be large (`make bench-kafka`); and encoding
    # it must take less than the interpreter's switch interval.
    batch_records = 2048
    # With keys and headers less than librdkafka's batch.size: one request for each partition.
    batch_bytes = 640 * 1024

    def __init__(self, options: Options, settings: Optional[Settings] = None) -> None:
        super().__init__(str(options.address), options.max_reconnect_interval)
        self._options = options
        self._settings: Settings = settings or make_settings(
            options.address,
            options.kafka_options,
            options.kafka_key,
            options.sequence,
            options.timeout,
            options.max_frame_size,
        )
        self._producer: Optional[KafkaProducer] = None
        self._writer: Optional[KafkaWriter] = None

    def open(self, until: Until) -> KafkaWriter:
        """Return a writer, which has not asked for the topic yet."""
        self._live()
        self._writer = KafkaWriter(self._live, self._options.timeout, until)
        return self._writer

    def _live(self) -> KafkaProducer:
        """Return the producer, or another one if it can send nothing any more."""
        if self._producer is not None and self._producer.fatal:
            self.release()
        if self._producer is None:
            self._producer = KafkaProducer(self._settings)
        return self._producer

    def renew(self) -> None:
        """Have the next session make a producer, which reads the certificates again."""
        if self._writer is None or not self._writer.holds:
            self.release()

    def release(self) -> None:
        """Let go of the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.release()

    def for_child(self, pid: int) -> KafkaDestination:
        """Return the child's destination, with a producer of its own."""
        keep_for_ever(self._producer)
        return KafkaDestination(self._options, self._settings)  # a fork must not wait for a check
