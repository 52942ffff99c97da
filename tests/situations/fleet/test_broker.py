"""The broker of the tests, and the client that reads from it: they lose and invent nothing."""

from __future__ import annotations

from collections import Counter
from typing import Iterator

import pytest

from tests.helpers.broker import Broker, fill_topic, read_topic
from tests.helpers.support import wait_until

TOPIC = "dnstap"


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic of three partitions."""
    with Broker((TOPIC, 3)) as broker:
        yield broker


def test_what_is_put_into_a_topic_is_read_once_and_in_order(broker: Broker) -> None:
    """All records come, each once, those of a key in one partition and in their order."""
    values = [(b"key%d" % (number % 5), b"%d" % number * 40) for number in range(20_000)]
    assert fill_topic(broker.address, TOPIC, values) == len(values)
    records = read_topic(broker.address, TOPIC)
    assert Counter(record.value for record in records) == Counter(value for _, value in values)
    for key in {key for key, _ in values}:
        of_key = [record for record in records if record.key == key]
        assert [record.value for record in of_key] == [value for k, value in values if k == key]
        assert len({record.partition for record in of_key}) == 1


def test_an_empty_topic_has_no_records(broker: Broker) -> None:
    """Reading comes to its end where nothing was ever written."""
    assert read_topic(broker.address, TOPIC) == []


def test_a_broker_that_is_started_again_is_empty(broker: Broker) -> None:
    """After a kill it listens on the same address, with its topics, but without records."""
    fill_topic(broker.address, TOPIC, [b"one"])
    address = broker.address
    broker.kill()
    broker.start()
    assert broker.address == address
    assert read_topic(address, TOPIC) == []


def test_a_paused_broker_goes_on(broker: Broker) -> None:
    """It keeps its records while it stands still."""
    fill_topic(broker.address, TOPIC, [b"one"])
    broker.pause()
    broker.resume()
    assert wait_until(lambda: read_topic(broker.address, TOPIC))[0].value == b"one"


def test_a_broker_ends_when_it_is_asked_to(broker: Broker) -> None:
    """Nothing is connected: it ends, and its port is free."""
    broker.stop()
    broker.start()
    assert read_topic(broker.address, TOPIC) == []
