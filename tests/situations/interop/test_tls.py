"""tls://: to our receiver, through a terminator to fstrm_capture, and to openssl s_server."""

from __future__ import annotations

import logging
import struct
import threading
from pathlib import Path
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapReceiver
from tests.helpers.said import Said
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    FINISH,
    READY,
    START,
    STOP,
    control,
    wait_until,
)
from tests.situations.interop import corpus
from tests.situations.interop.captures import assert_same, decode
from tests.situations.interop.collectors import FstrmCapture, free_address, stopwatch
from tests.situations.interop.taps import assert_all_written, check_capture, marks_in, tapped
from tests.situations.interop.tls_peers import OpensslServer, Pki, TlsTerminator, make_pki

COUNT = 1400
"""Messages: a hundred of each type."""

NAMES: Dict[str, Any] = {"identity": corpus.IDENTITY, "version": corpus.VERSION}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority, and the certificates that it issued."""
    return make_pki(tmp_path_factory.mktemp("pki"))


def test_our_receiver_with_client_certificates(pki: Pki) -> None:
    """A receiver that demands a client certificate gets every message from a handler with one."""
    frames: List[bytes] = []
    context = pki.server_context(client_certificates=True)
    ours = {"cafile": pki.cafile, "certfile": pki.certfile, "keyfile": pki.keyfile}

    with DnstapReceiver("tls://127.0.0.1:0", on_frame=frames.append, ssl_context=context) as peer:
        with tapped(str(peer.address), **ours, **NAMES) as tap:
            tap.log_corpus(COUNT)
            stats = tap.close()
        wait_until(lambda: peer.stats().finished == 1, "the receiver to count the end")

    assert_all_written(stats, COUNT)
    assert (stats.connects, stats.unconfirmed) == (1, 0), stats
    assert_same([decode(frame) for frame in frames], corpus.all_fields(COUNT), "messages")


def test_a_missing_client_certificate_is_named(pki: Pki, said: Said) -> None:
    """Without a certificate nothing is delivered, and the diagnostic says what is missing."""
    context = pki.server_context(client_certificates=True)
    frames: List[bytes] = []

    peer = DnstapReceiver("tls://127.0.0.1:0", on_frame=frames.append, ssl_context=context)
    options = {"cafile": pki.cafile, "close_timeout": 0.5}
    with peer.start(), tapped(str(peer.address), **options) as tap:
        tap.log_numbers([1])
        line = said.wait_for("pass certfile")
        stats = tap.close()

    assert str(peer.address) in line
    assert (frames, stats.written, stats.dropped["disconnected"]) == ([], 0, 1), stats


def test_fstrm_capture_behind_a_tls_terminator(pki: Pki, tmp_path: Path) -> None:
    """Through a TLS terminator, fstrm_capture gets every message."""
    path = tmp_path / "capture.fstrm"

    with FstrmCapture(free_address("tcp", tmp_path), path) as collector:
        with TlsTerminator(collector.address, pki.server_context()) as terminator:
            with tapped(terminator.address, cafile=pki.cafile, **NAMES) as tap:
                tap.log_corpus(COUNT)
                stats = tap.close()
            assert terminator.connections == 1
        collector.stop()

    assert_all_written(stats, COUNT)
    assert stats.unconfirmed == 0, stats
    check_capture(path, COUNT)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({}, "cafile"),
        ({"server_hostname": "ns2.example.net"}, "server_hostname"),
    ],
    ids=["unknown authority", "another name"],
)
def test_a_collector_that_cannot_be_trusted_gets_nothing(
    options: Dict[str, Any], hint: str, pki: Pki, said: Said, tmp_path: Path
) -> None:
    """An untrusted certificate or another host name: no byte of dnstap, and a line that helps."""
    if options:
        options = {**options, "cafile": pki.cafile}
    path = tmp_path / "capture.fstrm"

    with FstrmCapture(free_address("tcp", tmp_path), path) as collector:
        with TlsTerminator(collector.address, pki.server_context()) as terminator:
            with tapped(terminator.address, close_timeout=0.5, **options) as tap:
                tap.log_numbers([1])
                line = said.wait_for(terminator.address)
                stats = tap.close()
            assert terminator.connections == 0
        collector.stop()

    assert "certificate" in line
    assert hint in line
    assert (stats.written, stats.dropped["disconnected"]) == (0, 1), stats
    check_capture(path, 0)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_with_openssl_s_server(version: str, pki: Pki) -> None:
    """Byte by byte with OpenSSL's own server: READY, START, frames, STOP; it says ACCEPT, FINISH.

    The server is not waited for: the handler tries again until it listens.
    """
    ready, start = control(READY, CONTENT_TYPE), control(START, CONTENT_TYPE)

    with OpensslServer(pki, version) as server:
        options = {"cafile": pki.cafile, "max_reconnect_interval": 0.2, "timeout": 20.0}
        with tapped(server.address, close_timeout=20.0, **options) as tap:
            tap.log_numbers([1, 2, 3])
            assert server.read(len(ready)) == ready
            server.write(control(ACCEPT, b"another", CONTENT_TYPE))
            assert server.read(len(start)) == start
            frames = [_read_frame(server) for _ in range(3)]
            closing = threading.Thread(target=tap.handler.close)
            closing.start()
            assert server.read(12) == control(STOP)
            assert closing.is_alive(), "close() did not wait for FINISH"
            server.write(control(FINISH))
            closing.join(20)
            stats = tap.close()

    assert marks_in(frames) == ["1", "2", "3"]
    assert_all_written(stats, 3)
    assert (stats.connects, stats.unconfirmed) == (1, 0), stats


def _read_frame(server: OpensslServer) -> bytes:
    (size,) = struct.unpack("!I", server.read(4))
    return server.read(size)


def test_s_server_that_dies_is_noticed(pki: Pki) -> None:
    """When the TLS peer is gone, an idle handler notices by itself."""
    with OpensslServer(pki) as server:
        options = {"cafile": pki.cafile, "max_reconnect_interval": 0.2, "timeout": 20.0}
        with tapped(server.address, close_timeout=0.5, **options) as tap:
            tap.log_numbers([1])
            server.read(len(control(READY, CONTENT_TYPE)))
            server.write(control(ACCEPT, CONTENT_TYPE))
            wait_until(lambda: tap.stats().written == 1, "the record to be written")
            server.kill()
            wait_until(lambda: not tap.stats().connected, "the loss to be noticed")
            with stopwatch(10.0, "close()"):
                stats = tap.close()

    assert (stats.disconnects, stats.unconfirmed) == (1, 1), stats


def test_s_server_that_is_killed_with_unread_records(pki: Pki, said: Said) -> None:
    """What it had not read goes out again, and the line says that it did not end in order."""
    ready, start = control(READY, CONTENT_TYPE), control(START, CONTENT_TYPE)
    options = {"cafile": pki.cafile, "max_reconnect_interval": 0.2, "timeout": 20.0}
    server = OpensslServer(pki)
    with tapped(server.address, close_timeout=20.0, **options) as tap:
        tap.log_numbers([0])
        with server:
            server.read(len(ready))
            server.write(control(ACCEPT, CONTENT_TYPE))
            server.read(len(start))
            assert marks_in([_read_frame(server)]) == ["0"]
            server.pause()
            tap.log_numbers(range(1, 20))
            assert tap.handler.flush(20.0), tap.stats()
        line = said.wait_for("session ended")
        with server:
            server.read(len(ready))
            server.write(control(ACCEPT, CONTENT_TYPE))
            server.read(len(start))
            marks = marks_in([_read_frame(server) for _ in range(20)])
            closing = threading.Thread(target=tap.handler.close)
            closing.start()
            assert server.read(12) == control(STOP)
            server.write(control(FINISH))
            closing.join(20)
            stats = tap.close()

    assert marks == list(map(str, range(20)))
    assert (stats.resent, stats.unconfirmed, stats.written) == (20, 0, 20), stats
    assert line.endswith("session ended: the peer reset the connection (ECONNRESET)")
    assert said.with_text("session ended", logging.WARNING) == [line], said.lines
