"""The books: what became of every record.

`Counters` is what the queue and the writer thread change, always under the queue's lock; `Stats`
is the frozen snapshot of them that users see. A new counter is one line of `Stats`: `Counters` and
the metrics of `integrations.prometheus` follow from it, and tests ask for its line in the docstring
and its row in docs/reference/statistics.md.
"""

# No "from __future__ import annotations": the annotations of Stats are read below.
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Dict, Mapping, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    from typing_extensions import Annotated
else:
    from typing import Annotated

__all__ = ["CAUSES", "Attempts", "METRICS", "Counters", "Metric", "Stats"]

CAUSES = (
    "queue_full",  # the queue held queue_size records
    "queue_bytes",  # the queue held queue_bytes bytes
    "too_large",  # a DNS message over 65,535 bytes, or a frame over max_frame_size
    "invalid",  # dns extras that cannot be a dnstap message
    "closed",  # logged after close()
    "reentrant",  # logged while the same thread was inside the queue's lock
    "disk_full",  # no room in the file system of the capture
    "no_sink",  # logged after the last attempt to connect had failed
    "disconnected",  # accepted, and given up at close or after the last attempt
    "spool_full",  # no room in the spool, or in its file system, nor on the queue
    "spool_lost",  # stored in a segment that was deleted, or that cannot be read
)


Attempts = Tuple[int, Optional[str]]
"""Of one address: failures since its last success, and the last error in words, or None."""


NAME_WIDTH = 15  # of the longest name of a counter, in the table


class Metric(NamedTuple):
    """How Prometheus shows one number of `Stats`: follows its type in an ``Annotated``."""

    name: str
    """As Prometheus's conventions have it; prometheus_client adds _total to counters."""
    help: str
    gauge: bool = False
    """Whether the number may also fall."""


class Stats(NamedTuple):
    """A snapshot of one handler's books, consistent in itself.

    ``logged + recovered == written + queued + in_flight + spooled + sum(dropped.values())`` holds
    in every snapshot. Without a spool, recovered and spooled are 0.

    Attributes:
        logged: records with dns extras that reached the handler.
        accepted: records put on the queue.
        written: records handed whole to the kernel or the file; not yet "delivered" or "on disk".
        bytes_written: bytes of their frames, with the length of each frame.
        queued: records on the queue now.
        in_flight: records taken from the queue, or read from the spool, and not yet written.
        dropped: records lost, by cause; every cause is present from the start.
        invalid_fields: optional fields left out because their value was unusable.
        resent: frames sent again on a new session.
        confirmed: records of sessions that the collector's FINISH ended: it has read them all.
        unconfirmed: records of a session that ended without FINISH which were neither sent again
            nor shown to have been read.
        connects: sessions that began (handshakes that succeeded, files that were opened).
        disconnects: sessions that ended other than by close(), reopen() or the return to an earlier
            address.
        connected: whether a session is open now.
        address: the address of the session, as text; without a session, the first.
        last_error: the last failure in words, or None.
        spooled: records stored in the spool by this process which wait there now.
        recovered: records found in the spool, of processes before this one or beside it.
        spooled_bytes: bytes of all that lies in the spool's folder, of all processes.
        attempts: of each address, in the order of preference: the failures since its last success
            (attempts, and sessions that broke), and the last error in words, or None.
    """

    logged: Annotated[
        int,
        Metric("dnstap_records_logged", "Log records with dns extras that reached the handler."),
    ]
    accepted: Annotated[int, Metric("dnstap_records_accepted", "Records put on the queue.")]
    written: Annotated[
        int, Metric("dnstap_records_written", "Records handed whole to the kernel or the file.")
    ]
    bytes_written: Annotated[
        int, Metric("dnstap_written_bytes", "Bytes of the frames of written records.")
    ]
    queued: Annotated[int, Metric("dnstap_queue_records", "Records on the queue now.", gauge=True)]
    in_flight: Annotated[
        int,
        Metric(
            "dnstap_in_flight_records",
            "Records taken from the queue or the spool and not yet written.",
            gauge=True,
        ),
    ]
    dropped: Annotated[
        Mapping[str, int], Metric("dnstap_records_dropped", "Records lost, by cause.")
    ]
    invalid_fields: Annotated[
        int,
        Metric(
            "dnstap_invalid_fields", "Optional fields left out because their value was unusable."
        ),
    ]
    resent: Annotated[int, Metric("dnstap_records_resent", "Frames sent again on a new session.")]
    confirmed: Annotated[
        int,
        Metric(
            "dnstap_records_confirmed",
            "Records of sessions that ended with the collector's FINISH.",
        ),
    ]
    unconfirmed: Annotated[
        int,
        Metric(
            "dnstap_records_unconfirmed", "Records written to a session that ended without FINISH."
        ),
    ]
    connects: Annotated[int, Metric("dnstap_connects", "Sessions that began.")]
    disconnects: Annotated[
        int, Metric("dnstap_disconnects", "Sessions that ended other than by close or reopen.")
    ]
    connected: Annotated[
        bool, Metric("dnstap_connected", "Whether a session is open now: 1 or 0.", gauge=True)
    ]
    address: str
    last_error: Optional[str]
    spooled: Annotated[
        int,
        Metric("dnstap_spooled_records", "Records that wait in the spool.", gauge=True),
    ]
    recovered: Annotated[
        int,
        Metric("dnstap_records_recovered", "Records found in the spool, of other processes."),
    ]
    spooled_bytes: Annotated[
        int, Metric("dnstap_spooled_bytes", "Bytes of all segments in the spool.", gauge=True)
    ]
    attempts: Mapping[str, Attempts]

    def __reduce__(self) -> Tuple[Any, ...]:
        # Read-only mappings cannot be pickled.
        values = self._replace(dropped=dict(self.dropped), attempts=dict(self.attempts))
        return type(self)._restore, (tuple(values),)

    def __str__(self) -> str:
        """Return a table for people: a line for each number that is not 0, and what failed."""
        state = "connected" if self.connected else "not connected"
        lines = [f"{self.address}: {state}"]
        numbers = {
            name: value for name, value in self._asdict().items() if value and type(value) is int
        }
        lost = {cause: number for cause, number in self.dropped.items() if number}
        if lost:
            numbers["dropped"] = sum(lost.values())
        width = max(map(len, map(str, numbers.values())), default=0)
        for name, value in numbers.items():
            causes = "  ".join(f"{cause} {number}" for cause, number in lost.items())
            line = f"  {name:<{NAME_WIDTH}} {value:>{width}}"
            lines.append(f"{line}  ({causes})" if name == "dropped" else line)
        for name, (failures, error) in self.attempts.items():
            if failures and len(self.attempts) > 1:
                lines.append(f"  failures of {name}: {failures}, the last: {error}")
        if self.last_error is not None:
            lines.append(f"  last_error: {self.last_error}")
        return "\n".join(lines)

    @classmethod
    def _restore(cls, values: Tuple[Any, ...]) -> "Stats":
        stats = cls._make(values)
        return stats._replace(
            dropped=MappingProxyType(stats.dropped), attempts=MappingProxyType(stats.attempts)
        )


