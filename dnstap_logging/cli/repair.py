"""A new capture with what could be saved of a damaged one."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from ..framestream.frames import START, STOP, encode_data
from .capture_input import STANDARD_INPUT
from .common import CommandError
from .files import create

__all__ = ["Repair"]


class Repair:
    """A capture file that is not there yet; whole when its ``with`` ends, removed on an error.

    Args:
        output: the file, or ``-`` for standard output.

    Raises:
        CommandError: it exists, or cannot be made.
    """

    def __init__(self, output: str) -> None:
        self._output = output
        self._file = _create(output)
        self._file.write(START)

    def save(self, payload: bytes) -> bytes:
        """Add one frame; return its payload."""
        self._file.write(encode_data(payload))
        return payload

    def __enter__(self) -> Repair:
        return self

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None:
        if self._output == STANDARD_INPUT:
            if exc is None:
                self._file.write(STOP)
                self._file.flush()
            return
        try:
            if exc is None:
                self._file.write(STOP)
            self._file.close()
        except OSError as error:
            os.unlink(self._output)
            reason = error.strerror or error
            raise CommandError(f"{self._output}: cannot be written: {reason}") from None
        if exc is not None:
            os.unlink(self._output)


def _create(output: str) -> BinaryIO:
    if output == STANDARD_INPUT:
        if sys.stdout.isatty():
            raise CommandError("standard output is a terminal: name a file to repair into")
        return sys.stdout.buffer
    try:
        # "x": nothing that is there is ever written over, not even by way of a link
        return open(output, "xb", opener=create)
    except FileExistsError:
        raise CommandError(f"{output}: exists already: name a new file to repair into") from None
    except OSError as error:
        raise CommandError(f"{output}: cannot be made: {error.strerror or error}") from None
