"""What a session of the collector does: one function for each fault of `tables` by a "session".

Runs in the collector's process, and imports nothing of the library. What a session takes out of its
socket is in a file before; so what the collector had read when it was killed is known.
"""

from __future__ import annotations

import math
import os
import select
import socket
import struct
import threading
import time
from pathlib import Path
from random import Random
from typing import Callable, Dict, Iterator

__all__ = ["PEERS", "Session"]

CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5

SLICE = 0.05
"""Seconds after which each wait looks whether things are to be well from now on."""

LAST_LOOK = 0.02
"""Seconds that a collector which ends in order waits for more."""


def control(kind: int, *content_types: bytes) -> bytes:
    """Return the bytes of a control frame."""
    body = struct.pack(">I", kind)
    for content_type in content_types:
        body += struct.pack(">II", 1, len(content_type)) + content_type
    return struct.pack(">II", 0, len(body)) + body


FIRST = len(control(READY, CONTENT_TYPE))
"""The bytes of READY, or of START where there is no handshake."""

GARBAGE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0\xff\xff\xff\xff",
    b"\0\0\0\0\0\0\0\0",
    b"\x15\x03\x03\x00\x02\x02\x46",  # a TLS alert
    control(ACCEPT, b"x" * 300),
    control(START, CONTENT_TYPE),
    control(FINISH),
    bytes(range(256)) * 40,
)

CHATTER = (
    control(READY, CONTENT_TYPE),
    control(ACCEPT, CONTENT_TYPE),
    control(STOP),
    control(77),
    struct.pack(">I", 5) + b"hello",
)


