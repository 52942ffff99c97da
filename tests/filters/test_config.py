"""The filters together, as dictConfig makes them."""

from __future__ import annotations

import io
import logging
import logging.config
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from dnstap_logging import DnstapHandler, get_handler
from tests.filters.traffic import (
    CLIENT,
    Server,
    close_and_read,
    query_for,
    subnet_query,
    subnets_in,
)

PACKAGE = "dnstap_logging.filters"


def configuration(capture: Path, stream: Any) -> Dict[str, Any]:
    """Return a program's configuration: a handler with all five filters, and a text log."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": {"format": "%(message)s %(dns_query_address)s"}},
        "filters": {
            "types": {"()": f"{PACKAGE}.MessageTypeFilter", "types": ["CLIENT_*"]},
            "ours": {"()": f"{PACKAGE}.QnameFilter", "include": ["example.org"]},
            "errors": {"()": f"{PACKAGE}.RcodeFilter", "exclude": ["SERVFAIL"]},
            "sample": {"()": f"{PACKAGE}.SamplingFilter", "rate": 1, "state_rate": True},
            "private": {"()": f"{PACKAGE}.AnonymizingFilter", "ipv4_prefix": 16, "key": "5a" * 32},
        },
        "handlers": {
            "remote": {
                "class": "dnstap_logging.DnstapHandler",
                "address": str(capture),
                "filters": ["types", "ours", "errors", "sample", "private"],
            },
            "text": {"class": "logging.StreamHandler", "stream": stream, "formatter": "text"},
        },
        "loggers": {
            "filters.config": {
                "level": "INFO",
                "handlers": ["remote", "text"],
                "propagate": False,
            }
        },
    }


@pytest.fixture
def text(capture: Path) -> Iterator[io.StringIO]:
    """Configure logging, and unconfigure it afterwards; returns what the text log says."""
    stream = io.StringIO()
    logging.config.dictConfig(configuration(capture, stream))
    yield stream
    logger = logging.getLogger("filters.config")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


DOCUMENTATION = Path(__file__).parents[2] / "docs" / "filters.md"


def test_the_documented_configuration(capture: Path) -> None:
    """What docs/filters.md shows is taken by dictConfig; only the paths are the test's."""
    source = DOCUMENTATION.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    source = source.replace("/var/log/dns.fstrm", str(capture))
    exec(compile(source, str(DOCUMENTATION), "exec"), {})

    logger = logging.getLogger("dns")
    everything, research = logger.handlers
    assert [handler.name for handler in logger.handlers] == ["everything", "research"]
    assert [type(each).__name__ for each in research.filters] == [
        "MessageTypeFilter",
        "QnameFilter",
        "SamplingFilter",
        "AnonymizingFilter",
    ]
    logger.propagate = True
    for handler in (everything, research):
        logger.removeHandler(handler)
        handler.close()


def test_dictconfig(text: io.StringIO) -> None:
    """Every filter does its part, and the text log has everything as it was."""
    with Server(logging.getLogger("filters.config")) as server:
        server.ask(subnet_query("192.0.2.77/32"))
        server.ask(query_for("www.example.com."))
    handler = get_handler("remote")
    assert isinstance(handler, DnstapHandler)

    messages = close_and_read(handler)

    assert [message.message_type.name for message in messages] == [
        "CLIENT_QUERY",
        "CLIENT_RESPONSE",
    ]
    for message in messages:
        assert message.extra == b"sample_rate=1"
        assert message.query_address is not None
        assert message.query_address[2:] == bytes(2)
        assert message.query_address[:2] != bytes([127, 1]), "not a pseudonym"
        (subnet,) = subnets_in(message.query_message or message.response_message)
        assert subnet.split("/")[1] == "16"
    lines = text.getvalue().splitlines()
    assert [line.split(" ", 1)[0] for line in lines] == ["query", "response"] * 2
    assert all(f"('{CLIENT}', " in line for line in lines)
