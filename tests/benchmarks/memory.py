"""What the package takes of memory: a full queue of typical records, and its import, with the time.

Both are of the resident set of a fresh interpreter, which has what C code takes too, for Python
knows nothing of protobuf's own. The queue's has the bytes of queries and responses and the clients'
addresses in it, which the queue keeps alive.
"""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Dict, List

from dnstap_logging import DnstapAdapter, DnstapHandler
from tests.benchmarks.contenders import logger_with, waiting
from tests.benchmarks.figures import Figure, Quantities, Scale, Section, alternate
from tests.benchmarks.traffic import CONSTANTS, EXTRA, client, wire

Log = Callable[[logging.Logger, random.Random], None]

REPOSITORY = Path(__file__).resolve().parents[2]
MEGABYTE = 1e6
QUEUE_SIZE = 10_000

BASIS = """
import logging
from google.protobuf import descriptor, descriptor_pool, symbol_database
from google.protobuf.internal import builder
"""
"""What the code that protoc writes imports: the price of protobuf alone."""

PROGRAM = """
import json, os, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
{basis}
before, started, cpu = resident(), time.perf_counter(), time.process_time()
{code}
wall, cpu = time.perf_counter() - started, time.process_time() - cpu
print(json.dumps([wall, cpu, resident() - before]))
"""
IMPORTS = {
    "import dnstap_logging": "import dnstap_logging",
    "import dnstap_pb, fstrm": "import dnstap_pb, fstrm, logging.handlers, queue, socket",
}


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fill(way: str) -> None:
    """Fill a queue, each time with a query or a response of its own; print the bytes that it takes.

    Args:
        way: of WAYS.
    """
    source = random.Random(0)
    log = WAYS[way]()
    handler = waiting()
    with logger_with(handler) as logger:
        log(logger, source)  # what is remembered of a kind of record is not the queue's
        gc.collect()
        before = resident()
        for _ in range(QUEUE_SIZE - 1):
            log(logger, source)
        gc.collect()
        taken = resident() - before
        _check_full(handler)
    print(taken)


def full_queue(way: str) -> Quantities:
    """Fill a queue in an interpreter of its own; return megabytes."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", way]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return {"MB": int(done.stdout) / MEGABYTE}


def _check_full(handler: DnstapHandler) -> None:
    queued = handler.stats().queued
    if queued != QUEUE_SIZE:
        raise RuntimeError(f"{queued} records are queued, not {QUEUE_SIZE}")


def by_info() -> Log:
    """Return what logs queries."""

    def log(logger: logging.Logger, source: random.Random) -> None:
        extra = {**EXTRA, "dns_query_message": wire(source, 0), "dns_query_address": client(source)}
        logger.info("query", extra=extra)

    return log


def by_adapter() -> Log:
    """Return what logs queries and responses in turn."""
    taps: Dict[logging.Logger, DnstapAdapter] = {}

    def log(logger: logging.Logger, source: random.Random) -> None:
        tap = taps.setdefault(logger, DnstapAdapter(logger, CONSTANTS))
        if source.random() < 0.5:
            tap.client_query(wire(source, 0), query_address=client(source))
        else:
            answers = source.randint(1, 4)
            tap.client_response(
                wire(source, answers),
                query_address=client(source),
                query_time=source.getrandbits(60),
            )

    return log


WAYS: Dict[str, Callable[[], Log]] = {"logger.info": by_info, "adapter": by_adapter}


def in_fresh_interpreter(code: str, bytecode: str) -> Quantities:
    """Import in an interpreter of its own; return milliseconds and megabytes.

    Args:
        code: what is imported.
        bytecode: a folder for it: what is installed has it, a clone may not.
    """
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": bytecode}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(basis=BASIS, code=code)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    wall, cpu, size = json.loads(done.stdout)
    return {"ms": wall * 1e3, "CPU ms": cpu * 1e3, "MB": size / MEGABYTE}


def imports(rounds: int) -> Dict[str, Quantities]:
    """Measure the imports, once their bytecode is there."""
    with tempfile.TemporaryDirectory() as bytecode:
        ways: Dict[str, Callable[[], Quantities]] = {
            name: functools.partial(in_fresh_interpreter, code, bytecode)
            for name, code in IMPORTS.items()
        }
        alternate(ways, 1)
        return alternate(ways, rounds)


def measure(scale: Scale) -> Section:
    """Measure both."""
    queues = {f"queue, {way}": full_queue(way) for way in WAYS}
    details = {**queues, **imports(scale.imports)}
    return Section("memory, and the import", figures(details), details)


def figures(details: Dict[str, Quantities]) -> List[Figure]:
    """Return the lines of the table."""
    ours = details["import dnstap_logging"]
    fullest = max(details[f"queue, {way}"]["MB"] for way in WAYS)
    return [
        Figure(f"memory of a full queue of {QUEUE_SIZE:,} records", fullest, "MB", 6),
        Figure("import dnstap_logging beyond protobuf: time", ours["ms"], "ms", 17),
        Figure("import dnstap_logging beyond protobuf: memory", ours["MB"], "MB", 3),
    ]


if __name__ == "__main__":
    fill(sys.argv[1])
