"""A writer to a collector: shakes hands, and keeps what the collector may not have read.

Belongs to the writer thread, as every `Writer`.
"""

from __future__ import annotations

import time
from typing import List, Optional

from ..exceptions import RemoteProtocolError, TransportError, TransportTimeout
from ..framestream.state import Direction
from ..transport.stream import StreamTransport
from .destination import Unread, WriteError
from .resend import ResendRing
from .writer import FrameWriter

__all__ = ["TRY_TLS", "StreamWriter"]

TRY_TLS = "; if it speaks TLS, use tls://"
"""What to say of a TCP collector that ends the connection before it has shown what it speaks."""


class StreamWriter(FrameWriter):
    """Write frames of one session to one socket.

    Args:
        transport: connected; the writer owns it from now on.
        bidirectional: shake hands, or only START and STOP.
        timeout: seconds for the handshake, and for the FINISH at the end.
        resend_bytes: how much is kept to be sent again.
    """

    def __init__(
        self, transport: StreamTransport, bidirectional: bool, timeout: float, resend_bytes: int
    ) -> None:
        super().__init__(
            transport, Direction.BIDIRECTIONAL if bidirectional else Direction.UNIDIRECTIONAL
        )
        self._socket = transport
        self._timeout = timeout
        self._ring = ResendRing(resend_bytes)
        self._frames = 0
        self._closed = False

    def start(self) -> None:
        """Shake hands; afterwards frames can be written."""
        try:
            super().start()
        except TransportError as error:
            raise self._ended_early(error) from error.__cause__
        deadline = time.monotonic() + self._timeout
        while not self._session.streaming:
            answer = self._receive(deadline, "ACCEPT")
            self._transport.send(self._session.receive(answer))

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
        """End the stream in order and close; return None, or why its end was not confirmed."""
        problem = super().stop()
        if problem is None and self._session.direction is Direction.UNIDIRECTIONAL:
            # Where nobody sends FINISH, what was ended in order does not go out again.
            self.unread = Unread([], self.unread.lost_sight + len(self.unread.frames))
        return problem

    def _end_stream(self) -> None:
        """Send STOP, and wait for FINISH where the collector answers; some close instead."""
        if self._session.direction is Direction.BIDIRECTIONAL:
            self.look()  # what has ended already tells more now than after a send that fails
        super()._end_stream()
        deadline = time.monotonic() + (self._timeout if self.patient else 0.0)
        try:
            while not self._session.finished:
                self._session.receive(self._receive(deadline, "FINISH"))
        except (TransportTimeout, RemoteProtocolError) as error:
            self.finished = True  # a collector that leaves FINISH out, or that is stopped
            self.patient = not isinstance(error, TransportTimeout)
            raise
        self.finished = True

    def close(self) -> None:
        """Close the transport as it is, and find out what the collector may not have read."""
        if not self._closed:
            self._closed = True
            if self._session.finished and self._session.direction is Direction.BIDIRECTIONAL:
                self.confirmed = self._frames  # its FINISH came: it has read everything
            else:
                self.unread = self._ring.unread(self._socket.unread())
        super().close()

    def _receive(self, deadline: float, expected: str) -> bytes:
        """Return the collector's next bytes, or raise that ``expected`` did not come."""
        try:
            answer = self._socket.receive(max(0.0, deadline - time.monotonic()))
        except TransportTimeout as error:
            reason = f"no {expected} from the peer in {self._timeout:g} s"
            unanswered = TransportTimeout(self.name, reason)
            unanswered.connected = True
            raise unanswered from error
        except TransportError as error:
            if expected == "ACCEPT":
                raise self._ended_early(error) from error.__cause__
            raise
        if not answer:
            hint = self._other_way if expected == "ACCEPT" else ""
            raise RemoteProtocolError(
                f"the peer closed the connection instead of sending {expected}{hint}"
            )
        return answer

    def _ended_early(self, error: TransportError) -> TransportError:
        """Return the error of a handshake; with a hint, if the collector ended the connection."""
        if isinstance(error.__cause__, ConnectionError):
            return TransportError(self.name, error.reason + self._other_way)
        return error

    @property
    def _other_way(self) -> str:
        """What to say of a collector that ends the connection before it has answered anything."""
        is_tcp = self.name.startswith("tcp://")
        if is_tcp:
            return f"{TRY_TLS}, or it has no room for another sender"
        return "; it has no room for another sender, or it may not speak Frame Streams at all"
