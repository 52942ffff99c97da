"""The documentation: its links lead somewhere and its Python is Python."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Iterator, Set

import pytest

from tests.helpers.pages import (
    DOCS,
    FENCE,
    REPOSITORY,
    code_in,
    not_run,
    python_examples,
)

PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(each for each in DOCS.glob("**/*.md") if "_build" not in each.parts),
    ]
)

INLINE_CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)


def page_name(path: Path) -> str:
    """Return a page's path from the top of the repository."""
    return path.relative_to(REPOSITORY).as_posix()


def prose(page: Path) -> str:
    """Return a page without its code."""
    return INLINE_CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> Set[str]:
    """Return the anchors of a page's headings, spelled as the usual renderers spell them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """Yield the links of a page that stay in the repository and lead nowhere."""
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            yield target


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link into the repository names a file, and a heading of it, that is there."""
    assert list(broken_links(page)) == [], f"{page_name(page)} has broken links"


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_python_examples_compile(page: Path) -> None:
    """Every Python example is valid on the oldest Python that runs these tests."""
    for line, code in python_examples(page):
        compile("\n" * (line - 1) + code, page_name(page), "exec")


def test_there_is_something_to_check() -> None:
    """The pages that every project has are among those checked."""
    assert {"README.md", "CHANGELOG.md", "CONTRIBUTING.md"} <= set(map(page_name, PAGES))


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_receivers_of_the_examples_listen(page: Path) -> None:
    """A receiver that a page makes is entered or started there: else it never listens."""
    for line, code in python_examples(page):
        for at, text in enumerate(code.splitlines(), line):
            if re.search(r"\bDnstapReceiver\(", text):
                assert re.match(r" *with ", text) or ".start()" in text, f"{page_name(page)}:{at}"


TOCTREE = re.compile(r"^```{toctree}\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_page_is_in_the_manual() -> None:
    """The table of contents has each page once, and no page that does not exist."""
    index = DOCS / "index.md"
    entries = [
        line.rpartition("<")[2].rstrip(">")
        for part in TOCTREE.findall(index.read_text(encoding="utf-8"))
        for line in part.splitlines()
        if line and not line.startswith(":")
    ]
    listed = [(DOCS / f"{entry}.md").resolve() for entry in entries]

    assert sorted(listed) == sorted({*PAGES, REPOSITORY / "examples" / "README.md"} - {index})


def test_every_page_of_the_manual_is_linked_from_its_front() -> None:
    """A reader on a code host, where there is no sidebar, finds each page from docs/index.md."""
    index = DOCS / "index.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose(index))
    }

    assert [page_name(page) for page in PAGES if page not in linked and page != index] == []


GUIDES = ("install", "logging", "collecting", "reading", "processes", "threads", "performance")
RUN = [
    *(page for page in PAGES if page.parent.name in ("howto", "reference")),
    *(DOCS / f"{name}.md" for name in GUIDES),
]
"""Pages whose examples are taken by `tests.helpers.pages.example`; others have their own ways."""


@pytest.fixture(scope="module")
def all_tests_of_pages() -> None:
    """Import them all, since each takes its examples when it is imported."""
    folder = Path(__file__).parent
    for path in folder.glob("test_*.py"):
        module = path.relative_to(REPOSITORY).with_suffix("").as_posix().replace("/", ".")
        importlib.import_module(module)


@pytest.mark.usefixtures("all_tests_of_pages")
@pytest.mark.parametrize("page", RUN, ids=page_name)
def test_every_example_is_run(page: Path) -> None:
    """Each block of Python, shell and ini is taken by a test that runs it."""
    assert not_run(page.relative_to(DOCS).as_posix()) == []


HOW_TOS = [page for page in PAGES if page.parent.name == "howto"]


@pytest.mark.parametrize("page", HOW_TOS, ids=page_name)
def test_handlers_of_how_tos_are_attached(page: Path) -> None:
    """A handler that a how-to makes is attached to a logger there, not by a test alone."""
    code = "\n".join(code_in(page, "python"))
    made = re.findall(r"^(\w+) = DnstapHandler\(", code, re.MULTILINE)

    for name in made:
        assert code.count(f".addHandler({name})") == made.count(name)
