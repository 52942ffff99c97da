"""Several writers of one path: each waits until the one before it has ended its stream."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

import dnstap_logging.delivery.connection
from dnstap_logging import DnstapHandler
from dnstap_logging.exceptions import TransportError
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, wait_until
from tests.situations.captures.programs import Program, numbered
from tests.situations.captures.whole import log_mark, marks_of
from tests.situations.interop.captures import split_frames

SOON = "reconnect_interval=0.001, max_reconnect_interval=0.01"

FAILURES = "handler._writer_thread._delivery.connection.backoff.failures"
"""How many attempts of a handler have failed."""


@pytest.fixture
def pair() -> Iterator[Tuple[Program, Program]]:
    """Two programs that run at the same time."""
    with Program() as first, Program() as second:
        yield first, second


def test_a_second_process_waits_for_the_first(capture: Path, pair: Tuple[Program, Program]) -> None:
    """Its records queue until the first has closed, then they follow: one stream; said once."""
    first, second = pair
    second.do("dnstap_logging.delivery.connection.LOCK_PATIENCE = 1000")  # this machine may be slow
    second.do("dnstap_logging.delivery.connection.LOCK_GRACE = 1000")
    first.do(f"attach({str(capture)!r})")
    first.do("log(*(f'first {n}' for n in range(100)))")
    second.do(f"attach({str(capture)!r}, {SOON}, report_interval=0.0)")
    second.do("log(*(f'second {n}' for n in range(100)))")
    second.wait_until(f"{FAILURES} >= 5")
    second.do("balanced(queued=100, written=0, connected=False)")
    first.do("log(*(f'first {n}' for n in range(100, 200)))")
    first.do("handler.close()")
    first.do("balanced(written=200)")
    assert second.do("handler.flush(20)")
    second.do("handler.close()")
    second.do("balanced(written=100, connects=1)")

    assert marks_of(capture) == numbered("first", 200) + numbered("second", 100)
    waiting = second.said("waiting")
    assert len(waiting) == 1, waiting
    assert waiting[0][0] == "INFO", waiting
    assert "another process writes to this file" in waiting[0][1]
    assert [line for line in second.do("Said.lines") if line[0] != "INFO"] == []


def test_restarts_that_overlap_lose_nothing(capture: Path) -> None:
    """Each process begins before the one before it has ended: one stream of all their records."""
    expected: List[str] = []
    with contextlib.ExitStack() as programs:
        running = None
        for number in range(4):
            following = programs.enter_context(Program())
            following.do(f"attach({str(capture)!r}, {SOON})")
            following.do(f"log('{number} 0')")
            if running is not None:
                running.do(f"log(*(f'{number - 1} {{n}}' for n in range(1, 100)))")
                running.end()  # as programs end, by logging.shutdown
            following.wait_until("handler.stats().written")
            running = following
            expected += numbered(str(number), 100 if number < 3 else 1)

    assert marks_of(capture) == expected


def test_a_writer_that_is_killed_frees_the_file(
    capture: Path, pair: Tuple[Program, Program]
) -> None:
    """A waiting handler continues the capture of a process that was killed."""
    first, second = pair
    first.do(f"attach({str(capture)!r})")
    first.do("log('first')")
    assert first.do("handler.flush(20)")
    second.do(f"attach({str(capture)!r}, {SOON})")
    second.do("log('second')")
    second.wait_until(f"{FAILURES} > 0")
    first.kill()
    assert second.do("handler.flush(20)")
    second.do("handler.close()")

    assert marks_of(capture) == ["first", "second"]


def test_a_second_handler_of_one_process_waits_as_well(
    capture: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two handlers on one path write one after the other; each record is in it once."""
    monkeypatch.setattr(dnstap_logging.delivery.connection, "LOCK_PATIENCE", 1000.0)
    monkeypatch.setattr(dnstap_logging.delivery.connection, "LOCK_GRACE", 1000.0)
    first = DnstapHandler(capture)
    log_mark(first, "first")
    second = DnstapHandler(capture, reconnect_interval=0.001)
    line = said.wait_for("waiting, because another process writes to this file, or another handler")
    assert line.startswith(f"file://{capture}: "), line
    log_mark(second, "second")
    wait_until(lambda: second._writer_thread._delivery.connection.backoff.failures, "an attempt")
    first.close()
    assert second.flush(20), second.stats()
    second.close()

    assert marks_of(capture) == ["first", "second"]
    assert said.with_text("waiting") == [line]
    assert said.with_text("", logging.WARNING) == []


