"""Stream transports on real sockets: unix, TCP and TLS behave alike."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from time import monotonic
from typing import Callable, List

import pytest

from dnstap_logging.exceptions import TransportError, TransportTimeout
from dnstap_logging.transport.stream import StreamTransport
from tests.transport.peers import (
    DEADLINE,
    BroughtForward,
    Link,
    in_child,
    read_all,
    repeat,
)

# More than any socket buffer holds, so that a peer that does not read stops the sender.
MORE_THAN_BUFFERS = 32 * 1024 * 1024
SHORT = 0.25


def in_thread(call: Callable[[], object]) -> threading.Thread:
    """Start a call in a thread."""
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_bytes_go_both_ways(link: Link) -> None:
    """What is sent arrives, more than the buffers hold too; what the peer sends is received."""
    sent = os.urandom(3_000_000)
    received: List[bytes] = []
    link.peer.sendall(b"ACCEPT")

    assert link.transport.receive() == b"ACCEPT"
    reader = in_thread(lambda: received.append(read_all(link.peer)))
    link.transport.send(sent)
    link.transport.close()
    reader.join(DEADLINE)
    assert received == [sent]


def test_look_does_not_wait(link: Link) -> None:
    """Nothing sent is None; afterwards look returns what the peer sent, then its end."""
    assert link.transport.look() is None
    link.peer.sendall(b"FINISH")
    assert link.transport.receive() == b"FINISH"
    link.peer.sendall(b"more")

    assert look_until_something(link.transport) == b"more"
    end(link)
    assert look_until_something(link.transport) == b""


def look_until_something(transport: StreamTransport) -> bytes:
    """Look again and again until there is something."""
    give_up = monotonic() + DEADLINE
    while monotonic() < give_up:
        found = transport.look()
        if found is not None:
            return found
    pytest.fail("look() found nothing")


def end(link: Link) -> None:
    """End the peer's stream in order; with TLS by its close_notify."""
    if isinstance(link.peer, ssl.SSLSocket):
        link.peer.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            link.peer.unwrap()
    else:
        link.peer.shutdown(socket.SHUT_WR)


def test_receive_returns_the_peers_end(link: Link) -> None:
    """An orderly end of the peer, close_notify of TLS included, is empty bytes, not an error."""
    end(link)

    assert link.transport.receive() == b""


def test_a_peer_that_vanishes_is_an_end(link: Link) -> None:
    """A connection closed without more ado, TLS without close_notify too, is an end or an error."""
    link.peer.close()

    try:
        ending = link.transport.receive()
    except TransportError as error:
        ending = str(error).encode()
    assert ending == b"" or ending.startswith(link.transport.name.encode())


def test_receive_times_out(link: Link) -> None:
    """A silent peer is waited for as long as the timeout says; the error tells."""
    link.transport.timeout = SHORT
    started = monotonic()

    with pytest.raises(TransportTimeout, match=r"sent nothing in 0\.25 s") as caught:
        link.transport.receive()
    assert monotonic() - started >= SHORT
    assert caught.value.address == link.transport.name


def test_sending_to_a_closed_peer_is_an_error(link: Link) -> None:
    """Sends to a peer that is gone end in a TransportError that keeps its cause."""
    link.peer.close()

    with pytest.raises(TransportError) as caught:
        repeat(1000, link.transport.send, b"x" * 1000)
    assert isinstance(caught.value.__cause__, OSError)
    assert "peer" in caught.value.reason


def test_a_stalled_peer_times_out_and_taken_is_right(link: Link) -> None:
    """When the peer stops reading, send gives up; what it says was taken is what arrives."""
    link.transport.timeout = SHORT

    with pytest.raises(TransportTimeout, match=r"took nothing in 0\.25 s") as caught:
        link.transport.send(bytes(MORE_THAN_BUFFERS))
    taken = caught.value.taken
    assert 0 < taken < MORE_THAN_BUFFERS
    link.transport.close()
    assert len(read_what_came(link)) == taken


def read_what_came(link: Link) -> bytes:
    """Read to the end; TLS that was cut ends with an error."""
    parts: List[bytes] = []
    try:
        while True:
            part = link.peer.recv(65536)
            if not part:
                break
            parts.append(part)
    except ssl.SSLError:
        pass
    return b"".join(parts)


def test_a_slow_peer_is_progress(link: Link) -> None:
    """The timeout is time without progress: a peer that reads slowly gets everything."""
    pauses, portion = 8, 128 * 1024
    link.transport.timeout = 1.0
    for descriptor in (link.transport.fileno(), link.peer.fileno()):
        with socket.socket(fileno=os.dup(descriptor)) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, portion // 4)
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, portion // 4)

    def read_with_pauses() -> None:
        for _ in range(pauses):
            threading.Event().wait(0.15)
            read_exactly(link.peer, portion)

    reader = in_thread(read_with_pauses)
    started = monotonic()
    link.transport.send(bytes(pauses * portion))
    took = monotonic() - started
    reader.join(DEADLINE)
    assert not reader.is_alive()
    assert took > link.transport.timeout / 2, f"the peer held nobody up: {took} s"


def read_exactly(connection: socket.socket, size: int) -> None:
    """Read a number of bytes."""
    while size:
        part = connection.recv(size)
        assert part, f"the stream ended {size} bytes too early"
        size -= len(part)


def test_until_cuts_a_send_short() -> None:
    """A close in another thread ends a send that would have waited for an hour."""
    until = BroughtForward(after=3)
    left, right = socket.socketpair()
    with right:
        transport = StreamTransport(left, "unix:///x", 3600, until)

        with pytest.raises(TransportTimeout, match="closing") as caught:
            transport.send(bytes(MORE_THAN_BUFFERS))
        transport.close()
        assert len(read_all(right)) == caught.value.taken
    assert until.asked >= 4


def test_until_cuts_a_receive_short() -> None:
    """A close in another thread ends a receive that would have waited for an hour."""
    left, right = socket.socketpair()
    with right:
        transport = StreamTransport(left, "unix:///x", 3600, BroughtForward(after=3))

        with pytest.raises(TransportTimeout, match="closing"):
            transport.receive()
        transport.close()


def test_close_may_be_called_again(link: Link) -> None:
    """Closing is idempotent, also after the peer is gone, and the descriptor is released."""
    link.peer.close()

    link.transport.close()
    link.transport.close()
    link.transport.abandon()
    assert link.transport.fileno() == -1


def test_a_forked_child_abandons_without_a_word(link: Link) -> None:
    """The child's abandon sends nothing; the parent's stream goes on to its own end."""
    link.transport.send(b"before ")

    def child() -> str:
        link.transport.abandon()
        return f"descriptor {link.transport.fileno()}"

    assert in_child(child) == "descriptor -1"
    link.transport.send(b"after")
    link.peer.sendall(b"FINISH")
    assert link.transport.receive() == b"FINISH"
    link.transport.close()
    assert read_all(link.peer) == b"before after"


def test_the_handshake_of_a_plain_socket_is_nothing() -> None:
    """The receiver may ask for it whatever the socket is."""
    left, right = socket.socketpair()
    with right:
        transport = StreamTransport(left, "a sender", DEADLINE)
        transport.handshake()
        transport.send(b"x")
        assert right.recv(10) == b"x"
        transport.close()
