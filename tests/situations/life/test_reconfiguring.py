"""Reconfiguring under load: threads, descriptors and books are in order, however often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.situations.interop.captures import read_capture
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.life.scripts import run, sessions

CONFIGURE = """
import logging.config, os
def configure(**handlers):
    logging.config.dictConfig({
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": handlers,
        "loggers": {"dns": {"level": "INFO", "handlers": list(handlers), "propagate": False}},
    })
tap = {"class": "dnstap_logging.DnstapHandler", "address": sys.argv[1], "close_timeout": 60}
def wait_for(condition):
    while not condition():
        time.sleep(0.001)
"""

TIMES = [20, pytest.param(100, marks=pytest.mark.slow)]

AGAIN_AND_AGAIN = """
stop, counts = threading.Event(), [0] * 4
def work(index):
    while not stop.wait(0.0005):           # the pace of a server
        log("load")
        counts[index] += 1
configure(tap=tap)
workers = [threading.Thread(target=work, args=(index,)) for index in range(4)]
for worker in workers:
    worker.start()
used, steady = [], []
for round in range(int(sys.argv[2])):
    handler = dnstap_logging.get_handler("tap")
    used.append(handler)
    wait_for(lambda: handler.stats().written)
    steady.append((threading.active_count(), len(os.listdir("/proc/self/fd"))))
    configure(tap=tap)
stop.set()
for worker in workers:
    worker.join()
used.append(dnstap_logging.get_handler("tap"))
used[-1].close()
total = [books(handler) for handler in used]
print(json.dumps({
    "handlers": len(set(map(id, used))),
    "called": sum(counts),
    "written": sum(each["written"] for each in total),
    "logged": sum(each["logged"] for each in total),
    "left": sum(each["queued"] + each["in_flight"] for each in total),
    "causes": sorted({key for each in total for key in each}),
    "steady": sorted(set(steady[1:])),
}))
"""


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_again_and_again_under_load(tmp_path: Path, scheme: str, times: int) -> None:
    """No deadlock, no loss; threads and descriptors stay as many as they were."""
    output = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address(scheme, tmp_path), output) as collector:
        found = run(CONFIGURE + AGAIN_AND_AGAIN, collector.address, times)
        collector.stop()

    assert found["handlers"] == times + 1
    assert found["left"] == 0
    # dictConfig closes the old handler before it is taken off: what comes meanwhile is counted.
    assert set(found["causes"]) <= {"logged", "written", "queued", "in_flight", "closed"}, found
    assert found["logged"] <= found["called"]
    assert len(read_capture(output).payloads) == found["written"]
    threads, descriptors = zip(*found["steady"])
    assert max(threads) == min(threads) == 4 + 3, found  # theirs; main, writer, diagnostics
    assert max(descriptors) - min(descriptors) <= 0, found


def test_a_closed_handler_that_is_still_attached(tmp_path: Path) -> None:
    """It counts what it drops, starts and opens nothing, and says so once; others go on."""
    with sessions(f"unix://{tmp_path}/tap.sock") as collector:
        found = run(
            CONFIGURE
            + """
configure(tap=tap)
old = dnstap_logging.get_handler("tap")
log(0)
assert old.flush()
configure(tap=tap)                         # closes the old one
logger.addHandler(old)                     # as a module that kept it does
before = threading.active_count(), len(os.listdir("/proc/self/fd"))
for number in range(1, 1001):
    log(number)
    assert old.flush()                     # of a closed one, at once
old.reopen()
old.close()
new = dnstap_logging.get_handler("tap")
assert new.flush()
assert threading.active_count() <= before[0] + 1      # the new handler's
assert len(os.listdir("/proc/self/fd")) <= before[1] + 1
old.acquire(); old.release()
print(json.dumps({"old": books(old), "new": books(new)}))
""",
            collector.receiver.address,
        )
        marks = collector.all_ended(2)

    assert (found["old"]["written"], found["old"]["closed"]) == (1, 1000)
    assert found["new"]["written"] == 1000
    assert marks == [["0"], [str(number) for number in range(1, 1001)]]
    closed = [line for line in found["stderr"].splitlines() if "closed" in line]
    assert 1 <= len(closed) <= 2, found["stderr"]
