"""Kafka in processes that fork, exit and are interrupted: every record once, and no hanging."""

from __future__ import annotations

import os
from collections import Counter
from typing import Iterator

import pytest

from tests.helpers.mock_cluster import MockCluster, read_records
from tests.situations.interop.taps import marks_in
from tests.situations.life.scripts import IGNORE, run

TOPIC = "dnstap"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster((TOPIC, 4)) as cluster:
        yield cluster


def arrived(cluster: MockCluster) -> Counter[str]:
    """Return how often each mark arrived."""
    return Counter(marks_in(each.value for each in read_records(cluster.brokers, TOPIC)))


FORK = """
import multiprocessing
handler = attach(sys.argv[1])
for number in range(100):
    log(number)
if sys.argv[2] == "flushed":
    assert handler.flush()
def be_child():
    for number in range(100):
        log(f"child {number}")
    assert books(handler)["logged"] == 100, books(handler)
if sys.argv[3] == "multiprocessing":
    child = multiprocessing.get_context("fork").Process(target=be_child)
    child.start()
else:
    child = os.fork()
    if child == 0:
        be_child()
        if sys.argv[3] == "_exit":
            assert handler.flush(60)
            os._exit(0)
        sys.exit()
log(100)
if sys.argv[3] == "multiprocessing":
    child.join()
    assert child.exitcode == 0
else:
    assert os.waitpid(child, 0)[1] == 0
log(101)
"""


@pytest.mark.parametrize("ending", ["_exit", "sys.exit", "multiprocessing"])
@pytest.mark.parametrize("state", ["flushed", "under way"])
def test_each_process_has_a_producer_of_its_own(
    cluster: MockCluster, state: str, ending: str
) -> None:
    """Parent and child log before, during and after each other, and end: each record once."""
    said = run(FORK, cluster.address(TOPIC), state, ending, first=IGNORE)
    assert said["stderr"] == ""
    marks = [*map(str, range(102)), *(f"child {number}" for number in range(100))]
    assert arrived(cluster) == Counter(marks)


KEEP = """
from dnstap_logging.kafka.producer import keep_for_ever
class Producer:
    def __del__(self, say=print):
        say('"destroyed"', flush=True)
keep_for_ever(Producer())
"""


def test_what_is_inherited_is_never_destroyed() -> None:
    """Not even at the interpreter's end, which would wait for threads that are not there."""
    assert run(KEEP) == {"stderr": ""}
