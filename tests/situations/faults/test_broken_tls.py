"""A TLS session that ends without FINISH: nothing tells what was read, so all goes out again."""

from __future__ import annotations

import contextlib
import logging
import ssl
import sys
from pathlib import Path
from typing import Iterator

import pytest

from tests.helpers.said import Said
from tests.situations.faults.receivers import OPTIONS
from tests.situations.faults.scripted import Scripted, begin, finish, wait_for_end
from tests.situations.interop.taps import tapped
from tests.situations.interop.tls_peers import Pki, make_pki

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell what was unread"
)

COUNT = 20
PADDING = bytes(1000)
SMALL_RING = 5000


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """An authority, and the certificates that it issued."""
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def scripted(pki: Pki, tmp_path: Path) -> Iterator[Scripted]:
    """A TLS collector in the test's hands."""
    collector = Scripted("tls", tmp_path, pki.server_context())
    yield collector
    collector.close_all()


@pytest.mark.parametrize("read", [0, 7, COUNT])
def test_a_break_sends_everything_again(scripted: Scripted, pki: Pki, read: int) -> None:
    """However much it had read, the next session gets all that is kept, in order."""
    with tapped(scripted.address, cafile=pki.cafile, **OPTIONS) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        session.numbers(read)
        session.close()
        wait_for_end(tap)
        tap.log_numbers([COUNT])
        numbers, stats = finish(tap, scripted.session())

    assert numbers == list(range(COUNT + 1))
    assert (stats.resent, stats.unconfirmed, stats.written) == (COUNT, 0, COUNT + 1), stats


@pytest.mark.parametrize("how", ["", "reset"])
def test_an_end_with_unread_records_is_no_orderly_one(
    scripted: Scripted, pki: Pki, how: str, said: Said
) -> None:
    """It is a warning, as without TLS: the records go out again, and somebody should look."""
    with tapped(scripted.address, cafile=pki.cafile, **OPTIONS) as tap:
        begin(scripted, tap, COUNT, PADDING).close(how)
        wait_for_end(tap)
        numbers, stats = finish(tap, scripted.session())
    line = said.wait_for("session ended")

    assert numbers == list(range(COUNT))
    assert (stats.resent, stats.unconfirmed, stats.disconnects) == (COUNT, 0, 1), stats
    assert line.endswith("session ended: the peer reset the connection (ECONNRESET)")
    assert said.with_text("session ended", logging.WARNING) == [line], said.lines


@pytest.mark.parametrize("read", [7, COUNT])
def test_an_end_of_tls_confirms_nothing(scripted: Scripted, pki: Pki, read: int) -> None:
    """A collector that ends TLS in order, but sent no FINISH, may have left anything unread."""
    with tapped(scripted.address, cafile=pki.cafile, **OPTIONS) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        session.numbers(read)
        assert isinstance(session.sock, ssl.SSLSocket)
        with contextlib.suppress(OSError):  # it has sent its end, and finds data, not ours
            session.sock.unwrap()
        wait_for_end(tap)
        session.close()
        numbers, stats = finish(tap, scripted.session())

    assert numbers == list(range(COUNT))
    assert (stats.resent, stats.unconfirmed, stats.written) == (COUNT, 0, COUNT), stats


def test_what_has_left_a_small_ring_is_counted(scripted: Scripted, pki: Pki) -> None:
    """resend_bytes below what was written: what does not go out again is unconfirmed."""
    options = {**OPTIONS, "cafile": pki.cafile, "resend_bytes": SMALL_RING}
    with tapped(scripted.address, **options) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        session.numbers(COUNT)
        session.close()
        wait_for_end(tap)
        numbers, stats = finish(tap, scripted.session())

    assert 0 < len(numbers) < COUNT
    assert numbers == list(range(COUNT - len(numbers), COUNT))
    assert (stats.resent, stats.unconfirmed) == (len(numbers), COUNT - len(numbers)), stats


def test_a_confirmed_end_is_an_end(scripted: Scripted, pki: Pki) -> None:
    """With FINISH nothing goes out again after reopen()."""
    with tapped(scripted.address, cafile=pki.cafile, **OPTIONS) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        tap.handler.reopen()
        assert session.finish() == list(range(COUNT))
        tap.log_numbers([COUNT])
        numbers, stats = finish(tap, scripted.session())

    assert numbers == [COUNT]
    assert (stats.resent, stats.unconfirmed) == (0, 0), stats
