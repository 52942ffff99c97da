"""The capture that a collector writes: its arguments, and the handler that writes it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Dict

from ..framestream.frames import DEFAULT_MAX_FRAME_SIZE
from ..handler import DnstapHandler
from ..rotating import RotatingDnstapHandler, TimedRotatingDnstapHandler
from . import numbers
from .common import CommandError

__all__ = ["add_arguments", "check", "open_capture"]

QUEUE_BYTES = 8 * 1024 * 1024
"""Bytes received or read and not yet written; beyond them the senders, or the reading, wait."""

CLOSE_TIMEOUT = 10.0
"""Seconds that the last messages may take to be written, at the end."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a capture that may roll over."""
    group = parser.add_argument_group(
        "a capture instead of lines", "The payloads are written as they are."
    )
    group.add_argument(
        "--write",
        "-w",
        metavar="FILE",
        help="write a capture; one that exists is continued; - is standard output",
    )
    group.add_argument(
        "--mode",
        choices=("a", "w", "x"),
        help="continue a file that exists (a, the default), overwrite it (w) or refuse it (x)",
    )
    group.add_argument(
        "--max-bytes",
        type=numbers.count(1),
        metavar="N",
        help="roll over before a file has N bytes: FILE.1, FILE.2, ...",
    )
    group.add_argument(
        "--when",
        metavar="WHEN",
        help="roll over at times: S, M, H, D, midnight, W0 (Monday) to W6: FILE.2026-01-31_12",
    )
    group.add_argument(
        "--interval", type=numbers.count(1), metavar="N", help="with --when: every so many (1)"
    )
    group.add_argument("--utc", action="store_true", help="with --when: in UTC")
    group.add_argument(
        "--backup-count",
        type=numbers.count(0),
        metavar="N",
        help="how many older files are kept; with --when, all by default",
    )


def check(options: argparse.Namespace) -> None:
    """Refuse arguments that do not go together.

    Raises:
        CommandError: which, and what to do.
    """
    given = [
        name
        for name in ("mode", "max_bytes", "when", "interval", "utc", "backup_count")
        if getattr(options, name)
    ]
    if options.write == "":
        raise CommandError("--write '' is empty: name a file, or - for standard output")
    if options.write == "-" and sys.stdout is not None and sys.stdout.isatty():
        raise CommandError("standard output is a terminal: name a file, or pipe it into a program")
    if options.write in (None, "-") and given:
        raise CommandError(f"{_option(given[0])} is for files: give --write FILE too")
    if options.max_bytes and options.when:
        raise CommandError("--max-bytes and --when are two ways to roll over: give one of them")
    if options.max_bytes and not options.backup_count:
        raise CommandError("--max-bytes needs --backup-count: how many older files to keep")
    if options.backup_count and not (options.max_bytes or options.when):
        raise CommandError("--backup-count needs --max-bytes or --when")
    for name in ("interval", "utc"):
        if name in given and not options.when:
            raise CommandError(f"{_option(name)} needs --when")
    if options.mode in ("w", "x") and (options.max_bytes or options.when):
        raise CommandError(f"--mode {options.mode}: a capture that rolls over is always continued")


def open_capture(options: argparse.Namespace) -> DnstapHandler:
    """Open the capture; return the handler that writes it.

    Raises:
        CommandError: an argument cannot be used, or somebody else writes to the file.
        TransportError: the file cannot be opened, and why.
    """
    arguments: Dict[str, Any] = {
        "overflow": "block",
        "queue_bytes": QUEUE_BYTES,
        "close_timeout": CLOSE_TIMEOUT,
        "max_frame_size": DEFAULT_MAX_FRAME_SIZE,
    }
    try:
        handler = _make_handler(options, arguments)
    except (TypeError, ValueError) as error:
        raise CommandError(str(error)) from error
    problem = handler.stats().last_error
    if problem is not None:  # a handler would wait for the lock
        handler.close()
        raise CommandError(f"{options.write}: {problem}")
    return handler


def _make_handler(options: argparse.Namespace, arguments: Dict[str, Any]) -> DnstapHandler:
    path = Path(options.write)  # a path object is always a file, whatever its name
    count = options.backup_count or 0
    if options.max_bytes:
        return RotatingDnstapHandler(
            path, maxBytes=options.max_bytes, backupCount=count, **arguments
        )
    if options.when:
        interval = options.interval or 1
        return TimedRotatingDnstapHandler(
            path, options.when, interval, count, utc=options.utc, **arguments
        )
    return DnstapHandler(path, mode=options.mode or "a", **arguments)


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
