"""Forks while other threads open and close: no child keeps a descriptor of theirs."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from dnstap_logging import DnstapReceiver
from tests.situations.life.scripts import IGNORE, run
from tests.transport.peers import Authority

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="fork"),
    pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be listed"),
]

CHILDREN = 300

FORKS = """
import itertools, socket

def held():
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            pass
    return [link for link in found if link.startswith("socket:") or sys.argv[2] in link]

def keep_on(call):
    def run():
        while not over.is_set():
            call()
    threading.Thread(target=run, daemon=True).start()

before = sorted(held())
over = threading.Event()
SET_UP
leaks = []
late = time.monotonic() + 40               # on a busy machine, fewer children have to do
for number in range(int(sys.argv[1])):
    if time.monotonic() > late and number >= 50:
        break
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        left = [link for link in held() if link not in before]
        os.write(writing, json.dumps(left).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        leaks += json.load(told)
    os.waitpid(child, 0)
    time.sleep(0)                          # lets the other threads have their turn
over.set()
print(json.dumps({"leaks": len(leaks), "first": leaks[:3], "done": done()}), flush=True)
os._exit(0)
"""

CAPTURES = """
paths = [f"{sys.argv[2]}/{each}.fstrm" for each in range(2)]
opened = itertools.count()
def open_and_close(path):
    handler = dnstap_logging.DnstapHandler(path, mode="w")
    handler.close()
    next(opened)
for path in paths:
    keep_on(lambda path=path: open_and_close(path))
done = lambda: next(opened)
"""

ROTATION = """
paths = [f"{sys.argv[2]}/{each}.fstrm" for each in range(2)]
rotated = itertools.count()
def rotate(handler):
    handler.handle(logging.makeLogRecord({"dns_message_type": "CLIENT_QUERY"}))
    handler.doRollover()
    next(rotated)
for path in paths:
    handler = dnstap_logging.RotatingDnstapHandler(path, maxBytes=10**9, backupCount=1)
    keep_on(lambda handler=handler: rotate(handler))
done = lambda: next(rotated)
"""

SOCKETS = """
from dnstap_logging.address import parse_address
from dnstap_logging.transport.resolve import Resolver
from dnstap_logging.transport.tls import TlsOptions
from dnstap_logging.transport.connect import connect
from dnstap_logging.transport.waiting import never
address = parse_address(sys.argv[3])
options = TlsOptions(cafile=f"{sys.argv[2]}/ca.pem")
connected = itertools.count()
def connect_and_close():
    connect(address, timeout=60, until=never, resolver=Resolver(), tls=options).close()
    next(connected)
keep_on(connect_and_close)
keep_on(connect_and_close)
done = lambda: next(connected)
"""

RECEIVER = """
accepted = itertools.count()
def listen_and_accept():
    with dnstap_logging.DnstapReceiver(f"unix://{sys.argv[2]}/tap", lambda message: None) as it:
        while not it.stats().connections and not over.is_set():
            time.sleep(0.001)
    next(accepted)
keep_on(listen_and_accept)
done = lambda: next(accepted)
"""


def fork_during(activity: str, *arguments: object) -> None:
    """Fork hundreds of children while threads open and close; check what each of them holds."""
    script = FORKS.replace("SET_UP", activity)
    found = run(script, CHILDREN, *arguments, first=IGNORE)

    assert found["done"] > 3, f"too little was opened: {found}"
    assert found["leaks"] == 0, found


@pytest.mark.parametrize("activity", [CAPTURES, ROTATION], ids=["captures", "rotation"])
def test_no_child_holds_a_capture(tmp_path: Path, activity: str) -> None:
    """A restarted program would find it locked for as long as the child lives."""
    fork_during(activity, tmp_path)


@pytest.mark.parametrize("scheme", ["unix", "tcp", "tls"])
def test_no_child_holds_a_connection(tmp_path: Path, scheme: str) -> None:
    """The collector would not see the parent's end for as long as the child lives."""
    authority = Authority(tmp_path)
    address = f"unix://{tmp_path}/tap" if scheme == "unix" else f"{scheme}://127.0.0.1:0"
    context = authority.server_context() if scheme == "tls" else None
    with DnstapReceiver(address, lambda message: None, ssl_context=context) as receiver:
        fork_during(SOCKETS, tmp_path, receiver.address)


def test_no_child_holds_what_a_receiver_has(tmp_path: Path) -> None:
    """A child holds neither its listening socket nor a connection: senders would wait for it."""
    over = threading.Event()

    def call_again_and_again() -> None:
        while not over.is_set():
            with socket.socket(socket.AF_UNIX) as client:
                try:
                    client.connect(f"{tmp_path}/tap")
                    client.recv(1)
                except OSError:
                    over.wait(0.001)

    caller = threading.Thread(target=call_again_and_again)
    caller.start()
    try:
        fork_during(RECEIVER, tmp_path)
    finally:
        over.set()
        caller.join()


STUCK = """
import dnstap_logging.transport.file as file
hanging, over = threading.Event(), threading.Event()
def open_and_hang(*arguments):
    hanging.set()
    over.wait()
file.os = type("os", (), {**vars(os), "open": staticmethod(open_and_hang)})
threading.Thread(target=attach, args=(sys.argv[1],), daemon=True).start()
hanging.wait()
began = time.monotonic()
for number in range(20):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
print(json.dumps({"took": time.monotonic() - began}), flush=True)
os._exit(0)
"""


def test_a_file_system_that_hangs_holds_up_no_fork_for_long(tmp_path: Path) -> None:
    """The forks of its first half second wait for its end; those after it do not wait at all."""
    assert run(STUCK, tmp_path / "x", first=IGNORE)["took"] < 5
