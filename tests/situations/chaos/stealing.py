"""A program that closes descriptors which are not its own, and opens others in their place.

As a daemon does that closes all it finds. The number of a connection or capture of the library is
from then on something else of the program's, and must stay as it is.
"""

from __future__ import annotations

import os
import socket
from typing import List, NamedTuple

from tests.situations.chaos.program import descriptors

__all__ = ["Thief"]

BAIT = b"not for the library"


class _Stolen(NamedTuple):
    number: int
    name: str
    inode: int
    other_end: socket.socket


class Thief:
    """Steals descriptors, and sees later that nobody has touched what took their place.

    Args:
        own: the descriptors that are the program's own; gets those that it steals.
        violations: gets what must not be.
    """

    def __init__(self, own: List[str], violations: List[str]) -> None:
        self._own = own
        self._violations = violations
        self._stolen: List[_Stolen] = []

    def steal(self, *kinds: str) -> None:
        """Put a socket of ours, with bytes to read, at the number of one of the library's.

        Args:
            kinds: what its descriptors lead to.
        """
        victims = [each for each in descriptors(*kinds) if each not in self._own]
        if not victims:
            return
        number = int(victims[0].split()[0])
        ours, other_end = socket.socketpair()
        other_end.sendall(BAIT)
        other_end.setblocking(False)
        for end in (ours, other_end):
            self._own.append(_name(end.fileno()))
        os.dup2(ours.fileno(), number, inheritable=False)
        self._own.append(_name(number))
        self._stolen.append(_Stolen(number, _name(number), os.fstat(number).st_ino, other_end))
        ours.close()

    def look(self) -> None:
        """See that all of them are as they were, and give them back."""
        for number, name, inode, other_end in self._stolen:
            with other_end:
                if _inode(number) != inode:
                    self._violations.append(f"the library closed a descriptor not its own: {name}")
                    continue
                with socket.socket(fileno=number) as ours:
                    ours.setblocking(False)
                    found = _receive(ours)
                    if found != BAIT:
                        self._violations.append(f"read from a descriptor not its own: {name}")
                found = _receive(other_end)
                if found:
                    self._violations.append(f"wrote to a descriptor not its own: {found[:60]!r}")
        self._stolen.clear()


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except BlockingIOError:
        return b""


def _inode(number: int) -> int:
    try:
        return os.fstat(number).st_ino
    except OSError:
        return 0


def _name(number: int) -> str:
    return f"{number} -> {os.readlink(f'/proc/self/fd/{number}')}"
