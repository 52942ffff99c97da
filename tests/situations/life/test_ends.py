"""How programs end: threads that log on, hooks in any order, signals, and what is lost: nothing."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import numbers_in
from tests.situations.life.scripts import finish, marks, numbered, run, start

SHOW_LAST = """
import atexit, sys
def show_last():
    show(handler)
atexit.register(show_last)                 # before logging is imported: runs after its shutdown
"""


def test_threads_that_log_while_the_program_ends(tmp_path: Path) -> None:
    """Threads that are joined at the end lose nothing; daemons get as far as close, all counted."""
    capture = tmp_path / "capture.fstrm"
    books = run(
        """
        handler = attach(sys.argv[1], overflow="block", close_timeout=60)
        ended = threading.Event()
        def finish_work(first):
            ended.wait()                   # until the main thread is at its end
            for number in range(first, first + 1000):
                log(number)
        def log_on():
            while True:
                log("daemon")
                time.sleep(0)
        for first in range(0, 4000, 1000):
            threading.Thread(target=finish_work, args=(first,)).start()
        for _ in range(2):
            threading.Thread(target=log_on, daemon=True).start()
        ended.set()
        """,
        capture,
        first=SHOW_LAST,
    )

    found = marks(capture)
    assert sorted(mark for mark in found if mark != "daemon") == sorted(numbered(4000))
    said = books.pop("stderr").splitlines()
    assert all("closed" in line for line in said), said
    assert len(found) == books["written"]
    assert set(books) <= {"logged", "written", "queued", "in_flight", "closed"}, books
    assert (books["queued"], books["in_flight"]) == (0, 0)


def assert_only_says_closed(said: str) -> None:
    """Check that nothing was said but the loss, if the diagnostics' thread still got its turn."""
    lines = said.splitlines()
    assert len(lines) <= 1, said
    assert all("closed 1" in line for line in lines), said


