"""The sizes that the project sets itself, as `make lint` checks them (tools/check_sizes.py)."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from tools import check_sizes


def test_files_and_functions_are_short() -> None:
    """What is longer than the limits is named with a reason, and nothing else is."""
    assert check_sizes.complaints() == []
    assert all(check_sizes.EXCEPTIONS.values())


def test_make_lint_asks_for_it() -> None:
    """The check is part of `make lint`."""
    makefile = (check_sizes.ROOT / "Makefile").read_text(encoding="utf-8")
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]

    assert "tools/check_sizes.py" in lint


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["pass"] * 350, []),
        (["pass"] * 351, ["a.py: 351 lines, at most 350"]),
        (["def f():", *["    pass"] * 39], []),
        (["def f():", *["    pass"] * 40], ["a.py:f: 41 lines, at most 40"]),
        (["class A:", "    async def f(self):", *["        pass"] * 40], ["a.py:f: 41 "]),
    ],
)
def test_what_is_too_long_is_found(tmp_path: Path, lines: List[str], found: List[str]) -> None:
    """A file of 351 lines and a function of 41 are named with their size; one less is right."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "a.py").write_text("\n".join(lines) + "\n", encoding="utf-8")

    complaints = check_sizes.complaints(package, {})
    assert len(complaints) == len(found)
    assert all(text.startswith(start) for text, start in zip(complaints, found))

    excepted = {start.partition(": ")[0]: "a reason" for start in found}
    assert check_sizes.complaints(package, excepted) == []


def test_exceptions_end(tmp_path: Path) -> None:
    """An exception that nothing needs any more is a complaint too."""
    (complaint,) = check_sizes.complaints(tmp_path, {"gone.py": "it was long"})

    assert complaint.startswith("gone.py: ")
    assert "not needed" in complaint
