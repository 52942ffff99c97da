"""The reference is complete: what the code has, its tables have, and nothing else."""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
from typing import Any, Dict, Iterator, List, Tuple

import pytest

import dnstap_logging
import dnstap_logging.exceptions
import dnstap_logging.filters
import dnstap_logging.integrations.dnslib
import dnstap_logging.integrations.dnspython.client
import dnstap_logging.integrations.prometheus
import dnstap_logging.integrations.socketserver
from dnstap_logging import (
    DnstapHandler,
    DnstapReceiver,
    MessageType,
    RotatingDnstapHandler,
    SocketProtocol,
    Stats,
    TimedRotatingDnstapHandler,
)
from dnstap_logging.codec.encoding import DEFAULT_MAX_PAYLOAD
from dnstap_logging.delivery.stats import CAUSES
from dnstap_logging.diagnostics import REPORT_INTERVAL
from dnstap_logging.message.fields import FIELDS
from tests.helpers.pages import DOCS, names, rows_of

REFERENCE = DOCS / "reference"


def page(name: str) -> str:
    """Return the text of a page of the reference."""
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """Return the text under a heading of a page of the reference."""
    return page(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]


def documented_arguments(handler: Any) -> Dict[str, object]:
    """Return the arguments that the page has for a handler, with their defaults."""
    listed: Dict[str, object] = {}
    table = section("arguments", f"`{handler.__name__}`")
    for argument, default, meaning in rows_of(table, "argument"):
        (name,) = names(argument)
        listed[name] = ast.literal_eval(*names(default)) if default else inspect.Parameter.empty
        assert meaning, f"{name} has no meaning"
    return listed


def test_arguments_are_those_of_the_handler() -> None:
    """The table has every argument of DnstapHandler in its order, with its default."""
    listed = documented_arguments(DnstapHandler)
    parameters = inspect.signature(DnstapHandler).parameters

    assert list(listed) == list(parameters)
    assert listed == {name: parameter.default for name, parameter in parameters.items()}
    kinds = [parameter.kind for parameter in parameters.values()]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) == 2, "the first two"


def test_numbers_in_signatures_are_those_of_the_code_below() -> None:
    """Signatures show numbers, which say more than names; each is the constant of its room."""
    handler = inspect.signature(DnstapHandler).parameters
    receiver = inspect.signature(DnstapReceiver).parameters

    assert handler["max_frame_size"].default == DEFAULT_MAX_PAYLOAD
    assert handler["report_interval"].default == REPORT_INTERVAL
    assert receiver["report_interval"].default == REPORT_INTERVAL


def test_permissions_are_written_in_octal() -> None:
    """A mode of a file is read in octal, so that is how the table shows it."""
    rows = rows_of(section("arguments", "`DnstapHandler`"), "argument")
    (row,) = [row for row in rows if row[0] == "`permissions`"]

    assert row[1] == f"`{inspect.signature(DnstapHandler).parameters['permissions'].default:#o}`"


@pytest.mark.parametrize("handler", [RotatingDnstapHandler, TimedRotatingDnstapHandler])
def test_arguments_are_those_of_the_rotating_handlers(handler: Any) -> None:
    """The tables have their own arguments in order; the others are those of DnstapHandler."""
    parameters = dict(inspect.signature(handler).parameters)
    shared = parameters.pop("arguments")

    assert shared.kind is inspect.Parameter.VAR_KEYWORD
    listed = documented_arguments(handler)
    assert list(listed) == list(parameters)
    assert listed == {name: parameter.default for name, parameter in parameters.items()}


def test_methods_are_those_of_the_handler() -> None:
    """The section on methods names every public method that a program calls."""
    own = {name for name in vars(DnstapHandler) if not name.startswith("_")}
    for_logging = {"handle", "filter", "emit", "handleError"}
    named = {name.partition("(")[0] for name in names(section("arguments", "Methods"))}

    assert own - for_logging <= named


@pytest.mark.parametrize(
    ("heading", "expected"), [("counter", Stats._fields), ("dropped as", CAUSES)]
)
def test_counters_are_those_of_stats(heading: str, expected: Tuple[str, ...]) -> None:
    """The tables have every counter and every cause of a drop, in their order."""
    listed = [name for row in rows_of(page("statistics"), heading) for name in names(row[0])]

    assert listed == list(expected)


def test_extras_are_those_that_are_read() -> None:
    """The table has every dns extra, and no other."""
    rows = rows_of(page("extras"), "extra")
    listed = [name for row in rows for name in names(row[0])]

    assert sorted(listed) == sorted(field.key for field in FIELDS.values())


def test_enumerations_are_complete() -> None:
    """The table names every socket protocol, and a prefix of every message type."""
    rows = {names(row[0])[0]: names(row[1]) for row in rows_of(page("extras"), "extra")}

    listed = [word for word in rows["dns_socket_protocol"] if word != "SocketProtocol"]
    assert listed == [protocol.name for protocol in SocketProtocol]
    roles = {word.partition("_")[0] for word in rows["dns_message_type"] if "_" in word}
    assert roles == {kind.name.partition("_")[0] for kind in MessageType}


DIRECTIVE = re.compile(r"^\.\. auto\w+:: ([\w.]+)", re.MULTILINE)


def test_the_api_has_every_public_name() -> None:
    """Whatever a module of those that programs import has in __all__ is documented."""
    modules: List[Any] = [
        dnstap_logging,
        dnstap_logging.filters,
        dnstap_logging.integrations.dnslib,
        dnstap_logging.integrations.dnspython,
        dnstap_logging.integrations.prometheus,
        dnstap_logging.integrations.socketserver,
    ]
    documented = set(DIRECTIVE.findall(page("api")))
    assert "dnstap_logging.exceptions" in documented, "with all of its members"
    documented |= {"dnstap_logging.DnstapLoggingError", "dnstap_logging.TransportError"}

    public = {f"{module.__name__}.{name}" for module in modules for name in module.__all__}
    public |= {"dnstap_logging.text.format_line", "dnstap_logging.text.format_summary"}
    assert public <= documented, f"not documented: {sorted(public - documented)}"


def public_callables() -> Iterator[Any]:
    """Yield every class and function that the page on the API documents by its own directive."""
    for dotted in sorted(set(DIRECTIVE.findall(page("api")))):
        module, _, name = dotted.rpartition(".")
        found = getattr(importlib.import_module(module), name, None)
        if inspect.isroutine(found) or (
            inspect.isclass(found) and not issubclass(found, enum.Enum)
        ):
            yield pytest.param(found, id=name)


@pytest.mark.parametrize("documented", list(public_callables()))
def test_every_argument_is_described(documented: Any) -> None:
    """Whatever a constructor or a function takes is in its docstring, under Args or Attributes."""
    text = inspect.getdoc(documented) or ""
    described = set(re.findall(r"^    (\w+): ", text, re.MULTILINE))
    takes = [
        name
        for name, parameter in inspect.signature(documented).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    ]

    assert text
    if len(takes) > 1 or described:
        assert [name for name in takes if name not in described] == []
