"""Somebody else on the collector's port: one clear line, no hang, no growth, backoff."""

from __future__ import annotations

import logging
import resource
import time
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from dnstap_logging import DnstapReceiver, Stats
from tests.helpers.said import Said
from tests.helpers.support import free_port, wait_until
from tests.situations.interop import speakers
from tests.situations.interop.captures import read_capture
from tests.situations.interop.collectors import FstrmCapture, free_address, stopwatch
from tests.situations.interop.speakers import Behaviour, Speaker
from tests.situations.interop.taps import Tap, tapped
from tests.situations.interop.tls_peers import OpensslServer, make_pki

QUEUED = 5
ATTEMPTS = 4
INTERVAL = 0.1
"""The first retry interval in seconds; it doubles, and jitter takes at most half of it."""

SHORTEST_WAIT = INTERVAL / 2 * (1 + 2 + 4)
"""Seconds that the waits between the first four attempts last at least."""

CLOSE_TIMEOUT = 0.2
GRACE = 5.0
MAX_GROWTH = 32 * 1024
"""Kilobytes; what a 4 GiB frame would need is a hundred times that."""

OPTIONS: Dict[str, Any] = {
    "timeout": 0.3,
    "reconnect_interval": INTERVAL,
    "close_timeout": CLOSE_TIMEOUT,
    "report_interval": 3600.0,
}


def meet(speaker: Speaker, said: Said, scheme: str = "tcp", **options: Any) -> List[str]:
    """Send to the wrong peer for a while; check what every wrong peer has to meet.

    Returns:
        What was said about it.
    """
    address = f"{scheme}://127.0.0.1:{speaker.port}"
    with tapped(address, **OPTIONS, **options) as tap:
        began = time.monotonic()  # a busy machine may note the first attempt much too late
        tap.log_numbers(range(QUEUED))
        wait_until(lambda: len(speaker.arrivals) >= ATTEMPTS, f"{ATTEMPTS} attempts")
        stats = tap.stats()
        check_refused(stats)
        said.wait_for(address)
        lines = said.with_text(address, logging.WARNING)
        close_in_time(tap)
    waited = speaker.arrivals[ATTEMPTS - 1] - began
    assert waited >= SHORTEST_WAIT, f"{ATTEMPTS} attempts in {waited:.3f} s: no backoff"
    assert stats.last_error is not None
    assert lines, "nothing was said"
    return lines


def check_refused(stats: Stats) -> None:
    """Check that there is no session, and that everything waits for one."""
    assert (stats.connected, stats.connects, stats.written) == (False, 0, 0), stats
    assert stats.queued == QUEUED, stats


def close_in_time(tap: Tap) -> None:
    """Close within the bound, and give up what is queued by its right name."""
    with stopwatch(CLOSE_TIMEOUT + GRACE, "close()"):
        stats = tap.close()
    assert stats.dropped["disconnected"] == QUEUED == sum(stats.dropped.values()), stats


def _name(value: object) -> Optional[str]:
    """Name a case by its behaviour alone."""
    if callable(value):
        return getattr(value, "__name__", None)
    return "" if isinstance(value, list) else None


