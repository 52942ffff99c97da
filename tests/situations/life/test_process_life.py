"""The life of the process around a handler: forks, signals, reconfiguration, exit."""

from __future__ import annotations

import logging
import logging.config
import os
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List

import pytest

import dnstap_logging
from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReceiver
from tests.helpers.support import assert_balanced, wait_until
from tests.situations.life.queries import ports, run


@pytest.mark.parametrize("ending", ["pass", "sys.exit(0)", "raise SystemExit"])
def test_exit_with_a_full_queue_loses_nothing(tmp_path: Path, ending: str) -> None:
    """Ten thousand records queued when the script ends are all in the capture, whole."""
    capture = tmp_path / "capture.fstrm"
    stderr = run(
        f"""
        attach(sys.argv[1])
        for port in range(10000):
            query(port)
        {ending}
        """,
        capture,
    )

    assert ports(capture) == list(range(10000))
    assert stderr == ""


def test_exit_with_a_dead_collector_counts_all_and_says_so_once(tmp_path: Path) -> None:
    """With nobody listening the exit takes close_timeout, and one line says what was lost."""
    stderr = run(
        """
        import atexit
        handler = attach(sys.argv[1], close_timeout=0.2)
        def books():
            stats = handler.stats()
            assert stats.dropped["disconnected"] == 1000, stats
            assert stats.logged == 1000 and stats.queued == stats.in_flight == 0, stats
        atexit._clear()
        atexit.register(books)             # after logging.shutdown, which was registered later
        atexit.register(logging.shutdown)
        for port in range(1000):
            query(port)
        """,
        f"unix://{tmp_path}/absent.sock",
    )

    lost = [line for line in stderr.splitlines() if "dropped" in line]
    assert len(lost) == 1, stderr
    assert "disconnected 1000" in lost[0]


def test_the_first_record_may_come_at_interpreter_shutdown(tmp_path: Path) -> None:
    """Where no thread can be started any more, close() delivers by itself."""
    capture = tmp_path / "capture.fstrm"
    run(
        """
        import atexit
        handler = attach(sys.argv[1])
        atexit.register(lambda: [query(port) for port in range(100)])
        """,
        capture,
    )

    assert ports(capture) == list(range(100))


