"""The far corners of a delivery: files that fail, ends that cross, errors nobody foresaw."""

from __future__ import annotations

import datetime
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any, List

import pytest

import dnstap_logging
from dnstap_logging import DnstapHandler
from dnstap_logging.exceptions import TransportError
from dnstap_logging.transport.file import FileTransport
from tests.delivery.records import log
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, wait_until
from tests.situations.life.queries import ports, run


def test_a_file_gives_up_after_its_last_attempt_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """max_reconnect_attempts counts failed writes in a row; reopen() revives; a success resets."""
    handler = DnstapHandler(
        tmp_path / "x.fstrm", max_reconnect_attempts=1, reconnect_interval=0.001
    )
    log(handler, 1)
    assert handler.flush()
    room = threading.Event()
    write = FileTransport.send

    def full_at_times(transport: FileTransport, data: bytes) -> None:
        if not room.is_set():
            raise TransportError(transport.name, "no room")
        write(transport, data)

    monkeypatch.setattr(FileTransport, "send", full_at_times)
    log(handler, 2)
    said.wait_for("gave up after max_reconnect_attempts=1")
    wait_until(lambda: handler.stats().dropped["disconnected"] == 1, "record 2 to be given up")
    log(handler, 3)
    assert handler.stats().dropped["no_sink"] == 1
    room.set()
    handler.reopen()
    wait_until(lambda: log(handler, 4) or handler.stats().written > 1, "reopen()")
    handler.close()

    assert_balanced(handler.stats())
    numbers = ports(tmp_path / "x.fstrm")
    assert numbers[0] == 1
    assert set(numbers[1:]) == {4}


def test_failed_writes_that_are_followed_by_good_ones_are_forgiven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three separate failures of a file do not add up to the last attempt."""
    handler = DnstapHandler(
        tmp_path / "x.fstrm", max_reconnect_attempts=2, reconnect_interval=0.001
    )
    log(handler, 0)
    assert handler.flush()
    write = FileTransport.send
    failures: List[int] = []

    def fails_once(transport: FileTransport, data: bytes) -> None:
        if failures:
            failures.pop()
            raise TransportError(transport.name, "for a moment")
        write(transport, data)

    monkeypatch.setattr(FileTransport, "send", fails_once)
    for port in range(1, 6):
        failures.append(port)
        log(handler, port)
        assert handler.flush(20), handler.stats()
    handler.close()

    assert ports(tmp_path / "x.fstrm") == list(range(6))


def test_nothing_is_delivered_after_the_end(tmp_path: Path) -> None:
    """Once a delivery is finished it opens nothing again, in any thread."""
    path = tmp_path / "x.fstrm"
    handler = DnstapHandler(path, mode="w")
    log(handler, 1)
    handler.close()
    size = path.stat().st_size
    thread = handler._writer_thread
    thread._queue._shut = None  # as if a record slipped in behind the last look at the queue
    log(handler, 2)
    thread._driver.end(0.0)

    assert path.stat().st_size == size
    assert ports(path) == [1]


def test_a_reopen_that_crosses_a_close_opens_nothing(tmp_path: Path) -> None:
    """A handler that was closed stays closed, also if reopen() is worked on afterwards."""
    handler = DnstapHandler(f"unix://{tmp_path}/absent.sock", max_reconnect_attempts=0)
    log(handler, 1)
    wait_until(lambda: handler.stats().dropped["disconnected"], "the handler to give up")
    handler.close()
    handler.reopen()
    handler._writer_thread._delivery.stop_at = None
    handler._writer_thread._delivery._reopen()
    log(handler, 2)

    assert handler.stats().dropped["closed"] == 1, handler.stats()


class Hostile(Exception):
    """An error that cannot even be shown."""

    def __str__(self) -> str:
        raise Hostile

    __repr__ = __str__


def test_an_error_that_cannot_be_shown_is_counted_and_reported(tmp_path: Path, said: Said) -> None:
    """A filter's error whose text raises costs the record; a formatter's, only extra."""
    handler = DnstapHandler(tmp_path / "x.fstrm")

    def raising(record: logging.LogRecord) -> bool:
        raise Hostile

    class Raising(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise Hostile

    handler.addFilter(raising)
    log(handler, 1)
    said.wait_for("record dropped (invalid): Hostile")
    handler.removeFilter(raising)
    handler.setFormatter(Raising())
    log(handler, 2)
    handler.close()

    assert ports(tmp_path / "x.fstrm") == [2]
    assert (handler.stats().dropped["invalid"], handler.stats().invalid_fields) == (1, 1)
    assert_balanced(handler.stats())


def test_what_is_said_before_any_writer_has_run_is_heard(tmp_path: Path) -> None:
    """In a process where every record fails in a filter, the diagnostic is still logged."""
    stderr = run(
        """
        handler = attach(sys.argv[1])
        handler.addFilter(lambda record: 1 / 0)
        query(1)
        handler.close()
        """,
        tmp_path / "x.fstrm",
    )

    assert "ZeroDivisionError" in stderr


def test_a_thread_that_cannot_be_started_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """At a limit of threads the records wait, the reason is reported, and close() delivers them."""
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == "dnstap-writer":
            raise RuntimeError("can't start new thread")
        start(thread)

    handler = DnstapHandler(tmp_path / "x.fstrm")
    monkeypatch.setattr(threading.Thread, "start", refused)
    log(handler, 1)

    said.wait_for("cannot start the writer thread, records wait: can't start new thread")
    assert "can't start new thread" in (handler.stats().last_error or "")
    assert handler.stats().queued == 1
    handler.close()
    assert ports(tmp_path / "x.fstrm") == [1]


class Fatal(datetime.tzinfo):
    """A time zone that raises what no thread catches."""

    def utcoffset(self, when: Any) -> Any:
        raise KeyboardInterrupt


def test_no_error_of_a_value_leaves_a_record_in_flight(tmp_path: Path) -> None:
    """Even KeyboardInterrupt from a user's object leaves the books balanced, the thread alive."""
    handler = DnstapHandler(tmp_path / "x.fstrm")
    fatal = datetime.datetime(2024, 1, 1, tzinfo=Fatal())
    for port in range(10):
        log(handler, port, dns_query_time=fatal)
    assert handler.flush(20)
    log(handler, 10)
    handler.close()

    stats = handler.stats()
    assert (stats.in_flight, stats.queued, stats.logged) == (0, 0, 11), stats
    assert_balanced(stats)
    assert 10 in ports(tmp_path / "x.fstrm")


