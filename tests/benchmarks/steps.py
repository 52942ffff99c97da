"""Where the time of one query goes: the steps of its way, each by itself in one thread.

They are those that `docs/architecture.md` names, with real records and by the code that runs
otherwise too, but without another thread: what the whole costs beyond their sum is the change
between the threads, and what it does to the processor's caches.
"""

from __future__ import annotations

import functools
import logging
import tempfile
import time
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

from dnstap_logging import MessageType
from dnstap_logging.adapter.calls import make_plan
from dnstap_logging.adapter.direct import direct_handlers
from dnstap_logging.codec import proto
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.delivery.destination import Destination
from dnstap_logging.delivery.queue import RecordQueue
from dnstap_logging.delivery.writer import FrameWriter
from dnstap_logging.framestream.state import Direction
from dnstap_logging.message.check import Problem
from dnstap_logging.message.snapshot import SIZE, Snapshot, take_snapshot
from dnstap_logging.transport.file import FileTransport
from tests.benchmarks.contenders import (
    EXTRAS,
    IDENTITY,
    QUERIES,
    VERSION,
    Floor,
    log_by_adapter,
    log_by_info,
    logger_with,
    waiting,
)
from tests.benchmarks.figures import Quantities, Scale, Section, alternate
from tests.benchmarks.traffic import CONSTANTS

COUNT = len(QUERIES)
MANY = 1 << 40  # bytes: the queue is bounded by its records here


def timed(step: Callable[[], object]) -> Quantities:
    """Run a step for all queries; return microseconds for each."""
    started = time.thread_time()
    step()
    return {"us": (time.thread_time() - started) / COUNT * 1e6}


def record_alone() -> Quantities:
    """Log to a handler that does nothing: logging's own part."""
    with logger_with(Floor()) as logger:
        return timed(lambda: log_by_info(logger, COUNT))


def handle() -> Quantities:
    """Hand ready records to our handler: snapshot and queue."""
    make = logging.Logger("dns", logging.INFO).makeRecord
    records = [
        make("dns", logging.INFO, "", 0, "query", (), None, "", extra) for extra in EXTRAS[:COUNT]
    ]
    handler = waiting()
    with logger_with(handler):
        handler.handle(records[0])
        return timed(lambda: [handler.handle(record) for record in records])


def adapter_call() -> Quantities:
    """Call the adapter: snapshot and queue, and no record."""
    with logger_with(waiting()) as logger:
        log_by_adapter(logger, COUNT)  # the first call with an adapter makes its plan
        return timed(lambda: log_by_adapter(logger, COUNT))


def snapshots_of_info() -> List[Snapshot]:
    """Return what `logger.info` puts on the queue."""
    return [take_snapshot(extra, time.time()) for extra in EXTRAS]


def snapshots_of_adapter() -> List[Snapshot]:
    """Return what the adapter puts on the queue."""
    keys = make_plan(CONSTANTS, MessageType.CLIENT_QUERY, ("query_address",)).keys
    assert keys is not None
    return [(time.time_ns(), keys, tuple(query), None, len(query.wire)) for query in QUERIES]


def batches(queue: RecordQueue) -> Iterator[List[Snapshot]]:
    """Yield what the writer thread takes at a time, and settle it."""
    while queue.queue:
        batch = queue.take(Destination.batch_records, Destination.batch_bytes)
        yield batch
        queue.settle(written=len(batch), size=sum(record[SIZE] for record in batch))


def take_the_snapshots() -> Quantities:
    """Take the dns extras out of records' dicts, as `handle` does."""
    take_snapshot(EXTRAS[0], 1.0)
    now = time.time()
    return timed(lambda: [take_snapshot(extra, now) for extra in EXTRAS])


def offer() -> Quantities:
    """Put snapshots on the queue, one by one."""
    queue = RecordQueue(COUNT, MANY, False, "benchmark")
    snapshots = snapshots_of_adapter()
    return timed(lambda: [queue.offer(snapshot) for snapshot in snapshots])


def ask_the_way() -> Quantities:
    """Find out whether a message can do without a record."""
    with logger_with(waiting()) as logger:
        return timed(lambda: [direct_handlers(logger, logging.INFO) for _ in range(COUNT)])


def take_and_settle() -> Quantities:
    """Take records from the queue, and book them."""
    queue = RecordQueue(COUNT, MANY, False, "benchmark")
    for snapshot in snapshots_of_adapter():
        queue.offer(snapshot)
    return timed(lambda: list(batches(queue)))


def encode(make: Callable[[], List[Snapshot]], known: bool = True) -> Quantities:
    """Make payloads of records, as the writer thread does.

    Args:
        make: the records.
        known: whether their clients' addresses have been seen before.
    """
    encoder = Encoder(IDENTITY.encode(), VERSION.encode())
    snapshots = make()
    problems: List[Problem] = []
    for snapshot in snapshots if known else snapshots[:1]:
        encoder.encode_record(snapshot, problems)
    return timed(lambda: [encoder.encode_record(snapshot, problems) for snapshot in snapshots])


def protobuf_alone() -> Quantities:
    """Set the five fields that differ, of bytes and numbers at hand, and serialize."""
    payload = Encoder(IDENTITY.encode(), VERSION.encode()).encode_record(
        snapshots_of_adapter()[0], []
    )
    dnstap: Any = proto.Dnstap.FromString(payload)
    body, address = dnstap.message, bytes(4)

    def fill() -> None:
        for number, (wire, (_, port)) in enumerate(QUERIES):
            body.query_address = address
            body.query_port = port
            body.query_time_nsec = number
            body.query_message = wire
            dnstap.SerializeToString()

    return timed(fill)


def frame_and_write() -> Quantities:
    """Make frames of payloads and write them, a batch in one call to the kernel."""
    encoder = Encoder(IDENTITY.encode(), VERSION.encode())
    payloads = [encoder.encode_record(snapshot, []) for snapshot in snapshots_of_adapter()]
    left = iter(payloads)
    cut = iter(lambda: list(islice(left, Destination.batch_records)), [])
    with tempfile.TemporaryDirectory() as folder:
        writer = FrameWriter(
            FileTransport(Path(folder) / "capture.fstrm"), Direction.UNIDIRECTIONAL
        )
        writer.start()
        written = timed(lambda: [writer.write(batch) for batch in cut])
        writer.stop()
    return written


STEPS: Dict[str, Callable[[], Quantities]] = {
    "logger.info itself, to a handler that does nothing": record_alone,
    "logger.info: what our handler adds, snapshot and queue": handle,
    "logger.info: of that, the snapshot": take_the_snapshots,
    "adapter: the whole call, snapshot and queue": adapter_call,
    "adapter: of that, whether it needs a record": ask_the_way,
    "both: of that, the queue": offer,
    "writer: take from the queue, and book": take_and_settle,
    "writer: encode, of logger.info": functools.partial(encode, snapshots_of_info),
    "writer: encode, of the adapter": functools.partial(encode, snapshots_of_adapter),
    "writer: of that, protobuf alone": protobuf_alone,
    "writer: encode, if each address is new": functools.partial(
        encode, snapshots_of_adapter, known=False
    ),
    "writer: frame and write": frame_and_write,
}


def measure(scale: Scale) -> Section:
    """Measure all steps; there are no goals for them."""
    details = alternate(STEPS, 3 * scale.rounds)
    return Section("where the time goes: microseconds of CPU, each step alone", [], details)
