"""`Stats`: a counter is written once, and everything that shows it follows."""

from __future__ import annotations

import inspect
import re
import types
from pathlib import Path
from typing import Any, Tuple

import pytest

from dnstap_logging.delivery import stats as module
from dnstap_logging.delivery.stats import CAUSES, METRICS, Counters, Metric, Stats

NOT_NUMBERS = {"address", "attempts", "last_error"}


def with_one_more() -> Any:
    """Return a copy of the module of which `Stats` has one more line."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    line = '    sneezes: Annotated[int, Metric("dnstap_sneezes", "Sneezes.")]\n'
    changed, places = re.subn(
        r"^    address: str\n(?=    last_error.*\n)", rf"{line}\g<0>", source, count=1, flags=re.M
    )
    assert places == 1
    copy = types.ModuleType("stats_with_one_more")
    exec(compile(changed, "stats_with_one_more", "exec", dont_inherit=True), vars(copy))
    return copy


def test_a_new_counter_is_one_line() -> None:
    """One line of `Stats` makes a counter that begins at 0, is snapshot and has a metric."""
    copy = with_one_more()
    counters = copy.Counters("unix:///x")
    assert counters.snapshot(0).sneezes == 0

    counters.sneezes += 2
    assert counters.snapshot(0).sneezes == 2
    assert copy.METRICS["sneezes"] == ("dnstap_sneezes", "Sneezes.", False)


def test_prometheus_shows_a_new_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector has the metric of a counter that it has never heard of."""
    prometheus = pytest.importorskip("dnstap_logging.integrations.prometheus")
    copy = with_one_more()
    monkeypatch.setattr(prometheus, "METRICS", copy.METRICS)
    counters = copy.Counters("unix:///x")
    counters.sneezes += 3

    class Handler(prometheus.DnstapHandler):  # type: ignore[misc,name-defined]
        def stats(self) -> Any:
            return counters.snapshot(0)

    handler = Handler("unix:///nowhere/dnstap.sock")
    try:
        (family,) = [
            each
            for each in prometheus.DnstapCollector([handler]).collect()
            if each.name == "dnstap_sneezes"
        ]
        assert [sample.value for sample in family.samples] == [3]
    finally:
        handler.close()


def test_every_number_has_a_metric() -> None:
    """Every number of `Stats` has a metric for Prometheus."""
    assert list(METRICS) == [name for name in Stats._fields if name not in NOT_NUMBERS]
    assert len({metric.name for metric in METRICS.values()}) == len(METRICS)
    assert all(isinstance(metric, Metric) and metric.help for metric in METRICS.values())


def test_docstring_has_every_field() -> None:
    """The docstring says what each field is, in their order."""
    docstring = inspect.cleandoc(Stats.__doc__ or "")  # which Python 3.13 has without indentation
    listed = re.findall(r"^    (\w+): ", docstring, re.MULTILINE)

    assert tuple(listed) == Stats._fields


def test_types_are_plain() -> None:
    """help() and the manual show the types without the metrics."""
    shown: Tuple[Any, ...] = tuple(Stats.__annotations__[name] for name in ("logged", "connected"))

    assert shown == (int, bool)
    assert Stats.__new__.__annotations__ == Stats.__annotations__


def test_books_begin_with_zeros() -> None:
    """A snapshot of new books has 0 in every counter and cause."""
    stats = Counters("unix:///x").snapshot(0)

    assert stats.dropped == dict.fromkeys(CAUSES, 0)
    assert (stats.address, stats.last_error, stats.connected) == ("unix:///x", None, False)
    assert stats.attempts == {"unix:///x": (0, None)}
    rest = set(Stats._fields) - {"dropped", "address", "attempts", "last_error", "connected"}
    assert {name: getattr(stats, name) for name in rest} == dict.fromkeys(rest, 0)


def test_print_shows_a_table() -> None:
    """print() shows each number that is not 0, the causes of what is lost, and the last error."""
    counters = Counters("unix:///x")
    assert str(counters.snapshot(0)) == "unix:///x: not connected"

    counters.connected = True
    counters.taken = counters.in_flight = 12345
    counters.settle(12000, 1_000_000, {"too_large": 5}, 0, False)
    counters.refuse("queue_full")
    counters.last_error = "it broke"
    assert str(counters.snapshot(7)).splitlines() == [
        "unix:///x: connected",
        "  logged            12353",
        "  accepted          12352",
        "  written           12000",
        "  bytes_written   1000000",
        "  queued                7",
        "  in_flight           340",
        "  dropped               6  (queue_full 1  too_large 5)",
        "  last_error: it broke",
    ]


def test_print_shows_what_failed_at_each_of_several_addresses() -> None:
    """With several addresses, each that failed has a line."""
    counters = Counters("unix:///x")
    counters.attempts = {"unix:///x": (3, "gone"), "tcp://b:1": (0, None)}
    assert str(counters.snapshot(0)).splitlines() == [
        "unix:///x: not connected",
        "  failures of unix:///x: 3, the last: gone",
    ]
