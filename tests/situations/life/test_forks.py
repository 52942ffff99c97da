"""Forks: a child's records arrive by a session of its own; its parent's stream stays whole."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path
from typing import List

import pytest

from tests.helpers.support import wait_until
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import numbers_in
from tests.situations.life import scripts
from tests.situations.life.scripts import (
    DEADLINE,
    IGNORE,
    Sessions,
    finish,
    numbered,
    run,
    sessions,
)

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")


FORK = """
handler = attach(sys.argv[1])
for number in range(1000):
    log(number)
if sys.argv[2] == "flushed":
    assert handler.flush()
child = os.fork()
for number in range(1000, 2000):
    log(f"child {number}" if child == 0 else number)
if child == 0:
    assert books(handler)["logged"] == 1000, books(handler)
    logging.shutdown()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
for number in range(2000, 3000):
    log(number)
"""


@pytest.mark.parametrize("address", ["unix://{}/tap.sock", "tcp://127.0.0.1:0"])
@pytest.mark.parametrize("state", ["flushed", "under way"])
def test_each_process_has_a_whole_session_of_its_own(
    tmp_path: Path, address: str, state: str
) -> None:
    """Parent and child log before, during and after each other: two streams, nothing twice."""
    with sessions(address.format(tmp_path)) as collector:
        run(FORK, collector.receiver.address, state, first=IGNORE)
        parent, child = collector.all_ended(2)

    if parent[0] != "0":
        parent, child = child, parent
    assert parent == numbered(3000)
    assert child == [f"child {number}" for number in range(1000, 2000)]


def test_fstrm_capture_takes_parent_and_child(tmp_path: Path) -> None:
    """The reference collector ends with one whole capture of both, each record once."""
    output = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address("unix", tmp_path), output) as collector:
        run(FORK.replace("child {number}", "1{number}"), collector.address, "", first=IGNORE)
        collector.stop()

    assert sorted(numbers_in(output)) == sorted([*range(3000), *range(11000, 12000)])


IMPORTS = """
imported = []
def note(event, arguments):
    if event == "import" and threading.current_thread().name.startswith("dnstap"):
        imported.append(arguments[0])
sys.addaudithook(note)
handler = attach(sys.argv[1], timeout=60, close_timeout=0.5)
logger.info("query", extra={
    "dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(20), "dns_query_zone": "example",
    "dns_query_address": ("192.0.2.1", 53), "dns_response_address": "not an address",
    "dns_query_time": 1.7e9})
handler.close()
print(json.dumps({"imported": imported, **books(handler)}))
"""


@pytest.mark.parametrize(
    "address", ["file://{}/x", "unix://{}/absent", "tcp://127.0.0.1:1", "tls://localhost:1"]
)
def test_the_writer_thread_imports_nothing(tmp_path: Path, address: str) -> None:
    """A fork in the middle of an import would leave that module's lock held in the child."""
    found = run(IMPORTS, address.format(tmp_path))

    assert found["imported"] == []


CHILD_THAT_NEVER_LOGS = """
handler = attach(sys.argv[1])
log(0)
assert handler.flush()
child = os.fork()
if child == 0:
    if sys.argv[2] == "exit":
        sys.exit(0)                     # as a child that runs the parent's code to its end
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
log(1)
"""


@pytest.mark.parametrize("end", ["exit", "_exit"])
def test_a_child_that_logs_nothing_says_nothing(tmp_path: Path, end: str) -> None:
    """A child that only ends, with atexit or without, sends no STOP on its parent's socket."""
    with sessions(f"unix://{tmp_path}/tap.sock") as collector:
        run(CHILD_THAT_NEVER_LOGS, collector.receiver.address, end, first=IGNORE)

        assert collector.all_ended(1) == [["0", "1"]]


NO_HOOKS = """
import logging, os, threading              # whose hooks are needed
os.register_at_fork = lambda **_: None     # as in uWSGI, which forks without running them
"""


