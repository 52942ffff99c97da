"""Draw the manual's picture of a report again: python -m tests.cli.top.screenshot."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.cli.programs import REPOSITORY
from tests.cli.running import call
from tests.cli.top.browser import browse
from tests.cli.top.traffic import write_traffic

PICTURE = REPOSITORY / "docs" / "images" / "top-report.png"
EXCHANGES = 24_000
SIZE = "1180,1840"  # all of the page, and no more


def main() -> None:
    """Write the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with (folder / "resolver.dnstap").open("wb") as file:
            write_traffic(file, EXCHANGES)
        os.chdir(folder)  # so that the page shows the capture's name alone
        assert call("top", "--report", "report.html", "resolver.dnstap").status == 0
        page = folder / "report.html"
        browse(page, folder / "profile", f"--window-size={SIZE}", f"--screenshot={PICTURE}")


if __name__ == "__main__":
    main()
