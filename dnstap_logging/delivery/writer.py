"""A writer of Frame Streams: one transport and one session, from its first frame to its last.

Belongs to the writer thread. A writer is used once: when anything goes wrong it is closed and
another one takes its place, with a stream of its own that begins with START.
"""

from __future__ import annotations

import time
from typing import List, Optional

from ..exceptions import (
    FrameStreamError,
    PeerClosed,
    RemoteProtocolError,
    TransportError,
    TransportTimeout,
)
from ..framestream import Direction, WriterSession
from ..framestream.frames import DNSTAP_CONTENT_TYPE, LENGTH
from ..transport import Transport
from .destination import WriteError, Writer

__all__ = ["FrameWriter"]

MOST_ANSWERS = 16
"""How often in one look the peer may have said something: it has nothing to say but FINISH."""


class FrameWriter(Writer):
    """Write frames of one Frame Streams session to one transport.

    Args:
        transport: connected or open; the writer owns it from now on.
        bidirectional: shake hands (sockets), or only START and STOP (files).
        timeout: seconds for the handshake, and for the FINISH at the end.
    """

    def __init__(self, transport: Transport, bidirectional: bool, timeout: float) -> None:
        direction = Direction.BIDIRECTIONAL if bidirectional else Direction.UNIDIRECTIONAL
        self._transport = transport
        self._session = WriterSession(DNSTAP_CONTENT_TYPE, direction)
        self._timeout = timeout

    @property
    def name(self) -> str:
        """The address as text."""
        return self._transport.name

    def start(self) -> None:
        """Shake hands; afterwards frames can be written.

        Raises:
            TransportError: the connection broke, or no ACCEPT came in time.
            RemoteProtocolError: the peer sent something else than ACCEPT, or another content type.
        """
        self._transport.send(self._session.start())
        deadline = time.monotonic() + self._timeout
        while not self._session.streaming:
            answer = self._receive(deadline, "ACCEPT")
            self._transport.send(self._session.receive(answer))

    def write(self, payloads: List[bytes]) -> int:
        """Write one data frame for each payload, in one call to the kernel if it takes them.

        Looks for the peer's close first, because a send would only notice it one write later.

        Returns:
            The bytes written.

        Raises:
            WriteError: with the number of frames that were taken whole.
            RemoteProtocolError: the peer sent what a reader must not send.
        """
        parts = [b""] * (2 * len(payloads))
        parts[::2] = self._session.headers(list(map(len, payloads)))
        parts[1::2] = payloads
        data = b"".join(parts)
        try:
            self.look()
            self._transport.send(data)
        except TransportError as error:
            raise self._write_error(error, payloads) from error
        return len(data)

    def look(self) -> None:
        """See without waiting whether the peer closed or the file was moved away.

        Raises:
            PeerClosed: it did.
            TransportError: the connection broke, and why.
            RemoteProtocolError: the peer sent what a reader must not send.
        """
        for _ in range(MOST_ANSWERS):
            answer = self._transport.look()
            if answer is None:
                return
            if not answer:
                raise PeerClosed(self.name, self._transport.end)
            self._session.receive(answer)  # its end may lie behind that

    def stop(self) -> Optional[str]:
        """End the stream in order: STOP, and wait for FINISH where the reader answers.

        Returns:
            None, or why the end was not confirmed: some collectors reset the connection instead.
        """
        try:
            if self._session.direction is Direction.BIDIRECTIONAL:
                self.look()  # what has ended already tells more now than after a send that fails
            self._transport.send(self._session.stop())
            deadline = time.monotonic() + self._timeout
            while not self._session.finished:
                self._session.receive(self._receive(deadline, "FINISH"))
        except (TransportError, FrameStreamError) as error:
            return str(error)
        finally:
            self.close()
        return None

    def close(self) -> None:
        """Close the transport as it is; never raise."""
        self._transport.close()

    def abandon(self) -> None:
        """Let go of a transport inherited across a fork; nothing is sent on it."""
        self._transport.abandon()

    def _receive(self, deadline: float, expected: str) -> bytes:
        """Return the next bytes of the peer, or raise that ``expected`` did not come."""
        try:
            answer = self._transport.receive(max(0.0, deadline - time.monotonic()))
        except TransportTimeout as error:
            reason = f"no {expected} from the peer in {self._timeout:g} s"
            raise TransportTimeout(self.name, reason) from error
        except TransportError as error:
            if expected == "ACCEPT" and isinstance(error.__cause__, ConnectionError):
                raise TransportError(self.name, error.reason + self._other_way) from error.__cause__
            raise
        if not answer:
            hint = self._other_way if expected == "ACCEPT" else ""
            raise RemoteProtocolError(
                f"the peer closed the connection instead of sending {expected}{hint}"
            )
        return answer

    @property
    def _other_way(self) -> str:
        """What to say of a peer that ends the connection before it has answered anything."""
        if self.name.startswith("tcp://"):
            return "; if it speaks TLS, use tls://"
        return "; it may not speak Frame Streams at all"

    @staticmethod
    def _write_error(error: TransportError, payloads: List[bytes]) -> WriteError:
        """Return the error with which frames were taken whole before it."""
        frames = size = 0
        for payload in payloads:
            length = LENGTH.size + len(payload)
            if size + length > error.taken:
                break
            frames += 1
            size += length
        return WriteError(error, frames, size)
