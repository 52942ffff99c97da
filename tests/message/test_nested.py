"""Dns extras one level down: what loguru and structlog make of them reaches the handler."""

from __future__ import annotations

import copy
import logging
import queue
import threading
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import loguru
import pytest
import structlog

from dnstap_logging import DnstapAdapter, DnstapHandler, DnstapMessage, DnstapReader
from dnstap_logging.filters import AnonymizingFilter, MessageTypeFilter, QnameFilter, SamplingFilter
from tests.helpers.support import assert_balanced

WIRE = bytes.fromhex("12340100000100000000000003777777076578616d706c65036f72670000010001")
EXTRAS: Dict[str, Any] = {
    "dns_message_type": "CLIENT_QUERY",
    "dns_query_message": WIRE,
    "dns_query_address": ("192.0.2.1", 5353),
}

Log = Callable[..., object]


@pytest.fixture
def handler(capture: Path) -> Iterator[DnstapHandler]:
    """Return a handler of a capture."""
    made = DnstapHandler(capture)
    yield made
    made.close()


def messages(handler: DnstapHandler, capture: Path) -> List[DnstapMessage]:
    """Return what was written."""
    handler.close()
    assert_balanced(handler.stats())
    return list(DnstapReader(capture))


def by_loguru(handler: logging.Handler) -> Log:
    """Return how a program logs by loguru, whose only sink is the handler."""
    loguru.logger.remove()
    loguru.logger.add(handler, format="{message}")
    return lambda **extras: loguru.logger.bind(**extras).info("a query")


def by_loguru_keywords(handler: logging.Handler) -> Log:
    """Return how a program logs by loguru with keywords of the call."""
    loguru.logger.remove()
    loguru.logger.add(handler)
    return lambda **extras: loguru.logger.info("a query", **extras)


def by_structlog(handler: logging.Handler, *processors: Any) -> Log:
    """Return how a program logs by structlog over logging."""
    logger = logging.Logger("dns", logging.INFO)
    logger.addHandler(handler)
    bound = structlog.wrap_logger(
        logger, processors=list(processors), wrapper_class=structlog.stdlib.BoundLogger
    )
    return lambda **extras: bound.bind(worker=1).info("a query", **extras)


def by_formatter(handler: logging.Handler) -> Log:
    """Return structlog with the event's dict as the message."""
    return by_structlog(
        handler,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(),
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    )


def by_kwargs(handler: logging.Handler) -> Log:
    """Return structlog with the event's dict as logging's own extras."""
    return by_structlog(handler, structlog.stdlib.render_to_log_kwargs)


def by_dict(handler: logging.Handler) -> Log:
    """Return a program that logs dicts."""
    logger = logging.Logger("dns", logging.INFO)
    logger.addHandler(handler)
    return lambda **extras: logger.info(extras)


WAYS = [by_loguru, by_loguru_keywords, by_formatter, by_kwargs, by_dict]


@pytest.fixture(autouse=True)
def _loguru_is_left_as_it_was() -> Iterator[None]:
    yield
    loguru.logger.remove()


@pytest.mark.parametrize("way", WAYS)
def test_extras_one_level_down_are_taken(
    way: Callable[[logging.Handler], Log], handler: DnstapHandler, capture: Path
) -> None:
    """A query that is logged by another library is the same message, with its mistakes counted."""
    log = way(handler)
    log(**EXTRAS, dns_socket_protocol="UDP", worker=2)
    log(worker=2)  # not for dnstap
    log(**EXTRAS, dns_query_adress="192.0.2.1")
    log(dns_query_message=WIRE)

    first, second = messages(handler, capture)
    assert (first.query_message, first.query_port) == (WIRE, 5353)
    assert first.socket_protocol is not None
    assert second.query_message == WIRE
    stats = handler.stats()
    assert (stats.logged, stats.invalid_fields, stats.dropped["invalid"]) == (3, 1, 1)


