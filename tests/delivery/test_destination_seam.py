"""A third kind of destination, written here alone: the seam below the connection is enough for it.

Frames of a protocol of its own, a length, a checksum and the payload, go over a socket pair to a
reader that acknowledges each frame with one byte. Nothing above the seam knows of it.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import zlib
from collections import deque
from typing import Any, Callable, Deque, Iterator, List, Optional

import pytest

import dnstap_logging.delivery.connection
import dnstap_logging.delivery.writer_thread
from dnstap_logging import DnstapHandler, DnstapLoggingError
from dnstap_logging.delivery.destination import Destination, Unread, WriteError, Writer
from dnstap_logging.delivery.options import Options
from dnstap_logging.exceptions import PeerClosed, TransportError
from dnstap_logging.transport.waiting import Until
from tests.conftest import Said
from tests.helpers.support import assert_balanced, wait_until

NAME = "pair:harbour"
PREFIX = struct.Struct("!LL")  # length and checksum
ACKNOWLEDGED = b"."
DEADLINE = 20.0


class Taken(TransportError):
    """Somebody else writes there, and will leave."""


class Full(TransportError):
    """There is no room."""


class Harbour:
    """Read frames of one session after the other, each in a thread, and acknowledge them."""

    def __init__(self) -> None:
        self.closed_for = 0  # attempts that are refused
        self.taken_for = 0  # attempts at which another ship is there
        self.is_full = False  # there is no room for another session
        self.reads_at_most: Optional[int] = None  # frames of a session, before it breaks off
        self.silent = False  # reads nothing and acknowledges nothing
        self.read: List[bytes] = []
        self.sessions = 0
        self.ends: List[str] = []
        self.may_end = threading.Event()
        self._threads: List[threading.Thread] = []

    def connect(self) -> socket.socket:
        """Return the writer's end of a new session."""
        if self.closed_for:
            self.closed_for -= 1
            raise TransportError(NAME, "the harbour is closed")
        if self.taken_for:
            self.taken_for -= 1
            raise Taken(NAME, "another ship is at the quay")
        if self.is_full:
            raise Full(NAME, "the sheds are full")
        ours, theirs = socket.socketpair()
        self.sessions += 1
        thread = threading.Thread(target=self._serve, args=(theirs,), daemon=True)
        self._threads.append(thread)
        thread.start()
        return ours

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            if self.silent:
                assert self.may_end.wait(DEADLINE)
                return
            read = 0
            while read != self.reads_at_most:
                prefix = stream.read(PREFIX.size)
                if not prefix:
                    self.ends.append("in order")
                    return
                length, checksum = PREFIX.unpack(prefix)
                payload = stream.read(length)
                assert zlib.crc32(payload) == checksum
                self.read.append(payload)
                sock.sendall(ACKNOWLEDGED)
                read += 1
            self.ends.append("broken off")

    def join(self) -> None:
        """Wait for the end of all sessions."""
        self.may_end.set()
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()


