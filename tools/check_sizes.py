"""Check that files and functions stay as small as this project wants them; part of `make lint`.

A file has at most 350 lines and a function 40, docstrings and comments included. What is longer is
named below with the reason; an exception that is not needed any more is a fault, too.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Tuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "dnstap_logging"

MOST_LINES_OF_A_FILE = 350
MOST_LINES_OF_A_FUNCTION = 40

GENERATED = {"codec/proto/dnstap_pb2.py"}

# path in the package, or path:function -> why it is longer
EXCEPTIONS: Dict[str, str] = {
    "adapter/base.py:_log_dns": "runs for each query; one way through, without calls",
    "adapter/direct.py:direct_handlers": "runs for each query; no call between its questions",
    "codec/decoding.py:decode": "runs for each message; one way through, without calls",
    "delivery/queue.py": "all that runs under its one lock, in one place",
    "handler.py:__init__": "the signature is what users see: a line for each argument",
}


def sizes(path: Path, package: Path) -> Iterator[Tuple[str, int, int]]:
    """Yield the name, lines and limit of a file and of each function in it."""
    name = path.relative_to(package).as_posix()
    text = path.read_text(encoding="utf-8")
    yield name, len(text.splitlines()), MOST_LINES_OF_A_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield f"{name}:{node.name}", lines, MOST_LINES_OF_A_FUNCTION


def complaints(package: Path = PACKAGE, exceptions: Mapping[str, str] = EXCEPTIONS) -> List[str]:
    """Return what is too long without a reason, and exceptions that nothing needs."""
    here = Path(__file__).name
    found: List[str] = []
    needed = set()
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package).as_posix() in GENERATED:
            continue
        for name, lines, most in sizes(path, package):
            if lines > most:
                needed.add(name)
                if name not in exceptions:
                    found.append(
                        f"{name}: {lines} lines, at most {most}: split it, or say why in {here}"
                    )
    stale = sorted(set(exceptions) - needed)
    return found + [f"{name}: its exception in {here} is not needed: take it out" for name in stale]


if __name__ == "__main__":
    sys.exit("\n".join(complaints()) or 0)
