"""What Linux tells of a unix stream connection: SIOCOUTQ, the send buffer, shutdowns, EPIPE."""

from __future__ import annotations

import select
import socket
import struct
from pathlib import Path
from typing import List, Optional, Tuple

import pytest

from tests.situations.faults.obedient import (
    RESETS,
    WRITTEN,
    Obedient,
    events,
    look,
    outstanding,
    pending_error,
    told,
)

# The largest socket buffer that the kernel allocates at once, with room to spare: 36 KiB were seen.
LARGEST_BUFFER = 64 * 1024
ROUNDS = 20


def test_the_end_is_there_as_soon_as_the_peer_is_gone(tmp_path: Path) -> None:
    """When waitpid returns, the very next look sees how the connection ended, without any wait."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.kill()

        assert look(peer.sock) == "ECONNRESET"


@pytest.mark.parametrize("steps", RESETS)
def test_a_failed_send_leaves_the_reset(steps: str, tmp_path: Path) -> None:
    """A send after the peer's death fails at once with EPIPE, and the reset can still be read."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out(steps)

        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"
        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"
        assert look(peer.sock) == "ECONNRESET"


def test_a_failed_send_after_an_orderly_end_shows_the_end(tmp_path: Path) -> None:
    """EPIPE comes also where the peer had read all; a look shows which of the two it was."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out("read 1000, close")

        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"
        assert (look(peer.sock), pending_error(peer.sock)) == (b"", "")


@pytest.mark.parametrize("size", [1, 100, 4096, 16384, 65536])
def test_outstanding_is_an_upper_bound_of_what_is_unread(size: int, tmp_path: Path) -> None:
    """SIOCOUTQ counts memory, never less than the bytes that the living peer has not read."""
    with Obedient("unix", tmp_path) as peer:
        written = 0
        while written < 100 * size and written < 130_000:
            written += peer.sock.send(bytes(size))
            assert outstanding(peer.sock) >= written
        while written:
            portion = min(written, max(1, size // 3))
            written -= int(peer.do("read", portion))
            assert outstanding(peer.sock) >= written

        assert outstanding(peer.sock) == 0


def test_a_partly_read_write_counts_whole(tmp_path: Path) -> None:
    """A buffer is charged until its last byte was read: the bound falls in steps."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(4096)
        before = outstanding(peer.sock)
        peer.do("read", 4095)
        assert outstanding(peer.sock) == before
        peer.do("read", 1)

        assert outstanding(peer.sock) == 0


def test_nothing_is_outstanding_once_the_peer_is_dead(tmp_path: Path) -> None:
    """The bound is 0 after a death that threw away unread data: it must be taken before."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        assert outstanding(peer.sock) >= WRITTEN
        peer.kill()

        assert outstanding(peer.sock) == 0


def test_a_sample_is_valid_if_a_later_look_sees_nothing(tmp_path: Path) -> None:
    """First SIOCOUTQ, then a look without an end: so the peer was alive when it was counted."""
    for number in range(ROUNDS):
        directory = tmp_path / str(number)
        directory.mkdir()
        with Obedient("unix", directory) as peer:
            peer.write(100_000)
            peer.process.kill()
            samples: List[Tuple[int, object]] = [(outstanding(peer.sock), look(peer.sock))]
            while samples[-1][1] == "EAGAIN":
                samples.append((outstanding(peer.sock), look(peer.sock)))

            valid = [sample for sample, seen in samples if seen == "EAGAIN"]
            assert all(sample >= 100_000 for sample in valid), samples
            assert samples[-1][1] == "ECONNRESET"


@pytest.mark.parametrize("size", [100, 4096, 65536, 1_000_000])
@pytest.mark.parametrize("send_buffer", [None, 16384, 98304])
def test_the_send_buffer_bounds_what_is_unread(
    size: int, send_buffer: Optional[int], tmp_path: Path
) -> None:
    """A peer that does not read gets at most SO_SNDBUF, as it reads back, and one buffer more."""
    with Obedient("unix", tmp_path, send_buffer=send_buffer) as peer:
        limit = peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        written = 0
        while True:
            taken = told(lambda: peer.sock.send(bytes(size)))
            if not isinstance(taken, int):
                break
            written += taken

        assert taken == "EAGAIN"
        assert written == int(peer.do("unread"))
        assert written <= outstanding(peer.sock) <= limit + LARGEST_BUFFER


def test_a_half_close_is_an_end_with_something_outstanding(tmp_path: Path) -> None:
    """After SHUT_WR the end is seen though the peer still reads; no POLLHUP, and sends go on."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.do("shutdown", "SHUT_WR")

        assert look(peer.sock) == b""
        assert not events(peer.sock) & select.POLLHUP
        assert outstanding(peer.sock) >= WRITTEN
        peer.write(100)
        assert peer.do("read", WRITTEN + 100) == str(WRITTEN + 100)
        assert outstanding(peer.sock) == 0


def test_a_full_shutdown_is_an_end_with_something_outstanding(tmp_path: Path) -> None:
    """After SHUT_RDWR sends fail and the end is seen, but what was written can still be read."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.do("shutdown", "SHUT_RDWR")

        assert look(peer.sock) == b""
        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"
        assert outstanding(peer.sock) >= WRITTEN
        assert peer.do("drain") == f"{WRITTEN} end"


@pytest.mark.parametrize("how", ["SHUT_WR", "SHUT_RDWR"])
def test_a_reset_is_seen_behind_an_end(how: str, tmp_path: Path) -> None:
    """A peer that shut down and then died with unread data shows its end, then the reset."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.do("shutdown", how)
        assert look(peer.sock) == b""
        peer.kill()

        assert look(peer.sock) == "ECONNRESET"


def test_a_peer_that_reads_no_more_shows_nothing(tmp_path: Path) -> None:
    """After SHUT_RD a look sees nothing and a send fails; what was written can still be read."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.do("shutdown", "SHUT_RD")

        assert look(peer.sock) == "EAGAIN"
        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"
        assert look(peer.sock) == "EAGAIN"
        assert outstanding(peer.sock) >= WRITTEN
        assert peer.do("read", WRITTEN) == str(WRITTEN)


def test_linger_makes_no_reset_of_an_orderly_end(tmp_path: Path) -> None:
    """SO_LINGER has no meaning for unix sockets: all was read, so it is an end."""
    with Obedient("unix", tmp_path) as peer:
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.write(WRITTEN)
        peer.carry_out("read 1000, linger, close")

        assert look(peer.sock) == b""


def test_our_close_takes_nothing_back(tmp_path: Path) -> None:
    """What a stopped peer has in its queue it reads later, after we closed: a resend doubles it."""
    with Obedient("unix", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.sock.close()

        assert peer.do("drain") == f"{WRITTEN} end"
