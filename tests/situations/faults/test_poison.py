"""A record that makes its collector end the session, each time that it comes."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path
from typing import List, Set

import pytest

from dnstap_logging.delivery.outbox import MOST_ROUNDS
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, wait_until
from tests.situations.faults.receivers import DEADLINE, OPTIONS
from tests.situations.faults.scripted import Scripted
from tests.situations.interop.taps import marks_in, tapped

COUNT = 2000
POISON = 3
"""The number of the record that the collector does not survive."""


class Victim:
    """A collector that resets the connection whenever the poisonous record comes."""

    def __init__(self, scripted: Scripted) -> None:
        self._scripted = scripted
        self.sessions = 0
        self.found: Set[int] = set()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Serve a session; return whether to expect another one."""
        session = self._scripted.session()
        self.sessions += 1
        while True:
            head = session.read(4)
            (size,) = struct.unpack(">I", head)
            if not size:
                (size,) = struct.unpack(">I", session.read(4))
                session.read(size)
                session.sock.sendall(struct.pack(">III", 0, 4, 5))  # FINISH
                session.close()
                return False
            numbers: List[int] = self._number(session.read(size))
            if numbers == [POISON]:
                session.sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                session.close()
                return True
            self.found.update(numbers)

    @staticmethod
    def _number(payload: bytes) -> List[int]:
        return list(map(int, marks_in([payload])))


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_what_comes_behind_a_poisonous_record_arrives(
    scheme: str, tmp_path: Path, said: Said
) -> None:
    """After some sessions it is not sent again: the rest arrives, the gap is counted, and said."""
    scripted = Scripted(scheme, tmp_path)
    victim = Victim(scripted)
    with tapped(scripted.address, **{**OPTIONS, "max_reconnect_interval": 0.2}) as tap:
        tap.log_numbers(range(COUNT))
        wait_until(
            lambda: tap.stats().unconfirmed and not tap.stats().queued, "the stream to go on"
        )
        tap.log_numbers(range(COUNT, COUNT + 100))
        wait_until(lambda: COUNT + 99 in victim.found, "the last record", DEADLINE)
        stats = tap.close()
    victim.thread.join(DEADLINE)
    scripted.close_all()

    missing = set(range(COUNT + 100)) - victim.found
    assert POISON in missing
    assert len(missing) <= stats.unconfirmed, (sorted(missing)[:5], stats)
    assert victim.sessions <= MOST_ROUNDS + 3, "the same frame goes out again and again"
    assert_balanced(stats)
    said.wait_for("will not be sent again")
    assert len(said.with_text("will not be sent again")) == 1
