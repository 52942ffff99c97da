"""Print the messages of captures.

Reads one file after the other, in constant memory. Of a torn or damaged capture, the whole
frames are printed, and one line on standard error says where the damage is, and what.
"""

from __future__ import annotations

import argparse
import sys
from typing import Optional

from . import numbers, printing, selecting
from .capture_input import JOINED, STANDARD_INPUT, Capture
from .common import DAMAGED, OK, CommandError, complain
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
    printing.add_arguments(parser)
    selecting.add_arguments(parser)
    add_distinct(parser)


def run(options: argparse.Namespace) -> int:
    """Print what the options ask for; return the exit status."""
    if options.follow and (len(options.files) != 1 or options.files == [STANDARD_INPUT]):
        raise CommandError("--follow needs one file, by its name")
    printing.prepare_output()
    distinct = make_distinct(options, endless=options.follow)
    status = OK
    for name in options.files:
        try:
            status = max(status, _print(name, options, distinct))
        except CommandError as error:
            sys.stdout.flush()
            complain(options.command, str(error))
            status = max(status, error.status)
    return status


def _print(name: str, options: argparse.Namespace, distinct: Optional[Distinct]) -> int:
    show, wanted = printing.make_printer(options), selecting.make_selector(options)
    write, flush = sys.stdout.write, sys.stdout.flush
    with Capture(name, follow=options.follow) as capture:
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
    if capture.streams > 1:
        complain(
            options.command,
            f"{capture.name}: {numbers.counted(capture.streams, 'stream')}, {JOINED}",
        )
    if capture.damage is None:
        return OK
    complain(options.command, str(capture.damage))
    return DAMAGED
