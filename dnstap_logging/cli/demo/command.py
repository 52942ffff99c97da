"""Run a DNS server, a client and a collector, and compare the books at the end.

The server answers on a free port of the loopback; a client asks it some hundred questions over UDP
and TCP. The logging configuration has two handlers: one sends to a collector on a unix socket,
which runs in this program too and prints a line for each message that arrives, and one writes a
capture file. At the end the books of both are compared with what the client did, what the collector
received and what is in the file.
"""

from __future__ import annotations

import argparse
import os
import sys

from .. import numbers
from ..common import CommandError

__all__ = ["add_arguments", "run"]

DEFAULT_QUERIES = 300
DEFAULT_OUTPUT = "demo.fstrm"
NEEDED = ("dnslib", "dns")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``demo``."""
    parser.add_argument(
        "--address",
        help="send to this collector (unix:///run/dnstap.sock, tcp://127.0.0.1:6000) instead of "
        "the one that is built in",
    )
    parser.add_argument(
        "--queries", type=numbers.count(1), default=DEFAULT_QUERIES, help="how many (%(default)s)"
    )
    parser.add_argument(
        "--output",
        default=DEFAULT_OUTPUT,
        help="the capture file; one that exists is replaced (./%(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="print the summary only")


def run(options: argparse.Namespace) -> int:
    """Run the demo; return 0 if everything arrived and the books balance."""
    if _same_file(options.address or "", options.output):
        raise CommandError(f"--output {options.output}: this is --address too, choose another file")
    try:
        from . import run as demo_run
    except ImportError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in NEEDED:
            raise
        raise CommandError(
            f"the demo needs dnslib and dnspython, and {error.name} is not installed: "
            f"install it, or dnstap-logging with its extra 'demo'"
        ) from error
    # Lines come out whole and at once, also in a pipe and among those of the diagnostics.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return demo_run.run(options)


def _same_file(address: str, path: str) -> bool:
    plain = address[len("file://") :] if address.startswith("file://") else address
    return bool(plain) and os.path.realpath(plain) == os.path.realpath(path)
