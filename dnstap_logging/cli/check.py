"""Check whether captures are whole, and say what is in them.

A whole capture begins with START, ends with STOP, and each frame between holds a dnstap message.
With ``--repair`` all whole frames up to the first damage of the stream go into a new capture. What
lies behind it is not looked at: what would look like frames there can be bytes that strangers put
into their queries. With ``--sequence`` the messages' numbers are looked at instead.
"""

from __future__ import annotations

import argparse
import sys
from typing import Optional

from . import sequence_report
from .capture_input import STANDARD_INPUT, Capture
from .check_report import CheckReport
from .common import DAMAGED, OK, CommandError, complain, say
from .repair import Repair

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``check``."""
    parser.add_argument("files", metavar="FILE", nargs="+", help="captures; - is standard input")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a file (or a run), on a line"
    )
    parser.add_argument(
        "--sequence",
        action="store_true",
        help="instead, say for all FILEs together which messages are missing or came twice, by "
        "their numbers (of handlers with sequence=True)",
    )
    parser.add_argument(
        "--repair",
        metavar="OUTPUT",
        help="write what can be saved of one FILE into a new capture; - is standard output",
    )


def run(options: argparse.Namespace) -> int:
    """Print what was found in each file; return the exit status."""
    if options.sequence:
        return sequence_report.run(options)
    if options.repair is not None and len(options.files) != 1:
        raise CommandError("--repair takes one FILE: repair each into an OUTPUT of its own")
    status = OK
    for name in options.files:
        try:
            status = max(status, _check(name, options))
        except CommandError as error:
            sys.stdout.flush()
            complain(options.command, str(error))
            status = max(status, error.status)
    return status


def _check(name: str, options: argparse.Namespace) -> int:
    with Capture(name) as capture:
        report = _examine(capture, options.repair if capture.opened else None)
    show = report.as_json if options.json else report.as_text
    text = show(capture.name, capture.damage, _saved(options, capture))
    if options.repair == STANDARD_INPUT:  # the output is the capture
        say(text)
    else:
        print(text, flush=True)
    return OK if capture.damage is None else DAMAGED


def _examine(capture: Capture, output: Optional[str]) -> CheckReport:
    """Count what is in a capture, and save it on the way, if there is an output."""
    if output is None:
        return CheckReport(capture, capture.payloads())
    with Repair(output) as repair:
        return CheckReport(capture, map(repair.save, capture.payloads()))


def _saved(options: argparse.Namespace, capture: Capture) -> Optional[str]:
    """Return where the repaired capture is, if there is one."""
    output: Optional[str] = options.repair
    if output is None or not capture.opened:
        return None
    return "standard output" if output == STANDARD_INPUT else output
