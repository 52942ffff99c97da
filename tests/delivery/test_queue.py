"""The bounded queue: it drops and counts instead of blocking, and its books balance."""

from __future__ import annotations

import dis
import inspect
import itertools
import math
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any, Iterator, List

import pytest

from dnstap_logging.delivery import queue as queue_module
from dnstap_logging.delivery.queue import RecordQueue
from dnstap_logging.delivery.stats import CAUSES
from dnstap_logging.message.enums import MessageType
from dnstap_logging.message.snapshot import Snapshot, take_snapshot
from tests.helpers.support import assert_balanced, wait_until


def snapshot(payload: bytes = b"x" * 10) -> Snapshot:
    extras = {"dns_message_type": MessageType.CLIENT_QUERY, "dns_query_message": payload}
    return take_snapshot(extras, created=1.7e9)


def make_queue(maxsize: int = 100, max_bytes: int = 1 << 20, blocking: bool = False) -> RecordQueue:
    return RecordQueue(maxsize, max_bytes, blocking, "unix:///x")


def never() -> bool:
    return False


def test_a_new_queue_has_every_cause_at_zero() -> None:
    """Every cause of a drop is in the books from the start."""
    stats = make_queue().snapshot()

    assert dict(stats.dropped) == dict.fromkeys(CAUSES, 0)
    assert (stats.logged, stats.queued, stats.connected, stats.last_error) == (0, 0, False, None)


def test_stats_are_frozen() -> None:
    """A snapshot cannot be changed and does not change."""
    queue = make_queue()
    stats = queue.snapshot()
    queue.offer(snapshot())

    assert stats.logged == 0
    with pytest.raises(AttributeError):
        stats.logged = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        stats.dropped["closed"] = 1  # type: ignore[index]


def test_exactly_the_overflow_is_dropped_and_the_newest_first() -> None:
    """Of 15 records for 10 places the last 5 are dropped and counted queue_full."""
    queue = make_queue(maxsize=10)
    records = [snapshot(bytes([number])) for number in range(15)]

    accepted = [queue.offer(record) for record in records]

    assert accepted == [True] * 10 + [False] * 5
    stats = queue.snapshot()
    assert (stats.logged, stats.accepted, stats.queued) == (15, 10, 10)
    assert stats.dropped["queue_full"] == 5
    assert_balanced(stats)
    assert queue.take(100, 1 << 20) == records[:10]


def test_bytes_are_bounded_too() -> None:
    """A record that would exceed the bytes is dropped as queue_bytes, a smaller one is not."""
    queue = make_queue(max_bytes=100)

    assert queue.offer(snapshot(b"x" * 60))
    assert not queue.offer(snapshot(b"x" * 60))
    assert queue.offer(snapshot(b"x" * 40))

    assert queue.snapshot().dropped["queue_bytes"] == 1
    queue.take(1, 1 << 20)
    assert queue.offer(snapshot(b"x" * 60)), "the bytes of a taken record are free again"


def test_take_is_bounded_in_records_and_bytes_and_keeps_the_order() -> None:
    """A batch ends at the number of records, or with the record that reaches the bytes."""
    queue = make_queue()
    records = [snapshot(bytes([number]) * 10) for number in range(10)]
    for record in records:
        queue.offer(record)

    assert queue.take(3, 1 << 20) == records[:3]
    assert queue.take(100, 15) == records[3:5]
    assert queue.snapshot().in_flight == 5
    assert queue.take(100, 1 << 20) == records[5:]
    assert queue.take(100, 1 << 20) == []


def test_a_record_is_counted_once_on_its_way() -> None:
    """From the queue over in flight to written or dropped, the books balance at each step."""
    queue = make_queue()
    for _ in range(5):
        queue.offer(snapshot())
        assert_balanced(queue.snapshot())
    queue.take(4, 1 << 20)
    assert_balanced(queue.snapshot())
    queue.settle(written=2, size=30)
    assert_balanced(queue.snapshot())
    queue.settle(dropped={"invalid": 1, "too_large": 1})
    assert queue.discard("disconnected") == 1

    stats = queue.snapshot()
    assert_balanced(stats)
    assert (stats.written, stats.bytes_written, stats.queued, stats.in_flight) == (2, 30, 0, 0)
    assert stats.dropped["invalid"] == stats.dropped["too_large"] == 1
    assert stats.dropped["disconnected"] == 1


