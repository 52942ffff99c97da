"""The numbers of messages show at the far end what became of each record of a real load."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

from dnstap_logging import RotatingDnstapHandler
from dnstap_logging.filters import MessageTypeFilter, SamplingFilter
from tests.cli.running import call
from tests.helpers.records import query
from tests.helpers.said import Said
from tests.helpers.support import capture, wait_until
from tests.situations.faults.receivers import (
    DEADLINE,
    OPTIONS,
    Captures,
    Load,
    wait_for_records,
)
from tests.situations.faults.scripted import Scripted, finish
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import Tap, tapped
from tests.situations.life import scripts

RATE = 2000
RESTARTS = 4


def audit(*paths: Path) -> List[Dict[str, Any]]:
    """Return what `check --sequence` says of each run; nothing is missing if it succeeds."""
    outcome = call("check", "--sequence", "--json", *paths)
    assert outcome.err == ""
    runs = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.status == int(any(run["missing"] for run in runs))
    return runs


def distinct(*paths: Path) -> List[int]:
    """Return the numbers that the test logged, as `read --distinct` shows them."""
    outcome = call("read", "--distinct", "--format", "{extra}", *paths)
    assert outcome.status == 0
    return [int(line.partition(" seq=")[0]) for line in outcome.out.splitlines()]


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell what was unread"
)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_a_collector_that_is_restarted(scheme: str, tmp_path: Path) -> None:
    """What is missing is counted as unconfirmed; what came twice is read once."""
    address = free_address(scheme, tmp_path)
    collector = Captures(address, tmp_path)
    try:
        with tapped(address, sequence=True, **OPTIONS) as tap:
            collector.start()
            with Load(tap, RATE) as load:
                wait_for_records(collector)
                for number in range(RESTARTS):
                    written = tap.stats().written
                    if number % 2:
                        collector.fall_behind()
                    wait_until(
                        lambda written=written: tap.stats().written > written + 200,
                        "records for this collector",
                        DEADLINE,
                    )
                    collector.end()
                    collector.start()
                    wait_for_records(collector)
            stats = tap.close()
            collector.end()
    finally:
        collector.kill()

    paths = sorted(tmp_path.glob("capture*.fstrm"))
    assert len(paths) == RESTARTS + 1
    (run,) = audit(*reversed(paths))
    assert stats.written == load.logged
    assert run["dropped"] == 0
    assert run["missing"] + load.logged - run["last"] <= stats.unconfirmed
    assert run["twice"] <= stats.resent
    numbers = distinct(*paths)
    assert len(numbers) == len(set(numbers)) == run["count"]
    if scheme == "unix":
        assert (run["missing"], run["last"]) == (0, load.logged)
        assert sorted(numbers) == list(range(load.logged))


def test_what_is_sent_again_keeps_its_number(tmp_path: Path) -> None:
    """A TCP collector that has read all is reset, and gets it again: nothing is missing."""
    paths = [tmp_path / "first.fstrm", tmp_path / "second.fstrm"]
    collector = Scripted("tcp", tmp_path)
    try:
        with tapped(collector.address, sequence=True, **OPTIONS) as tap:
            tap.log_numbers(range(500))
            first = collector.session()
            assert first.numbers(500) == list(range(500))
            first.close("reset")
            second = collector.session()
            tap.log_numbers(range(500, 1000))
            _, stats = finish(tap, second)
    finally:
        collector.close_all()
    for path, session in zip(paths, (first, second)):
        path.write_bytes(capture(session.payloads))

    for order in (paths, paths[::-1]):
        (run,) = audit(*order)
        assert (run["first"], run["last"], run["count"]) == (1, 1000, 1000)
        assert run["twice"] == stats.resent > 0
    assert distinct(*paths) == list(range(1000))


FORK = """
handler = attach(sys.argv[1], sequence=True, queue_size=100000)
going_on = threading.Event()
def load():
    number = 0
    while not going_on.is_set() or number < 3000:
        log(f"parent {number}")
        number += 1
thread = threading.Thread(target=load)
thread.start()
while handler.stats().logged < 500:
    time.sleep(0.001)
children = []
for child in range(3):
    pid = os.fork()
    if pid == 0:
        for number in range(700):
            log(f"child {number}")
        logging.shutdown()
        os._exit(0)
    children.append(pid)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
going_on.set()
thread.join()
logging.shutdown()
show(handler)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_fork_under_load(tmp_path: Path) -> None:
    """Each process has a run of its own, from 1 to its last record."""
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address("unix", tmp_path), path) as collector:
        books = scripts.run(FORK, collector.address, first=scripts.IGNORE)
        collector.stop()

    runs = sorted(audit(path), key=lambda run: int(run["last"]))
    assert [run["last"] for run in runs] == [700, 700, 700, books["logged"]]
    assert [run["first"] for run in runs] == [1] * 4
    assert {run["missing"] + run["twice"] + run["dropped"] for run in runs} == {0}
    assert len({run["run"] for run in runs}) == 4