class Session:
    """One connection, from the collector's side.

    Args:
        sock: accepted; of TLS, after its handshake.
        name: where what it reads is stored, without a suffix.
        calm: this path exists once the faults have ended.
        ending: set when the collector is to end in order.
        rng: for what the plan leaves open.
    """

    def __init__(
        self, sock: socket.socket, name: Path, calm: Path, ending: threading.Event, rng: Random
    ) -> None:
        self.sock = sock
        self.rng = rng
        self.accept = control(ACCEPT, CONTENT_TYPE)
        self.finish = control(FINISH)
        self.finish_delay = 0.0
        self.unwraps = True
        self._is_tls = hasattr(sock, "unwrap")
        self._calm = calm
        self._ending = ending
        self._said = name.with_suffix(".said")
        self._store = os.open(name.with_suffix(".bytes"), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._frames = bytearray()
        sock.settimeout(SLICE)

    def say(self, event: str) -> None:
        """Note what happens now, for the books."""
        with self._said.open("a") as file:
            file.write(event + "\n")

    @property
    def calm(self) -> bool:
        """Whether the faults have ended."""
        return self._calm.exists()

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the faults end."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self.calm and not self._ending.is_set():
            self._ending.wait(min(SLICE, seconds))

    def serve(self, limit: float = math.inf, size: int = 65536, pause: float = 0.0) -> bool:
        """Read and answer, as a good collector does.

        Args:
            limit: bytes to read, at most.
            size: bytes of one read.
            pause: seconds after each.

        Returns:
            Whether the peer is still there.
        """
        while limit > 0:
            try:
                portion = self._take(int(min(size, limit)))
            except socket.timeout:
                if self._ending.is_set():
                    return False
                continue
            if not portion:
                self.say("eof")
                return False
            limit -= len(portion)
            for kind in self._controls(portion):
                self._answer(kind)
            if pause and not self.calm:
                self.pause(pause)
        return True

    def _take(self, size: int) -> bytes:
        """Store what has come, then take it out of the socket; of TLS, the other way round."""
        self.sock.settimeout(LAST_LOOK if self._ending.is_set() else SLICE)
        portion = self.sock.recv(size, 0 if self._is_tls else socket.MSG_PEEK)
        os.write(self._store, portion)
        if portion and not self._is_tls:
            taken = self.sock.recv(len(portion))
            assert taken == portion, "what was looked at is not what was read"
        return portion

    def _controls(self, portion: bytes) -> Iterator[int]:
        """Add bytes to the stream; give the types of the control frames in it."""
        frames = self._frames
        frames += portion
        while len(frames) >= 12:
            size, of_control, kind = struct.unpack_from(">III", frames)
            end = 4 + size if size else 8 + of_control
            if len(frames) < end:
                return
            del frames[:end]
            if not size:
                yield kind

    def _answer(self, kind: int) -> None:
        if kind == READY:
            self.send(self.accept)
        elif kind == STOP and self.finish:
            self.pause(self.finish_delay)
            self.say("finish")
            self.send(self.finish)

    def send(self, data: bytes) -> None:
        """Send something; the peer may be gone."""
        self.sock.settimeout(2.0)
        self.sock.sendall(data)

    def reset(self) -> None:
        """Have the connection reset when it is closed."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        """Close it; of TLS, with its own end."""
        self.say("closed")
        if self._is_tls and self.unwraps:
            self.sock.setblocking(False)
            try:
                self.sock.unwrap()  # type: ignore[attr-defined]
            except (OSError, ValueError):
                pass  # it does not wait for the peer's
        self.sock.close()
        os.close(self._store)


def well(session: Session) -> None:
    session.serve()


def silent(session: Session) -> None:
    session.pause(session.rng.choice((0.1, 1.0, 4.0)))


def closes_after_ready(session: Session) -> None:
    session.accept = b""
    session.serve(FIRST)


def wrong_content_type(session: Session) -> None:
    session.accept = control(ACCEPT, b"protobuf:something.Else")
    session.serve()


def accepts_then_closes(session: Session) -> None:
    session.serve(FIRST)


def garbage(session: Session) -> None:
    session.accept = session.rng.choice(GARBAGE)
    session.finish = b""
    session.serve(FIRST)
    session.pause(session.rng.choice((0.0, 0.5)))


def _some(session: Session) -> bool:
    """Read a part of the stream, which ends in the middle of a frame, as a rule."""
    return session.serve(2 * FIRST + session.rng.choice((1, 3, 150, 5_003, 100_003)))


def resets(session: Session) -> None:
    _some(session)
    session.reset()


def closes_in_a_frame(session: Session) -> None:
    if _some(session):
        select.select([session.sock], [], [], 0.2)  # so that something is unread


def reads_slowly(session: Session) -> None:
    session.serve(size=session.rng.choice((50, 1_000, 10_000)), pause=0.01)


def stalls(session: Session) -> None:
    if _some(session):
        session.pause(session.rng.choice((0.1, 0.4, 1.0, 3.0)))
        session.serve()


def stalls_then_closes(session: Session) -> None:
    if _some(session):
        session.pause(session.rng.choice((0.1, 0.4, 1.0)))


def never_finishes(session: Session) -> None:
    session.finish = b""
    session.serve()


def finishes_late(session: Session) -> None:
    session.finish_delay = session.rng.choice((0.05, 0.4, 1.5))
    session.serve()


def finishes_early(session: Session) -> None:
    if _some(session):
        session.say("finish too early")
        session.send(session.finish)
        session.serve()


def chatters(session: Session) -> None:
    if _some(session):
        session.send(session.rng.choice(CHATTER))
        session.serve()


def half_closes(session: Session) -> None:
    if _some(session):
        raw = socket.socket(fileno=os.dup(session.sock.fileno()))
        raw.shutdown(socket.SHUT_WR)  # of TLS, below it
        raw.close()
        session.pause(session.rng.choice((0.0, 0.2, 1.0)))
        if session.rng.random() < 0.5:
            _some(session)


def wrong_certificate(session: Session) -> None:
    session.serve()  # a handler that ignores certificates would be served, and noticed


def speaks_plain(session: Session) -> None:
    session.send(session.rng.choice((control(READY, CONTENT_TYPE), b"220 mail\r\n")))
    session.pause(session.rng.choice((0.0, 0.5)))


def tls_without_end(session: Session) -> None:
    _some(session)
    session.unwraps = False


PEERS: Dict[str, Callable[[Session], None]] = {
    each.__name__: each
    for each in (
        well,
        silent,
        closes_after_ready,
        wrong_content_type,
        accepts_then_closes,
        garbage,
        resets,
        closes_in_a_frame,
        reads_slowly,
        stalls,
        stalls_then_closes,
        never_finishes,
        finishes_late,
        finishes_early,
        chatters,
        half_closes,
        wrong_certificate,
        speaks_plain,
        tls_without_end,
    )
}
