"""docs/reference/public-surface.txt: what users may rely on is what the code has."""

from __future__ import annotations

import difflib
import importlib.util
from pathlib import Path
from typing import Any

TOOL = Path(__file__).resolve().parents[1] / "tools" / "public_surface.py"


def tool() -> Any:
    """Return the program as a module."""
    spec = importlib.util.spec_from_file_location("public_surface", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_what_the_code_has() -> None:
    """A public name, parameter, default, field, counter or option is changed on purpose, or not."""
    surface = tool()
    written = surface.FILE.read_text(encoding="utf-8").splitlines()
    found = "\n".join(surface.lines()).rstrip().splitlines()

    changes = "\n".join(difflib.unified_diff(written, found, "the file", "the code", lineterm=""))
    assert not changes, f"{changes}\n\nif that is meant: python tools/public_surface.py"
