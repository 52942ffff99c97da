"""Print the messages of captures.

Reads one file after the other, in constant memory. What is whole is printed, also of a capture that
is torn or damaged; then one line on standard error says where and what.
"""

from __future__ import annotations

import argparse
import sys
from typing import BinaryIO, Union

from ..exceptions import DecodeError
from ..reader import DnstapReader
from . import printing, selecting
from .common import DAMAGED, OK

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``read``."""
    parser.add_argument(
        "files", metavar="FILE", nargs="*", default=["-"], help="captures; - is standard input"
    )
    printing.add_arguments(parser)
    selecting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Print what the options ask for; return the exit status."""
    show, wanted = printing.make_printer(options), selecting.make_selector(options)
    status = OK
    for name in options.files:
        try:
            source: Union[str, BinaryIO] = sys.stdin.buffer if name == "-" else name
            with DnstapReader(source) as messages:
                write = sys.stdout.write
                for message in messages:
                    if wanted(message):
                        write(show(message))
        except DecodeError as error:
            sys.stdout.flush()
            print(error, file=sys.stderr)
            status = DAMAGED
    return status
