"""Many days in a minute: exact counters; memory, threads and descriptors as in the beginning."""

from __future__ import annotations

import gc
import logging
import operator
import os
import threading
import tracemalloc
from pathlib import Path
from typing import Tuple

import pytest

from dnstap_logging import DnstapHandler
from tests.helpers.support import assert_balanced, wait_until
from tests.situations.interop.captures import read_capture
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.life.scripts import run

MEGABYTE = 1 << 20
RECONNECTS = 100


@pytest.mark.parametrize("overflow", ["drop", "block"])
def test_counters_are_exact_under_sixteen_threads(
    logger: logging.Logger, capture: Path, overflow: str
) -> None:
    """Each of 100,000 records of 16 threads is in the capture or counted, at every moment."""
    handler = DnstapHandler(capture, queue_size=500, overflow=overflow, close_timeout=60)
    logger.addHandler(handler)
    each = 100_000 // 16

    def work() -> None:
        for number in range(each):
            logger.info("query", extra={"dns_message_type": "CLIENT_QUERY"})
            if number % 1000 == 0:
                assert_balanced(handler.stats())

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()

    stats = handler.stats()
    assert_balanced(stats)
    assert stats.logged == 16 * each
    assert stats.written == stats.accepted == len(read_capture(capture).payloads)
    assert stats.logged == stats.written + stats.dropped["queue_full"]
    assert (stats.dropped["queue_full"] > 0) is (overflow == "drop"), stats
    assert stats.bytes_written < capture.stat().st_size


MANY = 200_000
TRACED = MANY // 10
FIRST = 10_000
"""Records after which all is there that is made once."""

MANY_RECORDS = """
import gc, os, tracemalloc
many, traced, first = map(int, sys.argv[2:])
handler = attach(sys.argv[1], overflow="block", queue_size=1000, close_timeout=60)
extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(60),
         "dns_query_address": ("192.0.2.1", 53), "dns_socket_protocol": "UDP"}
def log_many(number):
    for _ in range(number):
        logger.info("query", extra=extra)
    assert handler.flush(60), handler.stats()
    gc.collect()
    with open("/proc/self/statm") as statm:
        resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return sys.getallocatedblocks(), tracemalloc.get_traced_memory()[0], resident
blocks, _, resident = log_many(first)
more_blocks, _, more_resident = log_many(many - traced - first)
tracemalloc.start()                        # it makes everything several times slower
_, memory, _ = log_many(first)
_, more_memory, _ = log_many(traced - first)
handler.close()
print(json.dumps({"blocks": more_blocks - blocks, "bytes": more_memory - memory,
                  "resident": more_resident - resident, **books(handler)}))
"""


def test_many_records_take_no_memory(tmp_path: Path) -> None:
    """After that many records through a capture the process holds what it held before.

    tracemalloc does not see what protobuf's C core allocates; the resident memory does.
    """
    found = run(MANY_RECORDS, tmp_path / "capture.fstrm", MANY, TRACED, FIRST)

    assert found["written"] == MANY
    assert found["blocks"] < 5000, f"{found}: one for 20 records would be more"
    assert found["bytes"] < 10 * TRACED, found
    assert found["resident"] < 4 * MEGABYTE, f"{found}: 22 bytes for each record would be more"


def test_a_hundred_reconnects_leave_nothing_behind(logger: logging.Logger, tmp_path: Path) -> None:
    """However often the collector restarts: threads, descriptors and memory are as before."""
    handler = DnstapHandler(
        free_address("unix", tmp_path),
        reconnect_interval=0.01,
        max_reconnect_interval=0.02,
        close_timeout=0.5,
    )
    logger.addHandler(handler)
    collector = FstrmCapture(handler.stats().address, tmp_path / "capture.fstrm")

    def log() -> None:
        logger.info("query", extra={"dns_message_type": "CLIENT_QUERY"})

    def reconnect(times: int) -> int:
        for _ in range(times):
            connects = handler.stats().connects
            with collector:
                log()
                wait_until(
                    lambda connects=connects: handler.stats().connects > connects,
                    "the next session",
                )
                assert handler.flush(60), handler.stats()
            log()  # the writer looks at the connection before it writes
            wait_until(lambda: not handler.stats().connected, "the end of the session")
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        memory, before = reconnect(5), threads_and_descriptors()
        memory_after = reconnect(RECONNECTS)
    finally:
        tracemalloc.stop()
    # The writer is trying to connect all the time: a socket comes and goes.
    wait_until(
        lambda: all(map(operator.le, threads_and_descriptors(), before)),
        f"as few threads and descriptors as {before}",
    )
    handler.close()

    stats = handler.stats()
    assert_balanced(stats)
    assert stats.disconnects == stats.connects >= RECONNECTS
    assert memory_after - memory < MEGABYTE


def threads_and_descriptors() -> Tuple[int, int]:
    """Count the threads and the open descriptors of this process."""
    return threading.active_count(), len(os.listdir("/proc/self/fd"))