@pytest.mark.parametrize("reopen", [True, False])
def test_a_capture_moved_before_the_first_record(tmp_path: Path, reopen: bool) -> None:
    """A file that was rotated before the first record is ended; the record is in the new one."""
    path, moved = tmp_path / "x.fstrm", tmp_path / "x.1"
    handler = DnstapHandler(path)
    path.rename(moved)
    if reopen:
        handler.reopen()
    log(handler, 1)
    handler.close()

    assert ports(moved) == []
    assert ports(path) == [1]
    assert handler.stats().disconnects == (0 if reopen else 1)


def test_without_a_handshake_a_peer_that_hangs_up_is_called_less_and_less(tmp_path: Path) -> None:
    """bidirectional=False: a peer that accepts and closes counts as failed attempts."""
    path = str(tmp_path / "tap.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(50)
        handler = DnstapHandler(
            f"unix://{path}",
            bidirectional=False,
            max_reconnect_attempts=3,
            reconnect_interval=0.001,
            max_reconnect_interval=0.002,
        )
        log(handler, 1)
        for _ in range(4):
            listener.accept()[0].close()
        wait_until(lambda: log(handler, 2) or handler.stats().dropped["no_sink"], "the end")
        handler.close()

    # Fewer where the peer has hung up before START was sent, which is a failed attempt, too.
    assert handler.stats().connects <= 4, handler.stats()
    assert_balanced(handler.stats())


def test_shutdown_in_a_signal_handler_inside_the_queue_is_bounded(tmp_path: Path) -> None:
    """logging.shutdown() called by a signal handler in the middle of a log call hangs nobody."""
    run(
        """
        from collections import deque
        handler = attach(sys.argv[1], close_timeout=5)
        queue = handler._writer_thread._queue
        class Interrupted(deque):
            def append(self, item):
                deque.append(self, item)
                queue.queue = deque(self)
                logging.shutdown()          # as a signal handler in this place would
        queue.queue = Interrupted()
        query(1)
        query(2)
        assert handler.stats().dropped["closed"] == 1, handler.stats()
        """,
        tmp_path / "x.fstrm",
    )

    assert ports(tmp_path / "x.fstrm") == [1]


def test_handlers_can_be_listed_while_others_are_made(tmp_path: Path) -> None:
    """handlers() and get_handler() may be called while other threads make handlers."""
    stop = threading.Event()

    def make() -> None:
        while not stop.is_set():
            DnstapHandler(f"unix://{tmp_path}/x.sock").close()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    maker = threading.Thread(target=make)
    maker.start()
    try:
        for _ in range(300):
            dnstap_logging.handlers()
            dnstap_logging.get_handler("nobody")
    finally:
        stop.set()
        maker.join(20)
        sys.setswitchinterval(interval)