def test_a_fork_that_runs_no_hook_is_noticed(tmp_path: Path) -> None:
    """If our hooks do not run, the fork is noticed nevertheless; diagnostics work, too."""
    with sessions(f"unix://{tmp_path}/tap.sock") as collector:
        run(
            """
            said = threading.Event()
            class Said(logging.Handler):
                def emit(self, record):
                    if "dropped" in record.getMessage():
                        said.set()
            logging.getLogger("dnstap_logging").addHandler(Said())
            handler = attach(sys.argv[1], report_interval=0)
            logger.info("wrong", extra={"dns_message_type": "NONE"})   # its threads are there
            log(0)
            assert handler.flush()
            assert said.wait(60)
            child = os.fork()
            log(1 if child else "child")
            if child == 0:
                assert books(handler)["logged"] == 1, books(handler)
                said.clear()
                logger.info("wrong", extra={"dns_message_type": "NONE"})
                assert said.wait(60)
                handler.close()
                assert books(handler)["written"] == 1, books(handler)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            """,
            collector.receiver.address,
            first=NO_HOOKS + IGNORE,
        )
        found = collector.all_ended(2)

    assert sorted(found) == [["0", "1"], ["child"]]


def test_all_threads_of_a_child_whose_fork_ran_no_hook_wait_for_the_reset(tmp_path: Path) -> None:
    """A second thread that logs while the first one resets the child's state waits for that."""
    with sessions(f"unix://{tmp_path}/tap.sock") as collector:
        run(
            """
            import sys
            from dnstap_logging.delivery.writer_thread import WriterThread
            from tests.helpers.support import wait_until

            handler = attach(sys.argv[1])
            log(0)
            assert handler.flush()
            reset = WriterThread.reset_in_child
            begun, logged = threading.Event(), threading.Event()
            def log_too():
                assert begun.wait(60)
                log("second")
                logged.set()
            def seen(self):
                begun.set()
                waits = lambda: sys._current_frames()[second.ident].f_code.co_name
                wait_until(lambda: logged.is_set() or waits() == "reset_child")
                reset(self)
            child = os.fork()
            if child == 0:
                WriterThread.reset_in_child = seen
                second = threading.Thread(target=log_too)
                second.start()
                log("first")
                second.join()
                handler.close()
                assert books(handler)["written"] == 2, books(handler)
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            """,
            collector.receiver.address,
            first=NO_HOOKS + IGNORE,
        )
        found = collector.all_ended(2)

    assert sorted(map(sorted, found)) == [["0"], ["first", "second"]]


WORKERS = """
import multiprocessing
attach(sys.argv[1])
def work(number):
    log(number)
    return os.getpid()
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    with context.Pool(3) as pool:
        pids = set(pool.map(work, range(600), chunksize=20))
        pool.close()
        pool.join()
    print(json.dumps({"workers": len(pids)}))
"""


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_pool_of_multiprocessing_loses_nothing(tmp_path: Path, method: str) -> None:
    """However multiprocessing makes its workers, each delivers by a session of its own."""
    program = tmp_path / "program.py"
    program.write_text(IGNORE + scripts.PRELUDE + scripts.HELPERS + WORKERS)
    with sessions(f"unix://{tmp_path}/tap.sock") as collector:
        command = [sys.executable, "-W", "error", str(program)]
        with scripts.spawn([*command, str(collector.receiver.address), method]) as process:
            workers = finish(process)["workers"]
        found = collector.all_ended(workers)

    assert sorted(mark for each in found for mark in each) == sorted(numbered(600))


