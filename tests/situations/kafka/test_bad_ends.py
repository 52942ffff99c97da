"""Brokers that are not there, or not as expected: one clear line each, and nothing else."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, Iterator

import confluent_kafka
import pytest
import trustme

from tests.helpers.broker import Broker, require_broker
from tests.helpers.mock_cluster import MockCluster
from tests.helpers.said import Said
from tests.helpers.support import free_port
from tests.situations.interop.taps import tapped
from tests.situations.interop.tls_peers import TlsTerminator, make_pki

NO_TLS = "what listens there does not speak TLS"
UNVERIFIED = "the broker's certificate could not be verified"


def expect(said: Said, brokers: str, text: str, options: Any = None, topic: str = "dnstap") -> None:
    """Check that a handler says this in one warning that names the address."""
    address = f"kafka://{brokers}/{topic}"
    with tapped(address, kafka_options=options, timeout=2.0, close_timeout=0.2) as tap:
        tap.log_numbers(range(3))
        line = said.wait_for(text)
        assert line.startswith(f"{address}: "), line
        stats = tap.close()
    assert (stats.dropped["disconnected"], stats.written) == (3, 0), stats
    assert text in str(stats.last_error)
    warnings = [line for line in said.with_text("", 30) if "dropped" not in line]
    assert len(warnings) == 1, said.lines


def test_nothing_listens(said: Said) -> None:
    """The line names the broker."""
    brokers = f"127.0.0.1:{free_port()}"
    expect(said, brokers, f"{brokers}: connection refused; nothing listens on this port")


def test_a_name_that_does_not_exist(said: Said) -> None:
    """The line names it."""
    expect(said, "broker.invalid:9092", "broker.invalid:9092: the name cannot be resolved")


@contextlib.contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """Answer each connection with bytes, whatever it asks, and close it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, contextlib.suppress(OSError):
                peer.recv(1000)
                peer.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(20)
        listener.close()


HTTP = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("answer", [HTTP, b"220 mail.example.net ESMTP\r\n"])
def test_not_a_broker(answer: bytes, said: Said) -> None:
    """A web server or a mail server is not Kafka."""
    with serving(answer) as brokers:
        expect(said, brokers, f"{brokers}: what listens there does not answer as a Kafka broker")


def test_something_that_hangs_up(said: Said) -> None:
    """librdkafka does not say what happened, so the line says what it may be."""
    with serving(b"") as brokers:
        expect(said, brokers, "no broker answers in ")


def test_no_tls(said: Said) -> None:
    """A port without TLS."""
    with serving(HTTP) as brokers:
        expect(said, brokers, f"{brokers}: {NO_TLS}", {"security.protocol": "ssl"})


def test_an_unknown_topic(said: Said) -> None:
    """The line names the topic and says what to do."""
    with MockCluster(("dnstap", 1)) as cluster:
        expect(said, cluster.brokers, "there is no topic dsntap; make it", topic="dsntap")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("TOPIC_AUTHORIZATION_FAILED", "this login may not write to the topic dnstap"),
        ("CLUSTER_AUTHORIZATION_FAILED", "this login may not write with idempotence"),
        ("LEADER_NOT_AVAILABLE", "Broker: Leader not available"),
    ],
)
def test_brokers_that_answer_with_an_error(name: str, text: str, said: Said) -> None:
    """The line says which, not that nobody answers."""
    with MockCluster(("dnstap", 1)) as cluster:
        cluster.set_topic_error("dnstap", getattr(confluent_kafka.KafkaError, name))
        expect(said, cluster.brokers, text)


def test_a_topic_that_is_made_later(said: Said) -> None:
    """Nothing is lost meanwhile."""
    with MockCluster() as cluster, tapped(cluster.address("dnstap"), timeout=1.0) as tap:
        tap.log_numbers(range(10))
        said.wait_for("there is no topic dnstap")
        cluster.make_topic("dnstap", 1)
        assert tap.handler.flush(60)
        stats = tap.close()
    assert stats.confirmed == 10, stats


def test_topics_are_made_only_if_asked_for() -> None:
    """With allow.auto.create.topics the brokers make the topic."""
    with MockCluster() as cluster:
        options = {"allow.auto.create.topics": True}
        with tapped(cluster.address("dnstap"), kafka_options=options) as tap:
            tap.log_numbers(range(10))
            assert tap.handler.flush(60)
            assert tap.close().confirmed == 10


@contextlib.contextmanager
def behind_tls(context: ssl.SSLContext) -> Iterator[str]:
    """Run a cluster behind a proxy with TLS."""
    with MockCluster(("dnstap", 1)) as cluster:
        with TlsTerminator(f"tcp://{cluster.brokers}", context) as proxy:
            yield proxy.address.partition("://")[2]


def of_another_authority(folder: Path) -> Dict[str, Any]:
    """Return options that trust somebody else."""
    other = folder / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    return {"ssl.ca.location": str(other)}


def test_an_untrusted_certificate(said: Said, tmp_path: Path) -> None:
    """The line says that it could not be verified."""
    options = {"security.protocol": "ssl", **of_another_authority(tmp_path)}
    with behind_tls(make_pki(tmp_path).server_context()) as brokers:
        expect(said, brokers, f"{brokers}: {UNVERIFIED}", options)


def test_an_expired_certificate(said: Said, tmp_path: Path) -> None:
    """It looks like an untrusted one."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=past, not_after=past).configure_cert(context)
    options = {"security.protocol": "ssl", "ssl.ca.location": str(tmp_path / "ca.pem")}
    with behind_tls(context) as brokers:
        expect(said, brokers, f"{brokers}: {UNVERIFIED}", options)


def test_a_refused_login(said: Said) -> None:
    """The line says that, and never the password."""
    require_broker()
    options = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "nobody",
        "sasl.password": "hush",
    }
    with Broker(authentication=True) as broker:
        expect(said, broker.address, f"{broker.address}: the login was refused", options)
    assert "hush" not in str(said.lines)


QUIET = """
import logging, sys
from dnstap_logging import DnstapHandler
logging.basicConfig(level=100)
handler = DnstapHandler(sys.argv[1], timeout=0.5, close_timeout=1.0)
logger = logging.getLogger("dns")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(handler)
logger.info("query", extra={"dns_message_type": "CLIENT_QUERY"})
handler.flush(0.5)
"""


@pytest.mark.parametrize("brokers", ["127.0.0.1:1", "broker.invalid"])
def test_librdkafka_says_nothing(brokers: str) -> None:
    """What it logs never reaches standard error."""
    command = [sys.executable, "-W", "error", "-c", QUIET, f"kafka://{brokers}/dnstap"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
