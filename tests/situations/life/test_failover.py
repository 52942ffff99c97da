"""Several collectors in programs of all kinds: at the end of the process, and in greenlets."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.life import scripts
from tests.situations.life.scripts import finish, marks, start

GREENLETS = """
import gevent.monkey
gevent.monkey.patch_all()
"""

SEARCHING = """
handler = attach([sys.argv[1], sys.argv[2]], prefer_after=0.001, reconnect_interval=0.01)
for number in range(100):
    log(number)
while handler.stats().attempts[sys.argv[1]][0] < 3:    # the search has begun, and goes on
    time.sleep(0)
"""


@pytest.mark.parametrize("end", ["", "logging.shutdown()\n", "handler.close()\nshow(handler)\n"])
def test_a_program_ends_during_a_search(tmp_path: Path, end: str) -> None:
    """Whatever ends it, all is delivered, and nobody is told anything on standard error."""
    output = tmp_path / "capture.fstrm"
    nobody = f"unix://{tmp_path}/nobody.sock"
    quiet = "logging.getLogger('dnstap_logging').disabled = True\n"
    with FstrmCapture(free_address("unix", tmp_path), output) as collector:
        with start(quiet + SEARCHING + end, nobody, collector.address) as process:
            found = finish(process)
        collector.stop()

    assert found["stderr"] == ""
    assert marks(output) == scripts.numbered(100)


def test_greenlets_go_to_the_next_and_back(tmp_path: Path) -> None:
    """Under gevent the search is a greenlet, and the program runs on meanwhile."""
    scripts.require_module("gevent", scripts.GEVENT_SINCE)
    (tmp_path / "first").mkdir()
    first = FstrmCapture(free_address("unix", tmp_path / "first"), tmp_path / "first.fstrm")
    second = FstrmCapture(free_address("unix", tmp_path), tmp_path / "second.fstrm")
    quiet = "logging.getLogger('dnstap_logging').disabled = True\n"
    script = """
    print("searching", flush=True)
    sys.stdin.readline()
    while handler.stats().address != sys.argv[1]:
        time.sleep(0.001)
    for number in range(100, 200):
        log(number)
    handler.close()
    show(handler)
    """
    code = quiet + SEARCHING + textwrap.dedent(script)
    addresses = first.address, second.address
    with second:
        with start(code, *addresses, first=GREENLETS, warnings="default") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "searching\n"
            with first:
                found = finish(process, say="\n")
                first.stop()
        second.stop()

    assert (found["logged"], found["written"]) == (200, 200), found
    assert marks(second.output) == scripts.numbered(100)
    assert marks(first.output) == scripts.numbered(200)[100:]
