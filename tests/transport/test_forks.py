"""A child that is forked while its parent connects, shakes hands or opens a file."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Callable, List

import pytest

from dnstap_logging.address import Address
from dnstap_logging.exceptions import TransportError
from dnstap_logging.transport.file import FileTransport
from tests.helpers.support import wait_until
from tests.transport.peers import (
    accept,
    address_of,
    full_backlog,
    in_child,
    listen_tcp,
    listen_unix,
    open_transport,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="fork"),
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be listed"),
]


def held() -> List[str]:
    """Return what this process's descriptors are, the listing's own left out."""
    found: List[str] = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return found


def held_by_child() -> List[str]:
    """Return what the descriptors of a child are that is forked now."""
    return in_child(lambda: "\n".join(held())).splitlines()


class Connecting(threading.Thread):
    """Connects in a thread, as writers do, until it is told to give up."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._address = address
        self.give_up = threading.Event()

    def run(self) -> None:
        """Try to connect, and fail."""
        try:
            open_transport(self._address, until=self._until).close()
        except TransportError:
            pass

    def _until(self) -> float:
        return 0.0 if self.give_up.is_set() else float("inf")


def check_child(address: Address, accepted: Callable[[], List[socket.socket]]) -> None:
    """Fork while a thread connects; look at the child.

    Args:
        address: where nobody lets it come to an end.
        accepted: waits until it has come so far; returns the other ends, which the child may hold.
    """
    before = held()
    connecting = Connecting(address)
    connecting.start()
    peers = accepted()
    try:
        others = [*before, *(os.readlink(f"/proc/self/fd/{peer.fileno()}") for peer in peers)]
        (ours,) = wait_until(lambda: sockets_beside(others), "the socket that is being connected")
        assert ours not in held_by_child(), "the child holds its parent's connection"
        assert ours in held(), "the parent has lost it"
    finally:
        connecting.give_up.set()
        connecting.join(20)
        for peer in peers:
            peer.close()


def sockets_beside(others: List[str]) -> List[str]:
    """Return the sockets that are held in addition to others."""
    return [each for each in held() if each.startswith("socket:") and each not in others]


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_connect_under_way(scheme: str, tmp_path: Path) -> None:
    """A collector that accepts nobody yet does not get a connection that only the child holds."""
    with listen_unix(tmp_path / "s", 0) if scheme == "unix" else listen_tcp(backlog=0) as listener:
        with full_backlog(listener):
            check_child(address_of(listener), list)


def test_a_tls_handshake_under_way() -> None:
    """What TLS has made of the socket is let go, too."""

    def accepted() -> List[socket.socket]:
        peer = accept(listener)
        assert peer.recv(1), "the handshake has not begun"
        return [peer]

    with listen_tcp() as listener:
        check_child(address_of(listener, "tls"), accepted)


def test_a_file(tmp_path: Path) -> None:
    """The child closes its descriptor of any opened file, and the lock stays."""
    path = tmp_path / "capture.fstrm"
    transport = FileTransport(path)

    assert str(path) in held()
    assert str(path) not in held_by_child()

    with pytest.raises(TransportError, match="another process writes"):
        FileTransport(path)
    transport.send(b"still here")
    transport.close()
    assert path.read_bytes() == b"still here"