class PairWriter(Writer):
    """Write frames of one session, of which those without an acknowledgement are unread."""

    def __init__(self, sock: socket.socket, most: Optional[int], patience: float) -> None:
        self._sock = sock
        self._sock.settimeout(patience)
        self._left = most
        self._unacknowledged: Deque[bytes] = deque()
        self._acknowledged = 0

    def start(self) -> None:
        """Begin: this protocol has no handshake."""

    def fitting(self, payloads: List[bytes]) -> int:
        """Return how many frames this session still takes."""
        return len(payloads) if self._left is None else min(len(payloads), self._left)

    def write(self, payloads: List[bytes]) -> int:
        """Write frame after frame."""
        self.look()
        size = 0
        for number, payload in enumerate(payloads):
            frame = PREFIX.pack(len(payload), zlib.crc32(payload)) + payload
            try:
                self.look()  # or the acknowledgements would fill their way, and stop the reader
                self._sock.sendall(frame)
            except OSError as error:
                raise WriteError(TransportError(NAME, str(error)), number, size) from error
            self._unacknowledged.append(payload)
            size += len(frame)
        if self._left is not None:
            self._left -= len(payloads)
        return size

    def look(self) -> None:
        """Take the acknowledgements that have come."""
        while select.select([self._sock], [], [], 0)[0]:
            self._take()

    def _take(self) -> None:
        try:
            acknowledgements = self._sock.recv(4096)
        except OSError as error:
            raise TransportError(NAME, str(error)) from error
        if not acknowledgements:
            raise PeerClosed(NAME, "the harbour hung up")
        for _ in acknowledgements:
            self._unacknowledged.popleft()
            self._acknowledged += 1

    def stop(self) -> Optional[str]:
        """Say that nothing more comes, and wait until all is acknowledged."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
            while self._unacknowledged:
                self._take()
        except OSError as error:
            return str(error)
        finally:
            self.close()
        return None

    def close(self) -> None:
        """Take what the harbour still said and close; the books of the session are known now."""
        if self._sock.fileno() < 0:
            return  # closed before
        for _ in range(2):  # a reset is told once, before what came earlier
            try:
                self.look()
            except OSError:
                continue
            break
        self._sock.close()
        self.confirmed = self._acknowledged
        self.unread = Unread(list(self._unacknowledged), 0)

    def abandon(self) -> None:
        """Close the copy of the descriptor that a forked child has."""
        self._sock.close()


class PairDestination(Destination):
    """Sessions with a harbour."""

    opened = "moored"
    end = "the last acknowledgement"
    lock_hint = "; or hoist a flag"

    def __init__(self, harbour: Harbour, options: Options) -> None:
        super().__init__(NAME, max_reconnect_interval=0.02)
        self.harbour = harbour
        self.frames_of_a_session: Optional[int] = None
        self.writes: List[int] = []
        self._options = options

    def open(self, until: Until) -> PairWriter:
        """Begin a session."""
        patience = self._options.timeout
        return PairWriter(self.harbour.connect(), self.frames_of_a_session, patience)

    def hint(self, error: Exception, early: bool) -> str:
        """Add a word about the harbour."""
        return "; look at the tide"

    def is_locked(self, error: Exception) -> bool:
        """Return whether another ship is there."""
        return isinstance(error, Taken)

    def cause_of(self, error: Exception) -> Optional[str]:
        """Return what is said of full sheds."""
        return "disk_full" if isinstance(error, Full) else None

    def for_child(self, pid: int) -> PairDestination:
        """Return the child's: its own harbour, since threads do not survive a fork."""
        return PairDestination(Harbour(), self._options)


@pytest.fixture
def harbour() -> Iterator[Harbour]:
    """Return a harbour whose sessions have all ended after the test."""
    harbour = Harbour()
    yield harbour
    harbour.join()


Make = Callable[..., DnstapHandler]


