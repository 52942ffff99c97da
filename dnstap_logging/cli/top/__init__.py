"""Show what the traffic looks like while it flows.

A full screen on a terminal, one summary at the end otherwise, and a page to keep with ``--report``.
Statistics, sources and display do not depend on each other: `statistics.py` and its parts
(`busiest.py`, `latency.py`, `pairs.py`, `timeline.py`) do no I/O.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from types import FrameType
from typing import Callable, Iterator, Optional

from .. import numbers, selecting
from ..capture_input import STANDARD_INPUT
from ..common import DAMAGED, INTERRUPTED, OK, CommandError, say
from ..printing import prepare_output
from ..receivers import add_connection_arguments
from ..verbose import say_diagnostics
from .report import check_place, write_report
from .sources import Source, open_source
from .statistics import SharedTraffic
from .summary import as_json, as_text

__all__ = ["add_arguments", "run"]

ROWS = 12
MAX_ROWS = 1000
_ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``top``."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        nargs="?",
        default=STANDARD_INPUT,
        help="a capture, - for standard input (the default), or an address to listen on: "
        "unix:///path, tcp://host:port, tls://host:port",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--summary", action="store_true", help="print a summary at the end, also on a terminal"
    )
    form.add_argument("--json", action="store_true", help="print it as one line of JSON")
    parser.add_argument(
        "-f",
        "--follow",
        action="store_true",
        help="go on at the end of a file that is being written, across rotations",
    )
    parser.add_argument("--report", metavar="FILE", help="write the same as an HTML page")
    parser.add_argument(
        "--rows",
        metavar="N",
        type=numbers.count(1, MAX_ROWS),
        default=ROWS,
        help=f"names and clients in the summary and the report (default {ROWS})",
    )
    add_connection_arguments(parser)
    selecting.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Show the traffic of a source; return the exit status."""
    prepare_output()
    full_screen = _has_screen() and not options.summary and not options.json
    if full_screen:
        from .screen import Watch, require_rich

        require_rich()
    if options.report is not None:
        check_place(options.report, options.source)
    traffic = SharedTraffic(selecting.make_selector(options))
    # In the picture there is no room for the library's lines.
    level = logging.CRITICAL if full_screen else logging.WARNING
    with say_diagnostics(options.command, False, level):
        source = open_source(options)
        if full_screen:
            with _asked_to_end_by_signal(_interrupt):
                Watch(source, traffic).run()
            whole = True
        else:
            whole = _collect(source, traffic)
    summary = traffic.summary(options.rows)
    if not full_screen:
        sys.stdout.write((as_json if options.json else as_text)(summary, source.name))
    if options.report is not None:
        write_report(options.report, summary, source.name)
    if source.damage is not None:
        raise CommandError(source.damage, DAMAGED)
    return OK if whole else INTERRUPTED


def _has_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


def _collect(source: Source, traffic: SharedTraffic) -> bool:
    """Take all messages; return whether the source has ended.

    A signal ends it: a live source has no other end, a capture is summarized so far.
    """
    try:
        with _asked_to_end_by_signal(source.stop if source.live else _interrupt):
            if source.announcement is not None:
                say(source.announcement)
            source.collect(traffic.take)
    except KeyboardInterrupt:
        return False
    return True


def _interrupt() -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _asked_to_end_by_signal(end: Callable[[], None]) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM call a function while the body runs; asked twice, they interrupt."""
    asked = False

    def on_signal(number: int, frame: Optional[FrameType]) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        end()

    before = [(number, signal.signal(number, on_signal)) for number in _ENDING_SIGNALS]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
