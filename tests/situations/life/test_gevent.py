"""Under gevent's monkey patching, before or after the import, our threads are greenlets."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from tests.situations.interop.captures import read_capture
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.life import scripts
from tests.situations.life.scripts import finish, marks, start

PATCH = "from gevent import monkey\nmonkey.patch_all()\n"

ORDERS = {
    "before the import": (PATCH, ""),
    "after the import": ("", PATCH),
}

GREENLETS = """
import gevent
def in_greenlets(number, do):
    gevent.joinall([gevent.spawn(do, index) for index in range(number)], raise_error=True)
turns = []
def take_turns():
    while True:
        gevent.sleep(0)
        turns.append(None)
"""


@pytest.fixture(autouse=True)
def _gevent() -> None:
    scripts.require_module("gevent", scripts.GEVENT_SINCE)


def run(order: str, script: str, *arguments: object) -> Dict[str, Any]:
    """Run a script under gevent."""
    first, then = ORDERS[order]
    code = then + GREENLETS + scripts.SIGNALS + script
    return scripts.run(code, *arguments, first=first, warnings="default")


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
@pytest.mark.parametrize("order", ORDERS)
def test_a_load_of_greenlets_arrives(tmp_path: Path, scheme: str, order: str) -> None:
    """All that twenty greenlets log arrives; flush and close work, also in a greenlet."""
    output = tmp_path / "capture.fstrm"
    script = """
handler = attach(sys.argv[1], close_timeout=60)
def work(first):
    for number in range(500):
        log(first * 500 + number)
        if number % 10 == 0:
            gevent.sleep(0)
in_greenlets(20, work)
assert gevent.spawn(handler.flush).get()
in_greenlets(1, lambda _: handler.close())
show(handler)
"""
    with FstrmCapture(free_address(scheme, tmp_path), output) as collector:
        found = run(order, script, collector.address)
        collector.stop()

    assert (found["logged"], found["written"]) == (10_000, 10_000), found
    assert sorted(map(int, marks(output))) == list(range(10_000))


@pytest.mark.parametrize("order", ORDERS)
def test_the_end_of_the_program_delivers(tmp_path: Path, order: str) -> None:
    """Records that no greenlet had time to deliver are delivered at the end."""
    output = tmp_path / "capture.fstrm"
    script = "attach(sys.argv[1])\nfor number in range(10_000):\n    log(number)\n"
    with FstrmCapture(free_address("unix", tmp_path), output) as collector:
        assert run(order, script, collector.address)["stderr"] == ""
        collector.stop()

    assert marks(output) == scripts.numbered(10_000)


@pytest.mark.parametrize("order", ORDERS)
def test_a_collector_that_stands_still_holds_nobody_up(tmp_path: Path, order: str) -> None:
    """While the collector is stopped greenlets run and log; when it goes on, so does the stream."""
    output = tmp_path / "capture.fstrm"
    first, then = ORDERS[order]
    script = """
handler = attach(sys.argv[1], timeout=60, close_timeout=60, queue_size=1000)
ticker = gevent.spawn(take_turns)
while not handler.stats().dropped["queue_full"]:
    in_greenlets(10, lambda _: [log("x" * 1000) for _ in range(100)])
    gevent.sleep(0)
print(len(turns), flush=True)
while len(turns) <= 100:                       # the writer greenlet waits for the socket
    gevent.sleep(0)
sys.stdin.readline()
assert handler.flush(), handler.stats()
log("last")
handler.close()
show(handler)
"""
    with FstrmCapture(free_address("unix", tmp_path), output) as collector:
        collector.pause()
        with start(
            then + GREENLETS + script, collector.address, first=first, warnings="default"
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.strip().isdigit(), finish(process)
            collector.resume()
            found = finish(process, say="go on\n")
        collector.stop()

    assert found["written"] == found["logged"] - found["queue_full"]
    assert len(read_capture(output).payloads) == found["written"]
    assert marks(output)[-1] == "last"


@pytest.mark.parametrize("order", ORDERS)
def test_a_backlog_lets_others_run(tmp_path: Path, order: str) -> None:
    """While 10,000 records are written, other greenlets have their turns in between."""
    script = """
handler = attach(sys.argv[1])
for number in range(10_000):
    log(number)