Stats.__module__ = "dnstap_logging"  # mypy does not let the body of a NamedTuple say so

METRICS: Dict[str, Metric] = {}
"""The metric of each number of `Stats`. Where the value is a mapping, each key is a label."""

for _field, _hint in Stats.__annotations__.items():
    if hasattr(_hint, "__metadata__"):
        METRICS[_field] = _hint.__metadata__[0]
        Stats.__annotations__[_field] = _hint.__origin__  # what help() and the manual show


class Counters:
    """The numbers behind `Stats`. Change and read them only under the queue's lock.

    The records logged and accepted are not counted one by one: those accepted are `taken` and what
    is still on the queue, and those logged are these and `refused`.

    Attributes:
        taken: records that have left the queue, whatever became of them.
        refused: records dropped before they were on the queue.
        read_back: those in flight that came from the spool.
    """

    __slots__ = (
        *sorted({*Stats._fields} - {"logged", "accepted", "queued"}),
        "read_back",
        "refused",
        "taken",
    )

    # What is used below and in the queue; the others are changed only by `RecordQueue.book`.
    address: str
    connected: bool
    last_error: Optional[str]
    attempts: Mapping[str, Attempts]
    taken: int
    refused: int
    written: int
    bytes_written: int
    in_flight: int
    read_back: int
    spooled: int
    recovered: int
    dropped: Dict[str, int]

    def __init__(self, address: str) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)
        self.address = address
        self.connected = False
        self.last_error = None
        self.attempts = {address: (0, None)}
        self.dropped = dict.fromkeys(CAUSES, 0)

    def refuse(self, cause: str) -> None:
        """Count a record that was dropped before it was on the queue."""
        self.refused += 1
        self.dropped[cause] += 1

    def settle(
        self, written: int, size: int, dropped: Mapping[str, int], spooled: int, read_back: bool
    ) -> None:
        """Count what became of records in flight, as `RecordQueue.settle` says."""
        number = written + spooled
        self.written += written
        self.bytes_written += size
        self.spooled += spooled
        for cause, lost in dropped.items():
            self.dropped[cause] += lost
            number += lost
        self.in_flight -= number
        if read_back:
            self.read_back -= number

    def read(self, own: int, found: int) -> None:
        """Count records that were read from the spool: stored here, or found."""
        self.spooled -= own
        self.recovered += found
        self.in_flight += own + found
        self.read_back += own + found

    @property
    def settled(self) -> int:
        """How many records that left the queue are written, stored or dropped."""
        return self.taken - self.in_flight + self.read_back

    def snapshot(self, queued: int) -> Stats:
        """Freeze the numbers as they stand."""
        accepted = self.taken + queued
        values: Dict[str, Any] = {name: getattr(self, name, 0) for name in Stats._fields}
        values.update(logged=accepted + self.refused, accepted=accepted, queued=queued)
        values["dropped"] = MappingProxyType(dict(self.dropped))
        values["attempts"] = MappingProxyType(self.attempts)
        return Stats(**values)
