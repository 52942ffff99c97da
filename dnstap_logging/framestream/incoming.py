"""One incoming stream: from bytes to payloads, and the answers to its writer.

The reader and the receiver pass functions that read and send. One thread.
"""

from __future__ import annotations

from typing import Callable, Iterator

from .session import ReaderSession

__all__ = ["IncomingStream"]


class IncomingStream:
    """Read one stream up to its STOP.

    Args:
        session: of this stream only.
        read: returns the next bytes, empty at their end; it may wait.
        send: called with what must be sent to the writer: ACCEPT, FINISH.

    What `read`, `send` and the session raise is passed on.
    """

    def __init__(
        self,
        session: ReaderSession,
        read: Callable[[], bytes],
        send: Callable[[bytes], None],
    ) -> None:
        self._session = session
        self._read = read
        self._send = send

    def start(self, block: bytes) -> bool:
        """Read the stream up to START, without its first payload, and answer READY.

        Args:
            block: its first bytes.

        Returns:
            False: the bytes ended before START.
        """
        session = self._session
        while block:
            # Byte by byte, so that no payload is read with START.
            for at in range(len(block)):
                session.receive(block[at : at + 1])
                for _ in session.payloads():
                    pass
                self._answer()
                if session.streaming:
                    session.receive(block[at + 1 :])
                    return True
            block = self._read()
        return False

    def payloads(self) -> Iterator[bytes]:
        """Yield every payload up to STOP, or to the end of the bytes, and answer READY.

        Afterwards ``session.finished`` says whether STOP was there. Then call `finish`.
        """
        session = self._session
        while True:
            yield from session.payloads()
            if session.finished:
                return
            self._answer()
            data = self._read()
            if not data:
                return
            session.receive(data)

    def finish(self) -> None:
        """Send FINISH, if the writer waits for it: everything before STOP was received."""
        self._answer()

    def _answer(self) -> None:
        answer = self._session.data_to_send()
        if answer:
            self._send(answer)
