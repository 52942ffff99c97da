"""How many records a second a handler hands to Kafka, by round trip and batch.

    make bench-kafka

The brokers are librdkafka's mock cluster, in this process, whose answers come later by the round
trip. The payloads are ready, so what is measured is the handler's queue, its batches and their
acknowledgements.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import List

from dnstap_logging import DnstapHandler
from dnstap_logging.delivery.kafka_destination import KafkaDestination
from tests.helpers.mock_cluster import MockCluster
from tests.helpers.support import dnstap_payload

TOPIC = "dnstap"


def rate(round_trip: int, batch: int, records: int) -> float:
    """Return records a second with these milliseconds of round trip and records of a batch."""
    payload = dnstap_payload(1) + b"\x12" + bytes([100]) + bytes(100)  # a version of 100 bytes
    usual = KafkaDestination.batch_records
    with MockCluster((TOPIC, 4)) as cluster:
        KafkaDestination.batch_records = batch  # the delivery reads it at its beginning
        handler = DnstapHandler(cluster.address(TOPIC), overflow="block", close_timeout=60.0)
        KafkaDestination.batch_records = usual
        handler.emit_payload(payload)
        handler.flush(60.0)
        cluster.set_round_trip(round_trip)
        began = time.perf_counter()
        for _ in range(records):
            handler.emit_payload(payload)
        handler.flush(60.0)
        seconds = time.perf_counter() - began
        handler.close()
        confirmed = handler.stats().confirmed
        assert confirmed == records + 1, handler.stats()
    return records / seconds


def main(arguments: List[str]) -> None:
    """Print a table: a row for each batch, a column for each round trip."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.benchmarks.kafka")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--round-trips", type=int, nargs="+", default=[0, 1, 5, 20])
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[256, 1024, KafkaDestination.batch_records, 4096]
    )
    options = parser.parse_args(arguments)
    heads = "".join(f"{f'{each} ms':>12}" for each in options.round_trips)
    print(f"records a second{heads}")
    for batch in options.batches:
        rates = [rate(each, batch, options.records) for each in options.round_trips]
        print(f"batch of {batch:>7}" + "".join(f"{each:>12,.0f}" for each in rates))


if __name__ == "__main__":
    main(sys.argv[1:])
