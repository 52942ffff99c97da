"""Messages as a file for other programs: Parquet, or protobuf with lengths."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any, Iterator, Protocol

from ..codec.pieces import Memo
from ..codec.table import varint
from ..message.message import DnstapMessage
from .common import CommandError
from .new_file import STANDARD_OUTPUT, NewFile

__all__ = ["Export", "add_arguments", "check", "open_export"]


class Export(Protocol):
    """What takes the messages for a file.

    Attributes:
        file: is kept if it is wanted.
    """

    file: NewFile

    def add(self, payload: bytes, message: DnstapMessage) -> None:
        """Take a message, and the payload that it was decoded from."""

    def end(self) -> None:
        """Write what is left."""

    def give_up(self) -> None:
        """Let go of the file, whole or not; nothing is written any more."""


def add_arguments(group: Any) -> None:
    """Add the files to the output formats, of which at most one may be given."""
    group.add_argument(
        "--parquet",
        metavar="OUT",
        help="write a new Parquet file, for DuckDB and others, instead of lines (extra arrow)",
    )
    group.add_argument(
        "--protobuf",
        metavar="OUT",
        help="write a new file of protobuf messages, each after its length; - is standard output",
    )


def check(options: argparse.Namespace) -> bool:
    """Return whether there is a file to write.

    Raises:
        CommandError: what does not go together.
    """
    if options.parquet is not None and options.follow:
        raise CommandError("--follow never ends, and a Parquet file is there at the end only")
    if options.protobuf not in (None, STANDARD_OUTPUT) and options.follow:
        raise CommandError("--follow never ends, and OUT is there at the end only: --protobuf -")
    return options.parquet is not None or options.protobuf is not None


@contextlib.contextmanager
def open_export(options: argparse.Namespace) -> Iterator[Export]:
    """Make the file; after the body it is whole, or not there if it is not wanted.

    Raises:
        CommandError: it cannot be made or written, or what it takes is not installed.
    """
    make: Any = _Delimited
    output = options.protobuf
    if options.parquet is not None:
        make, output = _parquet_rows(), options.parquet
    with NewFile(output) as file:
        export: Export = make(file)
        try:
            yield export
            if file.wanted:
                export.end()
        finally:
            export.give_up()


def _parquet_rows() -> Any:
    try:
        from .parquet import ParquetRows
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise CommandError(
            "--parquet needs pyarrow: install it, or dnstap-logging with its extra 'arrow'"
        ) from None
    return ParquetRows


class _Delimited:
    """Write payloads as they are, each after its length as a varint."""

    def __init__(self, file: NewFile) -> None:
        self.file = file

    def add(self, payload: bytes, message: DnstapMessage) -> None:
        """Write a payload."""
        self.file.write(_lengths[len(payload)] + payload)

    def end(self) -> None:
        """Do nothing: all is written."""

    give_up = end


_lengths = Memo(varint)
