"""A report in headless Chromium: what is in its document, and how it looks."""

from __future__ import annotations

import struct
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

from tests.helpers.support import require_program

DEADLINE = 180.0  # a browser that starts for the first time, on a busy machine
QUIET = (
    "--headless",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)


class Browsed(NamedTuple):
    """What a browser wrote: the document as it stands after loading, and its log."""

    document: str
    log: str


def browse(page: Path, profile: Path, *arguments: str) -> Browsed:
    """Open a page in Chromium until it is loaded."""
    done = subprocess.run(
        [
            require_program("chromium"),
            *QUIET,
            f"--user-data-dir={profile}",
            *arguments,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Browsed(done.stdout, done.stderr)


def png_size(path: Path) -> Tuple[int, int]:
    """Return width and height of a PNG, by its header."""
    header = path.read_bytes()[:24]
    assert header.startswith(b"\x89PNG\r\n\x1a\n"), "no PNG"
    width, height = struct.unpack(">II", header[16:])
    return width, height


class Document(HTMLParser):
    """What a document shows, by the ids of its elements.

    Attributes:
        texts: the text of each element with an id.
        tables: the rows of each table with an id, as the texts of their cells.
        tags: every tag, with its attributes.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: Dict[str, str] = {}
        self.tables: Dict[str, List[List[str]]] = {}
        self.tags: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self._id: Optional[str] = None
        self._table: Optional[List[List[str]]] = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        """Begin a table, row, cell, or an element with an id."""
        self.tags.append((tag, dict(attrs)))
        found = dict(attrs).get("id")
        if tag == "table":
            self._table = self.tables.setdefault(found or "", [])
        elif tag == "tr" and self._table is not None:
            self._table.append([])
        elif tag in ("th", "td") and self._table:
            self._table[-1].append("")
        elif found:
            self._id = found
            self.texts[found] = ""

    def handle_endtag(self, tag: str) -> None:
        """End a table, or an element with an id."""
        if tag == "table":
            self._table = None
        self._id = None

    def handle_data(self, data: str) -> None:
        """Add text to where it stands."""
        if self._table and self._table[-1]:
            self._table[-1][-1] += data
        elif self._id is not None:
            self.texts[self._id] += data

    def counts(self, table: str) -> Dict[str, int]:
        """Return a table of bars as numbers by their names."""
        return {row[0]: int(row[2].replace(",", "")) for row in self.tables[table]}
