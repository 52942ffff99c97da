"""`AnonymizingFilter` in a wrong place: it lets nothing through, and reports that once."""

from __future__ import annotations

import io
import logging
import logging.handlers
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapAdapter, DnstapHandler
from dnstap_logging.filters import AnonymizingFilter
from tests.filters.traffic import CLIENT, Server, close_and_read, query_for
from tests.helpers.said import Said

QUERY: Dict[str, Any] = {"dns_message_type": "CLIENT_QUERY", "dns_query_address": CLIENT}


def test_on_a_logger(logger: logging.Logger, handler: DnstapHandler, said: Said) -> None:
    """Before Python 3.12 a logger ignores changed copies; so nothing gets out, on any Python."""
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    logger.addFilter(AnonymizingFilter())

    with Server(logger) as server:
        for _ in range(3):
            server.ask(query_for("www.example.org."))
    logger.info("the program's own record")

    line = said.wait_for("attached to a logger")
    assert line.startswith("AnonymizingFilter: it is attached to a logger, or to a handler")
    assert close_and_read(handler) == []
    assert stream.getvalue() == "the program's own record\n"
    assert said.with_text("AnonymizingFilter", logging.WARNING) == [line], (
        "more than one diagnostic"
    )


def test_on_a_foreign_handler(logger: logging.Logger, handler: DnstapHandler) -> None:
    """A StreamHandler gets nothing, the dnstap handler of the same logger everything."""
    stream = io.StringIO()
    foreign = logging.StreamHandler(stream)
    foreign.setFormatter(logging.Formatter("%(message)s %(dns_query_address)s"))
    foreign.addFilter(AnonymizingFilter())
    logger.addHandler(foreign)

    logger.info("query", extra=QUERY)

    assert stream.getvalue() == ""
    assert len(close_and_read(handler)) == 1


def test_on_both(logger: logging.Logger, handler: DnstapHandler) -> None:
    """One filter object may be shared: each place does what it must."""
    shared = AnonymizingFilter()
    seen: List[logging.LogRecord] = []
    foreign = logging.Handler()
    foreign.emit = seen.append  # type: ignore[method-assign]
    for each in (foreign, handler):
        each.addFilter(shared)
    logger.addHandler(foreign)

    logger.info("query", extra=QUERY)
    logger.info("other")

    assert [record.msg for record in seen] == ["other"]
    (message,) = close_and_read(handler)
    assert message.query_address == bytes([127, 1, 2, 0])


@pytest.mark.parametrize("on_logger", [False, True], ids=["handler", "logger"])
def test_with_the_adapter(logger: logging.Logger, handler: DnstapHandler, on_logger: bool) -> None:
    """The adapter's short way to the handler goes round no filter."""
    (logger if on_logger else handler).addFilter(AnonymizingFilter())
    tap = DnstapAdapter(logger, {"dns_query_address": CLIENT})

    tap.client_query(query_for("www.example.org."))

    addresses = [message.query_address for message in close_and_read(handler)]
    assert addresses == ([] if on_logger else [bytes([127, 1, 2, 0])])


def test_behind_a_memory_handler(logger: logging.Logger, handler: DnstapHandler) -> None:
    """A handler that hands records on sends them through the dnstap handler's filters."""
    logger.removeHandler(handler)
    logger.addHandler(logging.handlers.MemoryHandler(1, target=handler))
    handler.addFilter(AnonymizingFilter(ipv4_prefix=8))

    logger.info("query", extra=QUERY)

    (message,) = close_and_read(handler)
    assert message.query_address == bytes([127, 0, 0, 0])
