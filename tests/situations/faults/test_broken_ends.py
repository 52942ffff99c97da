"""Each way in which a session can end, to the byte: what goes out again, and what is counted."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, Tuple

import pytest

import dnstap_logging.delivery.delivery
from dnstap_logging.transport.stream import RESET_PATIENCE
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE, OPTIONS
from tests.situations.faults.scripted import (
    Scripted,
    begin,
    finish,
    wait_for_end,
    wait_until_blocked,
)
from tests.situations.interop.collectors import stopwatch
from tests.situations.interop.taps import tapped

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell what was unread"
)

COUNT = 20
NEWER = 5
EVERYTHING = list(range(COUNT + NEWER))
PADDING = bytes(1000)
SMALL_RING = 5000
HUNDREDS = 300
LARGE_PADDING = bytes(8000)
FAST: Dict[str, Any] = {**OPTIONS, "reconnect_interval": 0.01, "max_reconnect_interval": 0.05}


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notice an end sooner than after half a second, which is tested elsewhere."""
    monkeypatch.setattr(dnstap_logging.delivery.delivery, "IDLE_INTERVAL", 0.05)


@pytest.fixture(params=["unix", "tcp"])
def scripted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scripted]:
    """A collector in the test's hands, of each kind of socket."""
    collector = Scripted(request.param, tmp_path)
    yield collector
    collector.close_all()


@pytest.fixture
def scripted_tcp(tmp_path: Path) -> Iterator[Scripted]:
    """A collector in the test's hands, on TCP."""
    collector = Scripted("tcp", tmp_path)
    yield collector
    collector.close_all()


@pytest.fixture
def scripted_unix(tmp_path: Path) -> Iterator[Scripted]:
    """A collector in the test's hands, on a unix socket."""
    collector = Scripted("unix", tmp_path)
    yield collector
    collector.close_all()


def is_unix(scripted: Scripted) -> bool:
    """Whether the system tells what was unread."""
    return scripted.address.startswith("unix:")


def test_a_collector_that_read_everything_gets_nothing_twice(scripted: Scripted) -> None:
    """Read all and closed: the next session begins with what is new, nothing is unconfirmed."""
    with tapped(scripted.address, **FAST) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        assert session.numbers(COUNT) == list(range(COUNT))
        session.close()
        wait_for_end(tap)
        tap.log_numbers(range(COUNT, COUNT + NEWER))
        numbers, stats = finish(tap, scripted.session())

    assert numbers == list(range(COUNT, COUNT + NEWER))
    assert (stats.resent, stats.unconfirmed, stats.written) == (0, 0, COUNT + NEWER), stats


@pytest.mark.parametrize("read", [(0, 0), (7, 0), (7, 3), (COUNT - 1, 500)])
def test_what_was_unread_comes_first_and_in_order(
    scripted: Scripted, read: Tuple[int, int]
) -> None:
    """Closed with frames unread, or a part of one: they go out whole, before what is newer.

    The books count each of them as written once, with its bytes, and as resent.
    """
    frames, more = read
    with tapped(scripted.address, **FAST) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        assert session.numbers(frames) == list(range(frames))
        session.read(more)
        session.close()
        wait_for_end(tap)
        tap.log_numbers(range(COUNT, COUNT + NEWER), PADDING)
        second = scripted.session()
        numbers, stats = finish(tap, second)

    first = numbers[0]
    assert numbers == EVERYTHING[first:]
    assert first <= frames if is_unix(scripted) else first == 0
    assert (stats.resent, stats.unconfirmed) == (COUNT - first, 0), stats
    payloads = session.payloads[:first] + second.payloads
    sizes = [4 + len(payload) for payload in payloads]
    assert (stats.written, stats.bytes_written) == (len(EVERYTHING), sum(sizes)), stats


def test_what_was_seen_to_be_read_does_not_go_out_again(scripted_unix: Scripted) -> None:
    """On a unix socket the system tells at each write how much is unread; the rest stays out."""
    with tapped(scripted_unix.address, **FAST) as tap:
        tap.log_numbers([0], LARGE_PADDING)
        session = scripted_unix.session()
        for number in range(1, COUNT):
            tap.log_numbers([number], LARGE_PADDING)
            assert tap.handler.flush(DEADLINE)
            if number > 2:
                session.numbers(1)
        session.close()
        wait_for_end(tap)
        numbers, stats = finish(tap, scripted_unix.session())

    read = len(session.payloads)
    assert 0 < numbers[0] <= read, "what was read long before came again"
    assert numbers == list(range(numbers[0], COUNT))
    assert (stats.resent, stats.unconfirmed) == (COUNT - numbers[0], 0), stats


def test_a_reset_by_a_collector_that_read_everything(scripted_tcp: Scripted) -> None:
    """A reset does not tell what was read: everything comes twice, and nothing is missing."""
    with tapped(scripted_tcp.address, **FAST) as tap:
        session = begin(scripted_tcp, tap, COUNT, PADDING)
        session.numbers(COUNT)
        session.close("reset")
        wait_for_end(tap)
        numbers, stats = finish(tap, scripted_tcp.session())

    assert numbers == list(range(COUNT))
    assert (stats.resent, stats.unconfirmed, stats.written) == (COUNT, 0, COUNT), stats