def test_logging_shutdown_may_be_called_twice(tmp_path: Path) -> None:
    """A program that calls logging.shutdown itself ends as quietly as any."""
    capture = tmp_path / "capture.fstrm"
    stderr = run(
        """
        attach(sys.argv[1])
        query(1)
        logging.shutdown()
        logging.shutdown()
        """,
        capture,
    )

    assert ports(capture) == [1]
    assert stderr == ""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_has_a_capture_of_its_own(tmp_path: Path) -> None:
    """Parent and child write a whole stream each, with their own records, none twice."""
    capture = tmp_path / "capture.fstrm"
    run(
        """
        handler = attach(sys.argv[1])
        for port in range(100):
            query(port)
        child = os.fork()
        for port in range(100):
            query(1000 + port if child == 0 else port)
        if child == 0:
            assert handler.stats().logged == 100, handler.stats()
            assert handler.stats().address.endswith(f"capture.{os.getpid()}.fstrm")
            handler.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        open(sys.argv[2], "w").write(str(child))
        """,
        capture,
        tmp_path / "pid",
    )

    child = (tmp_path / "pid").read_text()
    assert ports(capture) == [*range(100), *range(100)]
    assert ports(tmp_path / f"capture.{child}.fstrm") == list(range(1000, 1100))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_child_has_a_session_of_its_own(tmp_path: Path) -> None:
    """The child makes its own connection; the parent's session goes on to its FINISH."""
    messages: List[DnstapMessage] = []
    with DnstapReceiver(f"unix://{tmp_path}/tap.sock", messages.append) as receiver:
        run(
            """
            handler = attach(sys.argv[1])
            query(1)
            assert handler.flush()
            child = os.fork()
            if child == 0:
                query(2)
                handler.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            query(3)
            """,
            receiver.address,
        )
        wait_until(lambda: receiver.stats().finished == 2, "two sessions with FINISH")
        stats = receiver.stats()

    assert sorted(message.query_port or 0 for message in messages) == [1, 2, 3]
    assert (stats.connections, stats.protocol_errors) == (2, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_multiprocessing_child_delivers_at_its_end(tmp_path: Path) -> None:
    """A forked multiprocessing worker, where atexit does not run, loses nothing."""
    messages: List[DnstapMessage] = []
    with DnstapReceiver(f"unix://{tmp_path}/tap.sock", messages.append) as receiver:
        run(
            """
            import multiprocessing
            def work():
                for port in range(1000):
                    query(port)
            attach(sys.argv[1])
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            process.join()
            assert process.exitcode == 0
            """,
            receiver.address,
        )
        wait_until(lambda: receiver.stats().finished == 1, "the child's FINISH")

    assert [message.query_port for message in messages] == list(range(1000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_closed_handlers_leave_nothing_in_a_multiprocessing_child(tmp_path: Path) -> None:
    """A worker that is configured again and again does not keep what ended its old handlers."""
    run(
        """
        import gc, multiprocessing, multiprocessing.util
        def work():
            known = len(multiprocessing.util._finalizer_registry)
            for port in range(50):
                handler = attach(sys.argv[1])
                query(port)
                logger.removeHandler(handler)
                handler.close()
            del handler
            gc.collect()
            assert len(multiprocessing.util._finalizer_registry) == known
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
        assert process.exitcode == 0
        """,
        tmp_path / "capture.fstrm",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_fork_under_load_hangs_nobody(tmp_path: Path) -> None:
    """Children forked while other threads log can log and close: no lock is inherited held."""
    capture = tmp_path / "capture.fstrm"
    run(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our very subject
        handler = attach(sys.argv[1])
        stop = threading.Event()
        def log():
            while not stop.is_set():
                query(1)
        threads = [threading.Thread(target=log) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            child = os.fork()
            if child == 0:
                query(2)
                assert handler.stats().logged == 1
                handler.close()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads:
            thread.join()
        """,
        capture,
    )

    assert set(ports(capture)) == {1}
    children = list(tmp_path.glob("capture.*.fstrm"))
    assert len(children) == 20
    assert all(ports(child) == [2] for child in children)


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="fork")
def test_a_log_call_from_a_signal_handler_does_not_deadlock(tmp_path: Path) -> None:
    """A signal handler that logs while its thread is inside the queue's lock is counted."""
    capture = tmp_path / "capture.fstrm"
    run(
        """
        import time
        handler = attach(sys.argv[1], close_timeout=30)
        logged = []                        # appended to, since the handler may interrupt itself
        def on_signal():
            logged.append(None)
            query(2)
            handler.stats()
        calls = 0
        with Signals(0.0001, on_signal):
            end = time.monotonic() + 2
            while time.monotonic() < end:
                calls += 1
                query(1)
                handler.stats()
        handler.close()
        stats = handler.stats()
        assert stats.logged == calls + len(logged), (stats, calls, len(logged))
        assert stats.logged == stats.written + sum(stats.dropped.values()), stats
        """,
        capture,
    )

    assert set(ports(capture)) == {1, 2}


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="there an exception from a signal handler can leave any `with lock` locked (bpo-29988)",
)
def test_an_exception_from_a_signal_handler_does_not_silence_its_thread(tmp_path: Path) -> None:
    """A program may raise out of its signal handlers anywhere: the next record is taken again."""
    run(
        """
        import signal, time
        class Interruption(BaseException): pass
        def on_signal(number, frame):
            raise Interruption
        handler = attach(sys.argv[1], close_timeout=30)
        signal.signal(signal.SIGALRM, on_signal)
        end = time.monotonic() + 2
        rounds = 0
        while time.monotonic() < end:
            rounds += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003)
                while True:
                    query(1)
                    handler.stats()
            except Interruption:
                pass
            assert not handler._writer_thread._queue.entered(), rounds
        assert rounds > 100, rounds
        assert handler.flush(30), handler.stats()
        before = handler.stats().accepted
        for _ in range(100):
            query(2)
        assert handler.stats().accepted == before + 100, handler.stats()
        assert handler.flush(), handler.stats()
        """,
        tmp_path / "capture.fstrm",
    )


RAISING = """
import os, random, signal, time
class Interruption(BaseException): pass
def on_signal(number, frame):
    while frame is not None:               # nothing is raised but into round()
        if frame.f_code.co_name == "round":
            raise Interruption
        frame = frame.f_back
signal.signal(signal.SIGTERM, on_signal)
signal.signal(signal.SIGALRM, on_signal)
handler = attach(sys.argv[1], close_timeout=30)
entered = handler._writer_thread._queue.entered
query(0)                                   # Thread.start of Python 3.11 is not as careful
assert handler.flush(30)
"""

RAISED_IN = {
    "a log call, by two signals": """
main, asked, sent = threading.get_ident(), os.pipe(), os.pipe()
def send():                                # by pipes: a lock of Python's could stay held, too
    while os.read(asked[0], 1):
        time.sleep(random.random() * 0.0002)
        for number in (signal.SIGTERM, signal.SIGALRM):
            signal.pthread_kill(main, number)
        os.write(sent[1], b"!")
threading.Thread(target=send, daemon=True).start()
def round():
    os.write(asked[1], b"!")
    while True:
        query(1)
def after():
    assert os.read(sent[0], 1)
""",
    "flush": """
def round():
    signal.setitimer(signal.ITIMER_REAL, 0.0002 + random.random() * 0.0002)
    query(1)
    while True:
        handler.flush(0.0002)
def after():
    pass
""",
}


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="there an exception from a signal handler can leave any `with lock` locked (bpo-29988)",
)
@pytest.mark.parametrize("where", RAISED_IN)
def test_what_signal_handlers_raise_leaves_no_lock(tmp_path: Path, where: str) -> None:
    """It comes out as it was raised, and other threads log on, wherever it was raised."""
    run(
        RAISING
        + RAISED_IN[where]
        + """
for number in range(200):
    try:
        round()
    except Interruption:
        pass
    after()
    assert not entered(), number
assert handler.flush(30), handler.stats()
""",
        tmp_path / "capture.fstrm",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals")
def test_reopen_and_stats_are_safe_in_a_signal_handler(tmp_path: Path) -> None:
    """SIGHUP may call reopen() at any moment: no deadlock, no record lost."""
    capture = tmp_path / "capture.fstrm"
    run(
        """
        import time
        handler = attach(sys.argv[1], close_timeout=30, overflow="block", queue_size=10)
        with Signals(0.001, handler.reopen):
            end = time.monotonic() + 1
            while time.monotonic() < end:
                query(1)
        handler.close()
        stats = handler.stats()
        assert stats.logged == stats.written + stats.dropped["queue_full"], stats
        """,
        capture,
    )

    assert set(ports(capture)) == {1}


def configuration(address: str) -> Dict[str, Any]:
    tap = {"class": "dnstap_logging.DnstapHandler", "address": address}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"tap": tap},
        "loggers": {"dns.life": {"level": "INFO", "handlers": ["tap"], "propagate": False}},
    }


def test_dictconfig_twenty_times_under_load(tmp_path: Path) -> None:
    """Reconfiguring under load neither hangs nor loses: old handlers drain, new ones take over."""
    messages: List[DnstapMessage] = []
    stop = threading.Event()
    logger = logging.getLogger("dns.life")
    used: List[DnstapHandler] = []

    def log() -> None:
        while not stop.wait(0.0005):  # the pace of a server; two busy loops would only fight
            logger.info("query", extra={"dns_message_type": "CLIENT_QUERY"})

    with DnstapReceiver(f"unix://{tmp_path}/tap.sock", messages.append) as receiver:
        address = str(receiver.address)
        logging.config.dictConfig(configuration(address))
        threads = [threading.Thread(target=log) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            handler = dnstap_logging.get_handler("tap")
            assert handler is not None
            used.append(handler)
            wait_until(lambda handler=handler: handler.stats().written, "records of this handler")
            logging.config.dictConfig(configuration(address))
        stop.set()
        for thread in threads:
            thread.join(20)
        last = dnstap_logging.get_handler("tap")
        assert last is not None
        used.append(last)
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
        logger.handlers.clear()
        last.close()
        wait_until(lambda: receiver.stats().active == 0, "the connections to end")

    assert len({id(handler) for handler in used}) == 21
    for handler in used:
        assert_balanced(handler.stats())
        assert handler.stats().dropped["disconnected"] == 0, handler.stats()
    assert len(messages) == sum(handler.stats().written for handler in used)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals")
def test_sigpipe_at_its_default_action_kills_nobody(tmp_path: Path) -> None:
    """The writer thread blocks SIGPIPE, which a TLS write to a dead collector could raise."""
    run(
        """
        import signal
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        handler = attach(sys.argv[1])
        query(1)
        assert handler.flush()
        writer = handler._writer_thread._driver._thread
        signal.pthread_kill(writer.ident, signal.SIGPIPE)
        query(2)
        assert handler.flush()
        """,
        tmp_path / "capture.fstrm",
    )

    assert ports(tmp_path / "capture.fstrm") == [1, 2]


def test_a_handler_that_could_not_be_made_does_not_break_the_others(tmp_path: Path) -> None:
    """A constructor that raises leaves nothing for logging.shutdown, which closes all the rest."""
    capture = tmp_path / "capture.fstrm"
    stderr = run(
        """
        attach(sys.argv[1])
        query(1)
        for wrong in {}, {"level": "LOUD"}:
            try:
                dnstap_logging.DnstapHandler(sys.argv[2], **wrong)
            except (dnstap_logging.DnstapLoggingError, ValueError) as error:
                kept = error                # and with it the half-made handler
        raise kept
        """,
        capture,
        tmp_path / "nowhere" / "x.fstrm",
        status=1,
    )

    assert "AttributeError" not in stderr, stderr
    assert ports(capture) == [1]