def test_a_shut_queue_drops_for_its_cause_until_it_is_opened() -> None:
    """After shut() records are dropped and counted; shut(None) accepts again."""
    queue = make_queue()
    queue.shut("no_sink")
    assert not queue.offer(snapshot())
    queue.shut(None)
    assert queue.offer(snapshot())

    assert queue.snapshot().dropped["no_sink"] == 1


def test_wait_settled_ends_with_the_records_accepted_before_it() -> None:
    """A flush waits for what was accepted before it, not for what comes later."""
    queue = make_queue()
    queue.offer(snapshot())
    results: List[bool] = []
    waiter = threading.Thread(target=lambda: results.append(queue.wait_settled(math.inf)))
    waiter.start()
    queue.take(1, 1 << 20)
    queue.offer(snapshot())
    queue.settle(written=1, size=10)
    waiter.join(20)

    assert results == [True]
    assert queue.snapshot().queued == 1


def test_wait_settled_gives_up_at_its_deadline() -> None:
    """A flush that cannot be reached says so at its deadline."""
    queue = make_queue()
    assert queue.wait_settled(time.monotonic()) is True, "nothing was accepted: nothing to wait for"

    queue.offer(snapshot())

    assert queue.wait_settled(time.monotonic() + 0.05) is False


def test_a_waiting_writer_is_woken_by_a_record() -> None:
    """A record ends the writer thread's wait at once, not at its timeout."""
    queue = make_queue()
    results: List[bool] = []
    waiter = threading.Thread(target=lambda: results.append(queue.wait(3600, never)))
    waiter.start()
    wait_until(lambda: queue._wake_at == 0, "the waiting writer")

    queue.offer(snapshot())
    waiter.join(20)

    assert results == [True]


@pytest.mark.parametrize("what", ["records", "flush", "no room"])
def test_a_writer_that_lets_records_gather_is_woken_in_time(what: str) -> None:
    """Fewer records than it waits for leave it alone; enough, a flush, and a full queue do not."""
    queue = make_queue(maxsize=4, blocking=what == "no room")
    queue.served = True
    results: List[bool] = []
    waiter = threading.Thread(
        target=lambda: results.append(queue.wait(3600, never, records=3)), daemon=True
    )
    waiter.start()
    wait_until(lambda: queue._wake_at == 2, "the waiting writer")
    queue.offer(snapshot())
    queue.offer(snapshot())
    assert queue.not_empty._waiters, "two records woke it"  # type: ignore[attr-defined]

    if what == "records":
        queue.offer(snapshot())
    elif what == "flush":
        assert queue.wait_settled(time.monotonic()) is False
    else:
        queue._wake_at = 1 << 40  # so that only the caller who waits can wake it
        for _ in range(2):
            queue.offer(snapshot())
        caller = blocked_offer(queue, results)
        waiter.join(20)
        assert len(queue.take(1, 1 << 20)) == 1
        caller.join(20)
    waiter.join(20)

    assert all(results)
    assert results


def test_a_wait_for_attention_is_ended_by_wake_and_not_by_records() -> None:
    """While the writer waits for its next attempt, records do not cost a switch of threads."""
    queue = make_queue()
    results: List[bool] = []
    called = threading.Event()
    waiter = threading.Thread(
        target=lambda: results.append(queue.wait(3600, called.is_set, records=0))
    )
    waiter.start()
    wait_until(lambda: queue.not_empty._waiters, "the waiting writer")  # type: ignore[attr-defined]
    queue.offer(snapshot())
    assert queue.not_empty._waiters, "a record woke the writer"  # type: ignore[attr-defined]

    called.set()
    queue.wake()
    waiter.join(20)

    assert results == [True]