def test_drops_leave_no_gap(tmp_path: Path) -> None:
    """What a full queue drops has no number: it is carried along by those that come through."""
    path = tmp_path / "capture.fstrm"
    address = free_address("unix", tmp_path)
    with tapped(address, sequence=True, queue_size=20, max_reconnect_interval=0.1) as tap:
        tap.log_numbers(range(100))
        before = sum(tap.stats().dropped.values())
        assert before >= 50
        with FstrmCapture(address, path) as collector:
            assert tap.handler.flush(DEADLINE)
            dropped = sum(tap.stats().dropped.values())
            tap.log_numbers([100])
            stats = tap.close()
            collector.stop()

    (run,) = audit(path)
    assert (run["last"], run["missing"], run["twice"]) == (stats.written, 0, 0)
    assert run["dropped"] == dropped == stats.logged - stats.written


def test_filters_and_sampling_leave_no_gap(tmp_path: Path) -> None:
    """What is not meant to be sent is neither missing nor dropped."""
    path = tmp_path / "capture.fstrm"
    with tapped(path, sequence=True) as tap:
        tap.handler.addFilter(SamplingFilter(2, state_rate=True))
        tap.handler.addFilter(MessageTypeFilter(["CLIENT_QUERY"]))
        for number in range(500):
            tap.log_numbers([number])
            tap.logger.info("", extra=query(dns_message_type="CLIENT_RESPONSE"))
        stats = tap.close()

    assert 0 < stats.written < 500
    (run,) = audit(path)
    assert (run["last"], run["missing"], run["dropped"]) == (stats.written, 0, 0)


def test_rotated_captures_are_one_run(tmp_path: Path) -> None:
    """All files of a rotation together; a restart on the same file begins another run."""
    path = tmp_path / "capture.fstrm"
    for start in range(2):
        handler = RotatingDnstapHandler(
            path, maxBytes=20_000, backupCount=1000, sequence=True, queue_size=100_000
        )
        tap = Tap(handler)
        tap.log_numbers(range(3000 * start, 3000 * (start + 1)))
        tap.close()

    paths = sorted(tmp_path.iterdir())
    assert len(paths) > 5
    runs = audit(*paths)
    assert [(run["last"], run["missing"], run["twice"]) for run in runs] == [(3000, 0, 0)] * 2
    assert sorted(distinct(*paths)) == list(range(6000))


def test_a_handler_that_gave_up_begins_another_run(tmp_path: Path, said: Said) -> None:
    """What it had numbered and gave up leaves no gap, and is counted as dropped."""
    path = tmp_path / "capture.fstrm"
    collector = Scripted("tcp", tmp_path)
    options = {"max_reconnect_attempts": 0, "report_interval": 0.0}
    try:
        with tapped(collector.address, sequence=True, **{**OPTIONS, **options}) as tap:
            tap.log_numbers(range(100))
            session = collector.session()
            assert session.numbers(100) == list(range(100))
            collector.close()
            session.close("reset")
            wait_until(lambda: tap.stats().disconnects == 1, "the end of the session", DEADLINE)
            tap.log_numbers(range(100, 200))
            said.wait_for("gave up")
            assert tap.stats().dropped["no_sink"] + tap.stats().dropped["disconnected"] == 100
            with FstrmCapture(collector.address, path) as capturing:
                tap.handler.reopen()
                wait_until(lambda: tap.stats().connected, "a session after reopen()", DEADLINE)
                tap.log_numbers(range(200, 300))
                tap.close()
                capturing.stop()
    finally:
        collector.close_all()
    first = tmp_path / "first.fstrm"
    first.write_bytes(capture(session.payloads))

    runs = audit(first, path)
    assert [(run["last"], run["missing"], run["dropped"]) for run in runs] == [
        (100, 0, 0),
        (100, 0, 100),
    ]
    lines = said.with_text("the last number of the sequence")
    assert len(lines) == 2
    assert lines[0].partition("seq=")[2].startswith(runs[0]["run"])
    assert lines[1].endswith(f"seq={runs[1]['run']}/100/100")


def test_what_was_stored_keeps_its_number(tmp_path: Path, said: Said) -> None:
    """Two handlers, one after the other, store for a collector that is away: two whole runs."""
    address, path = free_address("unix", tmp_path), tmp_path / "capture.fstrm"
    spool = tmp_path / "spool"
    for start in range(2):
        with tapped(address, sequence=True, spool=spool, **OPTIONS) as tap:
            tap.log_numbers(range(500 * start, 500 * (start + 1)))
            assert tap.handler.flush()
        lines = wait_until(
            lambda start=start: said.with_text("the last number of the sequence")[start:],
            "the last line of the handler",
        )
        assert lines[0].endswith("/500/0")
    with FstrmCapture(address, path) as collector:
        with tapped(address, sequence=True, spool=spool, **OPTIONS) as tap:
            tap.log_numbers([1000])
            wait_until(lambda: not any(spool.glob("*.fstrm")), "an empty spool", DEADLINE)
        collector.stop()

    runs = audit(path)
    found = sorted((run["last"], run["missing"], run["twice"], run["dropped"]) for run in runs)
    assert found == [(1, 0, 0, 0), (500, 0, 0, 0), (500, 0, 0, 0)]
    assert sorted(distinct(path)) == list(range(1001))
