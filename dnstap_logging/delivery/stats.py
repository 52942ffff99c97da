"""The books: what became of every record.

`Counters` is what the queue and the writer thread change, always under the queue's lock; `Stats`
is the frozen snapshot of them that users see.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple, Type

__all__ = ["CAUSES", "Counters", "Stats"]

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
)


class Stats(NamedTuple):
    """A snapshot of one handler's books, consistent in itself.

    ``logged == written + queued + in_flight + sum(dropped.values())`` holds in every snapshot.

    Attributes:
        logged: records with dns extras that reached the handler.
        accepted: records put on the queue.
        written: records handed whole to the kernel or the file; not yet "delivered" or "on disk".
        bytes_written: bytes of their frames, with the length of each frame.
        queued: records on the queue now.
        in_flight: records taken from the queue and not yet written.
        dropped: records lost, by cause; every cause is present from the start.
        invalid_fields: optional fields left out because their value was unusable.
        resent: frames sent again on a new session.
        confirmed: records of sessions that the collector's FINISH ended: it has read them all.
        unconfirmed: records of a session that ended without FINISH which were neither sent again
            nor shown to have been read.
        connects: sessions that began (handshakes that succeeded, files that were opened).
        disconnects: sessions that ended other than by close() or reopen().
        connected: whether a session is open now.
        address: the address as text.
        last_error: the last failure in words, or None.
    """

    logged: int
    accepted: int
    written: int
    bytes_written: int
    queued: int
    in_flight: int
    dropped: Mapping[str, int]
    invalid_fields: int
    resent: int
    confirmed: int
    unconfirmed: int
    connects: int
    disconnects: int
    connected: bool
    address: str
    last_error: Optional[str]

    def __reduce__(self) -> Tuple[Any, ...]:
        # A read-only mapping cannot be pickled.
        return _restore, (type(self), tuple(self._replace(dropped=dict(self.dropped))))


def _restore(kind: Type[Stats], values: Tuple[Any, ...]) -> Stats:
    stats = kind._make(values)
    return stats._replace(dropped=MappingProxyType(stats.dropped))


class Counters:
    """The numbers behind `Stats`. Change and read them only under the queue's lock.

    What is accepted and logged is not counted for each record, but follows from the rest: it is
    what was taken from the queue and what is still there, and with what was refused all of it.

    Attributes:
        taken: records that have left the queue, whatever became of them.
        refused: records dropped before they were on the queue.
    """

    __slots__ = (
        "address",
        "bytes_written",
        "confirmed",
        "connected",
        "connects",
        "disconnects",
        "dropped",
        "in_flight",
        "invalid_fields",
        "last_error",
        "refused",
        "resent",
        "taken",
        "unconfirmed",
        "written",
    )

    def __init__(self, address: str) -> None:
        self.address = address
        self.taken = self.refused = self.written = self.bytes_written = self.in_flight = 0
        self.invalid_fields = self.resent = self.confirmed = self.unconfirmed = 0
        self.connects = self.disconnects = 0
        self.connected = False
        self.last_error: Optional[str] = None
        self.dropped: Dict[str, int] = dict.fromkeys(CAUSES, 0)

    def snapshot(self, queued: int) -> Stats:
        """Freeze the numbers as they stand."""
        accepted = self.taken + queued
        return Stats(
            logged=accepted + self.refused,
            accepted=accepted,
            written=self.written,
            bytes_written=self.bytes_written,
            queued=queued,
            in_flight=self.in_flight,
            dropped=MappingProxyType(dict(self.dropped)),
            invalid_fields=self.invalid_fields,
            resent=self.resent,
            confirmed=self.confirmed,
            unconfirmed=self.unconfirmed,
            connects=self.connects,
            disconnects=self.disconnects,
            connected=self.connected,
            address=self.address,
            last_error=self.last_error,
        )
