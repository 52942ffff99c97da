"""Write down what users may rely on: names, signatures, fields, counters, options, exit statuses.

    python tools/public_surface.py            # writes docs/reference/public-surface.txt
    python tools/public_surface.py --check    # says whether that is what the code has

A change of that file is a change for users: it belongs into the changelog.
"""

from __future__ import annotations

import argparse
import enum
import importlib
import inspect
import sys
from pathlib import Path
from typing import Any, Iterator, List

from dnstap_logging.cli import common
from dnstap_logging.cli.main import make_parser
from dnstap_logging.delivery.stats import CAUSES, METRICS

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "docs" / "reference" / "public-surface.txt"

MODULES = (
    "dnstap_logging",
    "dnstap_logging.exceptions",
    "dnstap_logging.filters",
    "dnstap_logging.text",
    "dnstap_logging.integrations.dnslib",
    "dnstap_logging.integrations.dnspython",
    "dnstap_logging.integrations.prometheus",
    "dnstap_logging.integrations.socketserver",
)
"""The modules whose ``__all__`` is public."""

SINGLE = (
    ("dnstap_logging.receiver", "ReceiverStats"),
    ("dnstap_logging.address", "Address"),
)


def lines() -> Iterator[str]:
    """Yield the whole text, line by line."""
    for module in MODULES:
        yield module
        found = importlib.import_module(module)
        for name in sorted(found.__all__):
            yield from described(name, getattr(found, name))
        yield ""
    for module, name in SINGLE:
        yield module
        yield from described(name, getattr(importlib.import_module(module), name))
        yield ""
    yield "causes of dropping: " + ", ".join(CAUSES)
    yield "metrics: " + ", ".join(metric.name for metric in METRICS.values())
    yield ""
    yield from commands()


def described(name: str, value: Any) -> Iterator[str]:
    """Yield the lines of one public name."""
    if isinstance(value, type) and issubclass(value, enum.Enum):
        yield f"  {name}: " + ", ".join(f"{each.name}={each.value}" for each in value)
    elif isinstance(value, type) and issubclass(value, tuple) and hasattr(value, "_fields"):
        yield f"  {name}: fields " + ", ".join(value._fields)
        yield from members(value)
    elif isinstance(value, type):
        bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
        yield f"  {name}({bases}){signature(value)}" if bases else f"  {name}{signature(value)}"
        yield from members(value)
    elif callable(value):
        yield f"  {name}{signature(value)}"
    else:
        yield f"  {name}: {type(value).__name__}"


def members(kind: type) -> Iterator[str]:
    """Yield the public methods and properties that a class has from this package."""
    fields = getattr(kind, "_fields", ())
    own = [each for each in reversed(kind.__mro__) if each.__module__.startswith("dnstap_logging")]
    found = {name: member for each in own for name, member in vars(each).items()}
    for name, member in sorted(found.items()):
        if name.startswith("_") or name in fields:
            continue
        if isinstance(member, property):
            yield f"    {name}"
        elif isinstance(member, (staticmethod, classmethod)):
            yield f"    {name}{signature(member.__func__)}"
        elif inspect.isfunction(member):
            yield f"    {name}{signature(member)}"


def signature(value: Any) -> str:
    """Return the parameters with their defaults, without annotations, which differ by Python."""
    try:
        found = inspect.signature(value)
    except (TypeError, ValueError):  # of a builtin
        return "(…)"
    parameters = [
        each.replace(annotation=each.empty, default=shown(each.default))
        for each in found.parameters.values()
    ]
    return str(found.replace(parameters=parameters, return_annotation=found.empty))


class _Shown:
    """A default by its text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def shown(default: Any) -> Any:
    """Return a default whose text is the same in each process."""
    if default is inspect.Parameter.empty or isinstance(default, (int, str, float, bytes)):
        return default
    if isinstance(default, enum.Enum):
        return _Shown(str(default))
    return _Shown(f"<{type(default).__name__}>") if " at 0x" in repr(default) else default


def commands() -> Iterator[str]:
    """Yield the commands with their options, and the exit statuses."""
    parser = make_parser()
    yield "dnstap-logging"
    yield f"  exit statuses: 0, 1, {common.USAGE}, {common.INTERRUPTED}"
    (subparsers,) = [
        each for each in parser._actions if isinstance(each, argparse._SubParsersAction)
    ]
    for name, command in subparsers.choices.items():
        words: List[str] = []
        for action in command._actions:
            words.append("/".join(action.option_strings) or str(action.dest).upper())
        yield f"  {name}: " + " ".join(words)


def main() -> int:
    """Write the file, or compare it."""
    text = "\n".join(lines()).rstrip() + "\n"
    if "--check" in sys.argv[1:]:
        return int(FILE.read_text(encoding="utf-8") != text)
    FILE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
