"""Bad records: each costs its field or itself, is counted and named; the next one arrives."""

from __future__ import annotations

import logging
import logging.config
from pathlib import Path
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapHandler
from tests.helpers.records import WIRE, query, read
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced

BAD_FIELDS: List[Any] = [
    ({"dns_query_message": "a str"}, "dns_query_message"),
    ({"dns_query_port": -1}, "dns_query_port=-1"),
    ({"dns_query_address": "localhost"}, "localhost"),
    ({"dns_response_address": "2001:db8::1"}, "dns_response_address"),
    ({"dns_socket_protocol": "CARRIER-PIGEON"}, "CARRIER-PIGEON"),
    ({"dns_query_adress": "192.0.2.1"}, "dns_query_address"),
    ({"dns_query_time": 1700000000}, "seconds"),
    ({"dns_query_time": -1.5}, "dns_query_time"),
]


@pytest.mark.parametrize(("extras", "text"), BAD_FIELDS, ids=[str(b[0]) for b in BAD_FIELDS])
def test_a_bad_field_is_left_out_counted_and_named(
    logger: logging.Logger, capture: Path, said: Said, extras: Dict[str, Any], text: str
) -> None:
    """An unusable optional value costs its own field: counted, named in one diagnostic."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)

    for _ in range(3):
        logger.info("query", extra=query(**extras))
    logger.info("query", extra=query())
    handler.close()

    assert len(read(capture)) == 4
    assert handler.stats().invalid_fields == 3
    assert len(said.with_text(text, logging.WARNING)) == 1, said.lines
    assert_balanced(handler.stats())


BAD_RECORDS: List[Any] = [
    ({"dns_message_type": "CLIENT_QUESTION"}, "invalid", "CLIENT_QUESTION"),
    ({"dns_message_type": None}, "invalid", "dns_message_type"),
    ({"dns_query_message": bytes(70_000)}, "too_large", "70,000"),
    ({"dns_query_message": bytes(1_000_000)}, "too_large", "1,000,000"),
]


@pytest.mark.parametrize(
    ("extras", "cause", "text"), BAD_RECORDS, ids=["type", "None", "70 kB", "1 MB"]
)
def test_a_bad_record_is_dropped_counted_and_named(
    logger: logging.Logger,
    capture: Path,
    said: Said,
    extras: Dict[str, Any],
    cause: str,
    text: str,
) -> None:
    """A record that cannot be a message costs itself only: the next one arrives."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)

    for _ in range(3):
        logger.info("query", extra=query(**extras))
    logger.info("query", extra=query())
    handler.close()

    assert len(read(capture)) == 1
    assert handler.stats().dropped[cause] == 3
    assert len(said.with_text(text, logging.WARNING)) == 1, said.lines
    assert_balanced(handler.stats())


def test_a_record_without_a_type_is_invalid(
    logger: logging.Logger, capture: Path, said: Said
) -> None:
    """dns extras without dns_message_type are counted invalid, and the diagnostic says so."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)

    logger.info("query", extra={"dns_query_message": WIRE})
    said.wait_for("dns_message_type")
    handler.close()

    assert handler.stats().dropped["invalid"] == 1
