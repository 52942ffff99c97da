"""A writer to a collector: what it says of a session's records once it is closed."""

from __future__ import annotations

import socket
from typing import Iterator, Tuple

import pytest

from dnstap_logging.delivery.stream_writer import StreamWriter
from dnstap_logging.transport.stream import StreamTransport

Ends = Tuple[socket.socket, socket.socket]

PAYLOADS = [b"first", b"second", b"third"]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Return both ends of a connection; the writer closes the first."""
    ours, theirs = socket.socketpair()
    with theirs:
        yield ours, theirs


def session(ends: Ends, resend_bytes: int = 1000) -> StreamWriter:
    """Begin a session without a handshake."""
    transport = StreamTransport(ends[0], "unix:///test", timeout=20)
    writer = StreamWriter(transport, False, 20, resend_bytes)
    writer.start()
    return writer


def test_what_nobody_read_goes_out_again(ends: Ends) -> None:
    """A session that ends without STOP hands back what its peer has not read."""
    writer = session(ends)
    writer.write(PAYLOADS)
    writer.close()

    assert (writer.unread, writer.confirmed) == ((PAYLOADS, 0), 0)


def test_a_new_session_begins_empty(ends: Ends) -> None:
    """What was written to an earlier session does not belong to the next one's."""
    writer = session(ends)
    writer.write(PAYLOADS)
    writer.close()
    another, theirs = socket.socketpair()
    with theirs:
        writer = session((another, theirs))
        writer.write([b"fourth"])
        writer.close()

    assert writer.unread == ([b"fourth"], 0)


def test_what_was_ended_in_order_does_not_go_out_again(ends: Ends) -> None:
    """Where nobody sends FINISH, what was not read before the STOP is counted, and not resent."""
    writer = session(ends)
    writer.write(PAYLOADS)

    assert writer.stop() is None
    assert (writer.unread, writer.confirmed) == (([], 3), 0)


def test_a_stop_that_cannot_be_sent_has_not_ended_the_stream(ends: Ends) -> None:
    """A peer that is gone before the STOP has not read what its buffer held: it goes out again."""
    writer = session(ends)
    writer.write(PAYLOADS)
    ends[1].close()

    assert writer.stop() is not None
    assert (writer.unread, writer.confirmed) == ((PAYLOADS, 0), 0)
