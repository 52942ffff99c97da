"""A file that is not there under its name before it is whole."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import stat
import sys
from types import FrameType
from typing import Any, BinaryIO, List, Optional, Tuple

from .capture_input import STANDARD_INPUT as STANDARD_OUTPUT
from .common import CommandError, unwritable
from .files import create

__all__ = ["STANDARD_OUTPUT", "NewFile", "OutputError"]

BUFFER = 1 << 18
ENDING = (signal.SIGTERM, signal.SIGHUP)
"""Signals that end the program, and nobody else would remove what is not whole."""


class OutputError(CommandError):
    """The file cannot be made or written, whatever is read."""


class NewFile:
    """A new file, written beside its name and renamed when its ``with`` ends in order.

    If that ends otherwise, or by a signal, nothing is left. Standard output, a pipe and a device
    are written as they are.

    Args:
        output: the file, or ``-`` for standard output.

    Attributes:
        wanted: whether the file is to be there at the end; else nothing is left either.

    Raises:
        OutputError: it exists, or cannot be made; raised by `write` and `__exit__`: it cannot be
            written.
    """

    def __init__(self, output: str) -> None:
        self.wanted = False
        self._output = output
        self._beside: Optional[str] = None
        self._signals: List[Tuple[int, Any]] = []
        if output == "":
            raise OutputError("'' names no file: name a new one, or - for standard output")
        if output == STANDARD_OUTPUT:
            if sys.stdout.isatty():
                raise OutputError("standard output is a terminal: name a file, or pipe it on")
            self._file: BinaryIO = sys.stdout.buffer
            return
        try:
            self._file = self._open()
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            raise OutputError(f"{output}: cannot be made: {error.strerror or error}") from None

    def _open(self) -> BinaryIO:
        output = self._output
        with contextlib.suppress(FileNotFoundError):
            os.lstat(output)
            kind = os.stat(output).st_mode if os.path.exists(output) else 0
            if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
                return open(output, "wb", BUFFER)
            raise FileExistsError
        folder = os.path.dirname(output)
        numbers = itertools.count()
        while True:  # one of a process that was killed may be there
            name = f".dnstap-logging-{os.getpid()}-{next(numbers)}.part"
            beside = os.path.join(folder, name)
            with contextlib.suppress(FileExistsError):
                file = open(beside, "xb", BUFFER, opener=create)  # noqa: SIM115 - kept open
                self._beside = beside
                return file

    def __enter__(self) -> NewFile:
        if self._beside is not None:
            for each in ENDING:
                if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup does
                    self._signals.append((each, signal.signal(each, self._die)))
        return self

    def write(self, data: bytes) -> None:
        """Add some octets."""
        try:
            self._file.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._cannot(error) from None

    def flush(self) -> None:
        """Hand on what was written."""
        self._file.flush()

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None:
        try:
            if exc is None and self.wanted:
                self._finish()
        except BrokenPipeError:
            raise
        except FileExistsError:
            raise self._exists() from None
        except OSError as error:
            raise self._cannot(error) from None
        finally:
            self._clear_up()

    def _finish(self) -> None:
        self._file.flush()
        if self._beside is None:
            return
        os.fsync(self._file.fileno())
        try:
            os.link(self._beside, self._output)  # where another one is by now, it stays
        except FileExistsError:
            raise
        except OSError:  # of file systems that have no links
            os.rename(self._beside, self._output)
            self._beside = None

    def _clear_up(self) -> None:
        if self._output != STANDARD_OUTPUT:
            with contextlib.suppress(OSError):  # what is wrong was said before
                self._file.close()
        self._remove()
        for number, before in self._signals:
            signal.signal(number, before)

    def _remove(self) -> None:
        if self._beside is not None:
            with contextlib.suppress(OSError):
                os.unlink(self._beside)

    def _die(self, number: int, frame: Optional[FrameType]) -> None:
        self._remove()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _exists(self) -> OutputError:
        return OutputError(f"{self._output}: exists already: name a new file")

    def _cannot(self, error: OSError) -> OutputError:
        if self._output == STANDARD_OUTPUT:
            return OutputError(str(unwritable(error)))
        return OutputError(f"{self._output}: cannot be written: {error.strerror or error}")
