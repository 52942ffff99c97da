"""What the writer thread does when things go wrong: it waits, gives up, comes back, and counts."""

from __future__ import annotations

import datetime
import logging
import threading
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReader, DnstapReceiver
from tests.delivery.records import log
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, wait_until
from tests.situations.life.queries import ports, run


@pytest.fixture
def absent(tmp_path: Path) -> str:
    """Return the address of a collector that is not there."""
    return f"unix://{tmp_path}/tap.sock"


@pytest.fixture
def made() -> Iterator[List[DnstapHandler]]:
    """Close the handlers that a test puts here."""
    handlers: List[DnstapHandler] = []
    yield handlers
    for handler in handlers:
        handler.close()


def test_after_the_last_attempt_records_are_dropped_until_reopen(
    absent: str, said: Said, made: List[DnstapHandler]
) -> None:
    """Giving up drops the queue (disconnected) and what follows (no_sink); reopen() revives."""
    handler = DnstapHandler(absent, max_reconnect_attempts=2, reconnect_interval=0.001)
    made.append(handler)
    log(handler, 1)
    said.wait_for("gave up after max_reconnect_attempts=2")
    log(handler, 2)

    stats = handler.stats()
    assert (stats.dropped["disconnected"], stats.dropped["no_sink"]) == (1, 1), stats
    assert_balanced(stats)
    assert "ENOENT" in (stats.last_error or "")

    messages: List[DnstapMessage] = []
    with DnstapReceiver(absent, messages.append) as receiver:
        handler.reopen()
        wait_until(lambda: handler.stats().connected, "a connection after reopen()")
        log(handler, 3)
        handler.close()
        wait_until(lambda: receiver.stats().finished, "FINISH")
    assert [message.query_port for message in messages] == [3]


def test_zero_attempts_means_one_connection(absent: str, made: List[DnstapHandler]) -> None:
    """With max_reconnect_attempts=0 a connection that ends is not replaced."""
    handler = DnstapHandler(absent, max_reconnect_attempts=0)
    made.append(handler)
    with DnstapReceiver(absent, lambda message: None):
        log(handler, 1)
        assert handler.flush()
    wait_until(lambda: not handler.stats().connected, "the end of the connection")
    wait_until(lambda: log(handler, 2) or handler.stats().dropped["no_sink"], "no_sink")

    with DnstapReceiver(absent, lambda message: None):
        log(handler, 3)
        assert handler.flush(timeout=None)
    assert (handler.stats().connects, handler.stats().queued) == (1, 0), handler.stats()
    assert_balanced(handler.stats())