@pytest.mark.parametrize("way", WAYS)
def test_filters_see_them(
    way: Callable[[logging.Handler], Log], handler: DnstapHandler, capture: Path
) -> None:
    """Filters of the handler choose and change such records as others; the original stays."""
    handler.addFilter(MessageTypeFilter("CLIENT_*"))
    handler.addFilter(QnameFilter("example.org"))
    handler.addFilter(SamplingFilter(1, state_rate=True))
    handler.addFilter(AnonymizingFilter())
    extras = copy.deepcopy(EXTRAS)
    log = way(handler)
    log(**extras)
    log(**{**extras, "dns_message_type": "AUTH_QUERY"})

    (message,) = messages(handler, capture)
    assert message.query_address == bytes([192, 0, 2, 0])
    assert message.extra == b"sample_rate=1"
    assert extras == EXTRAS


@pytest.mark.parametrize("way", WAYS)
def test_an_anonymizing_filter_leaves_no_address_to_the_formatter(
    way: Callable[[logging.Handler], Log], handler: DnstapHandler, capture: Path
) -> None:
    """The dict that the extras came in has none of them left."""
    handler.addFilter(AnonymizingFilter())

    class Everything(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return repr({**record.__dict__, "dns_query_address": None, "message": ""})

    handler.setFormatter(Everything())
    way(handler)(**EXTRAS)

    (message,) = messages(handler, capture)
    assert b"192.0.2.1" not in (message.extra or b"")


@pytest.mark.parametrize("way", [by_formatter, by_dict, by_kwargs])
def test_filters_on_a_logger_see_them(way: Callable[[logging.Handler], Log]) -> None:
    """On a handler of another kind filters choose by them, and what must hide refuses them."""
    seen: List[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record)

    collector = Collector()
    collector.addFilter(QnameFilter(exclude="example.net"))
    log = way(collector)
    log(**EXTRAS)
    assert len(seen) == 1
    collector.addFilter(QnameFilter(exclude="example.org"))
    log(**EXTRAS)
    assert len(seen) == 1
    collector.filters[:] = [AnonymizingFilter()]
    log(**EXTRAS)
    log(worker=2)
    assert len(seen) == 2


def test_they_go_through_a_queue(handler: DnstapHandler, capture: Path) -> None:
    """A QueueListener hands on the records of loguru as they are."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = QueueListener(records, handler)  # type: ignore[arg-type]
    listener.start()
    by_loguru(QueueHandler(records))(**EXTRAS)  # type: ignore[arg-type]
    listener.stop()

    assert [message.query_port for message in messages(handler, capture)] == [5353]


def test_an_adapter_logs_through_structlog(handler: DnstapHandler, capture: Path) -> None:
    """A bound logger of structlog is a logger: the adapter's extras come through it."""
    logger = logging.Logger("dns", logging.INFO)
    logger.addHandler(handler)
    bound = structlog.wrap_logger(
        logger,
        processors=[structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    DnstapAdapter(bound).client_query(WIRE, query_address=("192.0.2.1", 5353))

    assert [message.query_port for message in messages(handler, capture)] == [5353]


class Odd:
    """A key that raises."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("odd")


@pytest.mark.parametrize(
    "values",
    [
        {"extra": {1: 2}},
        {"extra": {Odd(): 1}},
        {"extra": "dns_message_type"},
        {"extra": ["dns_message_type"]},
        {"msg": {}},
        {"msg": None, "extra": None},
    ],
)
def test_what_is_no_dns_record_is_passed_over(handler: DnstapHandler, values: Any) -> None:
    """A dict without dns extras, or something else in its place, is ignored by the handler."""
    assert not handler.handle(logging.makeLogRecord(values))
    assert handler.stats().logged == 0


def test_a_dict_that_changes_meanwhile_does_not_raise(handler: DnstapHandler) -> None:
    """Another thread may add to the dict while the record is looked at."""
    shared: Dict[str, Any] = {**EXTRAS}
    stop = threading.Event()

    def change() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            shared[f"key {number % 50}"] = number
            shared.pop(f"key {(number + 25) % 50}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(2000):
            handler.handle(logging.makeLogRecord({"extra": shared}))
    finally:
        stop.set()
        thread.join()
    assert handler.stats().logged > 0
