"""Filters run in the threads that serve DNS: no message takes them long."""

from __future__ import annotations

import logging
from typing import Callable, Dict

import pytest

from dnstap_logging.filters import (
    AnonymizingFilter,
    MessageTypeFilter,
    QnameFilter,
    RcodeFilter,
    SamplingFilter,
)
from tests.filters.traffic import KEY
from tests.helpers.cpu_time import too_slow
from tests.helpers.hostile_messages import ADDRESS, ADDRESS_6, HOSTILE, hostile_message

MOST = 0.5  # seconds of CPU time for 64 KB; it is some 30 ms

FILTERS: Dict[str, Callable[[logging.LogRecord], object]] = {
    "MessageTypeFilter": MessageTypeFilter("CLIENT_*").filter,
    "QnameFilter include": QnameFilter(include=["a.example", "b.example"]).filter,
    "QnameFilter exclude": QnameFilter(exclude=["a.example", "b.example"]).filter,
    "RcodeFilter": RcodeFilter(include=["NXDOMAIN"]).filter,
    "SamplingFilter": SamplingFilter(10).filter,
    "AnonymizingFilter": AnonymizingFilter().dnstap_filter,
    "AnonymizingFilter removes": AnonymizingFilter(0, 0).dnstap_filter,
    "AnonymizingFilter keeps": AnonymizingFilter(32, 128).dnstap_filter,
    "AnonymizingFilter with a key": AnonymizingFilter(key=KEY).dnstap_filter,
}


def record(wire: bytes) -> logging.LogRecord:
    """Return the record of a response."""
    return logging.makeLogRecord(
        {
            "dns_message_type": "CLIENT_RESPONSE",
            "dns_query_address": ("192.0.2.1", 53),
            "dns_response_message": wire,
        }
    )


@pytest.mark.parametrize("name", FILTERS)
def test_time(name: str) -> None:
    """Every filter takes time in proportion to the octets of the message."""
    ask = FILTERS[name]

    assert too_slow(lambda wire: ask(record(wire)), MOST) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_no_address_is_left(name: str) -> None:
    """However a message hides a client's address in what the filter treats, it is not sent."""
    changed = AnonymizingFilter(8, 16).dnstap_filter(record(hostile_message(name)))

    assert isinstance(changed, logging.LogRecord)
    wire = changed.__dict__["dns_response_message"]
    if wire is not None and ("OPT" in name or "XPF" in name or "subnet" in name):
        assert ADDRESS not in wire
        assert ADDRESS_6[:8] not in wire
