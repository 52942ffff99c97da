"""What Linux says of a socket without Python letting another thread run, and what stands for it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from typing import Iterator, List, Tuple

import pytest

from dnstap_logging.transport import unread
from dnstap_logging.transport.owned import cookie_of
from dnstap_logging.transport.stream import StreamTransport
from dnstap_logging.transport.unread import outstanding, outstanding_on_unix

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the options are of Linux"
)

Pair = Tuple[socket.socket, socket.socket]


@pytest.fixture(name="pair")
def _pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


class Answering(socket.socket):
    """A socket of a system that answers something else."""

    answer = b""

    def getsockopt(self, *_: int) -> bytes:  # type: ignore[override]
        return self.answer


def test_no_two_sockets_have_the_same_cookie(pair: Pair) -> None:
    """Nor a descriptor's before and after it was closed and opened again; a file has none."""
    with contextlib.ExitStack() as stack:
        families: List[int] = [socket.AF_INET, socket.AF_UNIX]
        opened = [stack.enter_context(socket.socket(family)) for family in families * 20]
        cookies = {cookie_of(each) for each in (*pair, *opened)}
        assert len(cookies) == 42
        assert None not in cookies

        victim = opened[0]
        with socket.socket() as stranger:
            os.dup2(stranger.fileno(), victim.fileno())
            assert cookie_of(victim) == cookie_of(stranger)
            assert cookie_of(victim) not in cookies
        file = os.open(os.devnull, os.O_RDONLY)
        os.dup2(file, victim.fileno())
        os.close(file)
        assert cookie_of(victim) is None
        victim.close()
        assert cookie_of(victim) is None


@pytest.mark.parametrize("answer", [b"", bytes(8), bytes(range(16))])
def test_a_cookie_that_is_none_is_not_trusted(answer: bytes) -> None:
    """Where the option is something else, the descriptor's inode shows whether it is ours."""
    with Answering(socket.AF_UNIX) as sock:
        sock.answer = answer
        assert cookie_of(sock) is None
        transport = StreamTransport(sock, "unix:///x", 1)
        assert transport.is_ours()
        with socket.socket() as stranger:
            os.dup2(stranger.fileno(), sock.fileno())
        assert not transport.is_ours()


@pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
def test_both_ways_to_ask_what_is_unread_agree(size: int, pair: Pair) -> None:
    """The memory of a socket says what TIOCOUTQ says, before and after the peer has read."""
    ours, theirs = pair
    sent = ours.send(bytes(size)) if size else 0

    found = outstanding_on_unix(ours)
    assert found == outstanding(ours.fileno())
    assert found is not None
    assert found >= sent
    while sent:
        sent -= len(theirs.recv(sent))
    assert outstanding_on_unix(ours) == outstanding(ours.fileno()) == 0


@pytest.mark.parametrize("answer", [b"", bytes(8), struct.pack("9I", *[0] * 9)])
def test_memory_that_is_none_is_not_trusted(
    answer: bytes, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the option is something else, or all zeros, TIOCOUTQ is asked."""
    monkeypatch.setattr(unread, "outstanding", lambda descriptor: 42)
    with Answering(socket.AF_UNIX) as sock:
        sock.answer = answer
        assert outstanding_on_unix(sock) == 42
    assert outstanding_on_unix(pair[0]) == 0
