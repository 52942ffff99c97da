"""The manual's pages on performance: their figures are those of a run, and the example logs."""

from __future__ import annotations

import logging
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import CodeType
from typing import Any, Dict, Set

import pytest

from dnstap_logging import DnstapAdapter, DnstapReader, MessageType
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.page import insert, pages
from tests.benchmarks.plot import COST, LATENCY, plot
from tests.benchmarks.results import load
from tests.benchmarks.traffic import WIRE
from tests.helpers.pages import DOCS, example

RESULTS = DOCS / "performance.json"
PAGE = DOCS / "performance.md"
EXAMPLE = example("performance.md", "python")
MOST_BYTES = 150_000  # of a plot


def test_the_tables_are_those_of_the_results() -> None:
    """No figure of a page was written by hand: each is in the results of one run."""
    for path in pages(PAGE):
        page = path.read_text(encoding="utf-8")
        assert insert(page, load(RESULTS)) == page, path.name


def test_all_results_are_on_the_pages() -> None:
    """All benchmarks have run, and each has its place on a page, once."""
    text = "".join(path.read_text(encoding="utf-8") for path in pages(PAGE))
    places = re.findall(r"^<!-- measured: (\w+) -->$", text, re.MULTILINE)

    shown = sorted(place for place in places if place != "end")
    assert shown == sorted(["figures", "readme", *BENCHMARKS])
    assert list(load(RESULTS).sections) == list(BENCHMARKS)


def test_only_what_was_measured_is_written_again() -> None:
    """The text around the places stays, also where a place is empty and another one follows."""
    place = "<!-- measured: {} -->\n{}<!-- measured: end -->\n"
    page = "before\n" + place.format("cost", "") + "between\n" + place.format("steps", "old\n")
    new = insert(page + "after\n", load(RESULTS))

    assert new.startswith("before\n<!-- measured: cost -->\n\nOne query")
    assert "<!-- measured: end -->\nbetween\n<!-- measured: steps -->\n\nWhere" in new
    assert new.endswith("<!-- measured: end -->\nafter\n")
    assert "old" not in new


def test_a_page_without_places_is_refused() -> None:
    """A page whose markers were lost is an error, and not a page that stays as it is."""
    with pytest.raises(ValueError, match="measured: end"):
        insert("# Performance\n", load(RESULTS))


@pytest.mark.parametrize("name", [COST, LATENCY])
def test_the_plots_are_there(name: str) -> None:
    """Each plot is a picture that a browser shows, and small."""
    path = DOCS / "images" / name

    assert ElementTree.parse(path).getroot().tag.endswith("svg")
    assert path.stat().st_size < MOST_BYTES
    assert f"](images/{name})" in PAGE.read_text(encoding="utf-8")


def test_the_plots_are_made_of_the_results(tmp_path: Path) -> None:
    """The script draws both plots, of the same size limit, and the same ones each time."""
    pytest.importorskip("matplotlib")
    first, second = (plot(load(RESULTS), tmp_path / name) for name in ("first", "second"))

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert all(path.stat().st_size < MOST_BYTES for path in first)
    assert [path.name for path in first] == [COST, LATENCY]


def test_the_example_logs_without_a_record(capture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's example makes no LogRecord, and the query arrives."""
    logger = logging.Logger("dns")
    namespace: Dict[str, Any] = {}
    code = EXAMPLE.replace("unix:///run/dnstap.sock", str(capture))
    with monkeypatch.context() as patch:
        patch.setattr(logging, "getLogger", lambda name: logger)
        exec(compile(code, "performance.md", "exec"), namespace)
    called: Set[CodeType] = set()
    sys.setprofile(lambda frame, event, argument: called.add(frame.f_code))
    try:
        namespace["received"](WIRE, ("192.0.2.1", 5353))
    finally:
        sys.setprofile(None)
    for handler in logger.handlers:
        handler.close()

    with DnstapReader(capture) as reader:
        (message,) = reader
    assert message.message_type is MessageType.CLIENT_QUERY
    assert (message.query_message, message.query_port) == (WIRE, 5353)
    assert DnstapAdapter.client_query.__code__ in called
    assert logging.LogRecord.__init__.__code__ not in called
