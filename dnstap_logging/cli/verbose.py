"""The library's own lines on standard error, while a command runs."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from typing import Iterator

from ..diagnostics import LOGGER_NAME

__all__ = ["add_verbose", "say_diagnostics"]


def add_verbose(parser: argparse.ArgumentParser) -> None:
    """Add the argument that has more said."""
    parser.add_argument(
        "--verbose", "-v", action="store_true", help="say what happens to connections"
    )


@contextlib.contextmanager
def say_diagnostics(
    command: str, verbose: bool, otherwise: int = logging.CRITICAL
) -> Iterator[None]:
    """Print the library's diagnostics while the body runs, each behind the command's name.

    Args:
        command: its name.
        verbose: from INFO on.
        otherwise: the level from which they are printed if not verbose; CRITICAL: none, where the
            command itself says at its end what went wrong.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"dnstap-logging {command}: %(message)s"))
    handler.setLevel(logging.INFO if verbose else otherwise)
    logger = logging.getLogger(LOGGER_NAME)
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates
