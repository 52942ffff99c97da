"""Print the messages of captures.

Reads one file after the other, in constant memory. Of a torn or damaged capture, the whole
frames are printed, and one line on standard error says where the damage is, and what.
"""

from __future__ import annotations

import argparse
import sys
from typing import Callable, Optional

from . import export, numbers, printing, selecting
from .capture_input import JOINED, STANDARD_INPUT, Capture
from .common import DAMAGED, OK, CommandError, complain
from .new_file import OutputError
from .sequences import Distinct, add_distinct, make_distinct

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``read``."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        help="captures, one after the other; - is standard input",
    )
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on at the end of a file that is being written, across rotations, until Ctrl-C",
    )
    export.add_arguments(printing.add_arguments(parser))
    selecting.add_arguments(parser)
    add_distinct(parser)


def run(options: argparse.Namespace) -> int:
    """Print, or write to a file, what the options ask for; return the exit status."""
    if options.follow and (len(options.files) != 1 or options.files == [STANDARD_INPUT]):
        raise CommandError("--follow needs one file, by its name")
    distinct = make_distinct(options, endless=options.follow)
    if not export.check(options):
        printing.prepare_output()
        return _read(options, lambda capture: _print(capture, options, distinct))
    with export.open_export(options) as file:
        return _read(options, lambda capture: _export(capture, options, distinct, file))


def _read(options: argparse.Namespace, handle: Callable[[Capture], None]) -> int:
    """Handle one capture after the other, and say what is wrong with them."""
    status = OK
    for name in options.files:
        try:
            with Capture(name, follow=options.follow) as capture:
                handle(capture)
            status = max(status, _report(capture, options))
        except OutputError:
            raise
        except CommandError as error:
            sys.stdout.flush()
            complain(options.command, str(error))
            status = max(status, error.status)
    return status


def _print(capture: Capture, options: argparse.Namespace, distinct: Optional[Distinct]) -> None:
    show, wanted = printing.make_printer(options), selecting.make_selector(options)
    write, flush = sys.stdout.write, sys.stdout.flush
    messages = capture.messages()
    if wanted is not None:
        messages = filter(wanted, messages)
    if distinct is not None:
        messages = filter(distinct.is_new, messages)
    for message in messages:
        write(show(message) + "\n")
        if options.follow:
            flush()
    flush()


def _export(
    capture: Capture, options: argparse.Namespace, distinct: Optional[Distinct], file: export.Export
) -> None:
    wanted = selecting.make_selector(options)
    if capture.opened:
        file.file.wanted = True
    for payload, message in capture.pairs():
        if wanted is not None and not wanted(message):
            continue
        if distinct is not None and not distinct.is_new(message):
            continue
        file.add(payload, message)
        if options.follow:
            file.file.flush()


def _report(capture: Capture, options: argparse.Namespace) -> int:
    """Say what is wrong with a capture; return the exit status."""
    if capture.streams > 1:
        complain(
            options.command,
            f"{capture.name}: {numbers.counted(capture.streams, 'stream')}, {JOINED}",
        )
    if capture.damage is None:
        return OK
    complain(options.command, str(capture.damage))
    return DAMAGED
