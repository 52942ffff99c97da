"""A writer to a collector: keeps what the collector may not have read, to be sent again.

Belongs to the writer thread, as every `Writer`.
"""

from __future__ import annotations

from typing import List, Optional

from ..framestream import Direction
from ..transport import Transport
from .destination import Unread, WriteError
from .resend import ResendRing
from .writer import FrameWriter

__all__ = ["StreamWriter"]


class StreamWriter(FrameWriter):
    """Write frames of one session to one socket.

    Args:
        transport: connected; the writer owns it from now on.
        bidirectional: shake hands, or only START and STOP.
        timeout: seconds for the handshake, and for the FINISH at the end.
        resend_bytes: how much is kept to be sent again.
    """

    def __init__(
        self, transport: Transport, bidirectional: bool, timeout: float, resend_bytes: int
    ) -> None:
        super().__init__(transport, bidirectional, timeout)
        self._ring = ResendRing(resend_bytes)
        self._frames = 0
        self._closed = False

    def write(self, payloads: List[bytes]) -> int:
        """Write one data frame for each payload, and keep them for a while."""
        try:
            size = super().write(payloads)
        except WriteError as error:
            if error.frames:
                self._keep(payloads[: error.frames], error.size)
            raise
        self._keep(payloads, size)
        return size

    def _keep(self, payloads: List[bytes], size: int) -> None:
        self._frames += len(payloads)
        self._ring.add(payloads, size)

    def stop(self) -> Optional[str]:
        """End the stream in order: STOP, and wait for FINISH where the reader answers."""
        problem = super().stop()
        if problem is None and self._session.direction is Direction.UNIDIRECTIONAL:
            # Where nobody sends FINISH, what was ended in order does not go out again.
            self.unread = Unread([], self.unread.lost_sight + len(self.unread.frames))
        return problem

    def close(self) -> None:
        """Close the transport as it is, and find out what the peer may not have read."""
        if not self._closed:
            self._closed = True
            if self._session.finished and self._session.direction is Direction.BIDIRECTIONAL:
                self.confirmed = self._frames  # the peer's FINISH came: it has read everything
            else:
                self.unread = self._ring.unread(self._transport.unread())
        super().close()
