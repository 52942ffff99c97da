"""docs/reference/statistics.md: its example prints what was written, and the books balance."""

from __future__ import annotations

from pathlib import Path

from dnstap_logging.delivery.stats import CAUSES
from tests.docs.collector import Collector
from tests.helpers.pages import example, run

QUICK_START = example("logging.md", "python")
STATISTICS = example("reference/statistics.md", "python")


def test_statistics_example_balances(tmp_path: Path, collector: Collector) -> None:
    """The equation of the page is checked by its own example, and two records were written."""
    output = run(tmp_path, QUICK_START + STATISTICS)

    causes = dict.fromkeys(CAUSES, 0)
    assert output == f"2 of 2 written, dropped: {causes}\n"
    assert len(collector.messages) == 2
