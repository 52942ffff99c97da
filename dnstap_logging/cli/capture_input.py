"""Captures that a command reads: their messages, and what is wrong with them."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import Any, BinaryIO, Callable, Iterator, Optional, Tuple, TypeVar, cast

from ..codec.decoding import decode
from ..exceptions import DecodeError
from ..message.message import DnstapMessage
from ..reader.reader import DnstapReader, open_stream
from ..reader.stream import CaptureStream
from . import numbers
from .common import CommandError, unwritable

__all__ = ["JOINED", "NO_STOP", "STANDARD_INPUT", "Capture", "Damage", "open_reader"]

STANDARD_INPUT = "-"

Opened = TypeVar("Opened")

NO_STOP = "no STOP there: its writer is still at work, or was ended"

JOINED = (
    "one after the other: many programs stop at the first STOP; check --repair makes one of them"
)


class Damage:
    """What is wrong with a capture.

    Args:
        name: of the file.
        offset: where the frame begins that is at fault.
        reason: what is wrong there.
        more: how many payloads behind the first one cannot be decoded either.
    """

    def __init__(self, name: str, offset: Optional[int], reason: str) -> None:
        self.name = name
        self.offset = offset
        self.reason = reason
        self.more = 0

    @property
    def where(self) -> str:
        """Offset and reason in one clause."""
        text = f"byte {self.offset}: {self.reason}"
        if not self.more:
            return text
        return f"{text} (and {numbers.counted(self.more, 'more frame')} like it)"

    def __str__(self) -> str:
        return f"{self.name}: {self.where}"


def display_name(name: str) -> str:
    """Return what texts call a file."""
    return "standard input" if name == STANDARD_INPUT else name or "''"


def open_reader(name: str, max_frame_size: int) -> DnstapReader:
    """Open a capture for reading.

    Args:
        name: of the file; ``-`` is standard input.
        max_frame_size: as of `DnstapReader`.

    Raises:
        CommandError: it cannot be opened.
        DecodeError: it does not begin as a capture does.
    """
    return _open(name, DnstapReader, max_frame_size=max_frame_size)


def _open(name: str, opener: Callable[..., Opened], **arguments: Any) -> Opened:
    source = _standard_input() if name == STANDARD_INPUT else name
    shown = display_name(name)
    try:
        return opener(source, **arguments)
    except BrokenPipeError:
        raise  # of standard output, which is flushed before standard input is waited for
    except OSError as error:
        raise CommandError(f"{shown}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise CommandError(f"{shown}: {str(error).removeprefix(f'{name}: ')}") from None


class Capture:
    """One capture, read once from its beginning in constant memory; closed by its ``with``.

    A payload that cannot be decoded is skipped, and the frames after it are read. Only the first
    such payload is described.

    Args:
        name: of the file; ``-`` is standard input.
        follow: as of `DnstapReader`.

    Attributes:
        name: for texts.
        damage: what is wrong, once it was read to its end; None: it is whole.

    Raises:
        CommandError: it cannot be opened.
    """

    def __init__(self, name: str, follow: bool = False) -> None:
        self.name = display_name(name)
        self.damage: Optional[Damage] = None
        # The stream below a reader: it knows where a frame is, and need not be asked for each.
        self._stream: Optional[CaptureStream] = None
        self._closed = False
        try:
            self._stream = _open(name, open_stream, follow=follow)
        except DecodeError as error:
            self._note(error)

    def __enter__(self) -> Capture:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; may be called by any thread, and by a signal handler.

        A capture that is followed and waits for more ends then, without damage.
        """
        self._closed = True
        if self._stream is not None:
            self._stream.close()

    @property
    def opened(self) -> bool:
        """Whether it begins as a capture does."""
        return self._stream is not None

    @property
    def streams(self) -> int:
        """How many streams there are, once it was read; captures that were joined have several."""
        return 0 if self._stream is None else self._stream.streams

    @property
    def offset(self) -> int:
        """Bytes read as whole frames."""
        return 0 if self._stream is None else self._stream.offset

    def messages(self) -> Iterator[DnstapMessage]:
        """Yield the messages that can be decoded; see `payloads`."""
        for payload in self.payloads():
            try:
                yield decode(payload)
            except DecodeError as error:
                self.pass_over(error)

    def pairs(self) -> Iterator[Tuple[bytes, DnstapMessage]]:
        """Yield what `messages` does, each with the payload that it is from."""
        for payload in self.payloads():
            try:
                message = decode(payload)
            except DecodeError as error:
                self.pass_over(error)
            else:
                yield payload, message

    def payloads(self) -> Iterator[bytes]:
        """Yield the payloads of the frames that are there.

        What is wrong with the capture is not raised: see `damage`.
        """
        if self._stream is None:
            return
        try:
            yield from self._stream.payloads()
        except DecodeError as error:
            self._note(error)
            return
        if not self._stream.complete and not self._closed:
            self._found(self.offset, NO_STOP)

    def pass_over(self, error: DecodeError) -> None:
        """Note that the payload which was yielded last cannot be decoded."""
        if self.damage is not None:
            self.damage.more += 1
        elif self._stream is not None:
            self._found(self._stream.frame_offset, str(error))

    def _note(self, error: DecodeError) -> None:
        text, place = str(error), f"{self.name}: byte {error.offset}: "
        # the reader's text begins with name and offset, which a Damage holds separately
        self._found(error.offset, text[len(place) :] if text.startswith(place) else text)

    def _found(self, offset: Optional[int], reason: str) -> None:
        if self.damage is None:
            self.damage = Damage(self.name, offset, reason)


class _StandardInput:
    """Standard input; what was printed is flushed before it is waited for."""

    name = "standard input"

    def __init__(self) -> None:
        # The file below the buffer has no lock: a thread that waits in it for ever does not keep
        # the interpreter from ending.
        self._file = cast(io.FileIO, cast(io.BufferedReader, sys.stdin.buffer).raw)

    def read1(self, size: int) -> bytes:
        """Return what is there, at least a byte; none at the end."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as error:  # not to be taken for one of standard input
            raise unwritable(error) from None
        while True:
            block = self._file.read(size)
            if block is not None:
                return block
            select.select([self._file], [], [])  # somebody has made it non-blocking

    read = read1


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise CommandError("standard input is closed: pipe a capture into it, or name a file")
    if os.isatty(sys.stdin.fileno()):
        raise CommandError("standard input is a terminal: pipe a capture into it, or name a file")
    return _StandardInput()  # type: ignore[return-value]
