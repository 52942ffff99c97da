"""A broker that is not librdkafka's, read by a client that is not librdkafka."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.helpers.broker import Broker, read_topic, require_broker
from tests.helpers.support import free_port, wait_until
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop import corpus
from tests.situations.interop.captures import assert_same, decode, read_capture
from tests.situations.interop.taps import marks_in, tapped
from tests.situations.interop.tls_peers import TlsTerminator, make_pki
from tests.situations.spool.scenes import wait_for

TYPE = ("content-type", b"protobuf:dnstap.Dnstap")


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(("dnstap", 3)) as broker:
        yield broker


def address(broker: Broker) -> str:
    """Return the topic's address for a handler."""
    return f"kafka://{broker.address}/dnstap"


def test_values_are_those_of_a_capture(broker: Broker, tmp_path: Path) -> None:
    """What arrives is, byte for byte, what a capture of the same records has."""
    path = tmp_path / "same.fstrm"
    same = {"identity": corpus.IDENTITY, "version": corpus.VERSION}
    with tapped(path, **same) as file, tapped(address(broker), **same) as tap:
        for each in corpus.samples(100):
            tap.logger.info("message %d", each.number, extra=corpus.extras(each))
            file.logger.info("message %d", each.number, extra=corpus.extras(each))
        assert tap.handler.flush(DEADLINE)
        file.close()
    records = read_topic(broker.address, "dnstap")
    values = {record.value for record in records}
    payloads = [payload for payload in read_capture(path).payloads if payload in values]
    assert_same([decode(each) for each in payloads], corpus.all_fields(100), "in the topic")
    assert len(records) == 100


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "zstd"])
def test_codecs(codec: str, broker: Broker) -> None:
    """Each codec of librdkafka's is one that the broker takes."""
    options = {"compression.type": codec}
    with tapped(address(broker), kafka_options=options, close_timeout=DEADLINE) as tap:
        tap.log_numbers(range(1000))
        assert tap.close().confirmed == 1000
    if codec != "zstd":  # which the reading client lacks
        assert len(read_topic(broker.address, "dnstap")) == 1000


@pytest.mark.parametrize("key", ["identity", "client", None])
def test_keys_and_headers(key: Any, broker: Broker) -> None:
    """Records of one key are in one partition, in order; each has its number."""
    with tapped(address(broker), identity="ns1", sequence=True, kafka_key=key) as tap:
        for number in range(300):
            extra = {"dns_message_type": "CLIENT_QUERY", "dns_extra": str(number)}
            extra["dns_query_address"] = f"192.0.2.{number % 10}"
            tap.logger.info("query", extra=extra)
        assert tap.handler.flush(DEADLINE)
    records = read_topic(broker.address, "dnstap")
    marks = [int(mark) for mark in marks_in(record.value for record in records)]
    assert sorted(marks) == list(range(300))
    for record, mark in zip(records, marks):
        client = f"192.0.2.{mark % 10}".encode()
        assert record.key == {"identity": b"ns1", "client": client, None: None}[key]
        assert list(record.headers) == [TYPE, ("sequence", str(mark + 1).encode())]
    if key is not None:
        partitions = {(record.key, record.partition) for record in records}
        assert len(partitions) == len({record.key for record in records})
        by_key = [
            [mark for r, mark in zip(records, marks) if r.key == one] for one, _ in partitions
        ]
        assert all(numbers == sorted(numbers) for numbers in by_key)


def test_a_broker_that_stands_still(broker: Broker, tmp_path: Path) -> None:
    """With a spool nothing is lost, nothing comes twice, and the order is kept."""
    options = {"spool": tmp_path / "spool", "queue_size": 400, "timeout": 0.3}
    with tapped(address(broker), identity="ns1", close_timeout=DEADLINE, **options) as tap:
        tap.log_numbers(range(100))
        wait_for(tap, confirmed=100)
        broker.pause()
        for first in range(100, 3000, 100):
            tap.log_numbers(range(first, first + 100))
            wait_until(lambda: tap.stats().queued < 200, "room on the queue", DEADLINE)
        wait_until(lambda: not tap.stats().connected, "connected to be false", DEADLINE)
        assert tap.stats().spooled > 0
        broker.resume()
        stats = wait_for(tap, confirmed=3000, spooled=0)
        assert (sum(stats.dropped.values()), stats.resent) == (0, 0), stats
        tap.close()
    records = read_topic(broker.address, "dnstap")
    marks = [int(mark) for mark in marks_in(record.value for record in records)]
    assert marks == list(range(3000))


def test_tls(tmp_path: Path) -> None:
    """With a certificate that can be verified, TLS works."""
    require_broker()
    pki = make_pki(tmp_path)
    port = free_port()
    with TlsTerminator(f"tcp://127.0.0.1:{port}", pki.server_context()) as proxy:
        outside = proxy.address.partition("://")[2]
        with Broker(port=port, advertised=outside) as broker:
            options = {
                "security.protocol": "ssl",
                "ssl.ca.location": pki.cafile,
                "allow.auto.create.topics": True,
            }
            with tapped(f"kafka://{outside}/dnstap", kafka_options=options) as tap:
                tap.log_numbers(range(10))
                assert tap.handler.flush(DEADLINE), tap.stats()
                assert tap.close().confirmed == 10
            assert broker.address.endswith(str(port))