def test_no_wake_is_missed_between_the_question_and_the_wait() -> None:
    """What was asked for before the wait began is seen: the wait does not begin."""
    assert make_queue().wait(3600, lambda: True) is False


def blocked_offer(queue: RecordQueue, results: List[bool]) -> threading.Thread:
    """Start a thread whose offer waits for room; return once it waits."""
    thread = threading.Thread(target=lambda: results.append(queue.offer(snapshot())))
    thread.start()
    wait_until(lambda: queue.not_full._waiters, "the waiting caller")  # type: ignore[attr-defined]
    return thread


@pytest.fixture
def full_queue() -> RecordQueue:
    """Return a blocking queue with one place, which is taken, and a writer that serves it."""
    queue = make_queue(maxsize=1, blocking=True)
    queue.served = True
    queue.offer(snapshot())
    return queue


def test_a_blocking_queue_waits_for_room(full_queue: RecordQueue) -> None:
    """overflow="block" loses nothing: the caller goes on when the writer has made room."""
    results: List[bool] = []
    thread = blocked_offer(full_queue, results)

    full_queue.take(1, 1 << 20)
    thread.join(20)

    assert results == [True]
    assert full_queue.snapshot().queued == 1


@pytest.mark.parametrize("cause", ["closed", "no_sink"])
def test_a_waiting_caller_is_released_when_the_queue_is_shut(
    full_queue: RecordQueue, cause: str
) -> None:
    """close() and the last failed attempt send a waiting caller away, counted by that cause."""
    results: List[bool] = []
    thread = blocked_offer(full_queue, results)

    full_queue.shut(cause)
    thread.join(20)

    assert results == [False]
    assert full_queue.snapshot().dropped[cause] == 1


def test_a_waiting_caller_is_released_by_wake(full_queue: RecordQueue) -> None:
    """reopen() sends a waiting caller away, counted as queue_full."""
    results: List[bool] = []
    thread = blocked_offer(full_queue, results)

    full_queue.wake()
    thread.join(20)

    assert results == [False]
    assert full_queue.snapshot().dropped["queue_full"] == 1


def test_nobody_waits_for_room_that_nobody_makes(full_queue: RecordQueue) -> None:
    """Without a writer thread, and for a record above the bytes, a caller is not kept."""
    full_queue.served = False
    assert full_queue.offer(snapshot()) is False

    queue = make_queue(max_bytes=10, blocking=True)
    queue.served = True
    assert queue.offer(snapshot(b"x" * 11)) is False
    assert queue.snapshot().dropped["queue_bytes"] == 1


def test_a_call_inside_the_own_lock_is_dropped_and_counted() -> None:
    """What a signal handler or __del__ logs inside the queue's lock is counted reentrant."""
    queue = make_queue()
    queue.offer(snapshot())
    before = queue.snapshot()
    with queue.mutex:
        assert queue.offer(snapshot()) is False
        queue.refuse("invalid")
        assert queue.snapshot() == before, "inside the lock the last snapshot is returned"
        assert queue.wait_settled(math.inf) is False
        queue.wake()
        queue.shut("closed")

    stats = queue.snapshot()
    assert stats.dropped["reentrant"] == 2
    assert stats.logged == 3
    assert_balanced(stats)
    assert queue.offer(snapshot()) is False, "shut() holds, wherever it was called"


def test_the_thread_that_makes_room_never_waits_for_it(full_queue: RecordQueue) -> None:
    """What a __del__ logs in the thread that drives the delivery is dropped, not waited for."""
    full_queue.driver = threading.get_ident()

    assert full_queue.offer(snapshot()) is False
    assert full_queue.snapshot().dropped["queue_full"] == 1


