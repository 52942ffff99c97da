"""Messages as rows of a Parquet file, written by pyarrow (extra ``arrow``), which this imports."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from ..columns.batch import Batch
from ..columns.table import COLUMNS, Column, Kind
from ..message.message import DnstapMessage
from .new_file import NewFile

__all__ = ["SCHEMA", "ParquetRows"]

ROWS_IN_BATCH = 2048
BYTES_IN_BATCH = 4 << 20
"""Of payloads: messages may have a megabyte each."""

ROWS_IN_GROUP = 64 * ROWS_IN_BATCH
"""Readers take row groups at the same time, one a thread, and leave out those by their least and
largest values: so groups are neither few nor small."""

BYTES_IN_GROUP = 32 << 20

TYPES = {
    Kind.TIME: pa.timestamp("ns", "UTC"),
    Kind.TEXT: pa.string(),
    Kind.UINT8: pa.uint8(),
    Kind.UINT16: pa.uint16(),
    Kind.UINT32: pa.uint32(),
    Kind.UINT64: pa.uint64(),
    Kind.INT64: pa.int64(),
    Kind.BOOL: pa.bool_(),
    Kind.CODES: pa.list_(pa.uint16()),
}

INCREASING = ("time", "sequence.number")
"""Better written as differences than by a dictionary of what is hardly ever there twice."""


def _type(column: Column) -> Any:
    if column.kind is Kind.PARTS:
        return pa.struct([(name, TYPES[kind]) for name, kind in column.parts])
    return TYPES[column.kind]


def _leaves() -> List[str]:
    """Return the columns as Parquet has them, the parts of structures each for itself."""
    leaves = []
    for column in COLUMNS:
        if column.kind is Kind.PARTS:
            for name, kind in column.parts:
                end = ".list.element" if kind is Kind.CODES else ""
                leaves.append(f"{column.name}.{name}{end}")
        else:
            leaves.append(column.name)
    return leaves


SCHEMA = pa.schema([(column.name, _type(column)) for column in COLUMNS])
DICTIONARIES = [each for each in _leaves() if each not in INCREASING]
ENCODINGS = dict.fromkeys(INCREASING, "DELTA_BINARY_PACKED")


class ParquetRows:
    """Write messages as rows, in their order, in constant memory.

    Args:
        file: where to.
    """

    def __init__(self, file: NewFile) -> None:
        self.file = file
        self._sink = _Sink(file)
        self._writer: Optional[pq.ParquetWriter] = None
        self._messages: List[DnstapMessage] = []
        self._bytes = 0  # of their payloads
        self._batches: List[pa.RecordBatch] = []  # of a row group
        self._rows = self._size = 0  # in these

    def add(self, payload: bytes, message: DnstapMessage) -> None:
        """Add a row."""
        self._messages.append(message)
        self._bytes += len(payload)
        if len(self._messages) >= ROWS_IN_BATCH or self._bytes >= BYTES_IN_BATCH:
            self._convert()

    def end(self) -> None:
        """Write what is left, and the end of the file."""
        if self._messages:
            self._convert()
        self._write()
        self._open().close()

    def give_up(self) -> None:
        """Let go of the file, whole or not; nothing is written any more."""
        self._sink.discards = True
        if self._writer is not None:
            self._writer.close()  # or its finalizer would

    def _convert(self) -> None:
        batch = Batch(self._messages)
        arrays = [_array(column, column.values(batch)) for column in COLUMNS]
        rows = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
        self._messages, self._bytes = [], 0
        self._batches.append(rows)
        self._rows += rows.num_rows
        self._size += rows.nbytes
        if self._rows >= ROWS_IN_GROUP or self._size >= BYTES_IN_GROUP:
            self._write()

    def _write(self) -> None:
        """Write a row group."""
        if self._rows:
            group = pa.Table.from_batches(self._batches, SCHEMA)
            self._batches, rows = [], self._rows
            self._rows = self._size = 0
            self._open().write_table(group, row_group_size=rows)

    def _open(self) -> Any:
        """Return the writer, made when there is something to write: it begins the file at once."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                pa.PythonFile(self._sink, mode="w"),
                SCHEMA,
                compression="zstd",
                version="2.6",
                use_dictionary=DICTIONARIES,
                column_encoding=ENCODINGS,
            )
        return self._writer


class _Sink:
    """The file as pyarrow writes it; discards what comes after the file was given up."""

    closed = False

    def __init__(self, file: NewFile) -> None:
        self._file = file
        self.discards = False

    def write(self, data: Any) -> int:
        if not self.discards:
            self._file.write(data)
        return len(data)

    def flush(self) -> None:
        """Do nothing: the file is flushed at its end."""

    def close(self) -> None:
        """Do nothing: the file is closed by who made it."""


def _array(column: Column, values: Sequence[Any]) -> Any:
    if column.kind is not Kind.PARTS:
        return _plain(column.kind, values)
    if not any(values):
        return pa.nulls(len(values), _type(column))
    nothing = (None,) * len(column.parts)
    parts = zip(*[each or nothing for each in values])
    arrays = [_plain(kind, part) for (_, kind), part in zip(column.parts, parts)]
    missing = pa.array([each is None for each in values])
    return pa.StructArray.from_arrays(arrays, fields=list(_type(column)), mask=missing)


def _plain(kind: Kind, values: Sequence[Any]) -> Any:
    if kind is Kind.TIME:
        return pa.array(values, pa.int64()).view(TYPES[kind])
    return pa.array(values, TYPES[kind])
