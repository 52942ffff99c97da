"""`DnstapCollector`: the books of the handlers, as Prometheus reads them."""

from __future__ import annotations

import gc
import http.server
import logging
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from dnstap_logging import DnstapHandler, DnstapReceiver, MessageType
from dnstap_logging.delivery.stats import CAUSES
from dnstap_logging.integrations.prometheus import DnstapCollector
from tests.helpers.support import wait_until
from tests.integrations.servers import running

Samples = Dict[Tuple[str, Tuple[Tuple[str, str], ...]], float]


def samples(registry: CollectorRegistry) -> Samples:
    """Return what a registry exposes, as a parser reads it; no sample may be there twice."""
    return parsed(generate_latest(registry).decode())


def parsed(text: str) -> Samples:
    """Return the samples of an exposition by name and labels."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found, f"{key} is exposed twice"
            found[key] = sample.value
    return found


@pytest.fixture
def handlers(tmp_path: Path) -> Iterator[List[DnstapHandler]]:
    """Two handlers with something in their books: messages, a bad field, a bad message."""
    made = [DnstapHandler(tmp_path / f"{name}.fstrm") for name in ("a", "b")]
    made[0].set_name("first")
    extras: List[Dict[str, Any]] = [
        {"dns_message_type": MessageType.CLIENT_QUERY, "dns_query_message": bytes(12)},
        {"dns_message_type": "CLIENT_QUERY", "dns_query_port": -1},
        {"dns_message_type": "NO_TYPE"},
    ]
    for extra in extras:
        made[0].handle(logging.makeLogRecord(extra))
    for handler in made:
        assert handler.flush(20)
    yield made
    for handler in made:
        handler.close()


def registered(*arguments: Any) -> CollectorRegistry:
    """Return a registry with a collector."""
    registry = CollectorRegistry()
    registry.register(DnstapCollector(*arguments))
    return registry


def test_numbers_are_those_of_the_books(handlers: List[DnstapHandler]) -> None:
    """Every metric of every handler is what its stats say; names and units are conventional."""
    found = samples(registered(handlers))

    names = ["first", "DnstapHandler"]
    for name, handler in zip(names, handlers):
        stats = handler.stats()
        labels = (("address", stats.address), ("handler", name))
        expected = {
            "dnstap_records_logged_total": stats.logged,
            "dnstap_records_accepted_total": stats.accepted,
            "dnstap_records_written_total": stats.written,
            "dnstap_written_bytes_total": stats.bytes_written,
            "dnstap_records_resent_total": stats.resent,
            "dnstap_records_confirmed_total": stats.confirmed,
            "dnstap_records_unconfirmed_total": stats.unconfirmed,
            "dnstap_invalid_fields_total": stats.invalid_fields,
            "dnstap_connects_total": stats.connects,
            "dnstap_disconnects_total": stats.disconnects,
            "dnstap_queue_records": stats.queued,
            "dnstap_in_flight_records": stats.in_flight,
            "dnstap_connected": stats.connected,
            "dnstap_address_connected": stats.connected,
            "dnstap_spooled_records": stats.spooled,
            "dnstap_records_recovered_total": stats.recovered,
            "dnstap_spooled_bytes": stats.spooled_bytes,
        }
        got = {key[0]: value for key, value in found.items() if key[1] == labels}
        assert got == expected
        for cause in CAUSES:
            key = tuple(sorted((*labels, ("cause", cause))))
            assert found["dnstap_records_dropped_total", key] == stats.dropped[cause], cause
    assert handlers[0].stats().dropped["invalid"] == handlers[0].stats().invalid_fields == 1
    assert len(found) == 2 * (17 + len(CAUSES))


def test_each_address_has_its_own_gauge(tmp_path: Path) -> None:
    """The label of all else stays the first address, whichever one is connected."""
    addresses = [f"unix://{tmp_path}/{name}.sock" for name in ("first", "second")]
    handler = DnstapHandler(addresses, reconnect_interval=60)
    logger = logging.Logger("dns")
    logger.addHandler(handler)
    registry = registered([handler])

    def gauges(name: str) -> Dict[str, float]:
        return {
            dict(labels)["address"]: value
            for (each, labels), value in samples(registry).items()
            if each == name
        }

    with DnstapReceiver(addresses[1], lambda message: None):
        try:
            assert gauges("dnstap_address_connected") == {addresses[0]: 0, addresses[1]: 0}
            logger.info("query", extra={"dns_message_type": "CLIENT_QUERY"})
            wait_until(lambda: handler.stats().connected, "a session")
            assert gauges("dnstap_address_connected") == {addresses[0]: 0, addresses[1]: 1}
            assert gauges("dnstap_connected") == {addresses[0]: 1}
        finally:
            handler.close()


def test_books_balance_for_prometheus_too(handlers: List[DnstapHandler]) -> None:
    """The one equation of the books can be asked of the metrics: each scrape is one moment."""
    found = samples(registered(handlers[:1]))

    totals: Dict[str, float] = {}
    for (name, _), value in found.items():
        totals[name] = totals.get(name, 0) + value
    assert totals["dnstap_records_logged_total"] == 3
    assert totals["dnstap_records_logged_total"] == (
        totals["dnstap_records_written_total"]
        + totals["dnstap_queue_records"]
        + totals["dnstap_in_flight_records"]
        + totals["dnstap_records_dropped_total"]
    )


def test_all_handlers_that_exist_when_asked(tmp_path: Path) -> None:
    """Without an argument, handlers made after the collector are there, and closed ones too."""
    registry = registered()
    handler = DnstapHandler(tmp_path / "later.fstrm")
    handler.set_name("later")
    try:
        assert label_values(registry, "handler") >= {"later"}
    finally:
        handler.close()


def label_values(registry: CollectorRegistry, label: str) -> set[str]:
    """Return the values of a label."""
    return {dict(labels)[label] for _, labels in samples(registry)}


def test_handlers_of_one_name_and_address(tmp_path: Path) -> None:
    """Two handlers with the same labels get distinct labels, or Prometheus would refuse both."""
    address = f"unix://{tmp_path}/none.sock"
    handlers = [DnstapHandler(address), DnstapHandler(address)]
    try:
        found = label_values(registered(handlers), "handler")
        assert found == {"DnstapHandler", "DnstapHandler#2"}
    finally:
        for handler in handlers:
            handler.close()


def test_collector_keeps_no_handler_alive(tmp_path: Path) -> None:
    """Metrics do not keep a dropped handler alive; it drains as usual, and they end."""
    handler = DnstapHandler(tmp_path / "a.fstrm")
    registry = registered([handler])
    assert label_values(registry, "handler") == {"DnstapHandler"}
    handler.close()
    del handler
    gc.collect()

    assert samples(registry) == {}


def test_scraped_by_http(handlers: List[DnstapHandler]) -> None:
    """What prometheus_client's own server hands out is what a Prometheus would read."""
    metrics = MetricsHandler.factory(registered(handlers))
    with http.server.HTTPServer(("127.0.0.1", 0), metrics) as server, running(server):
        url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
        with urllib.request.urlopen(url, timeout=20) as response:
            found = parsed(response.read().decode())

    key = (
        "dnstap_records_written_total",
        (("address", handlers[0].stats().address), ("handler", "first")),
    )
    assert found[key] == 2


def test_registering_reads_no_books(tmp_path: Path) -> None:
    """A collector tells its metrics' names without scraping, so clashes are found at once."""
    registry = registered([])

    with pytest.raises(ValueError, match="dnstap_records_logged"):
        registry.register(DnstapCollector([]))
    assert samples(registry) == {}


@pytest.mark.parametrize("wrong", [[logging.NullHandler()], ["name"], 5])
def test_wrong_handlers_are_a_type_error(wrong: Any) -> None:
    """What is no dnstap handler fails in the constructor."""
    with pytest.raises(TypeError):
        DnstapCollector(wrong)
