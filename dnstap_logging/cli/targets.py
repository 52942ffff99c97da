"""What becomes of the messages that a collector receives: lines, a capture file, or a stream.

The threads of the connections call, several at once, with each message, and before each FINISH;
everything else is the main thread's. A full target makes its callers wait. When the command ends,
their connections are cut, and what was not taken gets no FINISH.
"""

from __future__ import annotations

import abc
import argparse
import sys
import threading
from typing import Any, Dict, List, Optional, Union

from ..codec.decoding import decode
from ..exceptions import DecodeError
from ..framestream.frames import DNSTAP_CONTENT_TYPE
from ..framestream.session import WriterSession
from ..framestream.state import Direction
from ..message.message import DnstapMessage
from . import numbers
from .capture_output import open_capture
from .common import CommandError
from .printing import Printer
from .selecting import Selector
from .sequences import Distinct, make_distinct
from .stdout import Output

__all__ = ["CaptureTarget", "PrintTarget", "Target", "StreamTarget", "make_target"]


READER_PATIENCE = 1.0
"""Seconds that the reader of standard output has at the end to take what is being written."""


class Target(abc.ABC):
    """Take messages.

    Args:
        wanted: returns whether to take a message; None: all, undecoded.
        most: the most messages to take; None: all.

    Attributes:
        kept: messages that were wanted, and taken.
        ended: set when the command should end: enough was taken, or the target failed.
        has_callers_waiting: whether somebody waits who cannot be served.
        failure: why nothing more can be taken, or None.
        distinct: leaves out what came before; None: nothing is.
    """

    def __init__(self, wanted: Optional[Selector], most: Optional[int]) -> None:
        self._wanted = wanted
        self._most = most
        self._lock = threading.Lock()
        self._opened = threading.Event()
        self._admitted = 0
        self.kept = 0
        self.has_callers_waiting = False
        self.ended = threading.Event()
        self.failure: Optional[Exception] = None
        self.distinct: Optional[Distinct] = None

    def callbacks(self) -> Dict[str, Any]:
        """Return the arguments by which a receiver calls this target."""
        return {"on_frame": self.take_payload, "before_finish": self.secure}

    def open(self) -> None:
        """Begin to take; until now, callers wait.

        Raises:
            CommandError, DnstapLoggingError: it cannot be opened, and why.
        """
        self._opened.set()

    def take_payload(self, payload: bytes) -> None:
        """Take a payload as it came, if it is wanted."""
        if self._wanted is None or self._is_wanted(payload):
            self._keep(payload, payload)

    def _is_wanted(self, payload: bytes) -> bool:
        assert self._wanted is not None
        try:
            return self._wanted(decode(payload))
        except DecodeError:
            return False

    def _keep(self, item: Any, source: Union[bytes, DnstapMessage]) -> None:
        """Put what is made of a payload or message where it belongs, unless it came before."""
        self._opened.wait()
        if self.distinct is None:
            admitted = self._admit(item)
        else:
            # Until the first is put: a double in another thread must not be confirmed before.
            with self.distinct.lock:
                admitted = not self.distinct.is_new(source) or self._admit(item)
        if not admitted:
            self._wait_in_vain()

    def _admit(self, item: Any) -> bool:
        """Put an item where it belongs; return whether it was one of the most that are taken."""
        with self._lock:
            self._admitted += 1
            if self._most is not None and self._admitted > self._most:
                return False
        self._put(item)
        with self._lock:
            self.kept += 1
            if self.kept == self._most:
                self.ended.set()
        return True

    def _wait_in_vain(self) -> None:
        """Keep a connection's thread, a daemon, until the command ends."""
        self.has_callers_waiting = True
        threading.Event().wait()

    @abc.abstractmethod
    def _put(self, item: Any) -> None:
        """Put a payload or a line where it belongs; several threads may call this at once."""

    @abc.abstractmethod
    def secure(self) -> None:
        """Return when all that was taken is where it belongs; else raise."""

    @property
    def stored(self) -> int:
        """How many are where they belong, once it is closed."""
        return self.kept

    def reopen(self) -> None:  # noqa: B027 - only files are moved away
        """Begin again where the output was moved."""

    def close(self) -> None:  # noqa: B027 - lines have no end
        """End the output in order; may be called again."""

    def problems(self) -> List[str]:
        """Return what was lost, in words."""
        return []


