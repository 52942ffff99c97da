"""What the tests of the documentation share: its pages, their blocks of code and their tables."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import List, NamedTuple, Set, Tuple

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"

FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`]+)`")


class CodeBlock(NamedTuple):
    """A block of code.

    Attributes:
        language: as it is marked; "" for none.
        code: without the indentation that a list gives it.
        line: its first line on the page.
        before: the text before it, back to the block before.
    """

    language: str
    code: str
    line: int
    before: str


def code_blocks(page: Path) -> List[CodeBlock]:
    """Return the blocks of code of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found: List[CodeBlock] = []
    end = 0
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start(3)) + 1
        code = textwrap.dedent(match.group(3))
        found.append(CodeBlock(match.group(2), code, line, text[end : match.start()]))
        end = match.end()
    return found


def code_in(page: Path, language: str) -> List[str]:
    """Return the code of a page's blocks in this language, in order."""
    return [block.code for block in code_blocks(page) if block.language == language]


def tables(text: str) -> List[List[List[str]]]:
    """Return the tables of a text: for each the rows, for each row the cells; headings first."""
    found: List[List[List[str]]] = []
    for part in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in part.splitlines()]
        found.append(rows[:1] + rows[2:])
    return found


def rows_of(text: str, first_heading: str) -> List[List[str]]:
    """Return the rows of all tables whose first column has this heading."""
    rows = [row for head, *body in tables(text) if head[0] == first_heading for row in body]
    assert rows, f"there is no table of {first_heading!r}"
    return rows


def names(cell: str) -> List[str]:
    """Return what stands in backquotes in a cell."""
    return CODE.findall(cell)


EXAMPLES: Set[Tuple[str, str, int]] = set()
"""Those that a test runs: the page in docs/, the language, and the number among those there."""


def example(page: str, language: str, number: int = 0) -> str:
    """Return a block of code of a page, for a test that runs it."""
    EXAMPLES.add((page, language, number))
    return code_in(DOCS / page, language)[number]
