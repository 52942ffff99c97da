"""docs/howto/kafka.md: its handlers write to a cluster, and its lines are those that are said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List

import trustme

from dnstap_logging.delivery.kafka_destination import KafkaDestination
from dnstap_logging.kafka import reasons
from dnstap_logging.kafka.settings import BUFFERS, OURS, REFUSED
from tests.helpers.mock_cluster import MockCluster, read_records
from tests.helpers.pages import DOCS, LOG_ONE, example, names, rows_of, run

PAGE = "howto/kafka.md"
INSTALL = example(PAGE, "sh", 0)
TEXT = (DOCS / PAGE).read_text(encoding="utf-8")
HANDLER, WITH_TLS = example(PAGE, "python", 0), example(PAGE, "python", 1)


def test_it_installs_an_extra() -> None:
    """The command names the extra that setup.cfg has."""
    setup = DOCS.parent / "setup.cfg"
    assert "[kafka]" in INSTALL
    assert "\nkafka =\n" in setup.read_text(encoding="utf-8")


def test_the_handler_writes(tmp_path: Path) -> None:
    """What it says of a record is in the topic."""
    with MockCluster(("dnstap", 2)) as cluster:
        ours = HANDLER.replace("localhost:9092", cluster.brokers)
        printed = run(tmp_path, f"{ours}{LOG_ONE}handler.close()\nprint(handler.stats().confirmed)")
        assert printed == "1\n"
        (record,) = read_records(cluster.brokers, "dnstap")
    assert record.key == b"ns1.example.net"
    assert dict(record.headers) == {"content-type": b"protobuf:dnstap.Dnstap", "sequence": b"1"}


def test_options_are_taken(tmp_path: Path) -> None:
    """librdkafka takes the block with TLS and a login."""
    authority = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    ours = WITH_TLS.replace("/etc/ssl/kafka-ca.pem", str(authority))
    run(tmp_path, f"{ours}handler.close()")


def test_lines_are_those_of_the_source() -> None:
    """Each line of the last table is a text of `kafka.reasons`."""
    known: List[str] = [
        reasons.NO_ANSWER,
        *reasons._BY_NAME.values(),
        *dict(reasons._BY_TEXT).values(),
    ]
    texts = [re.sub(r" ?\{.*", "", text) for text in known]
    listed = [name.rstrip(" …") for row in rows_of(TEXT, "line") for name in names(row[0])]
    assert set(listed) <= set(texts), texts
    assert len(listed) == 9


def test_the_largest_batch_is_that_of_the_code() -> None:
    """The page says how many records are under way at most."""
    assert f"at most {KafkaDestination.batch_records:,} records" in TEXT


def test_refused_options_are_named() -> None:
    """The page names the options that are refused."""
    ours = {name for name, right in REFUSED.items() if right is OURS}
    missing = {name for name in {*ours, BUFFERS} if f"`{name}`" not in TEXT}
    assert missing == {"request.required.acks", "delivery.timeout.ms"}  # second names
