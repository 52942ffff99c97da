"""Forks while records are stored and sent: each process has its own segments."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.helpers.programs import run_python
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.taps import numbers_in, tapped
from tests.situations.spool.scenes import TIMES, audit, segments, wait_for

CHILDREN = 6
EACH = 50

FORKING = """
import os, sys, threading, warnings
from tests.situations.interop.taps import Tap
from dnstap_logging import DnstapHandler
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our subject
address, spool, children, each = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
tap = Tap(DnstapHandler(address, spool=spool, timeout=0.1, close_timeout=60,
                        sequence=True, reconnect_interval=0.01, max_reconnect_interval=0.1))
stopping = threading.Event()
logged = [children * each]
def load():
    while not stopping.wait(0.002):
        tap.log_numbers(range(logged[0], logged[0] + 10))
        logged[0] += 10
thread = threading.Thread(target=load)
thread.start()
pids = []
for number in range(children):
    while tap.stats().spooled < 20 * (number + 1):
        stopping.wait(0.01)
    child = os.fork()
    if child == 0:
        tap.log_numbers(range(number * each, (number + 1) * each))
        sys.exit(0)
    pids.append(child)
for child in pids:
    assert os.waitpid(child, 0)[1] == 0
stopping.set()
thread.join()
assert sum(tap.stats().dropped.values()) == 0, tap.stats()
print(logged[0])
"""


def test_forks_under_load_without_a_collector(tmp_path: Path) -> None:
    """All that parent and children logged is stored once, and then sent: nothing is missing."""
    spool, address = tmp_path / "spool", free_address("unix", tmp_path)
    done = run_python(FORKING, address, spool, CHILDREN, EACH)
    assert done.returncode == 0, done.stderr
    total = int(done.stdout)
    with FstrmCapture(address, tmp_path / "out.fstrm") as collector:
        with tapped(address, spool=spool, **TIMES) as tap:
            tap.log_numbers([total])
            wait_until(lambda: segments(spool) == [], "an empty spool", DEADLINE)
            wait_for(tap, spooled=0, queued=0, in_flight=0)
            stats = tap.close()
        collector.stop()
    assert sum(stats.dropped.values()) == 0, stats
    assert sorted(numbers_in(collector.output)) == list(range(total + 1))
    runs = audit(collector.output)
    assert len(runs) == CHILDREN + 1
    assert not any(run["missing"] or run["twice"] for run in runs)


LISTING = """
import os, sys, threading, warnings
from dnstap_logging.spool.folder import SpoolFolder
warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: our subject
path, forks = sys.argv[1], int(sys.argv[2])
folder = SpoolFolder(path, 1 << 20, ["unix:///dnstap.sock"], 98304)
folder.check()
for number in range(500):
    open(os.path.join(path, f"{number:019}-1.fstrm"), "w").close()
stopping, listed = threading.Event(), threading.Event()
def list_it():
    while not stopping.is_set():
        folder.look()
        listed.set()
thread = threading.Thread(target=list_it)
thread.start()
statuses = []
for _ in range(forks):
    listed.clear()
    listed.wait()  # or the forks would leave no time for it
    child = os.fork()
    if child == 0:
        numbers = os.listdir("/proc/self/fd")
        links = [f"/proc/self/fd/{each}" for each in numbers]
        os._exit(any(os.path.realpath(each).startswith(path) for each in links))
    statuses.append(os.waitpid(child, 0)[1])
stopping.set()
thread.join()
assert folder.files == 500
print(sum(map(bool, statuses)))
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be listed")
def test_forks_while_the_folder_is_listed(tmp_path: Path) -> None:
    """No child has the folder's descriptor, which its file system could not be unmounted with."""
    done = run_python(LISTING, tmp_path / "spool", 100)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"