def test_the_last_attempt_releases_a_caller_that_waits_for_room(absent: str) -> None:
    """overflow="block" with nobody there: who waits is sent away when the handler gives up."""
    handler = DnstapHandler(
        absent,
        overflow="block",
        queue_size=1,
        max_reconnect_attempts=3,
        reconnect_interval=0.05,
    )
    callers = [threading.Thread(target=log, args=(handler, port)) for port in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(20)
        assert not caller.is_alive(), "a caller still waits"
    handler.close()

    stats = handler.stats()
    assert (stats.logged, stats.written) == (5, 0)
    assert_balanced(stats)


def test_close_releases_a_caller_that_waits_for_room(absent: str) -> None:
    """overflow="block" with nobody there: close() sends who waits away, counted closed."""
    handler = DnstapHandler(absent, overflow="block", queue_size=1, close_timeout=0)
    log(handler, 1)
    caller = threading.Thread(target=log, args=(handler, 2))
    caller.start()
    waiters = handler._writer_thread._queue.not_full._waiters  # type: ignore[attr-defined]
    wait_until(lambda: waiters, "the waiting caller")

    handler.close()
    caller.join(20)

    stats = handler.stats()
    assert (stats.dropped["disconnected"], stats.dropped["closed"]) == (1, 1), stats


def test_close_waits_for_a_thread_that_is_being_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A close() that meets the first record's start of the thread joins it and loses nothing."""
    entered, go_on = threading.Event(), threading.Event()
    start = threading.Thread.start

    def slow_start(thread: threading.Thread) -> None:
        if thread.name == "dnstap-writer":
            entered.set()
            assert go_on.wait(20)
        start(thread)

    handler = DnstapHandler(tmp_path / "capture.fstrm")
    monkeypatch.setattr(threading.Thread, "start", slow_start)
    errors: List[RuntimeError] = []

    def close() -> None:
        try:
            handler.close()
        except RuntimeError as error:  # what joining a thread that did not start yet raises
            errors.append(error)

    logging_thread = threading.Thread(target=log, args=(handler, 1))
    closing_thread = threading.Thread(target=close)
    logging_thread.start()
    assert entered.wait(20)
    closing_thread.start()
    wait_until(lambda: handler._writer_thread.closed, "close() to have begun")
    go_on.set()
    for thread in (logging_thread, closing_thread):
        thread.join(20)

    assert errors == []
    assert ports(tmp_path / "capture.fstrm") == [1]


def test_blocking_loses_nothing(tmp_path: Path) -> None:
    """overflow="block" with a tiny queue: every record of four threads is written, in order."""
    messages: List[DnstapMessage] = []
    with DnstapReceiver(f"unix://{tmp_path}/tap.sock", messages.append) as receiver:
        handler = DnstapHandler(
            str(receiver.address), overflow="block", queue_size=5, close_timeout=60
        )

        def work(number: int) -> None:
            for port in range(1000):
                log(handler, port, dns_extra=str(number))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        handler.close()
        wait_until(lambda: receiver.stats().finished, "FINISH")

    assert handler.stats().written == 4000, handler.stats()
    for number in range(4):
        own = [m.query_port for m in messages if m.extra == str(number).encode()]
        assert own == list(range(1000)), f"the order of thread {number}"


def test_a_moved_capture_is_noticed_while_idle(
    tmp_path: Path, made: List[DnstapHandler], said: Said
) -> None:
    """A capture that was moved away gets its STOP, and a new one is begun, without a record."""
    path, moved = tmp_path / "capture.fstrm", tmp_path / "moved.fstrm"
    handler = DnstapHandler(path)
    made.append(handler)
    log(handler, 1)
    assert handler.flush()

    path.rename(moved)

    wait_until(path.exists, "the new capture")
    said.wait_for("session ended: the file was moved or deleted")
    assert ports(moved) == [1]
    log(handler, 2)
    handler.close()
    assert ports(path) == [2]


def test_an_idle_connection_that_ends_is_replaced(tmp_path: Path) -> None:
    """A collector that restarts while nothing is logged is connected again, without a record."""
    address = f"unix://{tmp_path}/tap.sock"
    messages: List[DnstapMessage] = []
    handler = DnstapHandler(address)
    for number in (1, 2):
        with DnstapReceiver(address, messages.append) as receiver:
            if number == 1:
                log(handler, number)
            wait_until(lambda n=number: handler.stats().connects == n, "the connection")
            if number == 2:
                log(handler, number)
                handler.close()
            wait_until(lambda n=number: len(messages) == n, "the message")
            if number == 2:
                wait_until(lambda: receiver.stats().finished, "FINISH")

    stats = handler.stats()
    assert (stats.connects, stats.disconnects) == (2, 1), stats
    assert [message.query_port for message in messages] == [1, 2]


def test_a_file_that_cannot_grow_is_continued_when_it_can(tmp_path: Path) -> None:
    """At a limit like a full disk records wait, whole; when there is room they are all written."""
    capture = tmp_path / "capture.fstrm"
    run(
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
        handler = attach(sys.argv[1], queue_size=100, close_timeout=30)
        for port in range(100):
            query(port)
            if port % 10 == 0:
                handler.flush(0.2)         # several writes, of which the last do not fit
        assert not handler.flush(0)
        stats = handler.stats()
        assert "EFBIG" in stats.last_error, stats
        assert stats.written and stats.queued + stats.in_flight == 100 - stats.written, stats
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert handler.flush(30), handler.stats()
        """,
        capture,
    )

    assert ports(capture) == list(range(100))


class HostileZone(datetime.tzinfo):
    """A time zone whose code, which runs in the writer thread, wants to end the thread."""

    def utcoffset(self, when: Any) -> Any:
        raise SystemExit


def test_the_thread_survives_what_a_value_raises(tmp_path: Path, said: Said) -> None:
    """SystemExit from a user's object costs its own record; the thread and the others go on."""
    capture = tmp_path / "capture.fstrm"
    handler = DnstapHandler(capture)
    hostile = datetime.datetime(2024, 1, 1, tzinfo=HostileZone())

    log(handler, 1, dns_query_time=hostile)
    log(handler, 2)
    handler.close()

    with DnstapReader(capture) as reader:
        assert 2 in [message.query_port for message in reader]
    assert_balanced(handler.stats())
    assert handler.stats().logged == 2


def test_an_unexpected_error_does_not_end_the_thread(
    tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is reported, and the delivery goes on after it."""
    capture = tmp_path / "capture.fstrm"
    handler = DnstapHandler(capture, reconnect_interval=0.01)
    delivery = handler._writer_thread._delivery
    gather = delivery._gather

    def broken() -> bool:
        monkeypatch.setattr(delivery, "_gather", gather)
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(delivery, "_gather", broken)
    log(handler, 1)

    assert handler.flush(timeout=20)
    said.wait_for("nobody foresaw this")
    handler.close()
    assert ports(capture) == [1]


def test_drops_are_said_at_once_and_then_once_in_an_interval(absent: str, said: Said) -> None:
    """The first drop is reported at once, 10,000 more within the interval only in the end."""
    handler = DnstapHandler(absent, queue_size=10, report_interval=3600, close_timeout=0)
    for port in range(11):
        log(handler, port)
    assert "dropped 1 record (queue_full 1)" in said.wait_for("dropped")
    for port in range(10000):
        log(handler, port)

    assert len(said.with_text("dropped")) == 1
    assert handler.stats().dropped["queue_full"] == 10001
    handler.close()
    assert "disconnected 10" in said.with_text("dropped")[-1]
    assert "in all 10011 of 10011 logged" in said.with_text("dropped")[-1]


def test_a_disabled_logger_is_named_in_last_error(absent: str) -> None:
    """Where the library's own logger is disabled, the statistics say so."""
    logger = logging.getLogger("dnstap_logging")
    logger.disabled = True
    try:
        handler = DnstapHandler(absent, close_timeout=0)
        log(handler, 1)
        wait_until(lambda: "disabled" in (handler.stats().last_error or ""), "the hint")
        handler.close()
    finally:
        logger.disabled = False
