"""Our sockets, and whether their descriptors are still ours.

Some programs close all descriptors when they become daemons, or close one twice, and then open
files and sockets that get the same numbers. Those must not be read, written, shut down or closed.
So before each use the descriptor's inode is compared with the socket's.
"""

from __future__ import annotations

import os
import socket
import sys
import weakref
from typing import Optional, Tuple

from ..process.inherited import close_in_child, no_fork

__all__ = [
    "CLOSED",
    "close_socket",
    "cookie_of",
    "identity_of",
    "is_ours",
    "is_still",
    "note",
    "open_socket",
    "own",
]

CLOSED = "the program closed the socket's descriptor"

SO_COOKIE = 57
"""A number that no other socket has (Linux since 4.12); Python does not name it."""

COOKIE_SIZE = 8

Identity = Tuple[int, int]

_identities: weakref.WeakKeyDictionary[socket.socket, Optional[Identity]]
_identities = weakref.WeakKeyDictionary()


def is_still(descriptor: int, identity: Optional[Identity]) -> bool:
    """Return whether a descriptor is open, and still has this identity."""
    try:
        opened = os.fstat(descriptor)
    except OSError:
        return False
    return (opened.st_dev, opened.st_ino) == identity


def cookie_of(sock: socket.socket) -> Optional[bytes]:
    """Return the number of the socket that a descriptor is; None: it is none, or has no number.

    To ask for it, Python does not let another thread run, as it does for fstat(2): in a busy
    program, it takes several changes of threads to come back from that.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        cookie = sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 2 * COOKIE_SIZE)
    except OSError:
        return None
    # On some processors 57 is another option, and some systems that look like Linux return zeros.
    return cookie if len(cookie) == COOKIE_SIZE and any(cookie) else None


def open_socket(family: int, kind: int, protocol: int = 0) -> socket.socket:
    """Open a socket, which a forked child closes at once."""
    with no_fork():
        return own(socket.socket(family, kind, protocol))


def own(sock: socket.socket) -> socket.socket:
    """Register a socket of ours; the caller holds `no_fork` since it was opened."""
    note(sock)
    close_in_child(sock, close_socket)
    return sock


def note(sock: socket.socket) -> None:
    """Store the identity that the descriptor of a socket has now."""
    try:
        opened = os.fstat(sock.fileno())
    except OSError:
        _identities[sock] = None
    else:
        _identities[sock] = opened.st_dev, opened.st_ino


def identity_of(sock: socket.socket) -> Optional[Identity]:
    """Return the identity of a socket; that of the user's is stored at the first call."""
    if sock not in _identities:
        note(sock)
    return _identities[sock]


def is_ours(sock: socket.socket) -> bool:
    """Return whether the socket is open, and its descriptor still has the stored identity."""
    return is_still(sock.fileno(), _identities.get(sock))


def close_socket(sock: socket.socket) -> None:
    """Close a socket, but not a descriptor that is not ours any more; may be called again.

    Raises:
        OSError: as `socket.close` does; the descriptor is closed.
    """
    with no_fork():
        if not is_ours(sock):
            sock.detach()
        sock.close()
