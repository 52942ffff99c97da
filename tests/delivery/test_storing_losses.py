"""A handler with a spool: what is lost is in the books, wherever it was when it was lost."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.helpers.support import ACCEPT, CONTENT_TYPE, READY, control, wait_until
from tests.helpers.workers import Workers
from tests.situations.interop.collectors import FstrmCapture
from tests.situations.interop.taps import numbers_in, tapped

TIMES = {"reconnect_interval": 0.01, "max_reconnect_interval": 0.05}


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[socket.socket]:
    """Return a listening socket; what connects there is accepted in a test."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.settimeout(0.05)
        listener.bind(str(tmp_path / "deaf"))
        yield listener


def accept(listener: socket.socket, peers: List[socket.socket], done: threading.Event) -> None:
    """Accept all sessions, and read nothing of them behind READY."""
    ready = len(control(READY, CONTENT_TYPE))
    while not done.is_set():
        try:
            peer, _ = listener.accept()
        except socket.timeout:
            continue
        peers.append(peer)
        peer.settimeout(60)
        if len(peer.recv(ready, socket.MSG_WAITALL)) == ready:
            with contextlib.suppress(OSError):
                peer.sendall(control(ACCEPT, CONTENT_TYPE))


def test_what_was_sent_and_not_read_is_unconfirmed_if_its_segment_is_deleted(
    tmp_path: Path, spool: Path, deaf: socket.socket
) -> None:
    """Written, but not read, and not on the disk any more: it is not certain that it arrived."""
    address = f"unix://{tmp_path / 'deaf'}"
    with tapped(address, spool=spool, timeout=0.5, **TIMES) as tap:
        tap.log_numbers(range(10))
        wait_until(lambda: tap.stats().spooled == 10, "the records to be stored")
        deaf.listen()
        peers: List[socket.socket] = []
        done = threading.Event()
        with Workers(lambda: accept(deaf, peers, done)):
            wait_until(lambda: tap.stats().written == 10, "the segment to be sent")
            for path in spool.glob("*.fstrm"):
                path.unlink()
            done.set()
        for peer in [*peers, deaf]:
            peer.close()
        (tmp_path / "deaf").unlink()
        with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
            tap.log_numbers([10])
            wait_until(lambda: tap.stats().written == 11, "a record after that")
            stats = tap.close()
            assert stats.unconfirmed == 10, stats
            collector.stop()
        read = set(numbers_in(collector.output))
    missing = set(range(11)) - read
    assert len(missing) <= stats.unconfirmed + sum(stats.dropped.values()), (missing, stats)
