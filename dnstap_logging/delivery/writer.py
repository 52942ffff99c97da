"""A writer of Frame Streams: one transport and one session, from its first frame to its last.

Belongs to the writer thread. What captures and collectors have in common: their own writers are in
`capture_writer.py` and `stream_writer.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Optional, Union

from ..exceptions import FrameStreamError, PeerClosed, TransportError
from ..framestream.frames import DNSTAP_CONTENT_TYPE, LENGTH
from ..framestream.session import WriterSession
from ..framestream.state import Direction
from .destination import WriteError, Writer

if TYPE_CHECKING:
    from ..transport.file import FileTransport
    from ..transport.stream import StreamTransport

__all__ = ["FrameWriter"]

MOST_ANSWERS = 16
"""How often in one look the collector may have said something: FINISH is all that it has to say."""


class FrameWriter(Writer):
    """Write frames of one Frame Streams session to one transport.

    Args:
        transport: connected or open; the writer owns it from now on.
        direction: of the session.
    """

    def __init__(
        self, transport: Union[FileTransport, StreamTransport], direction: Direction
    ) -> None:
        self._transport = transport
        self._session = WriterSession(DNSTAP_CONTENT_TYPE, direction)

    @property
    def name(self) -> str:
        """The address as text."""
        return self._transport.name

    def start(self) -> None:
        """Send the session's first frame."""
        self._transport.send(self._session.start())

    def write(self, payloads: List[bytes]) -> int:
        """Write one data frame for each payload, in one call to the kernel if it takes them.

        Looks first whether the stream has ended: a send would notice that one write later.
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
        """See without waiting whether the stream has ended."""
        for _ in range(MOST_ANSWERS):
            answer = self._transport.look()
            if answer is None:
                return
            if not answer:
                raise PeerClosed(self.name, self._transport.end)
            self._session.receive(answer)  # its end may lie behind that

    def stop(self) -> Optional[str]:
        """End the stream in order and close; return None, or why its end was not confirmed."""
        try:
            self._end_stream()
        except (TransportError, FrameStreamError) as error:
            return str(error)
        finally:
            self.close()
        return None

    def _end_stream(self) -> None:
        self._transport.send(self._session.stop())

    def close(self) -> None:
        """Close the transport as it is; never raise."""
        self._transport.close()

    def abandon(self) -> None:
        """Let go of a transport inherited across a fork; nothing is sent on it."""
        self._transport.abandon()

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