@pytest.mark.parametrize(
    ("behave", "hints"),
    [
        (speakers.speak_http, ["does not speak Frame Streams", "HTTP"]),
        (speakers.stay_silent, ["no ACCEPT", "0.3 s"]),
        (speakers.accept_another_type, ["protobuf:another.Thing", "protobuf:dnstap.Dnstap"]),
        (speakers.close_after_ready, ["closed", "ACCEPT"]),
        (speakers.announce_four_gib, ["does not speak Frame Streams", r"\xff\xff\xff\xff"]),
        (speakers.announce_a_large_control_frame, ["4294967295"]),
    ],
    ids=_name,
)
def test_a_wrong_speaker(behave: Behaviour, hints: List[str], said: Said) -> None:
    """Whatever answers, one line says what it did; memory does not grow; it is tried again."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Speaker(behave) as speaker:
        lines = meet(speaker, said)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert len(lines) == 1, lines
    for hint in hints:
        assert hint in lines[0]
    assert growth < MAX_GROWTH, f"grew by {growth} kB"


def test_a_peer_that_closes_at_once(said: Said) -> None:
    """A peer that never reads closes the connection or resets it: each is reported once."""
    with Speaker(speakers.close_at_once) as speaker:
        lines = meet(speaker, said)

    assert len(lines) <= 2, lines
    assert all("closed" in line or "reset" in line for line in lines), lines


def test_a_tls_server_on_a_tcp_address(said: Said, tmp_path: Path) -> None:
    """A TLS server closes a tcp:// connection silently; the diagnostic says so and names tls://."""
    with Speaker(speakers.speak_tls(make_pki(tmp_path).server_context())) as speaker:
        lines = meet(speaker, said)

    assert len(lines) <= 2, lines
    assert all("closed" in line or "reset" in line for line in lines), lines
    assert all("tls://" in line for line in lines), lines


def test_a_tls_server_that_is_not_asked(said: Said, tmp_path: Path) -> None:
    """Without a handshake of Frame Streams, too, the line of the session's end names tls://."""
    with Speaker(speakers.speak_tls(make_pki(tmp_path).server_context())) as speaker:
        address = f"tcp://127.0.0.1:{speaker.port}"
        with tapped(address, **OPTIONS, bidirectional=False) as tap:
            tap.log_numbers(range(QUEUED))
            wait_until(lambda: stats_name(tap, "tls"), "the other scheme")
            tap.close()

    assert all("tls://" in line for line in said.with_text("session ended")), said.lines


def test_an_alert_of_tls(said: Said) -> None:
    """Where a TLS server says in TLS what it dislikes, that is recognized."""
    with Speaker(speakers.send_a_tls_alert) as speaker:
        lines = meet(speaker, said)

    assert len(lines) == 1, lines
    assert "it looks like TLS: use tls://" in lines[0]


def test_openssl_s_server_on_a_tcp_address(said: Said, tmp_path: Path) -> None:
    """OpenSSL's own server: nothing is written, and one line says that ACCEPT did not come."""
    with OpensslServer(make_pki(tmp_path)) as server:
        address = server.address.replace("tls://", "tcp://")
        server.wait_until_it_listens()
        with tapped(address, **OPTIONS) as tap:
            tap.log_numbers(range(QUEUED))
            line = said.wait_for(address)
            check_refused(tap.stats())
            close_in_time(tap)

    assert "closed the connection instead of sending ACCEPT; if it speaks TLS, use tls://" in line


def test_a_peer_that_goes_wrong_after_the_handshake(said: Said) -> None:
    """A good ACCEPT, then a frame of 4 GiB: the session ends, and the next has to wait."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Speaker(speakers.accept_then_announce_four_gib) as speaker:
        address = f"tcp://127.0.0.1:{speaker.port}"
        with tapped(address, **OPTIONS) as tap:
            began = time.monotonic()
            tap.log_numbers(range(QUEUED))
            wait_until(lambda: len(speaker.arrivals) >= ATTEMPTS, f"{ATTEMPTS} sessions")
            said.wait_for(address)
            lines = said.with_text(address, logging.WARNING)
            with stopwatch(CLOSE_TIMEOUT + GRACE, "close()"):
                stats = tap.close()
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    waited = speaker.arrivals[ATTEMPTS - 1] - began
    assert waited >= INTERVAL / 2 * (ATTEMPTS - 1), f"{ATTEMPTS} sessions in {waited:.3f} s"
    assert len(lines) == 1, lines
    assert "session ended" in lines[0]
    assert growth < MAX_GROWTH, f"grew by {growth} kB"
    assert stats.disconnects >= ATTEMPTS - 1, stats


@pytest.mark.parametrize(
    ("behave", "hint"),
    [
        (speakers.speak_http, "does not speak TLS"),
        (speakers.accept_another_type, "does not speak TLS"),
        (speakers.stay_silent, "0.3 s"),
        (speakers.close_after_ready, "closed"),
    ],
    ids=_name,
)
def test_a_plain_server_on_a_tls_address(
    behave: Behaviour, hint: str, said: Said, tmp_path: Path
) -> None:
    """A plain server met over tls:// is recognized as one, and a silent one given up."""
    with Speaker(behave) as speaker:
        lines = meet(speaker, said, "tls", cafile=make_pki(tmp_path).cafile)

    assert len(lines) == 1, lines
    assert hint in lines[0]
    assert "tcp://" in lines[0]


