"""Clients whose IPv4 address is inside IPv6, as sockets for both families name them."""

from __future__ import annotations

import logging
from typing import Any, List

import pytest

from dnstap_logging.filters import AnonymizingFilter, SamplingFilter
from tests.filters.traffic import query_for

KEY = b"a key for tests"
WIRE = query_for("www.example.org.").to_wire()
FORMS: List[Any] = [
    "::ffff:192.0.2.7",
    ("::ffff:192.0.2.7", 4000, 0, 0),
    b"\0" * 10 + b"\xff\xff\xc0\0\2\7",
    "::ffff:192.0.2.7%eth0",
]


def record(address: Any) -> logging.LogRecord:
    """Return the record of a query from an address."""
    extras = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": WIRE}
    return logging.makeLogRecord({**extras, "dns_query_address": address})


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_sampling_decides_as_for_the_plain_address(form: Any) -> None:
    """Two sockets, or two programs with one key, keep the same transactions."""
    rates = range(1, 40)  # the first keeps all: the id in the message is random
    chosen = [SamplingFilter(rate, key=KEY).filter(record("192.0.2.7")) for rate in rates]

    assert [SamplingFilter(rate, key=KEY).filter(record(form)) for rate in rates] == chosen
    assert len(set(map(bool, chosen))) == 2


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_anonymizing_cuts_the_plain_address(form: Any) -> None:
    """IPv4's prefix counts, not IPv6's, which would leave nothing or all of it."""
    changed = AnonymizingFilter(ipv4_prefix=24, ipv6_prefix=128).dnstap_filter(record(form))

    assert isinstance(changed, logging.LogRecord)
    address = changed.__dict__["dns_query_address"]
    assert (address[0] if isinstance(address, tuple) else address) == "192.0.2.0"
