"""What Linux tells of a stream connection that ended: the facts that hold for unix and TCP alike.

Delivery across a broken connection decides by them what goes out again. The facts of one kind are
in ``test_kernel_facts_unix`` and ``test_kernel_facts_tcp``.
"""

from __future__ import annotations

import select
import socket
from pathlib import Path
from typing import Callable, List, Tuple

import pytest

from tests.situations.faults.obedient import (
    RESETS,
    WRITTEN,
    Obedient,
    events,
    look,
    outstanding,
    pending_error,
    wait_for_end,
)


@pytest.fixture(params=["unix", "tcp"])
def kind(request: pytest.FixtureRequest) -> str:
    """Give each kind of socket."""
    name: str = request.param
    return name


ORDERLY_ENDS = ["read 1000, close", "read 1000, kill", "read 1000, stop, kill"]


@pytest.mark.parametrize("steps", ORDERLY_ENDS)
def test_a_look_sees_the_end_if_the_peer_had_read_all(
    kind: str, steps: str, tmp_path: Path
) -> None:
    """Closed or killed, a peer with nothing unread leaves an end of stream and no error."""
    with Obedient(kind, tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out(steps)
        wait_for_end(peer.sock)

        assert (look(peer.sock), pending_error(peer.sock)) == (b"", "")
        assert outstanding(peer.sock) == 0


@pytest.mark.parametrize("steps", RESETS)
def test_a_look_sees_a_reset_if_the_peer_had_unread_data(
    kind: str, steps: str, tmp_path: Path
) -> None:
    """Closed or killed, a peer with one byte unread leaves ECONNRESET."""
    with Obedient(kind, tmp_path) as peer:
        peer.write(WRITTEN)
        peer.carry_out(steps)
        wait_for_end(peer.sock)

        assert look(peer.sock) == "ECONNRESET"


@pytest.mark.parametrize("steps", ["unlisten", "kill"])
@pytest.mark.parametrize("written", [0, WRITTEN])
def test_a_connection_that_nobody_accepted_is_reset(
    kind: str, steps: str, written: int, tmp_path: Path
) -> None:
    """In the backlog of a listener that closes, also what nothing was written to is reset."""
    with Obedient(kind, tmp_path, accept=False) as peer:
        peer.write(written)
        peer.carry_out(steps)
        wait_for_end(peer.sock)

        assert look(peer.sock) == "ECONNRESET"


def first_looks() -> List[Tuple[str, Callable[[socket.socket], object]]]:
    """Return the calls that tell of a reset, by name."""
    return [
        ("recv", look),
        ("peek", lambda sock: look(sock, socket.MSG_PEEK)),
        ("SO_ERROR", pending_error),
    ]


@pytest.mark.parametrize(
    "first", [call for _, call in first_looks()], ids=[name for name, _ in first_looks()]
)
def test_a_reset_is_told_once(
    kind: str, first: Callable[[socket.socket], object], tmp_path: Path
) -> None:
    """Whichever call tells of a reset clears it, a peek too; afterwards it looks like an end."""
    with Obedient(kind, tmp_path) as peer:
        peer.write(WRITTEN)
        peer.kill()
        wait_for_end(peer.sock)

        assert first(peer.sock) == "ECONNRESET"
        assert (look(peer.sock), pending_error(peer.sock)) == (b"", "")


def test_poll_tells_of_a_reset_and_leaves_it(kind: str, tmp_path: Path) -> None:
    """POLLERR shows a reset that no call has returned yet; an orderly end does not set it."""
    with Obedient(kind, tmp_path) as peer:
        peer.write(WRITTEN)
        peer.kill()
        wait_for_end(peer.sock)

        assert events(peer.sock) & select.POLLERR
        assert events(peer.sock) & select.POLLERR, "poll cleared it"
        assert look(peer.sock) == "ECONNRESET"
        assert not events(peer.sock) & select.POLLERR


@pytest.mark.parametrize(("steps", "ending"), [("read 1000, kill", b""), ("kill", "ECONNRESET")])
def test_what_the_peer_sent_comes_before_its_end(
    kind: str, steps: str, ending: object, tmp_path: Path
) -> None:
    """A look may show bytes before the end of the stream: look until no bytes are left."""
    with Obedient(kind, tmp_path) as peer:
        peer.write(WRITTEN)
        peer.do("send", 10)
        peer.carry_out(steps)
        wait_for_end(peer.sock)

        assert look(peer.sock) == bytes(10)
        assert look(peer.sock) == ending
