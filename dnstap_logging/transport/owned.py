"""Sockets of ours, and whether their descriptors are still ours.

Some programs close all descriptors when they become daemons, or one of them twice, and open files
and sockets of their own, which get the numbers. Not one byte may be read from those or written to
them, and they are not ours to shut down or to close. A socket, like a file, has an inode of its
own; so it is asked for before each use.

Any thread may call this; a socket belongs to one at a time.
"""

from __future__ import annotations

import os
import socket
import weakref
from typing import Optional, Tuple

from ..process.inherited import close_in_child, no_fork

__all__ = [
    "CLOSED",
    "close_socket",
    "identity_of",
    "is_ours",
    "is_still",
    "note",
    "open_socket",
    "own",
]

CLOSED = "the program closed the socket's descriptor"

Identity = Tuple[int, int]

_identities: weakref.WeakKeyDictionary[socket.socket, Optional[Identity]]
_identities = weakref.WeakKeyDictionary()


def is_still(descriptor: int, identity: Optional[Identity]) -> bool:
    """Return whether a descriptor is open, and for what it was."""
    try:
        opened = os.fstat(descriptor)
    except OSError:
        return False
    return (opened.st_dev, opened.st_ino) == identity


def open_socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
    """Open a socket, which a forked child closes at once."""
    with no_fork():
        return own(socket.socket(family, kind, protocol))


def own(sock: socket.socket) -> socket.socket:
    """Note that a socket is ours; the caller forbids forks from its opening until then."""
    note(sock)
    close_in_child(sock, close_socket)
    return sock


def note(sock: socket.socket) -> None:
    """Note what the descriptor of a socket is open for now."""
    try:
        opened = os.fstat(sock.fileno())
    except OSError:
        _identities[sock] = None
    else:
        _identities[sock] = opened.st_dev, opened.st_ino


def identity_of(sock: socket.socket) -> Optional[Identity]:
    """Return what was noted for a socket; of one that is the user's, note it first."""
    if sock not in _identities:
        note(sock)
    return _identities[sock]


def is_ours(sock: socket.socket) -> bool:
    """Return whether the socket is open, and its descriptor still what was noted."""
    return is_still(sock.fileno(), _identities.get(sock))


def close_socket(sock: socket.socket) -> None:
    """Close a socket of ours; of one whose descriptor is not ours any more, forget that.

    May be called again.

    Raises:
        OSError: as `socket.close` does; the descriptor is closed.
    """
    with no_fork():
        if not is_ours(sock):
            sock.detach()
        sock.close()