def test_fstrm_capture_on_a_tls_address(said: Said, tmp_path: Path) -> None:
    """A real plain collector waits for the rest of what it takes for a frame: tcp:// is named."""
    plain = free_address("tcp", tmp_path)
    address = plain.replace("tcp://", "tls://")
    with FstrmCapture(plain, tmp_path / "capture.fstrm") as collector:
        with tapped(address, **OPTIONS, cafile=make_pki(tmp_path).cafile) as tap:
            tap.log_numbers(range(QUEUED))
            line = said.wait_for(address)
            check_refused(tap.stats())
            close_in_time(tap)
        collector.kill()

    assert "if it does not speak TLS, use tcp://" in line


@pytest.mark.parametrize(("ours", "theirs"), [("tcp", "tls"), ("tls", "tcp")])
def test_our_receiver_on_the_other_scheme(
    ours: str, theirs: str, said: Said, tmp_path: Path
) -> None:
    """With our own receiver, each side names the scheme that the other one speaks."""
    pki = make_pki(tmp_path)
    receiving = f"{theirs}://127.0.0.1:{free_port()}"
    sending = receiving.replace(theirs, ours)
    context = pki.server_context() if theirs == "tls" else None
    with DnstapReceiver(receiving, lambda message: None, ssl_context=context):
        with tapped(sending, **OPTIONS, cafile=pki.cafile if ours == "tls" else None) as tap:
            tap.log_numbers(range(QUEUED))
            wait_until(lambda: stats_name(tap, theirs), "the sender's hint")
            close_in_time(tap)

        def receivers_lines() -> List[str]:
            lines = said.with_text(f"receiver {receiving}: ", logging.WARNING)
            return [line for line in lines if f"use {ours}://" in line]

        wait_until(receivers_lines, "the receiver's hint")


def stats_name(tap: Tap, scheme: str) -> bool:
    """Return whether the last error says which scheme to use."""
    return f"use {scheme}://" in (tap.stats().last_error or "")


def test_fstrm_capture_for_another_content_type(said: Said, tmp_path: Path) -> None:
    """A real collector of something else closes; the line says so, and nothing is written."""
    path = tmp_path / "capture.fstrm"
    address = free_address("unix", tmp_path)
    with FstrmCapture(address, path, content_type=b"protobuf:another.Thing") as collector:
        with tapped(address, **OPTIONS) as tap:
            tap.log_numbers(range(QUEUED))
            line = said.wait_for(address)
            check_refused(tap.stats())
            lines = said.with_text(address, logging.WARNING)
            close_in_time(tap)
        collector.kill()

    assert lines == [line]
    assert "ACCEPT" in line


def test_the_right_collector_after_a_wrong_one(said: Said, tmp_path: Path) -> None:
    """When the right collector takes the port, everything that waited is delivered."""
    path = tmp_path / "capture.fstrm"
    speaker = Speaker(speakers.speak_http)
    address = f"tcp://127.0.0.1:{speaker.port}"
    with tapped(address, reconnect_interval=INTERVAL, max_reconnect_interval=0.5) as tap:
        with speaker:
            tap.log_numbers(range(QUEUED))
            said.wait_for("HTTP")
        with FstrmCapture(address, path) as collector:
            wait_until(lambda: tap.stats().written == QUEUED, "the right collector to be found")
            tap.close()
            collector.stop()

    assert len(read_capture(path).payloads) == QUEUED