@pytest.mark.parametrize("how", ["SHUT_WR", "SHUT_RDWR"])
def test_a_collector_that_shuts_down_before_it_closes(scripted: Scripted, how: str) -> None:
    """An end of the stream with unread data behind it is known for what it is."""
    with tapped(scripted.address, **FAST) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        session.numbers(7)
        started = time.monotonic()
        session.close(how)
        if time.monotonic() - started > RESET_PATIENCE / 2:
            finish(tap, scripted.session())
            pytest.skip("too busy a machine: it shut down, and closed much later")
        wait_for_end(tap)
        tap.log_numbers(range(COUNT, COUNT + NEWER))
        numbers, stats = finish(tap, scripted.session())

    assert numbers[0] <= 7
    assert numbers == EVERYTHING[numbers[0] :]
    assert (stats.resent, stats.unconfirmed) == (COUNT - numbers[0], 0), stats


@pytest.mark.parametrize("how", ["close", "silence"])
def test_an_end_in_the_middle_of_a_send(scripted: Scripted, how: str) -> None:
    """While the kernel takes no more, the collector closes, or we lose patience: as ever.

    The frame that was cut goes out whole. On a unix socket nothing is lost; on TCP only what the
    other end's system had acknowledged, and it is counted.
    """
    options = {**FAST, "timeout": 1.0} if how == "silence" else FAST
    with tapped(scripted.address, **options) as tap:
        tap.log_numbers(range(HUNDREDS), LARGE_PADDING)
        session = scripted.session()
        wait_until(lambda: tap.stats().written, "the first records", DEADLINE)
        if how == "close":
            wait_until_blocked(tap)
            session.close()
        wait_for_end(tap)
        numbers, stats = finish(tap, scripted.session())

    assert numbers == list(range(numbers[0], HUNDREDS))
    assert stats.written == HUNDREDS, stats
    assert numbers[0] <= stats.unconfirmed, stats
    if is_unix(scripted):
        assert (numbers[0], stats.unconfirmed) == (0, 0), stats


def test_without_a_ring_what_may_be_lost_is_counted(scripted: Scripted) -> None:
    """resend_bytes=0: nothing goes out again; the records of the session are unconfirmed."""
    with tapped(scripted.address, resend_bytes=0, **FAST) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        session.numbers(7)
        session.close()
        wait_for_end(tap)
        tap.log_numbers(range(COUNT, COUNT + NEWER))
        numbers, stats = finish(tap, scripted.session())

    assert numbers == list(range(COUNT, COUNT + NEWER))
    assert (stats.resent, stats.unconfirmed) == (0, COUNT), stats


def test_without_a_ring_what_was_read_is_not_counted(scripted: Scripted) -> None:
    """resend_bytes=0: of a collector that had read everything nothing is unconfirmed."""
    with tapped(scripted.address, resend_bytes=0, **FAST) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        session.numbers(COUNT)
        session.close()
        wait_for_end(tap)
        stats = tap.stats()
        finish(tap, scripted.session())

    assert (stats.resent, stats.unconfirmed) == (0, 0), stats


@pytest.mark.parametrize("at_once", [True, False])
def test_what_has_left_a_small_ring_is_counted(scripted_tcp: Scripted, at_once: bool) -> None:
    """resend_bytes below what was unread: the last frames go out again, the others are counted.

    Also where all of them were one write, larger than the ring.
    """
    with tapped(scripted_tcp.address, resend_bytes=SMALL_RING, **FAST) as tap:
        session = begin(scripted_tcp, tap, COUNT if at_once else 1, PADDING)
        for number in range(COUNT if at_once else 1, COUNT):
            tap.log_numbers([number], PADDING)
            assert tap.handler.flush(DEADLINE)
        session.close()
        wait_for_end(tap)
        second = scripted_tcp.session()
        numbers, stats = finish(tap, second)

    missing = COUNT - len(numbers)
    assert missing > 0
    assert numbers == list(range(missing, COUNT))
    assert (stats.resent, stats.unconfirmed) == (COUNT - missing, missing), stats
    size = sum(4 + len(payload) for payload in second.payloads)
    assert SMALL_RING <= size < SMALL_RING + 4 + len(second.payloads[0])


def test_a_confirmed_end_is_an_end(scripted: Scripted) -> None:
    """FINISH confirms everything: after reopen() the next session begins with what is new."""
    with tapped(scripted.address, **FAST) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        tap.handler.reopen()
        assert session.finish() == list(range(COUNT))
        wait_until(lambda: not tap.stats().connected or tap.stats().connects == 2, "the end")
        tap.log_numbers(range(COUNT, COUNT + NEWER))
        numbers, stats = finish(tap, scripted.session())

    assert numbers == list(range(COUNT, COUNT + NEWER))
    assert (stats.resent, stats.unconfirmed, stats.disconnects) == (0, 0, 0), stats


