"""``--distinct``: what was sent again is left out, whoever reads it."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Iterable, List, Optional

import pytest

from dnstap_logging import DnstapMessage, DnstapReceiver
from dnstap_logging.cli import sequences
from dnstap_logging.cli.main import make_parser
from dnstap_logging.cli.sequences import Distinct
from dnstap_logging.cli.targets import Target, make_target
from tests.cli.running import call
from tests.cli.samples import payloads, query, write
from tests.helpers.records import read
from tests.helpers.support import capture, wait_until

ONE, OTHER = "0123456789abcdef", "fedcba9876543210"


def message(number: int, run: str = ONE, note: str = "") -> DnstapMessage:
    """Return a message with a number, as a handler sends it."""
    return query(number, extra=f"{note} seq={run}/{number}/0".strip())


FIRST = [message(1), message(2), query(), message(2), message(1, OTHER)]
SECOND = [message(2), message(3), query(), message(1, OTHER), message(1, note="again")]
DISTINCT = [FIRST[0], FIRST[1], FIRST[2], FIRST[4], SECOND[1], SECOND[2]]


def target_of(*arguments: Any) -> Target:
    """Return what `listen` would write to, not yet open."""
    words = ["listen", "unix://@nobody", *map(os.fspath, arguments)]
    return make_target(make_parser().parse_args(words), str, None)


def test_read(tmp_path: Path) -> None:
    """Over all files, the first of each is printed; without a sequence, all are."""
    paths = [write(tmp_path / "1", FIRST), write(tmp_path / "2", SECOND)]
    wanted = write(tmp_path / "3", DISTINCT)

    assert call("read", "--distinct", "--yaml", *paths) == call("read", "--yaml", wanted)
    with_filter = call("read", "--distinct", "--since", "2026-01-01T12:00:02Z", *paths)
    assert with_filter.out.count("\n") == 2


def test_send(tmp_path: Path) -> None:
    """Doubles are not sent, and the counts say so; what is no message is sent as it is."""
    path = tmp_path / "1"
    path.write_bytes(capture([*payloads(FIRST), b"\xff seq=", *payloads(SECOND), b"\xff seq="]))
    taken: List[bytes] = []
    with DnstapReceiver(f"unix://{tmp_path}/s", on_frame=taken.append) as receiver:
        outcome = call("send", "--distinct", path, str(receiver.address))

    assert outcome.status == 0, outcome
    foreign = b"\xff seq="
    assert taken == [
        *payloads(DISTINCT[:4]),
        foreign,
        *payloads(DISTINCT[4:]),
        foreign,
    ]
    assert "8 of 8 messages sent, 8 confirmed, 4 doubles left out; " in outcome.out


@pytest.mark.parametrize("filters", [[], ["--type", "CQ"]])
def test_listen_writes_the_first_of_each(tmp_path: Path, filters: List[str]) -> None:
    """Over all connections; other messages are written as they come."""
    path = tmp_path / "1"
    target = target_of("--distinct", "--write", path, *filters)
    target.open()
    for each in payloads([*FIRST, *SECOND]):
        target.take_payload(each)
    target.close()

    assert read(path) == DISTINCT
    assert target.kept == len(DISTINCT)


def test_listen_from_many_threads(tmp_path: Path) -> None:
    """Several connections at once bring the same messages: each is written once."""
    path = tmp_path / "1"
    target = target_of("--distinct", "--write", path)
    target.open()
    given = payloads(message(number) for number in range(1, 301))

    def bring(part: Iterable[bytes]) -> None:
        for each in part:
            target.take_payload(each)

    threads = [
        threading.Thread(target=bring, args=(given[:: 1 if at % 2 else -1],)) for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    target.close()

    numbers = [each.sequence[1] for each in read(path) if each.sequence]
    assert sorted(numbers) == list(range(1, 301))


def test_a_double_waits_until_the_first_is_written(tmp_path: Path) -> None:
    """Its connection gets no FINISH before, because the first may never get there."""
    path = tmp_path / "1"
    target = target_of("--distinct", "--write", path)
    (payload,) = payloads([message(1)])
    written, going_on = threading.Event(), threading.Event()
    put = target._put

    def slow_put(item: Any) -> None:
        written.set()
        assert going_on.wait(20)
        put(item)

    target._put = slow_put  # type: ignore[method-assign]
    target.open()
    first = threading.Thread(target=target.take_payload, args=(payload,))
    first.start()
    assert written.wait(20)
    ended = threading.Event()

    def double() -> None:
        target.take_payload(payload)
        ended.set()

    second = threading.Thread(target=double)
    second.start()
    assert not ended.wait(0.1)
    going_on.set()
    wait_until(ended.is_set, "the double to be passed over")
    first.join()
    second.join()
    target.close()
    assert read(path) == [message(1)]


def test_count_counts_what_is_kept(tmp_path: Path) -> None:
    """Doubles do not count for --count; what is over it waits for the end."""
    path = tmp_path / "1"
    target = target_of("--distinct", "--write", path, "--count", "3")
    target.open()
    bringing = threading.Thread(
        target=lambda: [target.take_payload(each) for each in payloads([*FIRST[:2] * 4, *SECOND])],
        daemon=True,
    )
    bringing.start()
    assert target.ended.wait(20)
    wait_until(lambda: target.has_callers_waiting, "somebody who has more")
    target.close()

    assert read(path) == [FIRST[0], FIRST[1], SECOND[1]]


def test_the_oldest_unused_run_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that need not end keeps the runs that were used last."""
    monkeypatch.setattr(sequences, "MOST_RUNS", 3)
    distinct: Optional[Distinct] = target_of("--distinct").distinct
    assert distinct
    a, b, c, d = (f"{number:016x}" for number in range(4))
    for run in (a, b, c, a, d):  # b goes
        distinct.is_new(message(1, run))
    assert not distinct.is_new(message(1, a))
    assert not distinct.is_new(message(1, c))
    assert distinct.is_new(message(1, b))  # d goes
    assert distinct.is_new(message(1, d))
    assert target_of().distinct is None


def test_as_many_runs_as_there_are_in_a_flood() -> None:
    """Ten thousand runs are kept, no more."""
    assert sequences.MOST_RUNS == 10_000
    distinct = Distinct(100)
    for number in range(1000):
        assert distinct.is_new(message(1, f"{number:016x}"))
    assert len(distinct._runs) == 100
