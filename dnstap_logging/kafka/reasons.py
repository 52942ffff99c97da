"""Explain librdkafka's errors in words; each text follows the address in a TransportError."""

from __future__ import annotations

import re
from typing import Any, Dict

__all__ = ["MAYBE", "NO_ANSWER", "explain", "is_about_topic", "is_general"]

_WHERE = r"(?:\w+://)?(?P<broker>\S+?)/(?:bootstrap|-?[0-9]+): (?P<text>.*)"
_SINCE = r" \(after [0-9]+ms in state .*\)(?:, [0-9]+ identical error.*)?$"

UNVERIFIED = "the broker's certificate could not be verified"
NOT_KAFKA = "what listens there does not answer as a Kafka broker"

NO_ANSWER = "no broker answers"
MAYBE = "what is there may want another security.protocol, or be something else"

NO_TOPIC = (
    "there is no topic {topic}; make it, or have the brokers make it with "
    "kafka_options={{'allow.auto.create.topics': True}}"
)

_BY_NAME: Dict[str, str] = {
    "_RESOLVE": "the name cannot be resolved",
    "_AUTHENTICATION": "the login was refused",
    "_BAD_MSG": NOT_KAFKA,
    "SASL_AUTHENTICATION_FAILED": "the login was refused",
    "TOPIC_AUTHORIZATION_FAILED": "this login may not write to the topic {topic}",
    "CLUSTER_AUTHORIZATION_FAILED": "this login may not write with idempotence",
    "UNKNOWN_TOPIC_OR_PART": NO_TOPIC,
    "_UNKNOWN_TOPIC": NO_TOPIC,
    "TOPIC_EXCEPTION": "the brokers do not take {topic} as the name of a topic",
}

_BY_TEXT = (
    ("certificate verify failed", UNVERIFIED),
    ("broker certificate could not be verified", UNVERIFIED),
    ("wrong version number", "what listens there does not speak TLS"),
    ("packet length too long", "what listens there does not speak TLS"),
    ("Connection refused", "connection refused; nothing listens on this port"),
    ("Invalid response size", NOT_KAFKA),
    ("while requesting ApiVersion", f"{NOT_KAFKA}, or it wants another security.protocol"),
)
"""What to look for in librdkafka's texts, where one error has several causes."""

_TOPIC_ERRORS = (
    "UNKNOWN_TOPIC_OR_PART",
    "_UNKNOWN_TOPIC",
    "TOPIC_EXCEPTION",
    "TOPIC_AUTHORIZATION_FAILED",
)


def is_general(error: Any) -> bool:
    """Return whether an error only sums up the others: all brokers are down."""
    return bool(error.name() == "_ALL_BROKERS_DOWN")


def is_about_topic(error: Any) -> bool:
    """Return whether an error is the topic's, which waiting does not mend."""
    return error.name() in _TOPIC_ERRORS


def explain(error: Any, topic: str) -> str:
    """Return what an error of librdkafka's means, with the broker that it is about.

    Args:
        error: a KafkaError.
        topic: the name of the topic.
    """
    match = re.fullmatch(_WHERE, error.str(), re.DOTALL)
    broker = f"{match['broker']}: " if match else ""
    said = re.sub(_SINCE, "", match["text"] if match else error.str())
    for part, text in _BY_TEXT:
        if part in said:
            return broker + text
    known = _BY_NAME.get(error.name())
    if known is None:
        return f"{broker}{said}"
    text = known.format(topic=topic)
    return f"{broker}{text}: {said}" if _adds(error.name()) else broker + text


def _adds(name: str) -> bool:
    """Return whether librdkafka's own text says more than ours."""
    return name in ("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_RESOLVE")
