"""What arrived: the streams of a collector's sessions, and captures; read by hand."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Set, Tuple

from tests.helpers.mock_cluster import Record
from tests.situations.chaos.peers import CONTENT_TYPE, READY, START, STOP, control
from tests.situations.chaos.records import PAYLOAD_IDENTITY, Damaged, Mark, read_wire
from tests.situations.interop.captures import decode

__all__ = ["STORED", "Arrival", "Stream", "read_captures", "read_partition", "read_sessions"]


SEQUENCE = re.compile(rb"\bseq=([0-9a-f]{16})/([0-9]+)/[0-9]+$")

STORED = "stored"
"""The kind of a segment that lies in the spool."""


class Arrival(NamedTuple):
    """A record that arrived.

    Attributes:
        mark: whose it is.
        size: bytes of its frame.
        sequence: the handler's run and number, if it has one.
    """

    mark: Mark
    size: int
    sequence: Optional[Tuple[str, int]] = None


class Stream(NamedTuple):
    """One session, one capture, or one partition of a topic.

    Attributes:
        name: of its file.
        kind: the fault of a session; "" of a capture.
        arrivals: its records, in order.
        problems: what is wrong with it.
        has_stop: whether it ended with STOP.
        cut: bytes of a last frame that is not all there.
        said: what the collector noted.
    """

    name: str
    kind: str
    arrivals: List[Arrival]
    problems: List[str]
    has_stop: bool
    cut: int
    said: List[str]

    @property
    def writers(self) -> Set[Tuple[str, int]]:
        """The processes and handlers whose records are in it."""
        return {each.mark[:2] for each in self.arrivals}

    def about(self) -> str:
        """Return a line on it."""
        return (
            f"{self.name} {self.kind}: {len(self.arrivals)} records of {sorted(self.writers)}, "
            f"{'STOP, ' if self.has_stop else ''}{self.cut} bytes cut; {', '.join(self.said)}"
        )


def read_sessions(folder: Path, bidirectional: bool) -> List[Stream]:
    """Return a collector's sessions, in the order in which they began."""
    found = []
    for path in sorted(folder.glob("*.bytes")):
        kind = path.with_suffix(".kind").read_text()
        said = path.with_suffix(".said")
        lines = said.read_text().splitlines() if said.exists() else []
        data = b"" if kind == "speaks_plain" else path.read_bytes()
        found.append(_read(path.stem, kind, data, bidirectional, lines))
    return found


def read_captures(folder: Path, name: str) -> List[Stream]:
    """Return the captures in a folder whose names begin with this."""
    paths = sorted(path for path in folder.iterdir() if path.name.startswith(name))
    return [_read(path.name, "", path.read_bytes(), False, []) for path in paths]


def _read(name: str, kind: str, data: bytes, bidirectional: bool, said: List[str]) -> Stream:
    arrivals: List[Arrival] = []
    problems: List[str] = []
    begin = [control(READY, CONTENT_TYPE)] * bidirectional + [control(START, CONTENT_TYPE)]
    at = 0
    for expected in begin:
        if data[at : at + len(expected)] != expected[: len(data) - at]:
            problems.append(f"{data[at : at + len(expected)]!r} at {at}, not {expected!r}")
            return Stream(name, kind, arrivals, problems, False, 0, said)
        at = min(len(data), at + len(expected))
    stop = control(STOP)
    has_stop = False
    while at + 4 <= len(data) and not has_stop:
        (size,) = struct.unpack_from(">I", data, at)
        if size == 0:
            rest = data[at:]
            has_stop = rest == stop
            if not has_stop and not stop.startswith(rest):
                problems.append(f"{rest[:60]!r} at {at}, not STOP, or something behind it")
            at = len(data) if has_stop else at
            break
        if at + 4 + size > len(data):
            break
        try:
            record = data[at + 4 : at + 4 + size]
            arrivals.append(Arrival(_mark(record), 4 + size, _sequence(record)))
        except Damaged as error:
            problems.append(f"the frame at {at}: {error}")
        at += 4 + size
    return Stream(name, kind, arrivals, problems, has_stop, len(data) - at, said)


def read_partition(number: int, records: Sequence[Record]) -> Stream:
    """Return what is in a partition of a topic of Kafka, where every record has its offset.

    The cluster keeps a number of bytes only: then the first are gone.
    """
    arrivals: List[Arrival] = []
    problems: List[str] = []
    for offset, record in enumerate(records):
        try:
            if record.offset != offset:
                raise Damaged("not here, because the cluster has not kept it")
            sequence = _sequence(record.value)
            numbers = [] if sequence is None else [("sequence", str(sequence[1]).encode())]
            if record.headers != [("content-type", CONTENT_TYPE), *numbers]:
                raise Damaged(f"with headers {record.headers}, and {sequence} in it")
            arrivals.append(Arrival(_mark(record.value), 4 + len(record.value), sequence))
        except Damaged as error:
            problems.append(f"the record at {offset}: {error}")
            break
    return Stream(f"partition {number}", "", arrivals, problems, True, 0, [])


def _sequence(payload: bytes) -> Optional[Tuple[str, int]]:
    found = SEQUENCE.search(decode(payload).get("extra", b""))
    return (found[1].decode(), int(found[2])) if found else None


def _mark(payload: bytes) -> Mark:
    """Return whose record a payload is; all in it must be right."""
    try:
        fields = decode(payload)
        message = fields["message"]
        query = message["query_message"]
    except (AssertionError, KeyError, IndexError) as error:
        raise Damaged(f"not a dnstap message ({error!r}): {payload[:80]!r}") from None
    if (fields["type"], message["type"]) != (1, 5):
        raise Damaged(f"not a CLIENT_QUERY: {fields}")
    if fields["identity"] != PAYLOAD_IDENTITY and "query_time_sec" not in message:
        raise Damaged(f"without its time: {fields}")
    return read_wire(query)
