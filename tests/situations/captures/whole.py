"""A whole capture, as every reader sees it: our own eyes, DnstapReader, fstrm_dump and dnstap."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, List

from dnstap_logging import DnstapHandler, DnstapReader
from tests.situations.interop.captures import fstrm_dump, read_capture, run_tool
from tests.situations.interop.taps import WHOLE_DUMP, marks_in


def read_whole(path: Path, *, tools: bool = True) -> List[bytes]:
    """Return the payloads of a capture from START to STOP; every reader must read all of them.

    Args:
        path: of the capture.
        tools: False leaves the external programs out, which cost some milliseconds.
    """
    capture = read_capture(path)
    assert capture.complete, f"{path}: no STOP, {capture.rest} bytes after the last whole frame"
    count = len(capture.payloads)
    with DnstapReader(path) as reader:
        read = sum(1 for _ in reader)
        assert reader.complete, f"{path}: no STOP for DnstapReader"
    assert read == count, f"{path}: {read} messages for DnstapReader, not {count}"
    if tools:
        dump = fstrm_dump(path)
        assert (len(dump.payloads), dump.control) == (count, WHOLE_DUMP), f"{path}: fstrm_dump"
        shown, notes = run_tool("dnstap", "-r", path, "-q")
        assert "error" not in notes.lower(), f"{path}: dnstap says {notes}"
        assert shown.count("\n") == count, f"{path}: {shown.count(chr(10))} lines, not {count}"
    return capture.payloads


def marks_of(path: Path, *, tools: bool = True) -> List[str]:
    """Return the marks (Dnstap.extra) of the records in a whole capture, in order."""
    return marks_in(read_whole(path, tools=tools))


def log_mark(handler: DnstapHandler, mark: object) -> None:
    """Give a handler one record with a mark in Dnstap.extra."""
    extra = {"dns_message_type": "CLIENT_QUERY", "dns_extra": str(mark)}
    handler.handle(logging.makeLogRecord(extra))


def log_one(path: Path, mark: object = "new", **arguments: Any) -> None:
    """Log one record into a capture by a handler that comes and goes."""
    handler = DnstapHandler(path, **arguments)
    log_mark(handler, mark)
    handler.close()
    assert handler.stats().written == 1, handler.stats()