ticker = gevent.spawn(take_turns)
assert handler.flush()
print(json.dumps({"turns": len(turns), **books(handler)}))
"""
    found = run(order, script, tmp_path / "capture.fstrm")

    assert found["written"] == 10_000
    assert found["turns"] >= 20, "of 40 batches"


@pytest.mark.parametrize("order", ORDERS)
def test_with_nobody_there_close_is_bounded(tmp_path: Path, order: str) -> None:
    """Without a collector close() takes its time and lets others run; all is counted and said."""
    script = """
handler = attach(sys.argv[1], close_timeout=0.5)
in_greenlets(10, lambda _: [log(number) for number in range(100)])
ticker = gevent.spawn(take_turns)
handler.close()
print(json.dumps({"turns": len(turns), **books(handler)}))
"""
    found = run(order, script, f"unix://{tmp_path}/absent.sock")

    assert found["disconnected"] == found["logged"] == 1000, found
    assert found["turns"] > 10, found
    assert found["stderr"].count("disconnected 1000") == 1, found["stderr"]


@pytest.mark.parametrize("order", ORDERS)
def test_the_program_keeps_its_signal_mask(tmp_path: Path, order: str) -> None:
    """The writer blocks SIGPIPE only in a real thread: programs started later inherit the mask."""
    script = """
import signal
handler = attach(sys.argv[1])
log(0)
assert handler.flush()
blocked = sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, [])))
print(json.dumps({"blocked": blocked, **books(handler)}))
"""
    found = run(order, script, tmp_path / "capture.fstrm")

    assert (found["written"], found["blocked"]) == (1, []), found


@pytest.mark.parametrize("order", ORDERS)
def test_a_record_inside_the_lock_lets_nobody_else_run(tmp_path: Path, order: str) -> None:
    """A signal handler may have interrupted the queue's lock, for which another greenlet waits."""
    script = """
handler = attach(sys.argv[1])
log("first")
assert handler.flush()
gevent.spawn(take_turns)
gevent.sleep(0)
with handler._writer_thread._queue.mutex:
    before = len(turns)
    for _ in range(100):
        log("inside")
    taken = len(turns) - before
handler.close()
print(json.dumps({"taken": taken, **books(handler)}))
"""
    found = run(order, script, tmp_path / "capture.fstrm")

    assert (found["taken"], found["reentrant"], found["written"]) == (0, 100, 1), found


SWITCHES = {
    "by itself": "gevent.sleep(0.01)",
    "by the first diagnostic": "log('inside')",
    "by another handler's thread": """
other = dnstap_logging.DnstapHandler(sys.argv[1] + ".other")
logger.addHandler(other)
log("inside")
logger.removeHandler(other)
other.close()
""",
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("switch", SWITCHES)
def test_a_signal_handler_that_switches_greenlets(tmp_path: Path, switch: str, order: str) -> None:
    """In the middle of a log call it hands over to the writer, which waits for that call's end."""
    script = f"""
import signal
handler = attach(sys.argv[1], close_timeout=60)
log("first")
assert handler.flush()
def on_signal(*_):
    exec(SWITCH)
signal.signal(signal.SIGALRM, on_signal)
SWITCH = {SWITCHES[switch]!r}
queue = handler._writer_thread._queue
while not queue.not_empty._waiters:
    gevent.sleep(0.01)
with queue.mutex:                          # as in any log call
    queue.not_empty.notify()
    signal.raise_signal(signal.SIGALRM)
log("last")
handler.close()
show(handler)
"""
    found = run(order, script, tmp_path / "capture.fstrm")

    assert found["written"] == 2, found
    assert (found["queued"], found["in_flight"]) == (0, 0), found
    assert "Traceback" not in found["stderr"], found["stderr"]


@pytest.mark.parametrize("order", ORDERS)
def test_signal_handlers_that_log(tmp_path: Path, order: str) -> None:
    """A signal handler that logs, also in the middle of gevent's own loop, raises nothing there."""
    script = """
calls = []
def on_signal():
    calls.append(1)
    log("signal")
handler = attach(sys.argv[1], close_timeout=60)
log("first")
assert handler.flush()
with Signals(0.0002, on_signal):
    while len(calls) < 5000:
        calls.append(0)
        log("main")
        gevent.sleep(0)
handler.close()
print(json.dumps({"calls": len(calls), **books(handler)}))
"""
    found = run(order, script, tmp_path / "capture.fstrm")

    assert found["logged"] == found["calls"] + 1, found
    assert (found["queued"], found["in_flight"]) == (0, 0), found
    assert "Traceback" not in found["stderr"], found["stderr"]