@pytest.fixture
def make(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Return a function that makes handlers of this destination."""
    handlers: List[DnstapHandler] = []

    def made(attributes: Optional[Any] = None, **arguments: Any) -> DnstapHandler:
        def choose(options: Options, rotation: object) -> PairDestination:
            destination = PairDestination(harbour, options)
            for name, value in (attributes or {}).items():
                setattr(destination, name, value)
            return destination

        monkeypatch.setattr(dnstap_logging.delivery.writer_thread, "make_destination", choose)
        intervals = {"reconnect_interval": 0.01, "timeout": DEADLINE}
        handlers.append(DnstapHandler("unix:///not/this/one", **{**intervals, **arguments}))
        return handlers[-1]

    yield made
    for handler in handlers:
        handler.close()


def payloads(number: int, first: int = 0) -> List[bytes]:
    """Return payloads, each with its number."""
    return [b"payload %d" % each for each in range(first, first + number)]


def send(handler: DnstapHandler, given: List[bytes]) -> None:
    """Send ready payloads, which reach the destination byte for byte."""
    for payload in given:
        assert handler.emit_payload(payload)


def size_of(given: List[bytes]) -> int:
    """Return the bytes of the frames of payloads."""
    return sum(PREFIX.size + len(payload) for payload in given)


def test_everything_arrives_in_order(harbour: Harbour, make: Make, said: Said) -> None:
    """A whole life without a fault: one session, all confirmed, in the destination's words."""
    handler = make()
    send(handler, payloads(1000))
    assert handler.flush(timeout=DEADLINE)
    handler.close()

    stats = handler.stats()
    assert harbour.read == payloads(1000)
    assert (stats.written, stats.confirmed, stats.unconfirmed) == (1000, 1000, 0), stats
    assert stats.bytes_written == size_of(payloads(1000)), stats
    assert (stats.connects, stats.disconnects, stats.resent) == (1, 0, 0), stats
    assert stats.address == NAME, stats
    said.wait_for("moored")
    assert_balanced(stats)


def test_sessions_that_break_lose_nothing(harbour: Harbour, make: Make, said: Said) -> None:
    """What was not acknowledged goes out again, is counted as resent, and never as written."""
    harbour.reads_at_most = 37
    handler = make()
    for first in range(0, 1000, 50):
        send(handler, payloads(50, first))
        assert handler.flush(timeout=DEADLINE)
    wait_until(lambda: set(harbour.read) == set(payloads(1000)), "all payloads")
    handler.close()

    stats = handler.stats()
    assert (stats.written, sum(stats.dropped.values())) == (1000, 0), stats
    assert stats.bytes_written == size_of(payloads(1000)), stats
    assert stats.resent > 0, stats
    assert stats.connects == harbour.sessions > 1000 // 37, stats
    assert stats.disconnects >= harbour.sessions - 1, stats
    assert list(dict.fromkeys(harbour.read)) == payloads(1000)  # first arrivals are in order
    said.wait_for("look at the tide")
    assert_balanced(stats)


def test_records_wait_for_a_harbour_that_is_closed(
    harbour: Harbour, make: Make, said: Said
) -> None:
    """Attempts that fail are repeated; what was logged meanwhile goes out then."""
    harbour.closed_for = 5
    handler = make()
    send(handler, payloads(10))
    said.wait_for("the harbour is closed")
    assert handler.flush(timeout=DEADLINE)
    handler.close()

    stats = handler.stats()
    assert harbour.read == payloads(10)
    assert (stats.written, stats.connects, stats.confirmed) == (10, 1, 10), stats
    assert_balanced(stats)


def test_a_destination_that_is_locked_is_waited_for(
    harbour: Harbour, make: Make, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is no failure; the warning about a lock that stays has the destination's hint."""
    monkeypatch.setattr(dnstap_logging.delivery.connection, "LOCK_GRACE", 0.001)
    harbour.taken_for = 10**9
    handler = make()
    send(handler, payloads(10))
    said.wait_for("waiting, because another ship is at the quay")
    said.wait_for("still waiting, because another ship is at the quay; or hoist a flag")
    harbour.taken_for = 0
    assert handler.flush(timeout=DEADLINE)
    handler.close()

    assert harbour.read == payloads(10)
    assert_balanced(handler.stats())


def test_a_destination_says_why_there_is_no_room(harbour: Harbour, make: Make) -> None:
    """What finds no room on the queue meanwhile, and what is left at the end, has its cause."""
    harbour.is_full = True
    handler = make(queue_size=10, close_timeout=0.0)
    send(handler, payloads(1))
    wait_until(lambda: "the sheds are full" in (handler.stats().last_error or ""), "an attempt")
    send(handler, payloads(9, 1))
    assert not handler.emit_payload(b"one too many")
    handler.close()

    stats = handler.stats()
    assert (stats.dropped["disk_full"], sum(stats.dropped.values())) == (11, 11), stats
    assert_balanced(stats)


def test_a_place_without_a_lock_is_said_once(harbour: Harbour, make: Make, said: Said) -> None:
    """In the destination's words."""
    handler = make({"unlocked": "no ropes here"})
    send(handler, payloads(1))
    assert handler.flush(timeout=DEADLINE)
    handler.reopen()
    wait_until(lambda: handler.stats().connects == 2, "a second session")
    handler.close()

    said.wait_for("no ropes here")
    assert len(said.with_text("no ropes here")) == 1


def test_after_the_last_attempt_records_are_dropped(harbour: Harbour, make: Make) -> None:
    """Giving up works over any destination, and a reopen() revives it."""
    harbour.closed_for = 1
    handler = make(max_reconnect_attempts=0)
    send(handler, payloads(1))
    wait_until(lambda: handler.stats().dropped["disconnected"], "the handler to give up")
    handler.reopen()
    wait_until(lambda: handler.stats().connected, "a session after reopen()")
    send(handler, payloads(1, 1))
    handler.close()

    assert harbour.read == payloads(1, 1)
    assert_balanced(handler.stats())


def test_what_is_never_acknowledged_is_counted(harbour: Harbour, make: Make) -> None:
    """A reader that takes and says nothing leaves records unconfirmed when the handler closes."""
    harbour.silent = True
    handler = make(timeout=0.05)
    send(handler, payloads(20))
    assert handler.flush(timeout=DEADLINE)
    handler.close()

    stats = handler.stats()
    assert (stats.written, stats.confirmed, stats.unconfirmed) == (20, 0, 20), stats
    assert harbour.read == []
    assert_balanced(stats)


def test_a_reopen_begins_another_session(harbour: Harbour, make: Make) -> None:
    """The first one is ended in order before, with all that was acknowledged."""
    handler = make()
    send(handler, payloads(5))
    assert handler.flush(timeout=DEADLINE)
    handler.reopen()
    wait_until(lambda: handler.stats().connects == 2, "a second session")
    send(handler, payloads(5, 5))
    handler.close()

    stats = handler.stats()
    assert (stats.confirmed, stats.disconnects, stats.resent) == (10, 0, 0), stats
    wait_until(lambda: harbour.ends == ["in order", "in order"], "both ends")
    assert harbour.read == payloads(10)


def test_a_session_that_is_full_makes_way_for_the_next(harbour: Harbour, make: Make) -> None:
    """A writer that takes no more is ended in order, as a capture is that rolls over."""
    handler = make({"frames_of_a_session": 7})
    send(handler, payloads(21))
    assert handler.flush(timeout=DEADLINE)
    handler.close()

    stats = handler.stats()
    assert harbour.read == payloads(21)
    assert (stats.connects, stats.disconnects, stats.confirmed) == (3, 0, 21), stats
    wait_until(lambda: harbour.ends == ["in order"] * 3, "all ends")


def test_the_destination_states_its_batch(
    harbour: Harbour, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No write has more records than the destination takes in one go."""
    sizes: List[int] = []
    write = PairWriter.write

    def measured(self: PairWriter, given: List[bytes]) -> int:
        sizes.append(len(given))
        return write(self, given)

    monkeypatch.setattr(PairWriter, "write", measured)
    harbour.closed_for = 1
    handler = make({"batch_records": 4})
    send(handler, payloads(100))
    assert handler.flush(timeout=DEADLINE)
    handler.close()

    assert harbour.read == payloads(100)
    assert max(sizes) <= 4
    assert len(sizes) >= 25


def test_a_destination_that_cannot_be_prepared(make: Make, monkeypatch: Any) -> None:
    """What goes wrong at construction is raised there, as for a file that cannot be opened."""

    def prepare(self: PairDestination) -> None:
        raise TransportError(NAME, "there is no harbour")

    monkeypatch.setattr(PairDestination, "prepare", prepare)

    with pytest.raises(DnstapLoggingError, match="there is no harbour"):
        make()


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_destination_of_its_own(harbour: Harbour, make: Make) -> None:
    """The child writes to its own harbour, and the parent's session goes on untouched."""
    handler = make()
    send(handler, payloads(5))
    assert handler.flush(timeout=DEADLINE)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            send(handler, payloads(3, 100))
            flushed = handler.flush(timeout=DEADLINE)
            stats = handler.stats()
            status = 0 if flushed and (stats.written, stats.connects) == (3, 1) else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    send(handler, payloads(5, 5))
    handler.close()

    assert harbour.read == payloads(10)
    assert handler.stats().connects == 1
    assert_balanced(handler.stats())
