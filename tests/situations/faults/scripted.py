"""A collector in the test's own hands: it reads, answers and closes as it is told, to the byte."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import List, Optional, Tuple

import pytest

from dnstap_logging import Stats
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    FINISH,
    READY,
    START,
    STOP,
    control,
    wait_until,
)
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.taps import Tap, marks_in

READY_FRAME = control(READY, CONTENT_TYPE)
START_FRAME = control(START, CONTENT_TYPE)
STOP_FRAME = control(STOP)


class Session:
    """One session of a handler, from the collector's side; reads no byte ahead.

    Args:
        sock: accepted; of TLS, after its handshake.

    Attributes:
        payloads: of the data frames that were read.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.payloads: List[bytes] = []

    def begin(self, bidirectional: bool) -> None:
        """Shake hands, and read START."""
        if bidirectional:
            self.expect(READY_FRAME)
            self.sock.sendall(control(ACCEPT, CONTENT_TYPE))
        self.expect(START_FRAME)

    def read(self, size: int) -> bytes:
        """Read exactly that many bytes; fewer only if the stream ends."""
        found = b""
        while len(found) < size:
            portion = self.sock.recv(size - len(found))
            if not portion:
                break
            found += portion
        return found

    def expect(self, frame: bytes) -> None:
        """Read this control frame."""
        found = self.read(len(frame))
        if found != frame:
            raise ConnectionError(f"{found!r} came instead of {frame!r}")

    def numbers(self, count: int) -> List[int]:
        """Read that many data frames; return the numbers in them."""
        payloads: List[bytes] = []
        for _ in range(count):
            (size,) = struct.unpack(">I", self.read(4))
            assert size, "a control frame"
            payloads.append(self.read(size))
            assert len(payloads[-1]) == size, "the frame is cut"
        self.payloads += payloads
        return list(map(int, marks_in(payloads)))

    def until_stop(self) -> List[int]:
        """Read to the STOP frame; return the numbers in the data frames."""
        found: List[int] = []
        # A look at the next length would lie to the kernel's books of what was read; so read it.
        while True:
            head = self.read(4)
            assert len(head) == 4, f"the stream ended after {found[-3:]} without STOP"
            (size,) = struct.unpack(">I", head)
            if not size:
                assert head + self.read(len(STOP_FRAME) - 4) == STOP_FRAME
                return found
            self.payloads.append(self.read(size))
            found += map(int, marks_in(self.payloads[-1:]))

    def finish(self) -> List[int]:
        """Read to the STOP frame, confirm and close; return the numbers in the data frames."""
        found = self.until_stop()
        self.sock.sendall(control(FINISH))
        self.close()
        return found

    def close(self, how: str = "") -> None:
        """Close; "reset" does it with a reset, "SHUT_WR" shuts down before."""
        if how == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how:
            self.sock.shutdown(getattr(socket, how))
        self.sock.close()


class Scripted:
    """A collector's listening socket.

    Args:
        scheme: ``unix``, ``tcp`` or ``tls``.
        folder: for the unix socket.
        context: for TLS.
    """

    def __init__(self, scheme: str, folder: Path, context: Optional[ssl.SSLContext] = None) -> None:
        self._context = context
        if scheme == "unix":
            path = folder / "scripted.sock"
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(path))
            self._listener.listen()
            self.address = f"unix://{path}"
        else:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.address = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"
        self._listener.settimeout(DEADLINE)
        self._sessions: List[Session] = []

    def session(self, bidirectional: bool = True) -> Session:
        """Accept the handler's next session, and read as far as START."""
        while True:
            sock = self._listener.accept()[0]
            sock.settimeout(DEADLINE)
            # An attempt that the handler has given up may lie before the one that counts.
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_side=True)
                session = Session(sock)
                self._sessions.append(session)
                session.begin(bidirectional)
                return session
            sock.close()

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()

    def close_all(self) -> None:
        """Close everything, at the end of a test."""
        self.close()
        for session in self._sessions:
            session.sock.close()


def begin(scripted: Scripted, tap: Tap, count: int, padding: bytes) -> Session:
    """Log the first records, in one batch; return the session in whose socket they lie unread."""
    tap.log_numbers(range(count), padding)
    session = scripted.session()
    assert tap.handler.flush(DEADLINE), tap.stats()
    return session


def wait_for_end(tap: Tap, number: int = 1) -> None:
    """Wait until the handler has noticed that a session ended, the first or a later one."""
    wait_until(lambda: tap.stats().disconnects == number, "the end of a session", DEADLINE)


def finish(tap: Tap, session: Session) -> Tuple[List[int], Stats]:
    """Close the handler, whose session ends in order; return what was in it, and the books."""
    closing = threading.Thread(target=tap.handler.close)
    closing.start()
    try:
        numbers = session.finish()
    finally:
        if closing.is_alive():
            session.close()
        closing.join(DEADLINE)
    return numbers, tap.close()


def wait_until_blocked(tap: Tap) -> None:
    """Wait until the kernel takes nothing more."""
    never = threading.Event()
    seen = -1

    def stands_still() -> bool:
        nonlocal seen
        before, seen = seen, tap.stats().written
        never.wait(0.1)
        return 0 < before == seen == tap.stats().written

    wait_until(stands_still, "the kernel to take nothing more", DEADLINE)
    if not tap.stats().queued + tap.stats().in_flight:
        pytest.fail(f"the kernel took everything: {tap.stats()}")
