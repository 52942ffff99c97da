"""How connections end before their time, and what is known then."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from typing import Callable, List, Tuple

import pytest

from dnstap_logging.exceptions import TransportError, TransportTimeout
from dnstap_logging.transport.stream import MAX_DISCARDED, StreamTransport
from tests.helpers.programs import run_python
from tests.transport.peers import (
    DEADLINE,
    accept,
    address_of,
    listen_tcp,
    open_transport,
    read_all,
    repeat,
    reset,
)

MORE_THAN_BUFFERS = 32 * 1024 * 1024


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_peer_that_goes_in_the_middle(kind: str) -> None:
    """When the peer closes while it is sent to, taken says how much the kernel had."""
    transport, peer = tcp_pair() if kind == "tcp" else unix_pair()
    read: List[bytes] = []

    def read_a_little_and_go() -> None:
        read.append(peer.recv(65536))
        peer.close()

    reader = threading.Thread(target=read_a_little_and_go)
    reader.start()
    with pytest.raises(TransportError) as caught:
        transport.send(bytes(MORE_THAN_BUFFERS))
    reader.join(DEADLINE)
    transport.close()
    assert not isinstance(caught.value, TransportTimeout)
    assert 0 < len(read[0]) <= caught.value.taken < MORE_THAN_BUFFERS


def unix_pair() -> Tuple[StreamTransport, socket.socket]:
    """Connect a transport over a unix socket; return it and the peer's socket."""
    ours, peer = socket.socketpair()
    peer.settimeout(DEADLINE)
    return StreamTransport(ours, "unix:///x", DEADLINE), peer


def tcp_pair() -> Tuple[StreamTransport, socket.socket]:
    """Connect a transport over TCP; return it and the peer's socket."""
    with listen_tcp() as listener:
        listener.settimeout(DEADLINE)
        transport = open_transport(address_of(listener))
        return transport, accept(listener)


@pytest.mark.parametrize("operation", ["look", "receive", "send"])
def test_a_reset_is_an_error_that_says_so(operation: str) -> None:
    """A reset by the peer is told by whichever call comes first, with the cause kept."""
    transport, peer = tcp_pair()
    reset(peer)

    with pytest.raises(TransportError, match=r"reset|closed") as caught:
        repeat(100_000, getattr(transport, operation), *([b"x"] if operation == "send" else []))
    cause = caught.value.__cause__
    assert isinstance(cause, OSError)
    assert cause.errno in (errno.ECONNRESET, errno.EPIPE), cause
    transport.close()


def test_close_with_unread_input_does_not_reset() -> None:
    """Closing over TCP with input that nobody read still delivers what was sent before."""
    transport, peer = tcp_pair()
    peer.sendall(b"x" * 10_000)
    transport.send(b"STOP")
    assert transport.look(), "the input arrived"
    peer.sendall(b"x" * 10_000)

    transport.close()
    with peer:
        assert read_all(peer) == b"STOP"


@pytest.mark.skipif(not hasattr(signal, "SIGPIPE"), reason="there is no SIGPIPE here")
def test_a_lost_peer_does_not_kill_a_program_with_sigpipe() -> None:
    """A program that set SIGPIPE to its default survives sending to a peer that closed."""
    program = """
import signal, socket
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
from dnstap_logging.exceptions import TransportError
from dnstap_logging.transport.stream import StreamTransport
left, right = socket.socketpair()
right.close()
try:
    StreamTransport(left, "unix:///x", 1.0).send(b"x")
except TransportError as error:
    print(error)
"""
    done = run_python(program)
    assert (done.returncode, done.stdout) == (
        0,
        "unix:///x: the peer closed the connection (EPIPE)\n",
    ), done.stderr


class Flooded(socket.socket):
    """A socket whose peer sends again just before each read, for ever: the worst of orders."""

    flood = b""
    reads = 0
    got = 0

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Read, when the peer has sent something more."""
        self.reads += 1
        assert self.reads < 1_000_000, "it reads for ever"
        self.peer.send(self.flood)
        data = super().recv(size, flags)
        self.got += len(data)
        return data

    def __init__(self, flood: bytes) -> None:
        ours, self.peer = socket.socketpair()
        super().__init__(fileno=ours.detach())
        self.flood = flood


@pytest.mark.parametrize("flood", [b"x", bytes(60_000)], ids=["bytes", "blocks"])
@pytest.mark.parametrize("call", [StreamTransport.unread, StreamTransport.close])
def test_a_peer_that_never_stops_sending(
    flood: bytes, call: Callable[[StreamTransport], object]
) -> None:
    """What it sent is thrown away up to a bound in bytes, and in time; then the end goes on."""
    sock = Flooded(flood)
    with sock.peer:
        transport = StreamTransport(sock, "peer", DEADLINE)
        transport.send(bytes(1000))
        assert call(transport) in (None, 1000)  # that may be unread
        transport.close()

    assert sock.got < 2 * (MAX_DISCARDED + len(flood)), sock.got
    assert sock.reads < 500_000