@pytest.mark.parametrize("how", ["reads all", "leaves unread", "keeps silent"])
def test_an_end_without_finish(scripted: Scripted, how: str) -> None:
    """reopen() gets no FINISH: what may be unread goes out again, nothing is missing."""
    options = {**FAST, "timeout": 1.0} if how == "keeps silent" else FAST
    with tapped(scripted.address, **options) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        assert session.numbers(7) == list(range(7))
        tap.handler.reopen()
        if how != "leaves unread":
            assert session.until_stop() == list(range(7, COUNT))
        if how != "keeps silent":
            session.close()
        tap.log_numbers(range(COUNT, COUNT + NEWER))
        numbers, stats = finish(tap, scripted.session())

    assert numbers == EVERYTHING[numbers[0] :]
    if how == "reads all" or (how == "keeps silent" and is_unix(scripted)):
        assert numbers[0] == COUNT, "what was read came again"
    else:
        assert numbers[0] <= 7, "what was unread did not come again"
    assert (stats.resent, stats.unconfirmed) == (COUNT - numbers[0], 0), stats


@pytest.mark.parametrize("noticed", [True, False])
def test_close_counts_what_nobody_is_there_for(scripted: Scripted, noticed: bool) -> None:
    """The collector is gone for good with records unread: close() counts them and ends in time."""
    with tapped(scripted.address, **{**FAST, "close_timeout": 0.5}) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        session.numbers(7)
        scripted.close()
        session.close()
        if noticed:
            wait_for_end(tap)
        with stopwatch(DEADLINE / 2, "closing"):
            stats = tap.close()

    assert COUNT - 7 <= stats.unconfirmed <= COUNT, stats
    assert (stats.resent, stats.written, sum(stats.dropped.values())) == (0, COUNT, 0), stats


def test_a_collector_that_leaves_during_close(scripted: Scripted) -> None:
    """It closes with records unread while close() waits for its FINISH: they are counted."""
    with tapped(scripted.address, **{**FAST, "close_timeout": 1.0}) as tap:
        session = begin(scripted, tap, COUNT, PADDING)
        closing = threading.Thread(target=tap.handler.close)
        closing.start()
        session.numbers(7)
        scripted.close()
        session.close()
        closing.join(DEADLINE)
        stats = tap.close()

    assert COUNT - 7 <= stats.unconfirmed <= COUNT, stats
    assert (stats.resent, stats.written) == (0, COUNT), stats


def test_giving_up_counts_what_will_not_go_out_again(scripted: Scripted) -> None:
    """After the last attempt unread records are unconfirmed; reopen() does not bring them back."""
    with tapped(scripted.address, max_reconnect_attempts=0, **FAST) as tap:
        begin(scripted, tap, COUNT, PADDING).close()
        wait_until(lambda: tap.stats().unconfirmed, "the books of the end", DEADLINE)
        tap.handler.reopen()
        second = scripted.session()
        tap.log_numbers([COUNT])
        numbers, stats = finish(tap, second)

    assert (numbers, stats.resent, stats.unconfirmed) == ([COUNT], 0, COUNT), stats


def test_two_breaks_on_the_way(scripted: Scripted) -> None:
    """What the second collector did not read either goes to the third, still in order."""
    with tapped(scripted.address, **FAST) as tap:
        begin(scripted, tap, COUNT, PADDING).close()
        wait_for_end(tap)
        second = scripted.session()
        tap.log_numbers(range(COUNT, COUNT + NEWER))
        wait_until(lambda: tap.stats().written == COUNT + NEWER, "the newer ones", DEADLINE)
        second.close()
        wait_for_end(tap, 2)
        numbers, stats = finish(tap, scripted.session())

    assert numbers == EVERYTHING
    assert (stats.resent, stats.unconfirmed) == (COUNT + COUNT + NEWER, 0), stats
    assert stats.written == COUNT + NEWER, stats


def test_unidirectional_sessions_resend_after_a_break(scripted: Scripted) -> None:
    """Without a handshake, too, what was unread goes out again; nothing does after STOP."""
    with tapped(scripted.address, bidirectional=False, **FAST) as tap:
        tap.log_numbers(range(COUNT), PADDING)
        session = scripted.session(bidirectional=False)
        assert tap.handler.flush(DEADLINE)
        session.close()
        wait_for_end(tap)
        second = scripted.session(bidirectional=False)
        tap.log_numbers(range(COUNT, COUNT + NEWER))
        assert second.numbers(COUNT + NEWER) == EVERYTHING
        tap.handler.reopen()
        assert second.until_stop() == []
        tap.log_numbers([COUNT + NEWER])
        third = scripted.session(bidirectional=False)
        assert third.numbers(1) == [COUNT + NEWER]
        stats = tap.close()

    assert (stats.resent, stats.written) == (COUNT, COUNT + NEWER + 1), stats
