"""What a producer is made with: the defaults, and what the user may add to them."""

from __future__ import annotations

import logging
from typing import Any, Dict, Mapping, NoReturn, Optional

from ..address import Address
from ..process.inherited import no_fork
from ..shorten import shorten, type_name

__all__ = ["Settings", "check_kafka_options", "import_kafka", "make_settings"]

DEFAULTS: Dict[str, Any] = {
    "client.id": "dnstap_logging",
    # Each write ends the lingering. Until then nothing of it goes out: so what is in one partition
    # goes in one request, and fails or arrives as a whole. Otherwise its end could arrive while
    # its beginning has to be sent again, and records of one key would change places.
    "linger.ms": 1000,
    "compression.type": "lz4",  # every broker and reader has it, and it costs least
    # What a broker refuses for now is never overtaken by what was sent behind it: librdkafka takes
    # an acknowledgement of the second for one of both.
    "max.in.flight.requests.per.connection": 1,
    "allow.auto.create.topics": False,  # a topic that is misspelled is an error, not a new topic
}

ALIASES = {
    "compression.codec": "compression.type",
    "max.in.flight": "max.in.flight.requests.per.connection",
}
"""Second names of options that have a default here."""

FIXED: Dict[str, Any] = {
    "enable.idempotence": True,
    "message.timeout.ms": 0,  # never: what is not acknowledged waits, and is counted
    "delivery.report.only.error": True,  # a call for each message would cost as much as sending it
}

OURS = "left out: the handler sets it, so that each record is acknowledged and counted once"
REFUSED: Dict[str, str] = {
    "acks": OURS,
    "request.required.acks": OURS,
    "enable.idempotence": OURS,
    "message.timeout.ms": OURS,
    "delivery.timeout.ms": OURS,
    "delivery.report.only.error": OURS,
    "transactional.id": "left out: records are not sent in transactions",
    "bootstrap.servers": "left out: the brokers are in the address",
    "metadata.broker.list": "left out: the brokers are in the address",
    "default.topic.config": "left out: options of topics stand beside the others",
}
BUFFERS = "queue.buffering."
CALLBACKS = ("logger", "on_delivery")
TEXT = "text that is valid UTF-8 and has no NUL"

MESSAGE_BYTES = 1_000_000
"""librdkafka's own bound of a message; brokers take a little more by default."""

ROOM = 1024
"""Bytes of a message beside its value: key, headers and numbers."""

SECRETS = ("password", "secret", "pem", "oauthbearer.config")
"""Parts of the names of options whose value is not shown."""

SILENT = logging.Logger("dnstap_logging.kafka", logging.CRITICAL + 1)
"""Takes what librdkafka logs, which would go to standard error: errors come by callback, too."""


class Settings:
    """What one handler's producers are made with.

    Args:
        config: of the producer.
        address: the brokers and the topic.
        key: what the records' key is made of, "identity" or "client"; None: they have none.
        sequence: whether records have their number in a header.
        timeout: seconds without an acknowledgement after which that is said.
    """

    def __init__(
        self,
        config: Dict[str, Any],
        address: Address,
        key: Optional[str],
        sequence: bool,
        timeout: float,
    ) -> None:
        self.config = config
        self.address = address
        self.key = key
        self.sequence = sequence
        self.timeout = timeout


def check_kafka_options(argument: str, value: Any) -> Dict[str, Any]:
    """Check options for librdkafka, as far as that needs no librdkafka; return a copy.

    Args:
        argument: its name in errors.
        value: a mapping of librdkafka's names.

    Raises:
        TypeError, ValueError: naming the option, its value and what is right.
    """
    if not isinstance(value, Mapping):
        raise TypeError(
            f"{argument} must be a dict of librdkafka's options, not {type_name(value)}, or None"
        )
    # By key: that is where the dicts of logging.config convert what they hold.
    return {name: _option(argument, name, value[name]) for name in value}


def _option(argument: str, name: Any, value: Any) -> Any:
    if not isinstance(name, str):
        raise TypeError(f"{argument}: {shorten(name)} must be the name of an option, a str")
    if not _is_text(name):
        raise ValueError(f"{argument}: {shorten(name)} must be the name of an option, {TEXT}")
    right = REFUSED.get(name)
    if name.startswith(BUFFERS):
        right = OURS
    if name in CALLBACKS or name.endswith("_cb"):
        right = "left out: callbacks belong to the handler"
    if right is not None:
        _refuse(argument, name, value, right)
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"{_named(argument, name, value)}: must be a str, a number or a bool")
    if isinstance(value, str) and not _is_text(value):
        _refuse(argument, name, value, TEXT)
    return value


def _is_text(value: str) -> bool:
    """Return whether librdkafka reads the whole of it: a NUL would end it, a surrogate crash it."""
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _named(argument: str, name: str, value: object) -> str:
    hidden = any(part in name for part in SECRETS)
    return f"{argument}[{name!r}]={'***' if hidden else shorten(value)}"


def _refuse(argument: str, name: str, value: object, right: str) -> NoReturn:
    raise ValueError(f"{_named(argument, name, value)}: must be {right}")


def make_settings(
    address: Address,
    options: Optional[Mapping[str, Any]],
    key: Optional[str],
    sequence: bool,
    timeout: float,
    max_frame_size: int,
) -> Settings:
    """Return the settings of a handler, after librdkafka has checked them.

    Args:
        address: the brokers and the topic.
        options: of the user, checked by `check_kafka_options`.
        key: as of `Settings`.
        sequence: as of `Settings`.
        timeout: as of `Settings`.
        max_frame_size: bytes of the largest payload.

    Raises:
        ModuleNotFoundError: confluent-kafka is not installed.
        ValueError: librdkafka refuses an option, and why.
    """
    given = {ALIASES.get(name, name): value for name, value in (options or {}).items()}
    config = {
        **DEFAULTS,
        "message.max.bytes": max(MESSAGE_BYTES, max_frame_size + ROOM),
        **given,
        **FIXED,
    }
    problem = _problem(config)
    if problem:
        for name, value in (options or {}).items():
            alone = _problem({name: value})
            if alone == problem:  # else it lacks another option, which it needs
                shown = _named("kafka_options", name, value)
                raise ValueError(f"{shown}: librdkafka does not take it: {alone}")
        raise ValueError(f"kafka_options: librdkafka does not take them: {problem}")
    return Settings({**config, "bootstrap.servers": address.host}, address, key, sequence, timeout)


def _problem(config: Dict[str, Any]) -> str:
    """Return what librdkafka has against a configuration, or ""."""
    kafka = import_kafka()
    try:
        # Without brokers it connects to nothing, and ends at once.
        with no_fork():
            kafka.Producer({**config, "log_level": 0}, logger=SILENT)
    except kafka.KafkaException as error:
        return str(error.args[0].str()).strip()
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def import_kafka() -> Any:
    """Return the library with librdkafka in it.

    Raises:
        ModuleNotFoundError: it is not installed; says what to install.
    """
    try:
        import confluent_kafka
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a kafka:// address needs confluent-kafka: python -m pip install "
            "'dnstap-logging[kafka]'",
            name=error.name,
        ) from None
    return confluent_kafka