ORDERS = {
    "hook first, then logging": ("import atexit\natexit.register(lambda: log(1))\n", "", "closed"),
    "logging first, then hook": ("", "atexit.register(lambda: log(1))", "written"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_an_exit_hook_that_logs(tmp_path: Path, order: str) -> None:
    """What a hook logs before logging.shutdown is delivered; after it, it is counted closed."""
    first, later, outcome = ORDERS[order]
    script = f"import atexit\n{later}\nhandler = attach(sys.argv[1])\nlog(0)"
    books = run(script, tmp_path / "capture.fstrm", first=SHOW_LAST + first)

    said = books.pop("stderr")
    expected = {"logged": 2, "written": 1, "queued": 0, "in_flight": 0}
    expected[outcome] = expected.get(outcome, 0) + 1
    assert books == expected
    assert marks(tmp_path / "capture.fstrm") == numbered(expected["written"])
    if outcome == "closed":
        assert_only_says_closed(said)
    else:
        assert said == ""


def test_a_name_that_is_first_resolved_at_the_end(tmp_path: Path) -> None:
    """A program that logs once and ends before its collector's name is known loses nothing."""
    output = tmp_path / "capture.fstrm"
    script = """
import socket, atexit
def not_yet(host, *arguments, known=socket.getaddrinfo, **others):
    if host == "localhost" and not ending:
        raise socket.gaierror(socket.EAI_AGAIN, "the DNS has not started")
    return known(host, *arguments, **others)
ending = []
socket.getaddrinfo = not_yet
handler = attach(sys.argv[1])
log(0)
while not handler.stats().last_error:
    time.sleep(0.01)
atexit.register(ending.append, True)
"""
    with FstrmCapture(free_address("tcp", tmp_path), output) as collector:
        address = collector.address.replace("127.0.0.1", "localhost")
        assert "dropped" not in run(script, address)["stderr"]
        collector.stop()

    assert marks(output) == ["0"]


FIRST_RECORDS = {
    "a hook of threading": "threading._register_atexit(log, 0)",
    "a hook of atexit": "import atexit; atexit.register(log, 0)",
    "a thread that is joined": """
waiting = threading.main_thread()
threading.Thread(target=lambda: (waiting.join(), log(0))).start()
""",
}


@pytest.mark.parametrize("when", FIRST_RECORDS)
@pytest.mark.parametrize("scheme", ["unix", "file"])
def test_the_first_record_at_the_very_end(tmp_path: Path, when: str, scheme: str) -> None:
    """Where no thread can be started any more, the end itself delivers, with START and STOP."""
    output = tmp_path / "capture.fstrm"
    script = f"handler = attach(sys.argv[1])\n{FIRST_RECORDS[when]}"
    if scheme == "file":
        assert run(script, output)["stderr"] == ""
    else:
        with FstrmCapture(free_address(scheme, tmp_path), output) as collector:
            assert run(script, collector.address)["stderr"] == ""
            collector.stop()

    assert marks(output) == ["0"]


@pytest.mark.parametrize("before", ["log(0)", "pass"])
def test_a_record_while_modules_are_torn_down(tmp_path: Path, before: str) -> None:
    """What a finalizer logs after the end of logging is counted closed: no error, no hang."""
    books = run(
        f"""
        handler = attach(sys.argv[1])
        {before}
        class Last:
            log, handler, logged = log, handler, logger
            def __del__(self, show=show):
                self.logged.info("query", extra={{"dns_message_type": "CLIENT_QUERY"}})
                show(self.handler)
        import builtins
        builtins.last = Last()             # goes when all other modules have gone
        """,
        tmp_path / "capture.fstrm",
    )

    assert books["closed"] == 1, books
    assert_only_says_closed(books["stderr"])
    assert marks(tmp_path / "capture.fstrm") == numbered(books["written"])


UNTIL_SIGTERM = """
import signal, time
handler = attach(sys.argv[1], timeout=60, close_timeout=60)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))     # as the README has it
number = 0
while handler.stats().queued < 10_000:
    log(number)
    number += 1
print(number, flush=True)
while True:
    time.sleep(0.1)  # not signal.pause(), where a signal that came just before would wait
"""


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_sigterm_with_a_full_queue_loses_nothing(tmp_path: Path, scheme: str) -> None:
    """With the README's signal handler, SIGTERM delivers all of 10,000 queued records."""
    output = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address(scheme, tmp_path), output) as collector:
        collector.pause()
        with start(UNTIL_SIGTERM, collector.address, first=SHOW_LAST) as script:
            assert script.stdout is not None
            line = script.stdout.readline()
            assert line.strip().isdigit(), finish(script)
            script.send_signal(signal.SIGTERM)
            collector.resume()
            books = finish(script)
        collector.stop()

    number = int(line)
    assert number >= 10_000
    assert (books["logged"], books["written"], books["stderr"]) == (number, number, ""), books
    assert numbers_in(output) == list(range(number))


def test_a_dead_collector_costs_close_timeout_once(tmp_path: Path) -> None:
    """Three handlers, nobody there: the end takes each one's bound, and each says its loss once."""
    books = run(
        """
        handlers = [attach(f"{sys.argv[1]}.{number}", close_timeout=0.2) for number in range(3)]
        import atexit
        def shutdown():
            began = time.monotonic()
            logging.shutdown()
            taken = time.monotonic() - began
            for handler in handlers:
                assert books(handler)["disconnected"] == 10_000, books(handler)
            print(json.dumps({"seconds": taken}))
        for number in range(10_000):
            log(number)
        atexit.register(shutdown)
        """,
        f"unix://{tmp_path}/absent.sock",
    )

    # Each has 0.2 s, a grace of 0.5 s and 0.25 s for its last words; the rest is a slow machine's.
    assert books["seconds"] < 3 * 0.95 + 10, books
    lost = [line for line in books["stderr"].splitlines() if "disconnected 10000" in line]
    assert len(lost) == 3, books["stderr"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_right_after_the_first_record(tmp_path: Path) -> None:
    """The encoder that is compiled only then does not change how the interpreter ends."""
    capture = tmp_path / "capture.fstrm"
    script = """
    handler = attach(sys.argv[1])
    log(0)
    raise KeyboardInterrupt
    """
    with start(script, capture) as process:
        finish(process, status=-signal.SIGINT)
    assert numbers_in(capture) == [0]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_in_order(tmp_path: Path) -> None:
    """KeyboardInterrupt is an end like any other: what was logged is in a whole capture."""
    capture = tmp_path / "capture.fstrm"
    script = """
    handler = attach(sys.argv[1])
    for number in range(1000):
        log(number)
    print("{}", flush=True)
    threading.Event().wait()
    """
    with start(script, capture) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = finish(process, status=-signal.SIGINT)["stderr"]

    assert marks(capture) == numbered(1000)
    assert "dnstap" not in said, said
