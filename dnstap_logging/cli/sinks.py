"""What becomes of the messages that a collector receives: lines, a capture file, or a stream.

The threads of the connections call, several at once, with each message, and before each FINISH;
everything else is the main thread's. A sink that can take nothing more keeps its callers waiting:
their connections are cut when the command ends, without a FINISH for what was not taken.
"""

from __future__ import annotations

import abc
import argparse
import sys
import threading
from typing import Any, BinaryIO, Dict, List, Optional, TextIO

from ..decoding import decode
from ..encoding import DNSTAP_CONTENT_TYPE
from ..exceptions import DecodeError
from ..framestream import Direction, WriterSession
from ..message import DnstapMessage
from . import numbers
from .capture import open_capture
from .common import CommandError
from .printing import Printer
from .selecting import Selector

__all__ = ["CaptureSink", "PrintSink", "Sink", "StreamSink", "make_sink"]


class Sink(abc.ABC):
    """Take messages.

    Args:
        wanted: tells which; None: all, undecoded.
        most: takes so many, and no more; None: all.

    Attributes:
        kept: messages that were wanted, and taken.
        ended: set when the command should end: enough was taken, or the sink failed.
        has_callers_waiting: whether somebody waits in vain.
        failure: why nothing more can be taken, or None.
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
        self.failure: Optional[BaseException] = None

    def callbacks(self) -> Dict[str, Any]:
        """Return the arguments by which a receiver calls this sink."""
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
            self._keep(payload)

    def _is_wanted(self, payload: bytes) -> bool:
        assert self._wanted is not None
        try:
            return self._wanted(decode(payload))
        except DecodeError:
            return False

    def _keep(self, item: Any) -> None:
        self._opened.wait()
        with self._lock:
            self._admitted += 1
            admitted = self._most is None or self._admitted <= self._most
        if not admitted:
            self._wait_in_vain()
        self._put(item)
        with self._lock:
            self.kept += 1
            if self.kept == self._most:
                self.ended.set()

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

    def reopen(self) -> None:  # noqa: B027 - only files are moved away
        """Begin anew where the output was moved."""

    def close(self) -> None:  # noqa: B027 - lines have no end
        """End the output in order; may be called again."""

    def problems(self) -> List[str]:
        """Return what was lost, in words."""
        return []


class _OutputSink(Sink):
    """Write to standard output, one item after the other and each at once."""

    def _write(self, stream: Any, item: Any) -> None:
        with self._lock:
            if self.failure is None:
                try:
                    stream.write(item)
                    stream.flush()
                    return
                except (OSError, ValueError) as error:
                    self.failure = error
        self.ended.set()
        self._wait_in_vain()

    def secure(self) -> None:
        """Return: what was taken is written already."""


class PrintSink(_OutputSink):
    """Print messages; see `Sink`.

    Args:
        show: makes text of a message.
        wanted: tells which.
        most: prints so many, and no more; None: all.
        stream: standard output.
    """

    def __init__(
        self, show: Printer, wanted: Selector, most: Optional[int], stream: TextIO
    ) -> None:
        super().__init__(wanted, most)
        self._show = show
        self._stream = stream

    def callbacks(self) -> Dict[str, Any]:
        """Return the arguments by which a receiver calls this sink: with decoded messages."""
        return {"on_message": self.take_message, "before_finish": self.secure}

    def take_message(self, message: DnstapMessage) -> None:
        """Print a message, if it is wanted."""
        if self._wanted is None or self._wanted(message):
            self._keep(self._show(message))

    def _put(self, item: str) -> None:
        self._write(self._stream, item)


class StreamSink(_OutputSink):
    """Write a stream of payloads, from START to STOP, to standard output; see `Sink`.

    Args:
        wanted: tells which; None: all.
        most: writes so many, and no more; None: all.
        stream: standard output.
    """

    def __init__(self, wanted: Optional[Selector], most: Optional[int], stream: BinaryIO) -> None:
        super().__init__(wanted, most)
        self._stream = stream
        self._session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.UNIDIRECTIONAL)

    def open(self) -> None:
        """Write START, and begin to take."""
        self._stream.write(self._session.start())
        self._stream.flush()
        super().open()

    def _put(self, item: bytes) -> None:
        self._write(self._stream, self._session.header(len(item)) + item)

    def close(self) -> None:
        """Write STOP."""
        if self._session.streaming and self.failure is None:
            self._stream.write(self._session.stop())
            self._stream.flush()


class CaptureSink(Sink):
    """Write a capture file, payloads as they are, by a handler's queue and thread; see `Sink`.

    Where the queue is full, because the disk is slow or full, the callers wait, and with them
    their senders.

    Args:
        options: of the command line, those of the file.
        wanted: tells which; None: all.
        most: writes so many, and no more; None: all.
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
        self._handler.emit_payload(item)  # what it refuses is in its books

    def secure(self) -> None:
        """Wait until all that was taken is in the file."""
        self._opened.wait()
        self._handler.flush(None)
        if self._lost():
            raise CommandError(self.problems()[0])

    def reopen(self) -> None:
        """Open the file anew if it was moved away."""
        self._handler.reopen()

    def close(self) -> None:
        """Write what is queued, and STOP."""
        if self._handler is not None:
            self._handler.close()

    def _lost(self) -> int:
        return sum(self._handler.stats().dropped.values())

    def problems(self) -> List[str]:
        """Return what was lost, in words."""
        lost = self._lost()
        if not lost:
            return []
        unwritten = numbers.counted(lost, "message")
        return [f"{unwritten} not written: {self._handler.stats().last_error}"]


def make_sink(options: argparse.Namespace, show: Printer, wanted: Optional[Selector]) -> Sink:
    """Return the sink that the command line asks for, not yet open.

    Args:
        options: with ``write``, ``count`` and the options of the file.
        show: makes text of a message.
        wanted: tells which messages; None: all.
    """
    if options.write is None:
        return PrintSink(show, wanted or (lambda message: True), options.count, sys.stdout)
    if options.write == "-":
        return StreamSink(wanted, options.count, sys.stdout.buffer)
    return CaptureSink(options, wanted, options.count)
