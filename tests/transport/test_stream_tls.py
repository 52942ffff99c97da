"""What only a stream transport over TLS does: its own end, its records, both of its sides."""

from __future__ import annotations

import errno
import socket
import ssl
import sys
import threading
from typing import Callable, List

import pytest

from dnstap_logging.exceptions import TransportError, TransportTimeout
from dnstap_logging.transport.stream import TLS_RECORD_SIZE, StreamTransport
from dnstap_logging.transport.tls import TlsOptions
from dnstap_logging.transport.waiting import never
from tests.transport.peers import (
    DEADLINE,
    Authority,
    Peer,
    accept,
    accept_tls,
    address_of,
    listen_tcp,
    open_transport,
    read_all,
    repeat,
    reset,
)

MORE_THAN_BUFFERS = 32 * 1024 * 1024
SHORT = 0.25


def test_close_ends_tls_in_order(tmp_path: object) -> None:
    """The peer can tell our end from a cut connection: it gets a close_notify."""
    authority = Authority(tmp_path)
    context = authority.server_context()
    received: List[bytes] = []

    def script(listener: socket.socket) -> None:
        # Without suppress_ragged_eofs, an end without close_notify raises.
        with context.wrap_socket(
            accept(listener), server_side=True, suppress_ragged_eofs=False
        ) as connection:
            received.append(read_all(connection))

    listener = listen_tcp()
    with Peer(listener, script):
        transport = open_transport(
            address_of(listener, "tls"), tls=TlsOptions(cafile=authority.cafile)
        )
        transport.send(b"STOP")
        transport.close()
    assert received == [b"STOP"]


def test_tls_counts_whole_records(tmp_path: object) -> None:
    """What TLS says was taken is a number of whole records: a part of one is of no use."""
    authority = Authority(tmp_path)
    context = authority.server_context()
    done = threading.Event()

    def script(listener: socket.socket) -> None:
        with accept_tls(listener, context):
            assert done.wait(DEADLINE)

    listener = listen_tcp()
    with Peer(listener, script):
        transport = open_transport(
            address_of(listener, "tls"), timeout=2.0, tls=TlsOptions(cafile=authority.cafile)
        )
        transport.timeout = SHORT
        with pytest.raises(TransportTimeout) as caught:
            transport.send(bytes(MORE_THAN_BUFFERS))
        transport.close()
        done.set()
    assert caught.value.taken > 0
    assert caught.value.taken % TLS_RECORD_SIZE == 0


def test_the_receivers_side_of_tls(tmp_path: object) -> None:
    """An accepted socket, wrapped by the receiver, shakes hands with the same class."""
    authority = Authority(tmp_path)
    context = authority.server_context()

    def script(listener: socket.socket) -> None:
        wrapped = context.wrap_socket(
            accept(listener), server_side=True, do_handshake_on_connect=False
        )
        transport = StreamTransport(wrapped, "a sender", DEADLINE, never)
        transport.handshake()
        transport.send(transport.receive().upper())
        transport.close()

    listener = listen_tcp()
    with Peer(listener, script):
        transport = open_transport(
            address_of(listener, "tls"), tls=TlsOptions(cafile=authority.cafile)
        )
        transport.send(b"echo")
        assert transport.receive() == b"ECHO"
        transport.close()


def test_close_before_the_handshake_says_nothing() -> None:
    """Until its handshake, a TLS transport that is closed says nothing to the peer."""
    received: List[bytes] = []

    def script(listener: socket.socket) -> None:
        with accept(listener) as connection:
            received.append(read_all(connection))

    listener = listen_tcp()
    with Peer(listener, script):
        sock = socket.create_connection(listener.getsockname())
        wrapped = ssl.create_default_context().wrap_socket(
            sock, do_handshake_on_connect=False, server_hostname="localhost"
        )
        StreamTransport(wrapped, "tls://localhost:1", DEADLINE).close()
    assert received == [b""]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")
@pytest.mark.parametrize("end", [reset, socket.socket.close], ids=["reset", "close"])
@pytest.mark.parametrize("operation", ["look", "receive", "send"])
def test_a_reset_under_tls_is_an_error_that_says_so(
    operation: str, end: Callable[[socket.socket], None], tmp_path: object
) -> None:
    """Reset, or closed with something unread: as without TLS, although Python may show an end."""
    authority = Authority(tmp_path)
    context = authority.server_context()
    sent = threading.Event()

    def script(listener: socket.socket) -> None:
        connection = accept_tls(listener, context)
        assert sent.wait(DEADLINE)
        end(connection)

    listener = listen_tcp()
    with Peer(listener, script):
        transport = open_transport(
            address_of(listener, "tls"), tls=TlsOptions(cafile=authority.cafile)
        )
        transport.send(b"unread")
        sent.set()
        with pytest.raises(TransportError, match=r"reset|closed the connection \(") as caught:
            repeat(100_000, getattr(transport, operation), *([b"x"] if operation == "send" else []))
        transport.close()
    cause = caught.value.__cause__
    assert isinstance(cause, OSError)
    expected = [errno.ECONNRESET, errno.EPIPE] if operation == "send" else [errno.ECONNRESET]
    assert cause.errno in expected, cause


@pytest.mark.parametrize("operation", ["look", "receive"])
def test_an_end_under_tls_stays_an_end(operation: str, tmp_path: object) -> None:
    """A peer that read all and closed is no reset, with and without TLS's own end."""
    authority = Authority(tmp_path)
    context = authority.server_context()

    def script(listener: socket.socket) -> None:
        for last in (ssl.SSLSocket.close, ssl.SSLSocket.unwrap):
            with accept_tls(listener, context) as connection:
                assert connection.recv(4) == b"read"
                last(connection)

    listener = listen_tcp()
    with Peer(listener, script):
        for _ in range(2):
            transport = open_transport(
                address_of(listener, "tls"), tls=TlsOptions(cafile=authority.cafile)
            )
            transport.send(b"read")
            seen = None
            while seen is None:
                seen = getattr(transport, operation)()
            assert seen == b""
            transport.close()
