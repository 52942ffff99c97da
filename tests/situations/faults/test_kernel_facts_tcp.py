"""What Linux tells of a TCP connection, and of TLS above it, by loopback."""

from __future__ import annotations

import select
import socket
import ssl
import struct
from pathlib import Path

import pytest
import trustme

from dnstap_logging.transport.tcp_state import was_reset
from tests.helpers.support import wait_until
from tests.situations.faults.obedient import (
    DEADLINE,
    WRITTEN,
    Obedient,
    events,
    look,
    outstanding,
    pending_error,
    pytestmark,
    told,
    wait_for_end,
    wait_for_event,
)

__all__ = ["pytestmark"]

# 2 * SEND_BUFFER and one segment of offload (64 KiB) are the 256 KiB that are to be kept.
KEPT = 256 * 1024
LARGEST_SEGMENT = 64 * 1024
SEND_BUFFER = (KEPT - LARGEST_SEGMENT) // 2

# How long a connection must take nothing to count as full. A busy machine may be slower than that:
# then less is written, and each promise below holds all the same.
STALL = 0.2

# tcp_info in linux/tcp.h: tcpi_bytes_acked is a u64 at this offset, since Linux 4.1.
BYTES_ACKED_OFFSET = 120


def acknowledged(sock: socket.socket) -> int:
    """Return the payload bytes acknowledged; the kernel counts the SYN, too."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("Q", info, BYTES_ACKED_OFFSET)[0]) - 1


def fill(sock: socket.socket, size: int) -> int:
    """Write until nothing more is taken, and return how much was."""
    written = 0
    while True:
        taken = told(lambda: sock.send(bytes(size)))
        if isinstance(taken, int):
            written += taken
        elif not events(sock, select.POLLOUT, STALL) & select.POLLOUT:
            assert taken == "EAGAIN"
            return written


def test_a_send_behind_the_end_is_taken_and_lost(tmp_path: Path) -> None:
    """The first send after the peer's close succeeds; it stays outstanding and the end stays."""
    with Obedient("tcp", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out("read 1000, close")
        wait_for_end(peer.sock)

        assert peer.sock.send(bytes(100)) == 100
        wait_for_event(peer.sock, select.POLLERR, "the answer of the closed port")
        assert look(peer.sock) == b"", "an end is not made a reset by what follows it"
        assert outstanding(peer.sock) == 100
        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"
        assert (look(peer.sock), outstanding(peer.sock)) == (b"", 100)


def test_a_send_after_a_reset_tells_of_it_and_clears_it(tmp_path: Path) -> None:
    """A send fails with ECONNRESET only after a reset, but a look behind it sees an end."""
    with Obedient("tcp", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.kill()
        wait_for_event(peer.sock, select.POLLERR, "the reset")

        assert told(lambda: peer.sock.send(b"more")) == "ECONNRESET"
        assert (look(peer.sock), pending_error(peer.sock)) == (b"", "")
        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"


@pytest.mark.parametrize("how", ["SHUT_WR", "SHUT_RDWR"])
def test_a_reset_behind_an_end_is_told_by_the_pending_error_alone(how: str, tmp_path: Path) -> None:
    """Shut down, then closed with unread data: a look sees the end, SO_ERROR is EPIPE."""
    with Obedient("tcp", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.do("shutdown", how)
        wait_for_end(peer.sock)
        assert (look(peer.sock), pending_error(peer.sock)) == (b"", "")
        peer.do("close")
        wait_for_event(peer.sock, select.POLLERR, "the reset")

        assert look(peer.sock) == b""
        assert outstanding(peer.sock) == 0, "nothing of ours called for a reset"
        assert pending_error(peer.sock) == "EPIPE"
        assert pending_error(peer.sock) == ""


def test_a_reset_behind_an_end_cannot_be_told_from_late_data(tmp_path: Path) -> None:
    """Shut down and closed with unread data while we still had some: an end, EPIPE, and a rest.

    The peer that read all and closed before our last bytes leaves the same (see the first test).
    """
    with Obedient("tcp", tmp_path, send_buffer=SEND_BUFFER) as peer:
        written = fill(peer.sock, 65536)
        unread = int(peer.do("unread"))
        peer.carry_out("shutdown SHUT_WR, close")
        wait_for_event(peer.sock, select.POLLERR, "the reset")

        assert (look(peer.sock), pending_error(peer.sock)) == (b"", "EPIPE")
        assert 0 < outstanding(peer.sock) <= written - unread


def test_a_half_close_is_an_end_that_reads_on(tmp_path: Path) -> None:
    """After SHUT_WR the end is seen, and what is sent is acknowledged and read all the same."""
    with Obedient("tcp", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.do("shutdown", "SHUT_WR")
        wait_for_end(peer.sock)

        assert look(peer.sock) == b""
        peer.write(100)
        assert peer.do("read", WRITTEN + 100) == str(WRITTEN + 100)


def test_a_peer_that_reads_no_more_shows_nothing(tmp_path: Path) -> None:
    """SHUT_RD is not told to us: a look sees nothing, sends are taken and acknowledged."""
    with Obedient("tcp", tmp_path) as peer:
        peer.do("shutdown", "SHUT_RD")
        peer.write(WRITTEN)

        assert look(peer.sock) == "EAGAIN"
        assert peer.do("unread") == str(WRITTEN)


def test_a_peer_may_reset_though_it_read_all(tmp_path: Path) -> None:
    """SO_LINGER with 0 seconds resets in any case: a reset does not prove a loss."""
    with Obedient("tcp", tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out("read 1000, linger, close")
        wait_for_end(peer.sock)

        assert look(peer.sock) == "ECONNRESET"


def test_acknowledged_is_not_read(tmp_path: Path) -> None:
    """Nothing is outstanding of what lies unread at the peer, and what a reset throws away."""
    with Obedient("tcp", tmp_path) as peer:
        peer.write(30_000)

        assert outstanding(peer.sock) == 0
        assert peer.do("unread") == "30000"
        peer.kill()
        wait_for_end(peer.sock)
        assert (look(peer.sock), outstanding(peer.sock)) == ("ECONNRESET", 0)
        assert acknowledged(peer.sock) == 30_000


@pytest.mark.parametrize("size", [100, 4096, 65536, 1_000_000])
def test_the_send_buffer_bounds_what_is_outstanding(size: int, tmp_path: Path) -> None:
    """Against a closed window no more than 2 * SO_SNDBUF and one segment is unacknowledged."""
    with Obedient("tcp", tmp_path, send_buffer=SEND_BUFFER) as peer:
        assert peer.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * SEND_BUFFER
        written = fill(peer.sock, size)

        assert outstanding(peer.sock) <= KEPT
        wait_until(  # until then something is on its way, and counted twice or not at all
            lambda: written == outstanding(peer.sock) + int(peer.do("unread")),
            "what was written to be here or there",
            DEADLINE,
        )


@pytest.mark.parametrize("steps", ["close", "kill", "stop, kill"])
def test_what_is_outstanding_is_exact_after_a_reset(steps: str, tmp_path: Path) -> None:
    """With our buffer full: afterwards acknowledged and outstanding still add up to the written."""
    with Obedient("tcp", tmp_path, send_buffer=SEND_BUFFER) as peer:
        written = fill(peer.sock, 65536)
        unread = int(peer.do("unread"))
        before = outstanding(peer.sock)
        assert before > 0, "the window should be closed"
        peer.carry_out(steps)
        wait_for_end(peer.sock)

        assert look(peer.sock) == "ECONNRESET"
        assert told(lambda: peer.sock.send(b"more")) == "EPIPE"
        after = outstanding(peer.sock)
        assert acknowledged(peer.sock) + after == written
        assert 0 < after <= before
        assert written - after >= unread


def test_an_end_with_unsent_bytes_leaves_them_outstanding(tmp_path: Path) -> None:
    """A peer that shuts down before a full buffer: the end, and exactly the rest outstanding."""
    with Obedient("tcp", tmp_path, send_buffer=SEND_BUFFER) as peer:
        written = fill(peer.sock, 65536)
        peer.do("shutdown", "SHUT_RDWR")
        read, _ = peer.do("drain").split()
        wait_for_event(peer.sock, select.POLLERR, "the answer to what we still had")

        assert look(peer.sock) == b""
        assert outstanding(peer.sock) == written - int(read) > 0


def settled(peer: Obedient, written: int) -> int:
    """Return what the peer's kernel holds, once nothing is on the way to it any more."""
    seen = [-1]

    def is_settled() -> bool:
        seen.append(int(peer.do("unread")))
        return seen[-1] == seen[-2] and seen[-1] + outstanding(peer.sock) == written

    wait_until(is_settled, "all bytes in one of the two kernels")
    return seen[-1]


@pytest.mark.parametrize("reset", [False, True])
def test_our_close_delivers_later_and_our_reset_does_not(reset: bool, tmp_path: Path) -> None:
    """A closed connection goes on sending its buffer; a reset leaves what was acknowledged."""
    with Obedient("tcp", tmp_path, send_buffer=SEND_BUFFER) as peer:
        written = fill(peer.sock, 65536)
        unread = settled(peer, written)
        assert unread < written
        if reset:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sock.close()

        assert peer.do("drain") == (f"{unread} reset" if reset else f"{written} end")


class Tls(Obedient):
    """A TLS connection to a child process that does as it is told."""

    def __init__(self, directory: Path) -> None:
        super().__init__("tcp", directory)
        authority = trustme.CA()
        pem = directory / "peer.pem"
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pem))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(context)
        assert self.process.stdin is not None
        self.process.stdin.write(f"tls {pem}\n")
        self.process.stdin.flush()
        self.sock.settimeout(DEADLINE)
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")
        assert self._answer() == "done"
        self.sock.setblocking(False)


def look_by_tls(sock: socket.socket) -> object:
    """Receive through TLS without waiting."""
    try:
        return sock.recv(65536)
    except ssl.SSLWantReadError:
        return "EAGAIN"
    except OSError as error:
        return type(error).__name__


@pytest.mark.parametrize(
    ("steps", "was"),
    [
        ("read 1000, kill", "an end"),
        ("read 1000, notify, kill", "an end"),
        ("notify, kill", "an end"),
        ("kill", "a reset"),
        ("close", "a reset"),
        ("linger, close", "a reset"),
        ("read 1000, linger, close", "a reset"),
    ],
)
def test_tls_shows_the_end_of_tcp(steps: str, was: str, tmp_path: Path) -> None:
    """With or without close_notify: an end if all was read, a reset if not.

    Python 3.10, and some releases of 3.11 and 3.12, show every reset as an end; behind
    it TCP_INFO shows which it was: the state is CLOSE and no error waits.
    """
    with Tls(tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out(steps)
        wait_for_end(peer.sock)

        seen = look_by_tls(peer.sock)
        assert seen in ([b""] if was == "an end" else [b"", "ConnectionResetError"])
        assert was_reset(peer.sock) == (was == "a reset")


def test_a_close_notify_hides_the_reset_behind_it(tmp_path: Path) -> None:
    """TLS shows its end before TCP has any, also with unread data; SO_ERROR has the reset."""
    with Tls(tmp_path) as peer:
        peer.write(10_000)
        peer.write(10_000)
        peer.write(10_000)
        peer.do("notify")
        wait_until(lambda: look_by_tls(peer.sock) == b"", "the close_notify", DEADLINE)
        assert not events(peer.sock) & select.POLLRDHUP, "TCP should not have ended yet"
        peer.kill()
        wait_for_end(peer.sock)

        assert look_by_tls(peer.sock) == b""
        assert pending_error(peer.sock) == "ECONNRESET"


def test_a_part_of_a_record_that_tls_has_read_counts_as_read(tmp_path: Path) -> None:
    """The peer's TLS reads whole records: half of one lost with its program leaves an end."""
    with Tls(tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out("read 500, kill")
        wait_for_end(peer.sock)

        assert look_by_tls(peer.sock) == b""


@pytest.mark.parametrize("size", [1, 1000, 16384])
def test_outstanding_counts_ciphertext(size: int, tmp_path: Path) -> None:
    """A record on the wire is longer than its text: outstanding is never less than the text's."""
    with Tls(tmp_path) as peer:
        before = acknowledged(peer.sock)
        peer.write(size)

        assert size < acknowledged(peer.sock) - before <= size + 256
