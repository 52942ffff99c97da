"""The program closed a socket's descriptor, and a socket of its own now has the number."""

from __future__ import annotations

import logging
import os
import socket
import threading
from pathlib import Path
from typing import Callable, List, Set

import pytest

from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReader, DnstapReceiver
from dnstap_logging.exceptions import TransportError
from dnstap_logging.receiver.listener import Listener
from dnstap_logging.transport.connect import connect
from dnstap_logging.transport.owned import CLOSED, own
from dnstap_logging.transport.resolve import Resolver
from dnstap_logging.transport.stream import StreamTransport
from dnstap_logging.transport.tls import TlsOptions
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, capture, dnstap_payload, wait_until
from tests.transport.peers import (
    DEADLINE,
    Authority,
    Link,
    address_of,
    full_backlog,
    in_child,
    listen_tcp,
    listen_unix,
    open_transport,
)
from tests.transport.strangers import Stranger, sockets_of

pytestmark = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be listed"
)


def send(transport: StreamTransport) -> None:
    """Send more than a record of TLS."""
    transport.send(bytes(100_000))


CALLS: List[Callable[[StreamTransport], object]] = [
    send,
    StreamTransport.look,
    StreamTransport.receive,
]


@pytest.mark.parametrize("call", CALLS)
def test_no_call_touches_what_is_not_ours(
    link: Link, call: Callable[[StreamTransport], object]
) -> None:
    """Each call says that the descriptor is lost; nothing is read, written, shut down or closed."""
    stranger = Stranger(link.transport.fileno())

    with pytest.raises(TransportError, match=CLOSED):
        call(link.transport)
    link.transport.close()

    assert link.transport.fileno() == -1
    stranger.check_untouched()


def test_close_alone_touches_nothing(link: Link) -> None:
    """close() alone does not touch the stranger; everything may be unread."""
    link.transport.send(b"x" * 1000)
    stranger = Stranger(link.transport.fileno())

    assert link.transport.unread() >= 1000
    link.transport.close()
    del link

    stranger.check_untouched()


def test_a_descriptor_that_is_closed_only(link: Link) -> None:
    """Where the program opened nothing, it is the same error."""
    os.close(link.transport.fileno())

    with pytest.raises(TransportError, match=CLOSED):
        link.transport.look()
    link.transport.close()


def test_a_wait_notices_it(link: Link) -> None:
    """A wait without a limit ends, and does not go on at the stranger's socket."""
    link.transport.timeout = 3600

    check_wait(link.transport, link.transport.receive)


def test_a_handshake_notices_it() -> None:
    """A TLS handshake that the peer does not answer does not touch the stranger."""
    ours, theirs = socket.socketpair()
    context = TlsOptions().make_context()
    tls = context.wrap_socket(ours, do_handshake_on_connect=False, server_hostname="localhost")
    transport = StreamTransport(own(tls), "peer", 3600)

    check_wait(transport, transport.handshake)

    theirs.close()


def check_wait(transport: StreamTransport, call: Callable[[], object]) -> None:
    """Lose the descriptor in the middle of a wait."""
    errors: List[BaseException] = []

    def wait() -> None:
        try:
            call()
        except TransportError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait, daemon=True)
    waiting.start()
    wait_until(lambda: waits_in_poll(waiting), "the thread to wait")
    stranger = Stranger(transport.fileno())
    waiting.join(DEADLINE)

    assert [CLOSED in str(error) for error in errors] == [True], errors
    transport.close()
    stranger.check_untouched()


def serving_threads_wait(receiver: DnstapReceiver) -> bool:
    """Return whether a receiver has a connection, and it waits for its sender."""
    threads = [connection.thread for connection in list(receiver._connections)]
    return bool(threads) and all(map(waits_in_poll, threads))


def waits_in_poll(thread: threading.Thread) -> bool:
    """Return whether the kernel shows a thread of this process waiting in poll."""
    path = f"/proc/self/task/{thread.native_id}/syscall"
    try:
        number = Path(path).read_text().split()[0]
    except OSError:
        return True  # not shown here: it is soon
    return number in {"7", "73", "168", "271"} or number == "-1"


def test_a_wait_for_room_in_a_unix_backlog(tmp_path: Path) -> None:
    """A collector that accepts nobody is not asked again with a stranger's socket."""
    check_connecting(listen_unix(tmp_path / "socket", backlog=0))


def test_a_wait_for_a_tcp_connection() -> None:
    """A stranger is not waited for in place of a peer that does not answer."""
    check_connecting(listen_tcp(backlog=0))


def open_descriptors() -> Set[int]:
    """Return the descriptors of this process, without the listing's own."""
    found = map(int, os.listdir("/proc/self/fd"))
    return {number for number in found if os.path.lexists(f"/proc/self/fd/{number}")}


SLICES = 3
"""Of a wait, after which a thread certainly is in it."""