def test_nothing_is_taken_by_a_take_that_is_interrupted() -> None:
    """Ctrl-C behind any call in it leaves all records in their place, and in the books."""
    finished = False
    for interrupted in range(1, 20):
        queue = make_queue()
        records = [snapshot(bytes([number])) for number in range(3)]
        for record in records:
            queue.offer(record)
        calls = itertools.count(1)

        def interrupt(frame: FrameType, event: str, call: Any, at: int = interrupted) -> None:
            inside = event == "c_return" and frame.f_code.co_name == "take"
            # Behind the lock they are the caller's.
            if inside and call.__name__ != "__exit__" and next(calls) == at:  # noqa: B023
                raise KeyboardInterrupt

        sys.setprofile(interrupt)
        try:
            queue.take(100, 1000)
            finished = True
        except KeyboardInterrupt:
            assert queue.snapshot().queued == queue.snapshot().logged == 3, interrupted
            assert queue.take(100, 1000) == records
        finally:
            sys.setprofile(None)

    assert finished, "every call in it was interrupted"


@pytest.mark.parametrize("maxsize", [1, 2], ids=["full", "room"])
@pytest.mark.parametrize("event", ["c_call", "c_return"])
def test_an_interrupted_offer_leaves_the_lock_free(event: str, maxsize: int) -> None:
    """What a signal handler raises around any call in it: the books hold, and others go on."""
    finished = False
    for interrupted in range(1, 20):
        queue = make_queue(maxsize)
        queue.offer(snapshot())
        calls = itertools.count(1)

        def interrupt(frame: FrameType, seen: str, _: object, at: int = interrupted) -> None:
            if seen == event and frame.f_code.co_name == "offer" and next(calls) == at:  # noqa: B023
                raise KeyboardInterrupt

        sys.setprofile(interrupt)
        try:
            queue.offer(snapshot())
            finished = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        assert not queue.entered(), interrupted
        other = threading.Thread(target=queue.refuse, args=("invalid",), daemon=True)
        other.start()
        other.join(30)
        assert not other.is_alive(), interrupted
        assert_balanced(queue.snapshot())
        assert len(queue.take(100, 1 << 20)) == queue.snapshot().in_flight

    assert finished, "every call in it was interrupted"


def test_closed_is_for_good() -> None:
    """A queue that was closed is not opened again by a reopen() that came too late."""
    queue = make_queue()
    queue.shut("closed")
    queue.shut("no_sink")
    queue.shut(None)
    queue.offer(snapshot())

    assert queue.snapshot().dropped["closed"] == 1


def test_sixteen_threads_lose_no_count() -> None:
    """Under 16 threads and a taking writer every record is counted exactly once."""
    queue = make_queue(maxsize=50)
    number, threads = 2000, 16
    stop = threading.Event()

    def log() -> None:
        for _ in range(number):
            queue.offer(snapshot())

    def write() -> None:
        while not stop.is_set() or queue.queue:
            batch = queue.take(7, 1 << 20)
            queue.settle(written=len(batch), size=10 * len(batch))
            assert_balanced(queue.snapshot())

    callers = [threading.Thread(target=log) for _ in range(threads)]
    writer = threading.Thread(target=write)
    for thread in [*callers, writer]:
        thread.start()
    for thread in callers:
        thread.join(60)
    stop.set()
    writer.join(60)

    stats = queue.snapshot()
    assert_balanced(stats)
    assert stats.logged == number * threads
    assert stats.written == stats.accepted


def codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a module's code and that of all its functions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="no table of exceptions")
def test_no_loop_stands_directly_in_a_with() -> None:
    """What a signal handler raises at its jump back would leave the lock held (Python 3.12)."""
    source = inspect.getsource(queue_module)
    loops = []
    for code in codes(compile(source, "queue.py", "exec")):
        table = dis._parse_exception_table(code)
        for each in dis.get_instructions(code):
            covered = any(entry.start <= each.offset < entry.end for entry in table)
            inside = (
                any(entry.start <= each.argval < entry.end for entry in table)
                if (each.opname == "JUMP_BACKWARD")
                else False
            )
            if inside and not covered:
                loops.append(f"line {each.positions.lineno} of {code.co_name}")

    assert loops == []
