"""What the tests of the documentation share: its pages, blocks and tables; running examples."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Dict, List, NamedTuple, Set, Tuple

from tests.helpers.support import require_program

REPOSITORY = Path(__file__).resolve().parents[2]
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
    """Return the texts in backquotes in a cell."""
    return CODE.findall(cell)


EXAMPLES: Set[Tuple[str, str, int]] = set()
"""Those that a test runs: the page in docs/, the language, and the number among those there."""


def example(page: str, language: str, number: int = 0) -> str:
    """Return a block of code of a page, for a test that runs it."""
    EXAMPLES.add((page, language, number))
    return code_in(DOCS / page, language)[number]


def not_run(page: str) -> List[str]:
    """Return the Python, shell and ini of a page in docs/ that no test has taken."""
    return [
        code
        for language in ("python", "sh", "ini")
        for number, code in enumerate(code_in(DOCS / page, language))
        if (page, language, number) not in EXAMPLES
    ]


SECTION = re.compile(r"^## +(.+)$", re.MULTILINE)


def sections(page: Path) -> Dict[str, str]:
    """Return the text of each section of a page, by its heading."""
    _, *parts = SECTION.split(page.read_text(encoding="utf-8"))
    return dict(zip(parts[::2], parts[1::2]))


# -- running examples ------------------------------------------------------------------------------

DEADLINE = 60  # seconds for a program: generous, since nothing here is a matter of speed
SOCKET = "unix:///run/dnstap.sock"  # the address that the examples have for the user's own

LOG_ONE = """
logging.getLogger("dns").info("query", extra={
    "dns_message_type": "CLIENT_QUERY", "dns_query_port": 4711
})
"""


def start(folder: Path, code: str) -> subprocess.Popen[str]:
    """Start code of a page as a program in this folder, warnings as errors."""
    program = folder / "example.py"
    program.write_text(code.replace(SOCKET, f"unix://{folder}/dnstap.sock"), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(program)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, code: str) -> str:
    """Run it to its end, which must be a good one and a silent one; return what it printed."""
    with start(folder, code) as process:
        try:
            output, said = process.communicate(timeout=DEADLINE)
        finally:
            process.kill()
    assert (process.returncode, said) == (0, ""), said
    return output


def run_command(folder: Path, line: str) -> str:
    """Run a line of shell, without a shell, to its good end; return what it printed.

    `dnstap-logging` is this repository's; another program that is missing skips the test.
    """
    program, *arguments = shlex.split(line, comments=True)
    ours = program == "dnstap-logging"
    command = [sys.executable, "-m", "dnstap_logging"] if ours else [require_program(program)]
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def python_examples(page: Path) -> List[Tuple[int, str]]:
    """Return the Python examples of a page, each with the line on which it begins."""
    return [
        (block.line, block.code)
        for block in code_blocks(page)
        if block.language in ("python", "py")
    ]
