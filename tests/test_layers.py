"""The layers: a module imports from lower rooms or its own folder, and little else."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Tuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "dnstap_logging"

# The rooms by floor, the lowest first: a module or a folder imports only from lower floors, or
# inside its own folder. A new room needs an entry: put it as low as its imports allow, and run
# `make docs`, which draws the floors (tools/draw_rooms.py).
FLOORS: Tuple[Tuple[str, ...], ...] = (
    ("_version", "address", "copies", "dnswire", "exceptions", "interrupts", "loggers"),
    ("diagnostics", "framestream", "shorten"),
    ("arguments", "message", "process"),
    ("codec", "text", "transport"),
    ("capture", "columns", "filters", "kafka", "receiver"),
    ("reader", "spool"),
    ("delivery",),
    ("handler",),
    ("adapter", "lookup"),
    ("integrations", "rotating"),
    ("cli",),
    ("__init__", "__main__"),
)

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

# Up to the handlers, nothing but the standard library and this: the one dependency.
DEPENDENCY = "google.protobuf"
LAST_FLOOR_WITHOUT_EXTRAS = FLOOR["adapter"]


class Import(NamedTuple):
    """One import statement's module: which file imports what, and where."""

    source: str  # path within the package
    line: int
    target: str  # full dotted name
    at_module_level: bool  # executed by importing the file

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def room_of(dotted: str) -> str:
    """Return the room of a module of the package: its first part, or the package itself."""
    return dotted.split(".")[1] if "." in dotted else "__init__"


def source_files() -> List[Path]:
    """Return every Python file of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def relative_base(path: Path, level: int) -> str:
    """Return the package that a relative import of this file starts from."""
    parts = (PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1])
    return ".".join(parts[: len(parts) - level + 1])


def targets(node: ast.AST, path: Path) -> Iterator[str]:
    """Yield the dotted names that an import statement imports; nothing for any other node."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            base = ".".join(filter(None, [relative_base(path, node.level), node.module]))
        # `from package import module` reaches the module, `from module import name` the module.
        for alias in node.names:
            dotted = f"{base}.{alias.name}"
            yield dotted if base == PACKAGE.name and alias.name in FLOOR else base


def is_type_checking(node: ast.AST) -> bool:
    """Return whether a node is `if TYPE_CHECKING:`, whose body only type checkers read."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports_in(path: Path) -> List[Import]:
    """Return every import of a file, in functions and for type checkers too."""
    found: List[Import] = []
    source = path.relative_to(PACKAGE).as_posix()

    def visit(node: ast.AST, executed: bool) -> None:
        for target in targets(node, path):
            found.append(Import(source, getattr(node, "lineno", 0), target, executed))
        deferred = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, executed and not deferred and not is_type_checking(node))

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


def room_of_file(path: Path) -> str:
    """Return the room that a file of the package belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first[: -len(".py")] if first.endswith(".py") else first


IMPORTS: Dict[Path, List[Import]] = {path: imports_in(path) for path in source_files()}


def file_id(path: Path) -> str:
    """Name a file in the test's id."""
    return path.relative_to(PACKAGE).as_posix()


def test_every_module_has_its_room() -> None:
    """A module that is not in the table would escape the rule."""
    homeless = sorted({room_of_file(path) for path in IMPORTS} - set(FLOOR))

    assert homeless == [], "add these to FLOORS, each as low as its imports allow"


def test_the_reader_of_imports_sees_them_all() -> None:
    """The package's imports are found, relative and absolute: an empty list would prove nothing."""
    inside = [found for all_of in IMPORTS.values() for found in all_of if is_ours(found)]

    assert len(inside) > len(IMPORTS), f"only {len(inside)} imports found in {len(IMPORTS)} files"


def is_ours(found: Import) -> bool:
    """Return whether an import stays in the package."""
    return found.target.split(".")[0] == PACKAGE.name


@pytest.mark.parametrize("path", IMPORTS, ids=file_id)
def test_imports_come_from_lower_floors(path: Path) -> None:
    """No import goes up or sideways, also not inside a function or for types only."""
    room = room_of_file(path)
    wrong = [
        f"{found} (floor {FLOOR[room_of(found.target)]}, its own is {FLOOR[room]})"
        for found in IMPORTS[path]
        if is_ours(found)
        and room_of(found.target) != room
        and FLOOR[room_of(found.target)] >= FLOOR[room]
    ]

    assert wrong == []


@pytest.mark.skipif(sys.version_info < (3, 10), reason="sys.stdlib_module_names came with 3.10")
@pytest.mark.parametrize(
    "path",
    [path for path in IMPORTS if FLOOR.get(room_of_file(path), 0) <= LAST_FLOOR_WITHOUT_EXTRAS],
    ids=file_id,
)
def test_nothing_foreign_is_imported_by_importing(path: Path) -> None:
    """Up to the handlers, importing a module imports the standard library and protobuf only."""
    wrong = [
        str(found)
        for found in IMPORTS[path]
        if found.at_module_level and not is_ours(found) and not is_allowed(found.target)
    ]

    assert wrong == []


def is_allowed(target: str) -> bool:
    """Return whether a module is in the standard library or in protobuf."""
    names: FrozenSet[str] = getattr(sys, "stdlib_module_names", frozenset())
    return target.split(".")[0] in names or (target + ".").startswith(DEPENDENCY + ".")