def check_connecting(listener: socket.socket) -> None:
    """Lose the descriptor of a socket that is being connected."""
    errors: List[BaseException] = []

    def attempt() -> None:
        try:
            connect(address_of(listener), timeout=3600, until=until, resolver=Resolver())
        except TransportError as error:
            errors.append(error)

    asked: List[None] = []

    def until() -> float:
        asked.append(None)
        return float("inf")

    with listener, full_backlog(listener):
        before = open_descriptors()
        thread = threading.Thread(target=attempt, daemon=True)
        thread.start()
        wait_until(lambda: asked, "the thread to begin")
        wait_until(lambda: open_descriptors() - before, "a socket")
        # It waits in slices, and asks in each. Not before: connect() itself would be called on the
        # stranger.
        enough = len(asked) + SLICES
        wait_until(lambda: len(asked) >= enough, "the thread to wait")
        (number,) = open_descriptors() - before
        stranger = Stranger(number)
        thread.join(DEADLINE)
    assert [CLOSED in str(error) for error in errors] == [True], errors
    stranger.check_untouched()


def test_a_forked_child_leaves_it_open(link: Link) -> None:
    """The child has inherited its parent's other socket, not the connection."""
    stranger = Stranger(link.transport.fileno())

    seen = in_child(lambda: str(os.get_blocking(stranger.number)))

    assert seen == "True"
    link.transport.close()
    stranger.check_untouched()


@pytest.mark.parametrize("scheme", ["unix", "tcp", "tls"])
def test_a_handler_connects_again(tmp_path: Path, scheme: str, said: Said) -> None:
    """The session counts as lost, in one clear line; every record arrives in the end."""
    authority = Authority(tmp_path)
    address = f"unix://{tmp_path}/tap" if scheme == "unix" else f"{scheme}://127.0.0.1:0"
    context = authority.server_context() if scheme == "tls" else None
    arrived: List[object] = []

    def collect(message: DnstapMessage) -> None:
        arrived.append(message.extra)

    with DnstapReceiver(address, collect, ssl_context=context) as receiver:
        where = receiver.address
        at = where.path if scheme == "unix" else (where.host, where.port)
        tls = {"cafile": authority.cafile} if scheme == "tls" else {}
        handler = DnstapHandler(str(where), **tls)
        strangers = []
        for number in range(6):
            log(handler, number)
            assert handler.flush(DEADLINE)
            if number in (1, 3):
                strangers.append(Stranger(sockets_of(at)[0]))
        stats = handler.stats()
        handler.close()
        wait_until(lambda: {*arrived} == {b"%d" % each for each in range(6)}, "all records")

    assert (stats.disconnects, stats.connects) == (2, 3), stats
    assert CLOSED in str(stats.last_error)
    assert_balanced(handler.stats())
    said.wait_for(CLOSED)
    for stranger in strangers:
        stranger.check_untouched()


def log(handler: DnstapHandler, number: int) -> None:
    """Log one record by a handler."""
    record = {"dns_message_type": "CLIENT_QUERY", "dns_extra": str(number)}
    handler.handle(logging.makeLogRecord(record))


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_receivers_listener(tmp_path: Path, scheme: str, said: Said) -> None:
    """It stops accepting and reports that; the stranger is neither used nor closed."""
    address = f"unix://{tmp_path}/tap" if scheme == "unix" else "tcp://127.0.0.1:0"
    with DnstapReceiver(address, lambda message: None) as receiver:
        listener = receiver._listener
        assert isinstance(listener, Listener)
        stranger = Stranger(listener._sock.fileno())

        said.wait_for(CLOSED)
        assert receiver._accept_thread is not None
        receiver._accept_thread.join(DEADLINE)
        assert not receiver._accept_thread.is_alive()

    stranger.check_untouched()


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
@pytest.mark.parametrize("closing", [False, True])
def test_a_receivers_connection(tmp_path: Path, scheme: str, closing: bool) -> None:
    """It is over, also when the receiver is just closed; the stranger stays as it is."""
    address = f"unix://{tmp_path}/tap" if scheme == "unix" else "tcp://127.0.0.1:0"
    with DnstapReceiver(address, lambda message: None, max_connections=1) as receiver:
        where = receiver.address
        at = where.path if scheme == "unix" else (where.host, where.port)
        with open_transport(where)._sock as client:
            wait_until(lambda: serving_threads_wait(receiver), "its thread to wait")
            stranger = Stranger(sockets_of(at, ours=False)[0])
            if not closing:
                wait_until(lambda: receiver.stats().active == 0, "its end")
            receiver.close()
            del client

    stranger.check_untouched()


def test_a_receivers_connection_that_is_cut(tmp_path: Path) -> None:
    """Whose callback does not return in time is not cut off at a stranger's socket."""
    called, go_on = threading.Event(), threading.Event()

    def callback(message: object) -> None:
        called.set()
        go_on.wait(DEADLINE)

    path = f"{tmp_path}/tap"
    with DnstapReceiver(f"unix://{path}", callback) as receiver:
        transport = open_transport(receiver.address)
        transport.send(capture([dnstap_payload(0)], stop=False))
        assert called.wait(DEADLINE)
        stranger = Stranger(sockets_of(path, ours=False)[0])
        receiver.close(timeout=0)
        go_on.set()
        wait_until(lambda: receiver.stats().active == 0, "its end")
        transport.close()

    stranger.check_untouched()


def test_a_readers_socket() -> None:
    """A reader of a socket whose number is another's stops, and does not change the other."""
    ours, theirs = socket.socketpair()
    theirs.sendall(capture([dnstap_payload(0)], stop=False))
    reader = DnstapReader(ours)
    next(iter(reader))
    stranger = Stranger(ours.fileno())

    with pytest.raises(TransportError, match=CLOSED):
        next(iter(reader))
    reader.close()

    stranger.check_untouched()
    ours.detach()
    theirs.close()
