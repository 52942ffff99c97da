"""What a program may open with a number that was ours: a blocking socket."""

from __future__ import annotations

import os
import socket
from typing import List

import pytest

PRECIOUS = b"precious"


class Stranger:
    """A socket of the program's, put in the place of a descriptor, as by a double close.

    Bytes lie unread in it. It blocks, so a second read hangs for ever.
    """

    def __init__(self, number: int) -> None:
        assert number >= 0
        self.number = number
        self.other_end, mine = socket.socketpair()
        self.other_end.sendall(PRECIOUS)
        self._identity = os.fstat(mine.fileno())
        os.dup2(mine.fileno(), number)
        mine.close()

    def check_untouched(self) -> None:
        """Check that nothing was read, written, shut down or closed; then close it."""
        try:
            assert os.path.samestat(os.fstat(self.number), self._identity), "it was replaced"
        except OSError:
            pytest.fail("it was closed")
        with self.other_end, socket.socket(fileno=self.number) as mine:
            assert os.get_blocking(self.number), "its mode was changed"
            self.other_end.setblocking(False)
            with pytest.raises(BlockingIOError):
                self.other_end.recv(1)
            mine.setblocking(False)
            assert mine.recv(100) == PRECIOUS
            self.other_end.sendall(b"more")
            assert mine.recv(100) == b"more"


def sockets_of(address: object, *, ours: bool = True) -> List[int]:
    """Return the descriptors of connections of this process to, or from, a listening address.

    Args:
        address: of the listener: a path, or host and port.
        ours: the connecting end; otherwise the accepted one.
    """
    found: List[int] = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            copy = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with copy:
            try:
                end = copy.getpeername() if ours else copy.getsockname()
                copy.getpeername()
            except OSError:
                continue
        if end == address:
            found.append(int(name))
    return found
