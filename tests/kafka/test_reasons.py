"""librdkafka's errors in words."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from dnstap_logging.kafka.reasons import explain

PLACE = "127.0.0.1:9092/bootstrap: "
SINCE = " (after 3ms in state CONNECT)"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            KafkaError(
                KafkaError._TRANSPORT,
                f"{PLACE}Connect to ipv4#127.0.0.1:9092 failed: Connection refused{SINCE}",
            ),
            "127.0.0.1:9092: connection refused; nothing listens on this port",
        ),
        (
            KafkaError(KafkaError._TRANSPORT, f"sasl_ssl://[::1]:9092/7: Disconnected{SINCE}"),
            "[::1]:9092: Disconnected",
        ),
        (
            KafkaError(
                KafkaError._SSL,
                "ssl://b:9093/1: SSL handshake failed: error:0A000086:SSL routines::certificate "
                f"verify failed: broker certificate could not be verified{SINCE}, 2 identical "
                "error(s) suppressed",
            ),
            "b:9093: the broker's certificate could not be verified",
        ),
        (
            KafkaError(
                KafkaError._SSL, f"ssl://b:1/1: SSL handshake failed: wrong version number{SINCE}"
            ),
            "b:1: what listens there does not speak TLS",
        ),
        (
            KafkaError(KafkaError._AUTHENTICATION, f"{PLACE}SASL PLAIN: bad password{SINCE}"),
            "127.0.0.1:9092: the login was refused: SASL PLAIN: bad password",
        ),
        (
            KafkaError(
                KafkaError._BAD_MSG, f"{PLACE}Receive failed: Invalid response size 1{SINCE}"
            ),
            "127.0.0.1:9092: what listens there does not answer as a Kafka broker",
        ),
        (KafkaError(KafkaError._UNKNOWN_TOPIC), "there is no topic dnstap; make it, or "),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), "there is no topic dnstap; make it, or "),
        (
            KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED),
            "this login may not write to the topic dnstap",
        ),
        (KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION), "Broker: Not leader for partition"),
    ],
)
def test_explanations(error: KafkaError, text: str) -> None:
    """Each says which broker it is about, and what is wrong in plain words."""
    assert explain(error, "dnstap").startswith(text)
    assert " in state " not in explain(error, "dnstap")