PREFORK = """
import signal, socketserver

class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        if isinstance(self.request, tuple):
            wire, sock = self.request
            log(wire.decode())
            sock.sendto(b"%d" % os.getpid(), self.client_address)
        else:
            log(self.request.recv(100).decode())
            self.request.sendall(b"%d" % os.getpid())

kind = socketserver.UDPServer if sys.argv[2] == "udp" else socketserver.TCPServer
attach(sys.argv[1])
log("parent")                              # its thread and its connection are there at the fork
logger.handlers[0].flush()
server = kind(("127.0.0.1", 0), Echo)
server.socket.setblocking(False)           # a worker that came too late must not wait in accept
server.handle_error = lambda *_: None
workers = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        server.serve_forever(poll_interval=0.05)
    workers.append(pid)
print(server.server_address[1], flush=True)
sys.stdin.readline()
for pid in workers:
    os.kill(pid, signal.SIGTERM)
for pid in workers:
    assert os.waitpid(pid, 0)[1] == 0
server.server_close()
print(json.dumps({}))
"""


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_a_preforking_socketserver(tmp_path: Path, protocol: str) -> None:
    """Children that serve one inherited socket log what each has answered, by its own session."""
    answers: List[bytes] = []
    with sessions(f"unix://{tmp_path}/tap.sock") as collector:
        address = collector.receiver.address
        with scripts.start(PREFORK, address, protocol, first=IGNORE) as script:
            assert script.stdout is not None
            line = script.stdout.readline()
            assert line.strip().isdigit(), finish(script)

            def all_three_had_one() -> bool:
                answers.append(ask(protocol, int(line), str(len(answers))))
                return len(set(answers)) == 3

            wait_until(all_three_had_one, "a request for each worker", DEADLINE)
            finish(script, say="end\n")
        found = collector.all_ended(4)

    assert ["parent"] in found
    logged = sorted(int(mark) for each in found if each != ["parent"] for mark in each)
    assert logged == list(range(len(answers)))


def ask(protocol: str, port: int, text: str) -> bytes:
    """Send a request to the server; return the process id that answered."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(("127.0.0.1", port))
        sock.sendall(text.encode())
        return sock.recv(100)


WSGI = """
def application(environ, start_response):
    log(environ["PATH_INFO"][1:])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
attach(os.environ["TAP"])
log("preloaded")
"""


@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn_with_a_preloaded_application(
    tmp_path: Path, worker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers of gunicorn --preload deliver by sessions of their own, and SIGTERM loses nothing."""
    scripts.require_module("gunicorn")
    if worker == "gevent":
        scripts.require_module("gevent", scripts.GEVENT_SINCE)
    (tmp_path / "served.py").write_text(scripts.HELPERS + "import os\n" + WSGI)
    with sessions(f"unix://{tmp_path}/tap.sock") as collector:
        monkeypatch.setenv("TAP", str(collector.receiver.address))
        options = ["--preload", "-w", "2", "-k", worker, "-b", f"unix:{tmp_path}/http.sock"]
        command = [sys.executable, "-m", "gunicorn", *options, "served:application"]
        with scripts.spawn(command, cwd=tmp_path) as server:
            sent = _ask_until_both_workers_answer(tmp_path / "http.sock", collector)
            server.send_signal(signal.SIGTERM)
            said = finish(server)["stderr"]
        found = collector.all_ended(3)

    assert "Traceback" not in said, said
    assert sorted(mark for each in found for mark in each) == sorted([*sent, "preloaded"])


def _ask_until_both_workers_answer(path: Path, collector: Sessions) -> List[str]:
    """Send requests until each worker had some; return their names."""
    workers = set()
    sent: List[str] = []

    def both() -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(DEADLINE)
            if sock.connect_ex(str(path)):
                return False  # it does not listen yet
            name = f"request {len(sent)}".replace(" ", "-")
            sock.sendall(f"GET /{name} HTTP/1.0\r\n\r\n".encode())
            answer = b"".join(iter(lambda: sock.recv(1000), b""))
        sent.append(name)
        workers.add(answer.rpartition(b"\r\n")[2])
        return len(workers) == 2

    wait_until(both, "answers of both workers", DEADLINE)
    return sent
