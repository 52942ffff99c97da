"""Collectors in the test's hands that take many sessions, and end each in their own way."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import List

from tests.helpers.support import FINISH, control
from tests.situations.faults.receivers import DEADLINE
from tests.situations.faults.scripted import Session
from tests.situations.interop.taps import marks_in

SLICE = 0.1


class Taker:
    """Take one session after the other in a thread, from its beginning until it is left.

    Args:
        address: ``unix://`` or ``tcp://``; nothing listens there before and after.
        ending: after STOP: "finish", "close" without FINISH, or "silent" until the handler closes.
        bidirectional: whether there is a handshake.
        poison: the number of a record at which a session is reset each time; -1: none.
        most: after so many records it reads nothing more; -1: it goes on.

    Attributes:
        sessions: the numbers that each session brought, in order.
        reading: cleared to have it read nothing for a while, from the next frame on.
    """

    def __init__(
        self,
        address: str,
        ending: str = "finish",
        bidirectional: bool = True,
        poison: int = -1,
        most: int = -1,
    ) -> None:
        self._address = address
        self._ending = ending
        self._bidirectional = bidirectional
        self._poison = poison
        self._most = most
        self._leaving = threading.Event()
        self._sock = socket.socket()  # of the current session
        self._sock.close()
        self.reading = threading.Event()
        self.reading.set()
        self.sessions: List[List[int]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Taker:
        self._listener = _listen(self._address)
        self._listener.settimeout(SLICE)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self.reading.set()
        with contextlib.suppress(OSError):  # of no session, or of one that is over
            self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)
        self._listener.close()
        assert not self._thread.is_alive()

    @property
    def numbers(self) -> List[int]:
        """The numbers of all records, in the order in which they came."""
        return [number for session in list(self.sessions) for number in list(session)]

    def _run(self) -> None:
        while not self._leaving.is_set():
            try:
                sock = self._listener.accept()[0]
            except socket.timeout:
                continue
            self._sock = sock
            with sock, contextlib.suppress(OSError):
                sock.settimeout(DEADLINE)
                self._take(Session(sock))

    def _take(self, session: Session) -> None:
        session.begin(self._bidirectional)
        found: List[int] = []
        self.sessions.append(found)
        while True:
            self.reading.wait(DEADLINE)
            head = session.read(4)
            if len(head) < 4:
                return
            if head == bytes(4):
                break
            payload = session.read(int.from_bytes(head, "big"))
            if len(payload) < int.from_bytes(head, "big"):
                return
            numbers = list(map(int, marks_in([payload])))
            if numbers == [self._poison]:
                session.close("reset")
                return
            found += numbers
            if len(self.numbers) == self._most:
                self.reading.clear()
        session.read(8)
        if self._ending == "finish":
            session.sock.sendall(control(FINISH))
        elif self._ending == "silent":
            session.read(1)


def _listen(address: str) -> socket.socket:
    scheme, _, rest = address.partition("://")
    if scheme == "tcp":
        host, _, port = rest.rpartition(":")
        return socket.create_server((host, int(port)))
    Path(rest).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(rest)
    listener.listen()
    return listener
