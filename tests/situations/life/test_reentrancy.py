"""Log calls in the middle of our own code, by signal handlers, finalizers and callbacks (P33).

`sys.settrace` runs a function before each line: with one that logs, a log call comes at every
place where a signal handler could, in the calling threads and in the writer thread, on every run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from tests.situations.life.scripts import SIGNALS, marks, run

AT_EVERY_LINE = """
OURS = ("delivery/queue.py", "delivery/writer_thread.py", "diagnostics.py", "delivery/delivery.py",
        "handler.py", "delivery/intake.py", "delivery/connection.py", "threading.py")
interrupted = {}
busy = threading.local()

def interrupt(frame, event, argument):
    place = next((name for name in OURS if frame.f_code.co_filename.endswith("/" + name)), None)
    if place is None:
        return None
    place = place, frame.f_lineno
    name = threading.current_thread().name if event == "line" else None
    if event == "line" and interrupted.get((name, place), 0) < 2 and not hasattr(busy, "now"):
        interrupted[name, place] = interrupted.get((name, place), 0) + 1
        busy.now = True
        try:
            inside(place)
        finally:
            del busy.now
    return interrupt

handler = attach(sys.argv[1], close_timeout=60, **OPTIONS)
calls = []
def inside(place):
    calls.append(place)
    DO
threading.settrace(interrupt)              # the writer thread, when it starts
sys.settrace(interrupt)
for number in range(300):
    calls.append(None)
    log("plain")
    if number % 10 == 0:
        handler.stats()
    if number % 100 == 0:
        assert handler.flush(60), handler.stats()
sys.settrace(None)
threading.settrace(None)
handler.close()
names = {name for name, _ in interrupted}
files = {place[0] for _, place in interrupted}
print(json.dumps({**books(handler), "calls": len(calls), "threads": sorted(names),
                  "places": len(interrupted), "files": sorted(files)}))
"""


def interrupt_everywhere(capture: Path, do: str, options: str = "{}") -> Dict[str, Any]:
    """Run that script; return what it found. It must not hang."""
    found = run(AT_EVERY_LINE.replace("DO", do).replace("OPTIONS", options), capture)
    assert {"MainThread", "dnstap-writer"} <= set(found["threads"]), found
    assert found["places"] > 150, found
    assert {"delivery/queue.py", "delivery/writer_thread.py", "threading.py"} <= set(found["files"])
    return found


@pytest.mark.parametrize("options", ["{}", "dict(overflow='block', queue_size=5)"])
def test_a_log_call_at_every_line_of_ours(tmp_path: Path, options: str) -> None:
    """Wherever a log call interrupts, nothing hangs, and each call is in the books once."""
    found = interrupt_everywhere(tmp_path / "capture.fstrm", 'log("inside")', options)

    assert found["logged"] == found["calls"], found
    assert found["reentrant"] > 0, found
    assert (found["queued"], found["in_flight"]) == (0, 0), found
    assert len(marks(tmp_path / "capture.fstrm")) == found["written"]


ACTIONS = {
    "stats": "books(handler)",
    "flush with a timeout": "handler.flush(0)",
    "flush in the writer": (
        "threading.current_thread().name == 'dnstap-writer' and handler.flush(None)"
    ),
    "reopen": "handler.reopen()",
}


@pytest.mark.parametrize("action", ACTIONS)
def test_other_calls_at_every_line_of_ours(tmp_path: Path, action: str) -> None:
    """Statistics, flush and reopen may be called there too: they wait for nobody who waits."""
    found = interrupt_everywhere(tmp_path / "capture.fstrm", ACTIONS[action])

    assert (found["logged"], found["written"]) == (300, 300), found
    assert len(marks(tmp_path / "capture.fstrm")) == 300


IN_SIGNALS = """
calls = []
def on_signal():
    calls.append(None)
    log("signal")
    handler.stats()
handler = attach(sys.argv[1], close_timeout=60)
with Signals(0.0001, on_signal):
    while len(calls) < 5000:
        ROUND
handler.close()
print(json.dumps({**books(handler), "calls": len(calls)}))
"""

ROUNDS = {
    "log": 'calls.append(0); log("main")',
    "stats": "handler.stats()",
    "flush": 'calls.append(0); log("main"); assert handler.flush(60)',
    "with another handler": """
        other = dnstap_logging.DnstapHandler(sys.argv[1] + ".other")
        logger.addHandler(other)
        logger.removeHandler(other)
        other.close()
""",
}


@pytest.mark.parametrize("what", ROUNDS)
def test_signals_at_a_high_rate(tmp_path: Path, what: str) -> None:
    """Real signals, thousands a second, that log in the middle of anything: all are counted."""
    found = run(SIGNALS + IN_SIGNALS.replace("ROUND", ROUNDS[what]), tmp_path / "capture.fstrm")

    assert found["logged"] == found["calls"], found
    assert (found["queued"], found["in_flight"]) == (0, 0), found
    assert len(marks(tmp_path / "capture.fstrm")) == found["written"]


COLLECTED = """
import gc, weakref
gc.set_threshold(1, 1, 1)                  # wherever anything is made, something is collected
calls = []
inside = []
def called(*_):
    calls.append(None)
    inside.append(None)
    log("inside")
class Node:
    def __init__(self):
        self.me = self
    def __del__(self):
        called()
handler = attach(sys.argv[1], close_timeout=60)
references = []
def work():
    for number in range(500):
        references.append(weakref.ref(Node(), called))
        calls.append(None)
        log("plain")
        handler.stats()
gc.callbacks.append(lambda phase, info: phase == "start" and called())
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
gc.callbacks.clear()
gc.collect()
gc.set_threshold(10_000)
handler.close()
print(json.dumps({**books(handler), "calls": len(calls), "inside": len(inside)}))
"""


def test_finalizers_weakref_and_gc_callbacks_that_log(tmp_path: Path) -> None:
    """What the garbage collector calls logs, in any thread of ours, and is counted."""
    found = run(COLLECTED, tmp_path / "capture.fstrm")

    assert found["inside"] > 500, "the collector called hardly anything"
    assert found["logged"] == found["calls"], found
    assert (found["queued"], found["in_flight"]) == (0, 0), found
    assert len(marks(tmp_path / "capture.fstrm")) == found["written"]


def test_an_exception_while_the_thread_is_being_started(tmp_path: Path) -> None:
    """A signal handler that raises while it is started costs nothing: the next record starts it."""
    found = run(
        """
        raised = []
        def interrupt(frame, event, argument):
            if event == "call" and frame.f_code.co_name == "start" and not raised:
                if frame.f_code.co_filename.endswith("threading.py"):
                    raised.append(frame)
                    raise KeyboardInterrupt
        handler = attach(sys.argv[1])
        sys.setprofile(interrupt)
        try:
            log(0)
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        assert raised
        log(1)
        assert handler.flush()
        assert threading.active_count() > 1
        show(handler)
        """,
        tmp_path / "capture.fstrm",
    )

    assert (found["logged"], found["written"]) == (2, 2), found
    assert marks(tmp_path / "capture.fstrm") == ["0", "1"]
