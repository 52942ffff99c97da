"""Each wait of the writer thread ends at its timeout, with one clear line; no caller feels it."""

from __future__ import annotations

import contextlib
import datetime
import logging
import ssl
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator

import pytest
import trustme

from tests.helpers.said import Said
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE
from tests.situations.faults.scripted import Scripted, begin, wait_for_end
from tests.situations.faults.waits import (
    CLOSE_TIMEOUT,
    COUNT,
    GRACE,
    HOUR,
    SHORT,
    check_nobody_waits,
    check_one_line,
)
from tests.situations.interop import speakers
from tests.situations.interop.collectors import stopwatch
from tests.situations.interop.speakers import Speaker
from tests.situations.interop.taps import tapped
from tests.situations.interop.tls_peers import make_pki
from tests.transport.peers import full_backlog, linux_only, listen_unix

HANDSHAKE = 1.0
"""Seconds in which a busy machine, too, gets as far as the session that then stalls."""


Situation = Callable[[Path], ContextManager[Dict[str, Any]]]
"""Makes a collector that is not as it should be; gives the handler's arguments."""


@contextlib.contextmanager
def full_queue_of_connections(folder: Path) -> Iterator[Dict[str, Any]]:
    """A collector that accepts no connection."""
    path = folder / "busy.sock"
    with listen_unix(path, backlog=0) as busy, full_backlog(busy):
        yield {"address": f"unix://{path}"}


@contextlib.contextmanager
def no_accept(folder: Path) -> Iterator[Dict[str, Any]]:
    """A collector that reads and says nothing."""
    with Speaker(speakers.stay_silent) as speaker:
        yield {"address": f"tcp://127.0.0.1:{speaker.port}"}


@contextlib.contextmanager
def no_tls_handshake(folder: Path) -> Iterator[Dict[str, Any]]:
    """A TLS server that says nothing."""
    with Speaker(speakers.stay_silent) as speaker:
        yield {"address": f"tls://127.0.0.1:{speaker.port}", "cafile": make_pki(folder).cafile}


SITUATIONS = [
    pytest.param(
        full_queue_of_connections,
        f"accepted no connection in {SHORT} s",
        marks=pytest.mark.skipif(not linux_only, reason="other systems refuse at once"),
    ),
    (no_accept, f"no ACCEPT from the peer in {SHORT} s"),
    (no_tls_handshake, f"did not finish the TLS handshake in {SHORT} s"),
]


@pytest.mark.parametrize(("situation", "hint"), SITUATIONS)
def test_a_beginning_that_hangs(
    situation: Situation, hint: str, said: Said, tmp_path: Path
) -> None:
    """A session that does not begin is given up at the timeout, and no log call waits for that."""
    with situation(tmp_path) as options:
        check_one_line(said, hint, **options)
        check_nobody_waits(**options)


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_stalled_peer(scheme: str, said: Said, tmp_path: Path) -> None:
    """A collector that stops reading is left after the timeout, with one line."""
    collector = Scripted(scheme, tmp_path)
    try:
        with tapped(collector.address, timeout=HANDSHAKE, close_timeout=0.0) as tap:
            tap.log_numbers([0])
            collector.session()
            tap.log_numbers(range(1, COUNT), bytes(8000))
            line = said.wait_for(f"{collector.address}: session ended")
            wait_for_end(tap)
    finally:
        collector.close_all()

    assert f"session ended: the peer took nothing in {HANDSHAKE:g} s" in line
    assert said.with_text(collector.address, logging.WARNING)[0] == line, said.lines


def test_a_peer_that_never_confirms_the_end(said: Said, tmp_path: Path) -> None:
    """No FINISH: close() ends within its bound, and says what did not come."""
    collector = Scripted("unix", tmp_path)
    try:
        with tapped(collector.address, close_timeout=CLOSE_TIMEOUT, timeout=SHORT) as tap:
            session = begin(collector, tap, 1, b"")
            with stopwatch(CLOSE_TIMEOUT + GRACE, "close()"):
                stats = tap.close()
            assert session.until_stop() == [0]
        line = said.wait_for(f"{collector.address}: stream ended")
    finally:
        collector.close_all()

    assert "without FINISH" in line
    assert f"no FINISH from the peer in {SHORT} s" in line
    assert (stats.written, sum(stats.dropped.values()), stats.disconnects) == (1, 0, 0), stats


def test_an_expired_certificate(said: Said, tmp_path: Path) -> None:
    """Nothing is written to it, everything waits, and one line says what is wrong."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    past = datetime.datetime(2001, 1, 1, tzinfo=datetime.timezone.utc)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=past).configure_cert(context)

    with Speaker(speakers.speak_tls(context)) as speaker:
        options = {"address": f"tls://127.0.0.1:{speaker.port}", "cafile": f"{tmp_path}/ca.pem"}
        with tapped(**options, close_timeout=CLOSE_TIMEOUT, report_interval=HOUR) as tap:
            tap.log_numbers(range(COUNT))
            line = said.wait_for(options["address"])
            wait_until(lambda: len(speaker.arrivals) > 2, "further attempts", DEADLINE)
            stats = tap.stats()
            lines = said.with_text(options["address"])

    assert lines == [line], lines
    assert "certificate has expired" in line
    assert (stats.connects, stats.queued) == (0, COUNT), stats
