"""What the tests of the receiver share: a callback that keeps, a scripted sender, waiting."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Any, Callable, List, Optional

import trustme

from dnstap_logging.receiver import DnstapReceiver, ReceiverStats
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    READY,
    START,
    capture,
    control,
    dnstap_payload,
    wait_until,
)

Make = Callable[..., DnstapReceiver]
"""What the fixture ``make`` gives: it starts a receiver, closed when the test ends."""

TCP = "tcp://127.0.0.1:0"
TLS = "tls://127.0.0.1:0"


class Inbox:
    """A callback that keeps what it gets."""

    def __init__(self) -> None:
        self.items: List[Any] = []

    def __call__(self, item: object) -> None:
        self.items.append(item)

    @property
    def numbers(self) -> List[int]:
        """What `dnstap_payload` was given, for each message."""
        return [int(message.extra) for message in self.items]


def assert_balanced(stats: ReceiverStats) -> None:
    """Check the equation of the receiver's books."""
    ended = stats.finished + stats.interrupted + stats.protocol_errors
    assert stats.connections == stats.active + ended, stats


class Client:
    """A scripted sender: a socket, and what Frame Streams says byte by byte."""

    def __init__(self, receiver: DnstapReceiver, context: Optional[ssl.SSLContext] = None) -> None:
        address = receiver.address
        if address.scheme == "unix":
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(20)
            try:
                self.sock.connect(address.path)
            except OSError:
                self.sock.close()
                raise
        else:
            self.sock = socket.create_connection((address.host, address.port), 20)
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *portions: bytes) -> None:
        """Send all of it."""
        self.sock.sendall(b"".join(portions))

    def expect(self, expected: bytes) -> None:
        """Read exactly these bytes."""
        found = b""
        while len(found) < len(expected):
            portion = self.sock.recv(len(expected) - len(found))
            assert portion, f"closed after {found!r}, expected {expected!r}"
            found += portion
        assert found == expected

    def expect_closed(self) -> None:
        """Wait until the receiver closes or resets the connection."""
        try:
            assert self.sock.recv(1) == b""
        except ConnectionError:
            pass  # a reset says the same: it had not read everything

    def shake_hands(self) -> None:
        """Go through the bidirectional handshake."""
        self.send(control(READY, CONTENT_TYPE))
        self.expect(control(ACCEPT, CONTENT_TYPE))
        self.send(control(START, CONTENT_TYPE))

    def reset(self) -> None:
        """Close with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def wait_for(receiver: DnstapReceiver, **expected: int) -> ReceiverStats:
    """Wait until the counters have these values."""

    def reached() -> Optional[ReceiverStats]:
        stats = receiver.stats()
        assert_balanced(stats)
        if all(getattr(stats, name) == value for name, value in expected.items()):
            return stats
        return None

    return wait_until(reached, f"{expected} in {receiver.stats()}")


def assert_serves(receiver: DnstapReceiver, inbox: Inbox) -> None:
    """Check that a good sender gets through."""
    finished = receiver.stats().finished
    with Client(receiver) as client:
        client.send(capture([dnstap_payload(4711)]))
        wait_for(receiver, finished=finished + 1)
    assert inbox.numbers[-1] == 4711


class Authority:
    """A certificate authority, a server that it vouches for, and its clients."""

    def __init__(self) -> None:
        self.ca = trustme.CA()

    def server(self, ask_client: bool = False) -> ssl.SSLContext:
        """Make a receiver's context."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("localhost").configure_cert(context)
        if ask_client:
            self.ca.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client(self, with_certificate: bool = False) -> ssl.SSLContext:
        """Make a sender's context."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if with_certificate:
            self.ca.issue_cert("sender@localhost").configure_cert(context)
        return context