def test_who_waits_without_a_record_ends_at_once(capture: Path) -> None:
    """A handler that never got the lock, and has no records, does not change the file."""
    first = DnstapHandler(capture)
    log_mark(first, "first")
    assert first.flush()
    DnstapHandler(capture, mode="w").close()
    DnstapHandler(capture).close()
    log_mark(first, "again")
    first.close()

    assert marks_of(capture) == ["first", "again"]


def test_a_reloaders_second_process_says_soon_what_it_waits_for(
    capture: Path, pair: Tuple[Program, Program]
) -> None:
    """The first one holds the file and never logs: a warning names delay=True, without a record."""
    first, second = pair
    first.do(f"attach({str(capture)!r})")

    second.do(f"attach({str(capture)!r})")

    assert dnstap_logging.delivery.connection.LOCK_GRACE < 1
    second.wait_until("[text for level, text in Said.lines if level == 'WARNING']")
    (warning,) = second.do("[text for level, text in Said.lines if level == 'WARNING']")
    assert "delay=True" in warning
    assert "reloader, as of Django, Flask or uvicorn" in warning
    assert "another process writes to this file" in warning


def test_a_reloaders_second_process_writes_with_delay(
    capture: Path, pair: Tuple[Program, Program]
) -> None:
    """What the warning advises helps: the process that logs opens the file."""
    first, second = pair
    first.do(f"attach({str(capture)!r}, delay=True)")
    second.do(f"attach({str(capture)!r}, delay=True)")
    second.do("log('second')")
    assert second.do("handler.flush(20)")
    second.do("handler.close()")
    first.do("handler.close()")

    assert marks_of(capture) == ["second"]


def test_a_lock_that_passes_soon_is_no_warning(
    capture: Path, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock is not reported either if the handler is closed meanwhile."""
    monkeypatch.setattr(dnstap_logging.delivery.connection, "LOCK_GRACE", 1000.0)
    first = DnstapHandler(capture)
    closed, second = DnstapHandler(capture), DnstapHandler(capture, reconnect_interval=0.001)
    closed.close()
    log_mark(second, "second")
    first.close()
    assert second.flush(20)
    for handler in (closed, second):  # as if the time had come
        handler._writer_thread._reporter.drain(20, last=("kept waiting",))
    second.close()

    assert said.with_text("still waiting") == []


def test_a_lock_that_stays(capture: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is a mistake of somebody's: a warning, again and again; close() counts the rest."""
    monkeypatch.setattr(dnstap_logging.delivery.connection, "LOCK_PATIENCE", 0.01)
    first = DnstapHandler(capture)
    second = DnstapHandler(
        capture, reconnect_interval=0.001, report_interval=0.01, close_timeout=0.1
    )
    for number in range(10):
        log_mark(second, number)
    wait_until(lambda: len(said.with_text("still locked", logging.WARNING)) > 1, "two warnings")
    assert "give each its own file" in said.wait_for("still locked")
    assert said.wait_for("(10 records waiting)")
    second.close()

    stats = second.stats()
    assert (stats.dropped["disconnected"], stats.written) == (10, 0), stats
    assert "another process writes to this file" in (stats.last_error or "")
    assert_balanced(stats)
    log_mark(first, "first")
    first.close()
    assert marks_of(capture) == ["first"]


def test_x_does_not_wait_for_a_file_that_exists(capture: Path) -> None:
    """With mode="x" an existing file is an error at once: waiting would not help."""
    first = DnstapHandler(capture)
    log_mark(first, "first")

    with pytest.raises(TransportError, match="exists already"):
        DnstapHandler(capture, mode="x")

    first.close()
    assert marks_of(capture) == ["first"]


def test_w_empties_a_file_only_once_it_is_its_own(capture: Path) -> None:
    """The first writer ends its stream undisturbed; then the file is started again, once."""
    first = DnstapHandler(capture)
    log_mark(first, "first")
    second = DnstapHandler(capture, mode="w", reconnect_interval=0.001)
    log_mark(second, "second")
    wait_until(lambda: second._writer_thread._delivery.connection.backoff.failures, "an attempt")
    log_mark(first, "more")
    assert first.flush()
    assert len(split_frames(capture.read_bytes()).payloads) == 2
    first.close()
    assert second.flush(20), second.stats()
    log_mark(second, "third")
    second.close()

    assert marks_of(capture) == ["second", "third"]
