"""Put the results of a run into the pages that show them, between their markers.

python -m tests.benchmarks.page docs/performance.json docs/performance.md

The page on performance is named; the page of its goals and the README are found from there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import List

from tests.benchmarks.results import Results, as_markdown, load

BEGIN, END = "<!-- measured: %s -->", "<!-- measured: end -->"
PLACE = re.compile(r"^<!-- measured: (\w+) -->\n(?:.*\n)*?<!-- measured: end -->$", re.MULTILINE)
"""Where a part of the results stands: between two comments, of which the first names it."""


def insert(page: str, results: Results) -> str:
    """Return a page with these results at its places.

    Raises:
        KeyError: the results have no such part, for instance because a program was missing.
        ValueError: the page has no place for any.
    """
    parts = as_markdown(results)
    new, places = PLACE.subn(
        lambda found: f"{BEGIN % found[1]}\n\n{parts[found[1]]}\n\n{END}", page
    )
    if not places:
        raise ValueError("the page has no <!-- measured: ... --> and <!-- measured: end -->")
    return new


def pages(performance: Path) -> List[Path]:
    """Return all pages that show results: this one, the one of the goals, and the README."""
    return [
        performance,
        performance.with_name("performance-goals.md"),
        performance.resolve().parents[1] / "README.md",
    ]


def rewrite(path: Path, results: Results) -> None:
    """Put results into the page of this path."""
    path.write_text(insert(path.read_text(encoding="utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    for page in pages(Path(sys.argv[2])):
        rewrite(page, load(Path(sys.argv[1])))