class _StandardOutput(Target):
    """Write to standard output, one item after the other and each at once."""

    _beginning = b""

    def __init__(self, wanted: Optional[Selector], most: Optional[int]) -> None:
        super().__init__(wanted, most)
        self._output: Optional[Output] = None
        self._writing = threading.Lock()

    def open(self) -> None:
        """Begin to take; see `Target.open`."""
        self._output = Output()
        self._write(self._beginning)
        super().open()

    def _put(self, item: bytes) -> None:
        try:
            self._write(item)
        except (OSError, CommandError):
            self.ended.set()
            self._wait_in_vain()

    def _write(self, data: bytes) -> None:
        assert self._output is not None
        with self._writing:
            if self.failure is None:
                try:
                    self._output.write(data)
                except (OSError, CommandError) as error:
                    self.failure = error
        if self.failure is not None:
            raise self.failure

    def secure(self) -> None:
        """Return: what was taken is written already."""

    def close(self) -> None:
        """Let what is being written go out, if its reader takes it soon."""
        if self._output is not None:
            self._output.close(READER_PATIENCE)
            with self._writing:
                pass  # the thread that waited for the reader has counted its item


class PrintTarget(_StandardOutput):
    """Print messages; see `Target`.

    Args:
        show: makes text of a message.
        wanted, most: as of `Target`.
    """

    def __init__(self, show: Printer, wanted: Optional[Selector], most: Optional[int]) -> None:
        super().__init__(wanted, most)
        self._show = show
        self._encoding = getattr(sys.stdout, "encoding", None) or "utf-8"

    def callbacks(self) -> Dict[str, Any]:
        """Return the arguments by which a receiver calls this target: with decoded messages."""
        return {"on_message": self.take_message, "before_finish": self.secure}

    def take_message(self, message: DnstapMessage) -> None:
        """Print a message, if it is wanted."""
        if self._wanted is None or self._wanted(message):
            line = self._show(message) + "\n"
            self._keep(line.encode(self._encoding, "backslashreplace"), message)


class StreamTarget(_StandardOutput):
    """Write a stream of payloads, from START to STOP, to standard output; see `Target`."""

    def __init__(self, wanted: Optional[Selector], most: Optional[int]) -> None:
        super().__init__(wanted, most)
        self._session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.UNIDIRECTIONAL)
        self._beginning = self._session.start()

    def _put(self, item: bytes) -> None:
        super()._put(self._session.frame(item))

    def close(self) -> None:
        """Write STOP, and let it go out if its reader takes it soon."""
        super().close()
        if self._opened.is_set() and self._session.streaming and self.failure is None:
            self._write(self._session.stop())


class CaptureTarget(Target):
    """Write a capture file, payloads as they are, by a handler's queue and thread; see `Target`.

    Where the queue is full, because the disk is slow or full, the callers wait, and with them
    their senders.

    Args:
        options: of the command line, those of the file.
        wanted, most: as of `Target`.
    """

    def __init__(
        self, options: argparse.Namespace, wanted: Optional[Selector], most: Optional[int]
    ) -> None:
        super().__init__(wanted, most)
        self._options = options
        self._handler: Any = None

    def open(self) -> None:
        """Open the file, and begin to take."""
        self._handler = open_capture(self._options)
        super().open()

    def _put(self, item: bytes) -> None:
        if not self._handler.emit_payload(item):  # it was closed, since there was never room
            self._wait_in_vain()

    def secure(self) -> None:
        """Wait until all that was taken is in the file."""
        self._opened.wait()
        self._handler.flush(None)
        if self._lost():
            raise CommandError(self.problems()[0])

    def reopen(self) -> None:
        """Open the file again if it was moved away."""
        self._handler.reopen()

    def close(self) -> None:
        """Write what is queued, and STOP."""
        if self._handler is not None:
            self._handler.close()

    @property
    def stored(self) -> int:
        """How many are in the file, once it is closed."""
        return self.kept - self._lost()

    def _lost(self) -> int:
        return sum(self._handler.stats().dropped.values())

    def problems(self) -> List[str]:
        """Return what was lost, in words."""
        lost = self._lost()
        if not lost:
            return []
        unwritten = numbers.counted(lost, "message")
        return [f"{unwritten} not written: {self._handler.stats().last_error}"]


def make_target(options: argparse.Namespace, show: Printer, wanted: Optional[Selector]) -> Target:
    """Return the target that the command line asks for, not yet open.

    Args:
        options: with ``write``, ``count``, ``distinct`` and the options of the file.
        show: makes text of a message.
        wanted: tells which messages; None: all.
    """
    target: Target
    if options.write is None:
        target = PrintTarget(show, wanted, options.count)
    elif options.write == "-":
        target = StreamTarget(wanted, options.count)
    else:
        target = CaptureTarget(options, wanted, options.count)
    target.distinct = make_distinct(options, endless=True)
    return target
