"""The page of `top --report`: by itself, and in a browser."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import List

import pytest

from dnstap_logging.cli.top.charts import latency_chart, time_chart
from dnstap_logging.cli.top.latency import Bar
from dnstap_logging.cli.top.report import as_html
from dnstap_logging.cli.top.statistics import Traffic
from dnstap_logging.cli.top.summary import as_text
from dnstap_logging.cli.top.timeline import SECOND, Bin
from dnstap_logging.cli.top.units import stamp
from tests.cli.running import call
from tests.cli.top.browser import Document, browse, png_size
from tests.cli.top.samples import second_count, side, wire
from tests.cli.top.traffic import messages, write_traffic

EXCHANGES = 2000
HOSTILE = b"\x3f" + b"<script>alert(1)</script>\"'&<img src=http://192.0.2.1/>".ljust(63, b"\x1b")


def hostile_traffic() -> Traffic:
    """Return traffic whose names would break out of a page, or of a terminal."""
    traffic = Traffic()
    traffic.add(side("CLIENT_QUERY", 0, query_message=wire(HOSTILE + b"\7example\0")))
    return traffic


def test_nothing_from_the_network_breaks_out_of_the_page() -> None:
    """Names with tags, quotes and escapes, and such a source: text, and no element more."""
    harmless = Document(as_html(Traffic().summary(10), "a file"))
    hostile = Document(as_html(hostile_traffic().summary(10), '"><script>alert(1)</script>'))

    assert hostile.tables["names"][0][0].startswith("<script>alert\\(1\\)</script>\\\"'&<img")
    allowed = {tag for tag, _ in harmless.tags} | {"th", "i", "svg", "g", "rect", "line", "text"}
    assert {tag for tag, _ in hostile.tags} - {"title"} <= allowed
    assert "script" not in {tag for tag, _ in hostile.tags}
    assert not [name for _, given in hostile.tags for name in given if name.startswith("on")]


def test_nothing_from_the_network_reaches_the_terminal_raw() -> None:
    """The same names in the summary: no control character but the ends of its lines."""
    text = as_text(hostile_traffic().summary(10), "a file")

    assert [char for char in text if not char.isprintable() and char != "\n"] == []


def test_the_page_needs_nothing_else() -> None:
    """No element that loads, no address in it, and a policy that forbids both to the browser."""
    page = as_html(hostile_traffic().summary(10), "a file")
    document = Document(page)

    policy = next(given["content"] for tag, given in document.tags if "http-equiv" in given)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"
    assert {tag for tag, _ in document.tags} & {
        "link",
        "img",
        "iframe",
        "script",
        "object",
    } == set()
    assert not [name for _, given in document.tags for name in given if name in ("src", "href")]
    assert re.findall(r"url\(|@import", page) == []


def test_an_empty_report_is_a_page_too() -> None:
    """Without a single message: zeros and dashes."""
    document = Document(as_html(Traffic().summary(10), "a file"))

    assert document.texts["messages"] == "0"
    assert document.texts["first"] == "-"
    assert document.tables["types"] == [["none"]]


def bars_of(svg: str, name: str) -> List[float]:
    """Return the heights of a chart's bars."""
    return [float(each) for each in re.findall(rf'"{name}"[^>]* height="([0-9.]+)"', svg)]


def test_bars_are_as_high_as_their_counts() -> None:
    """100 pixels of height for an axis that ends at 4: each message is 25 pixels."""
    bins = [Bin(0, 2, 1), Bin(SECOND, 0, 4)]
    svg = time_chart(bins, SECOND, size=(300, 134))

    assert bars_of(svg, "queries") == [50.0]
    assert bars_of(svg, "responses") == [25.0, 100.0]
    assert "00:00:01: 0 queries, 4 responses in 1 s" in svg
    latencies = latency_chart([Bar(1000, 2000, 4), Bar(2000, 5000, 0)], size=(300, 134))
    assert bars_of(latencies, "queries") == [100.0]
    assert "1 µs to 2 µs: 4" in latencies


@pytest.mark.parametrize("seconds", [1, 60, 7200, 86400 * 3])
def test_labels_of_time_are_round_and_few(seconds: int) -> None:
    """At most seven, whatever the length of the traffic."""
    width = max(SECOND // 100, seconds * SECOND // 200)
    bins = [Bin(number * width, 1, 0) for number in range(200)]
    labels = re.findall(r'text-anchor="start">([^<]*)<', time_chart(bins, width, size=(900, 200)))

    assert 2 <= len(labels) <= 7


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture of 2,000 exchanges."""
    path = tmp_path_factory.mktemp("report") / "traffic.dnstap"
    with path.open("wb") as file:
        write_traffic(file, EXCHANGES)
    return path


def test_the_page_opens_in_a_browser_with_the_numbers_of_the_capture(
    capture: Path, tmp_path: Path
) -> None:
    """Headless Chromium shows what a second, independent count of the capture finds: messages by
    type, codes, protocols, query types, clients, first and last time, as `check` does; nothing is
    refused by its policy, and there is something to see.
    """
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    assert call("top", "--report", page, capture).status == 0
    profile = tmp_path / "profile"
    browsed = browse(page, profile, "--dump-dom")
    browse(page, profile, "--window-size=1180,1700", f"--screenshot={picture}")

    shown, expected = Document(browsed.document), second_count(list(messages(EXCHANGES)))
    assert shown.counts("types") == expected["types"]
    assert shown.counts("rcodes") == expected["rcodes"]
    assert shown.counts("protocols") == expected["protocols"]
    assert shown.counts("query-types") == expected["query_types"]
    assert shown.counts("clients") == dict(
        sorted(expected["clients"].items(), key=lambda item: (-item[1], item[0]))[:12]
    )
    assert shown.texts["messages"] == f"{len(expected['times']):,}"
    assert shown.texts["first"] == stamp(min(expected["times"]))
    assert shown.texts["last"] == stamp(max(expected["times"]))
    unanswered = re.match(r"([\d,]+) queries answered", shown.texts["pairs"])
    assert unanswered is not None
    assert int(unanswered[1].replace(",", "")) == len(expected["latencies"])
    checked = json.loads(call("check", "--json", capture).out)
    assert shown.counts("types") == checked["types"]
    assert [shown.texts["first"], shown.texts["last"]] == [checked["first"], checked["last"]]
    assert "Refused" not in browsed.log
    assert png_size(picture) == (1180, 1700)
    assert picture.stat().st_size > 50_000, "an empty page would be smaller"
