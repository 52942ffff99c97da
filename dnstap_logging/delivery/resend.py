"""The frames of a session that may have to go out again on the next one.

Belongs to the session's writer.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Sequence, Tuple

from ..framestream.frames import LENGTH
from .destination import Unread

__all__ = ["ResendRing"]

COUNTED_BYTES = 1024 * 1024
"""How many of a session's last bytes can be counted in records: more than a socket's buffer holds
where the ring's limit does not bound it."""


class ResendRing:
    """Keep the last frames that were written to one session.

    Args:
        limit: bytes of frames to keep; 0 keeps none.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # Batches as they were written: one append for a write, however many frames it had.
        self._batches: Deque[Sequence[bytes]] = deque()
        self._sizes: Deque[int] = deque()
        self._size = 0
        self._records = 0
        # Of batches that are not kept (any more): records and bytes, as far back as a kernel's
        # buffer reaches.
        self._gone: Deque[Tuple[int, int]] = deque()
        self._gone_size = 0

    def add(self, payloads: Sequence[bytes], size: int) -> None:
        """Note frames that the kernel has taken.

        Args:
            payloads: without their headers, in order; not changed afterwards.
            size: bytes of their frames, headers included.
        """
        self._records += len(payloads)
        if not self._limit:
            self._let_go(payloads, size)
            return
        self._batches.append(payloads)
        self._sizes.append(size)
        self._size += size
        while self._size - self._sizes[0] >= self._limit:
            gone = self._sizes.popleft()
            self._let_go(self._batches.popleft(), gone)
            self._size -= gone

    def _let_go(self, payloads: Sequence[bytes], size: int) -> None:
        self._gone.append((len(payloads), size))
        self._gone_size += size
        while self._gone_size - self._gone[0][1] >= COUNTED_BYTES:
            self._gone_size -= self._gone.popleft()[1]

    def unread(self, size: float) -> Unread:
        """Return what lies within the last so many bytes of the stream.

        Args:
            size: bytes that may not have been read; math.inf: nobody knows. A frame that lies
                partly within is one of them.
        """
        frames: List[bytes] = []
        room = min(size, self._limit)
        for batch in reversed(self._batches):
            for payload in reversed(batch):
                if room <= 0:
                    break
                frames.append(payload)
                room -= LENGTH.size + len(payload)
        frames.reverse()
        known = size <= min(self._size, self._limit)
        return Unread(frames, 0 if known else self._lost_sight(size) - len(frames))

    def _lost_sight(self, size: float) -> int:
        """Return how many of the last records hold so many bytes, rounded up to whole batches."""
        records = sum(map(len, self._batches))
        reach = self._size
        for number, length in reversed(self._gone):
            if reach >= size:
                return records
            records += number
            reach += length
        return records if reach >= size else self._records
