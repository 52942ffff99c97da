"""The options of librdkafka that a user may give, and those that are the handler's."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapHandler
from dnstap_logging.address import parse_address
from dnstap_logging.kafka.settings import make_settings

ADDRESS = "kafka://127.0.0.1:1,127.0.0.1:2/dnstap"


def config(options: Dict[str, Any], **others: Any) -> Dict[str, Any]:
    """Return what a producer is made with."""
    values = {"key": "identity", "sequence": False, "timeout": 5.0, "max_frame_size": 98304}
    return make_settings(parse_address(ADDRESS), options, **{**values, **others}).config


def test_defaults() -> None:
    """Idempotent, without an end of the attempts, compressed, and making no topic."""
    found = config({})
    assert found["bootstrap.servers"] == "127.0.0.1:1,127.0.0.1:2"
    assert (found["enable.idempotence"], found["message.timeout.ms"]) == (True, 0)
    assert (found["linger.ms"], found["compression.type"]) == (1000, "lz4")
    assert found["allow.auto.create.topics"] is False


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"compression.type": "zstd"}, {"compression.type": "zstd"}),
        ({"compression.codec": "gzip"}, {"compression.type": "gzip"}),
        ({"max.in.flight": 5}, {"max.in.flight.requests.per.connection": 5}),
        ({"linger.ms": 50}, {"linger.ms": 50}),
        ({"client.id": "ns1"}, {"client.id": "ns1"}),
        ({"allow.auto.create.topics": True}, {"allow.auto.create.topics": True}),
        ({"message.max.bytes": 5000}, {"message.max.bytes": 5000}),
    ],
)
def test_options_replace_defaults(options: Dict[str, Any], expected: Dict[str, Any]) -> None:
    """Each is handed on; a second name of an option counts as the option."""
    found = config(options)
    assert {name: found[name] for name in expected} == expected
    assert "compression.codec" not in found


def test_the_largest_payload_fits() -> None:
    """The bound of a message grows with max_frame_size."""
    assert config({}, max_frame_size=5_000_000)["message.max.bytes"] > 5_000_000


@pytest.mark.parametrize(
    "name",
    [
        *("acks", "request.required.acks", "enable.idempotence", "message.timeout.ms"),
        *("delivery.timeout.ms", "delivery.report.only.error", "transactional.id"),
        *("queue.buffering.max.messages", "queue.buffering.max.kbytes", "queue.buffering.max.ms"),
        "queue.buffering.backpressure.threshold",
        *("error_cb", "stats_cb", "oauth_cb", "throttle_cb", "log_cb", "on_delivery", "logger"),
        *("bootstrap.servers", "metadata.broker.list"),
    ],
)
def test_refused_options(name: str) -> None:
    """What acknowledging and counting rests on, and what the address says, is refused by name."""
    with pytest.raises(ValueError, match="left out") as caught:
        DnstapHandler(ADDRESS, kafka_options={name: 1})
    assert str(caught.value).startswith(f"kafka_options['{name}']=1: must be left out: ")


@pytest.mark.parametrize(
    ("options", "error", "parts"),
    [
        ([], TypeError, ["kafka_options must be a dict", "list"]),
        ("acks=1", TypeError, ["kafka_options must be a dict", "str"]),
        ({1: 2}, TypeError, ["kafka_options: 1 must be the name of an option"]),
        ({"client.id": None}, TypeError, ["kafka_options['client.id']=None", "a str, a number"]),
        ({"client.id": b"x"}, TypeError, ["kafka_options['client.id']=b'x'", "a str, a number"]),
        ({"no.such": 1}, ValueError, ["kafka_options['no.such']=1: librdkafka does not take it"]),
        (
            {"linger.ms": "x"},
            ValueError,
            ["kafka_options['linger.ms']='x': librdkafka does not take it"],
        ),
        ({"security.protocol": "x"}, ValueError, ["kafka_options['security.protocol']='x'"]),
        (
            {"security.protocol": "ssl", "ssl.ca.location": "/nowhere/ca.pem"},
            ValueError,
            ["librdkafka does not take", "ssl.ca.location"],
        ),
        ({"default.topic.config": 1}, ValueError, ["kafka_options['default.topic.config']=1"]),
        ({"acks\0": "0"}, ValueError, ["kafka_options: 'acks\\x00' must be the name", "no NUL"]),
        ({"client.id": "a\0b"}, ValueError, ["kafka_options['client.id']=", "no NUL"]),
        ({"\ud800": 1}, ValueError, ["kafka_options: '\\ud800' must be the name", "UTF-8"]),
        ({"client.id": "\ud800"}, ValueError, ["kafka_options['client.id']=", "UTF-8"]),
        ({"linger.ms": 10**5000}, ValueError, ["kafka_options['linger.ms']="]),
        (
            {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN"},
            ValueError,
            ["kafka_options: librdkafka does not take them: ", "sasl.username and sasl.password"],
        ),
        ({"message.max.bytes": 1}, ValueError, ["kafka_options['message.max.bytes']=1: "]),
    ],
)
def test_unusable_options(options: Any, error: Any, parts: List[str]) -> None:
    """The error names the option, the value and what is right, at construction."""
    with pytest.raises(error) as caught:
        DnstapHandler(ADDRESS, kafka_options=options)
    for part in parts:
        assert part in str(caught.value)
    assert str(caught.value).strip().splitlines() == [str(caught.value)]


def test_secrets_are_not_shown() -> None:
    """The value of a password is in no error; nor are the options at another address."""
    with pytest.raises(TypeError) as caught:
        DnstapHandler(ADDRESS, kafka_options={"sasl.password": [b"hush"]})
    assert "hush" not in str(caught.value)
    with pytest.raises(ValueError, match="kafka://") as other:
        DnstapHandler("tcp://127.0.0.1:1", kafka_options={"sasl.password": "hush"})
    assert "hush" not in str(other.value)


@pytest.mark.parametrize(
    "argument",
    [
        *({"resend_bytes": value} for value in (0, 1, 262144)),
        *({"bidirectional": value} for value in (True, False)),
        *({"max_reconnect_interval": value} for value in (1.0, 10.0)),
        *({"max_reconnect_attempts": value} for value in (0, 1)),
        {"prefer_after": 1.0},
        *({name: "x"} for name in ("cafile", "certfile", "keyfile", "server_hostname")),
        {"mode": "w"},
        {"delay": True},
        {"permissions": 0o600},
    ],
)
def test_refused_arguments(argument: Dict[str, Any]) -> None:
    """What only Frame Streams or files have is refused, whatever its value."""
    ((name, value),) = argument.items()
    with pytest.raises(ValueError, match="left out") as caught:
        DnstapHandler(ADDRESS, **argument)
    assert str(caught.value).startswith(f"{name}={value!r}: ")


@pytest.mark.parametrize("argument", [{"kafka_key": "client"}, {"kafka_key": None}])
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "unix:///run/x.sock", "x.fstrm"])
def test_elsewhere_they_are_refused(address: str, argument: Dict[str, Any]) -> None:
    """Kafka's arguments are for Kafka."""
    with pytest.raises(ValueError, match="kafka://"):
        DnstapHandler(address, **argument)


def test_a_list_has_only_sockets() -> None:
    """Kafka has brokers of its own to go on to."""
    with pytest.raises(ValueError, match=r"address\[1\]='kafka://a/t': must be a socket"):
        DnstapHandler(["tcp://127.0.0.1:1", "kafka://a/t"])


WITHOUT = """
import sys
sys.modules["confluent_kafka"] = None
from dnstap_logging import DnstapHandler
try:
    DnstapHandler("kafka://127.0.0.1:1/dnstap")
except ModuleNotFoundError as error:
    print(error, error.name)
"""


def test_a_missing_extra() -> None:
    """The error says what to install."""
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True)
    assert done.stdout == (
        "a kafka:// address needs confluent-kafka: python -m pip install 'dnstap-logging[kafka]' "
        "confluent_kafka\n"
    )
    assert done.stderr == ""


QUIET = """
import sys
from dnstap_logging import DnstapHandler
handler = DnstapHandler("tcp://127.0.0.1:1")
print([name for name in sys.modules if "kafka" in name])
handler.close()
"""


def test_it_is_imported_only_where_it_is_used() -> None:
    """A handler of another kind imports nothing of Kafka."""
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
