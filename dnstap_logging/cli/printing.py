"""Print messages: the output formats that several commands share."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Any, Callable

from ..message.message import DnstapMessage
from ..text.json import format_json
from ..text.quiet import format_quiet
from ..text.yaml import format_yaml
from .dns_content import dns_text
from .template import VALUES, Template

__all__ = ["Printer", "add_arguments", "make_printer", "prepare_output"]

Printer = Callable[[DnstapMessage], str]
"""Returns a message as text that is safe on a terminal, without the end of its last line."""


def add_arguments(parser: argparse.ArgumentParser) -> Any:
    """Add the output formats to a command's arguments; at most one of them may be given.

    Returns:
        Their group, for further ones.
    """
    group = parser.add_argument_group(
        "output formats", "By default, one line a message, with the columns of dnstap -q."
    ).add_mutually_exclusive_group()
    group.add_argument(
        "--yaml",
        dest="form",
        action="store_const",
        const=_yaml,
        help="a YAML document a message, as dnstap -y, with extra, policy and http_protocol",
    )
    group.add_argument(
        "--json",
        dest="form",
        action="store_const",
        const=_json,
        help="a JSON object a line, as dnstap -j",
    )
    # An option of its own: with an optional value, --json FILE would take the file for it.
    group.add_argument(
        "--json=full",
        dest="form",
        action="store_const",
        const=_full_json,
        help="the same with extra, policy and http_protocol",
    )
    group.add_argument(
        "--format",
        dest="form",
        metavar="TEMPLATE",
        type=_template,
        help=f"a line of your own, such as '{{qname}} {{rcode}}'; fields: {', '.join(VALUES)}",
    )
    return group


def prepare_output() -> None:
    """Let standard output take every text, whatever encoding the environment asks for."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def make_printer(options: argparse.Namespace) -> Printer:
    """Return what turns a message into text.

    Args:
        options: parsed by a parser that `add_arguments` was called with.
    """
    form: Printer = options.form or format_quiet
    return form


def _yaml(message: DnstapMessage) -> str:
    return format_yaml(message, dns_text())


def _json(message: DnstapMessage) -> str:
    return format_json(message, dns_text())


def _full_json(message: DnstapMessage) -> str:
    return format_json(message, dns_text(), full=True)


def _template(text: str) -> Printer:
    try:
        template = Template(text)
    except (ValueError, KeyError, IndexError, OverflowError, MemoryError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error or 'too large'}") from None
    return template.format
