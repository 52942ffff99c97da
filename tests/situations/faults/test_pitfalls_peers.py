"""What a collector does to one session: each end leads to the next, and no other feels it."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from pathlib import Path
from typing import List

import pytest

from dnstap_logging import DnstapHandler
from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE, OPTIONS
from tests.situations.faults.scripted import Scripted, Session, begin, finish, wait_for_end
from tests.situations.interop.collectors import FstrmCapture, free_address, stopwatch
from tests.situations.interop.taps import Tap, numbers_in, tapped
from tests.situations.interop.tls_peers import Pki, make_pki

COUNT = 3000
QUEUE_SIZE = 500
PADDING = bytes(2000)
GENEROUS = 20.0
"""Seconds in which some thousand log calls return on any machine, unless one waits for I/O: each of
the timeouts that it could wait for is longer."""

ENDS = [
    ("unix", "EPIPE"),
    ("unix", ""),
    ("unix", "SHUT_WR"),
    ("tcp", ""),
    ("tcp", "reset"),
    ("tcp", "SHUT_WR"),
    ("tls", ""),
    ("tls", "reset"),
    ("tls", "close_notify"),
]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority, and the certificates that it issued."""
    return make_pki(tmp_path_factory.mktemp("pki"))


def end(session: Session, how: str) -> None:
    """End a session in one of the ways that a writer can meet."""
    if how == "EPIPE":
        session.sock.shutdown(socket.SHUT_RD)  # nothing to be seen but by the next send
    elif how == "close_notify":
        session.sock.settimeout(0)  # TLS has ended, and TCP goes on
        with contextlib.suppress(ssl.SSLError):  # the other side's end is not there yet
            session.sock.unwrap()  # type: ignore[attr-defined]
    else:
        session.close(how)


@pytest.mark.parametrize("idle", [True, False], ids=["idle", "with a record"])
@pytest.mark.parametrize(("scheme", "how"), ENDS)
def test_every_end_leads_to_the_next_session(
    scheme: str, how: str, idle: bool, pki: Pki, tmp_path: Path
) -> None:
    """EOF, ECONNRESET, EPIPE, the end of TLS: there is a next session, twice in a row.

    Also where no record comes that would show it, except that EPIPE shows itself to nobody else.
    """
    tls = scheme == "tls"
    collector = Scripted(scheme, tmp_path, pki.server_context() if tls else None)
    options = {**OPTIONS, "cafile": pki.cafile} if tls else OPTIONS
    try:
        with tapped(collector.address, **options) as tap:
            session = begin(collector, tap, 1, b"")
            for number in (1, 2):
                session.numbers(1)
                end(session, how)
                if not idle or how == "EPIPE":
                    tap.log_numbers([number])
                wait_for_end(tap, number)
                session = collector.session()
                if idle and how != "EPIPE":
                    tap.log_numbers([number])
            numbers, stats = finish(tap, session)
    finally:
        collector.close_all()

    assert numbers[-1] == 2
    assert (stats.connects, stats.disconnects, stats.written) == (3, 2, 3), stats


def test_an_orderly_close_is_no_error(said: Said, tmp_path: Path) -> None:
    """A collector, or a balancer before it, that closes an idle connection is worth no warning."""
    collector = Scripted("tcp", tmp_path)
    try:
        with tapped(collector.address, **OPTIONS) as tap:
            session = begin(collector, tap, 1, b"")
            session.numbers(1)
            session.close()
            wait_for_end(tap)
            assert finish(tap, collector.session())[0] == []
        line = said.wait_for(f"{collector.address}: session ended")
    finally:
        collector.close_all()

    assert line == f"{collector.address}: session ended: closed by the other side"
    assert said.with_text(collector.address, logging.WARNING) == [], said.lines


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_record_too_large_costs_no_session(scheme: str, said: Said, tmp_path: Path) -> None:
    """It is dropped, counted and named; the records around it arrive on the same connection."""
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address(scheme, tmp_path), path) as collector:
        with tapped(collector.address, max_frame_size=1000, **OPTIONS) as tap:
            for number in range(9):
                tap.log_numbers([number], PADDING if number % 3 == 1 else b"")
            stats = tap.close()
        collector.stop()

    assert numbers_in(path) == [0, 2, 3, 5, 6, 8]
    assert (stats.written, stats.dropped["too_large"], stats.connects) == (6, 3, 1), stats
    lines = said.with_text(collector.address, logging.WARNING)
    assert len(lines) == 1, said.lines


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_one_collector_stuck_and_one_broken_cost_the_third_nothing(
    scheme: str, tmp_path: Path
) -> None:
    """Three handlers on one logger: one peer hangs, one is absent, one gets everything.

    None of the log calls waits for any of them.
    """
    good, bad = tmp_path / "good", tmp_path / "bad"
    for folder in (good, bad, tmp_path / "none"):
        folder.mkdir()
    with FstrmCapture(free_address(scheme, good), good / "capture.fstrm") as collector:
        with FstrmCapture(free_address(scheme, bad), bad / "capture.fstrm") as stuck_collector:
            addresses = [collector.address, stuck_collector.address]
            addresses.append(free_address(scheme, tmp_path / "none"))
            taps = attach(addresses)
            try:
                fine, stuck, broken = taps
                fine.log_numbers([0])
                wait_until(lambda: stuck.stats().written == 1, "the session", DEADLINE)
                stuck_collector.pause()
                with stopwatch(GENEROUS, "log calls"):
                    for number in range(1, COUNT, 100):
                        fine.log_numbers(range(number, number + 100), PADDING)
                        assert fine.handler.flush(DEADLINE), fine.stats()
                held_up = stuck.stats()
            finally:
                for tap in taps:
                    tap.handler.close()
        collector.stop()

    assert numbers_in(good / "capture.fstrm") == list(range(COUNT + 1))
    assert fine.stats().written == COUNT + 1
    assert held_up.connected
    assert held_up.dropped["queue_full"] > 0, held_up
    assert broken.stats().dropped["queue_full"] == COUNT + 1 - QUEUE_SIZE, broken.stats()


def attach(addresses: List[str]) -> List[Tap]:
    """Attach a handler for each address to one logger."""
    logger = logging.Logger("dns", logging.INFO)
    options = {"queue_size": QUEUE_SIZE, "timeout": DEADLINE, "close_timeout": 0.3}
    taps = [Tap(DnstapHandler(address, **options), logger) for address in addresses]
    for tap in taps:
        logger.addHandler(tap.handler)
    return taps
