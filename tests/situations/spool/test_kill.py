"""A program that is killed again and again while its collector comes and goes: what is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from dnstap_logging import DnstapReader
from dnstap_logging.exceptions import DecodeError, RemoteProtocolError
from tests.helpers.programs import started_program
from tests.helpers.support import wait_until
from tests.situations.faults.receivers import DEADLINE, Witness
from tests.situations.interop.captures import dnstap_quiet, read_capture
from tests.situations.interop.collectors import free_address
from tests.situations.interop.taps import tapped
from tests.situations.spool.scenes import TIMES, Reading, segments, wait_for

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="other systems do not tell what was unread"
)

KILLS = 6
KILLS_FULL = 100

BURST = 50
"""Records that a program logs between two of its reports."""

SOCKET_HOLDS = 800
"""Records that lie unread in a unix socket at most: more than its buffer holds of them."""

LARGEST = 1000
"""Bytes that no frame of the program has."""

# Arguments: the address, the folder of the spool, the file of its reports, the first number.
PROGRAM = """
import json, os, sys, time
from tests.situations.interop.taps import Tap
from dnstap_logging import DnstapHandler
address, spool, report, first = sys.argv[1:]
tap = Tap(DnstapHandler(address, spool=spool, queue_size=500, timeout=0.1, sequence=True,
                        reconnect_interval=0.01, max_reconnect_interval=0.1))
out = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
number = int(first)
while True:
    stats = tap.stats()
    held, dropped = stats.queued + stats.in_flight, sum(stats.dropped.values())
    line = {"until": number + BURST, "held": held, "dropped": dropped}
    os.write(out, json.dumps(line).encode() + b"\\n")
    tap.log_numbers(range(number, number + BURST), bytes(300))
    number += BURST
    time.sleep(0.01)
""".replace("BURST", str(BURST))


def last_report(path: Path) -> Dict[str, Any]:
    """Return what a program said last, of which the end may be missing."""
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return dict(json.loads(whole.rpartition(b"\n")[2])) if whole else {}


def read_ours(path: Path) -> None:
    """Read a segment with our reader; only its end may be missing."""
    with DnstapReader(path) as reader:
        try:
            for _ in reader:
                pass
        except (DecodeError, RemoteProtocolError) as error:
            if reader.offset < path.stat().st_size - LARGEST:
                raise AssertionError(f"not only the end of {path} cannot be read") from error


class Life:
    """Start a program again and again, kill it, and have its collector come and go meanwhile."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        self.rng = random.Random(seed)
        self.witness = Witness(free_address("unix", folder), folder)
        self.runs = False
        self.until = 0
        # Of each life: its first number, the one after its last, and how many may be missing.
        self.lives: List[Tuple[int, int, int]] = []

    def switch(self) -> None:
        """Start the collector, or end it."""
        (self.witness.end if self.runs else self.witness.start)()
        self.runs = not self.runs

    def kill_one(self, number: int) -> None:
        """Start the program, and kill it at a random moment; note what may be missing of it."""
        report = self.folder / f"report{number}"
        arguments = [self.witness.address, self.spool, report, self.until]
        command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
        with started_program(self.folder, command, stdout=subprocess.DEVNULL) as program:
            wait_until(lambda: last_report(report), "the program's first report", DEADLINE)
            changes = self.rng.choice((0, 0, 1, 2)) if number else 0  # nobody is there at first
            for _ in range(changes):
                self._let_pass(self.rng.uniform(0, 0.3))
                self.switch()
            self._let_pass(self.rng.uniform(0, 0.5))
            if not number:
                wait_until(lambda: segments(self.spool), "a segment of the first life", DEADLINE)
            assert program.poll() is None
            program.kill()
            program.wait()
        said = last_report(report)
        may_miss = said["held"] + 2 * BURST + said["dropped"] + (SOCKET_HOLDS if changes else 0)
        self.lives.append((self.until, said["until"], may_miss))
        self.until = said["until"]

    @staticmethod
    def _let_pass(seconds: float) -> None:
        threading.Event().wait(seconds)


@pytest.mark.parametrize("kills", [KILLS, pytest.param(KILLS_FULL, marks=pytest.mark.hours)])
def test_a_program_that_is_killed_again_and_again(kills: int, tmp_path: Path) -> None:
    """Missing is at most what was queued, in flight, or written and unread at each kill.

    Every segment is readable at any moment, by our reader and by others.
    """
    seed = time.time_ns() % 100_000
    print("seed", seed)
    life = Life(tmp_path, seed)
    try:
        with Reading(life.spool, read_ours, read_capture) as reading:
            for number in range(kills):
                life.kill_one(number)
                if not number:  # nothing empties the spool now
                    wait_until(lambda: reading.number > 10, "segments to be read", DEADLINE)
            if not life.runs:
                life.switch()
            for path in segments(life.spool)[:3]:
                dnstap_quiet(path)
            with tapped(life.witness.address, spool=life.spool, **TIMES) as tap:
                tap.log_numbers([life.until])
                wait_until(lambda: segments(life.spool) == [], "an empty spool", DEADLINE)
                wait_for(tap, queued=0, in_flight=0, spooled=0)
                lost = tap.close().dropped["spool_lost"]
    finally:
        life.witness.end()

    numbers: List[int] = life.witness.numbers()
    found = set(numbers)
    assert not found - set(range(life.until + 1)), "records that nobody logged"
    assert life.until in found, "the last program's record"
    for first, after, may_miss in life.lives:
        missing = sorted(set(range(first, after)) - found)
        print(f"{first}-{after}: {len(missing)} missing, at most {may_miss}")
        assert len(missing) <= may_miss, missing[:10]
    assert lost <= kills, "more than one torn frame for each kill"
