"""Processes that share a folder, and are killed."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Dict, List

import pytest

from dnstap_logging import DnstapReader
from dnstap_logging.exceptions import DecodeError
from dnstap_logging.spool.segment import Segment, SegmentDamaged
from tests.helpers.support import capture
from tests.situations.captures.programs import run_program
from tests.situations.interop.captures import run_tool
from tests.spool.spools import MIB, adopt_all, names, payloads, put, spool

PRELUDE = """
import random, struct, time
from dnstap_logging.spool.folder import SpoolFolder
from dnstap_logging.exceptions import DecodeError
from dnstap_logging.spool.segment import Segment, SegmentDamaged
from tests.helpers.support import dnstap_payload

path = sys.argv[1]

def open_spool():
    folder = SpoolFolder(path, 64 << 20, ["unix:///run/collector.sock"], 1 << 20)
    folder.check()
    return folder
"""

SHARE = (
    PRELUDE
    + """
report, made = sys.argv[2], int(sys.argv[3])

def work(number):
    folder, taken = open_spool(), []
    while True:
        if number and len(taken) < made:        # the first one only takes
            segment = folder.create()
            segment.append([dnstap_payload(number)])
            segment.release()
        segment = folder.adopt()
        if segment is None:
            break
        payloads, _ = segment.read(Segment.FIRST, 100, 1 << 20)
        taken.append([segment.name, len(payloads)])
        segment.delete()
    with open(f"{report}.{number}", "w") as file:
        json.dump(taken, file)

reap(*[fork(lambda: work(number)) for number in range(4)])
"""
)

KILL = (
    PRELUDE
    + """
import mmap, select

report, seed, rounds = sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
chance = random.Random(seed)
shared = memoryview(mmap.mmap(-1, 16)).cast("Q")    # stored, deleted: outlives the child

def work(number, pipe):
    folder, count = open_spool(), 0
    segment, kept = folder.create(), []
    while True:
        batch = [f"{number} {n} ".encode() + bytes(200) for n in range(count, count + 100)]
        segment.append([dnstap(each) for each in batch])
        count += 100
        shared[0] = count
        if pipe is not None:
            os.write(pipe, b"under load")
            pipe = None
        if segment.end > 100_000:
            segment.stop()
            kept.append((segment, count))
            segment = folder.create()
            if len(kept) > 3:
                oldest, until = kept.pop(0)
                shared[1] = until       # before: a kill may come in between
                oldest.delete()

def dnstap(extra):
    return b"\\x1a" + varint(len(extra)) + extra + b"\\x78\\x01\\x72\\x02\\x08\\x01"

def varint(number):
    return bytes([number]) if number < 128 else bytes([number & 127 | 128, number >> 7])

results = []
for number in range(rounds):
    shared[0] = shared[1] = 0
    load, pipe = os.pipe()
    child = fork(lambda: work(number, pipe))
    os.close(pipe)
    assert select.select([load], [], [], 60)[0] and os.read(load, 100), "no record in 60 s"
    select.select([load], [], [], chance.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    os.close(load)
    results.append([shared[0], shared[1]])
with open(report, "w") as file:
    json.dump(results, file)
"""
)


def test_each_segment_is_taken_once(tmp_path: Path) -> None:
    """Four processes that begin together, and adopt and make segments all the time."""
    path, report = tmp_path / "spool", tmp_path / "report"
    for number in range(1, 101):
        put(path, capture(payloads(0, 2)), f"{number}-1.fstrm")

    run_program(SHARE, path, report, 50)

    taken = [json.loads(Path(f"{report}.{number}").read_text()) for number in range(4)]
    assert all(taken), "one found nothing"
    found = [name for each in taken for name, _ in each]
    left = {segment.name for segment in adopt_all(spool(path))}
    assert len(found) == len(set(found))
    old = {f"{number}-1.fstrm" for number in range(1, 101)}
    assert set(found) & left == set()
    assert old <= set(found) | left
    counts = {name: count for each in taken for name, count in each}
    assert {counts[name] for name in old - left} == {2}
    assert {counts[name] for name in counts.keys() - old} <= {1}
    assert [each.name for each in path.iterdir() if each.suffix == ".new"] == []


def readable(path: Path) -> int:
    """Return how many messages DnstapReader reads; it may say that the last one is cut."""
    count = 0
    with DnstapReader(path) as reader:
        try:
            for _ in reader:
                count += 1
        except DecodeError as error:
            if "the file ends inside a frame" not in str(error):
                raise
    return count


def marks_in(segment: Segment) -> List[List[int]]:
    """Return the round and number of each message of a segment that a killed process left."""
    found: List[bytes] = []
    offset = Segment.FIRST
    while True:
        try:
            more, offset = segment.read(offset, 77, MIB)
        except SegmentDamaged as error:
            if error.torn:
                break
            raise
        if not more:
            break
        found += more
    return [[int(part) for part in each.split(b" ")[:2]] for each in map(extra_of, found)]


def extra_of(payload: bytes) -> bytes:
    """Return Dnstap.extra of a message of the program."""
    return payload[2 + (payload[1] > 127) :]


@pytest.mark.parametrize("rounds", [8, pytest.param(100, marks=pytest.mark.slow)])
def test_what_was_stored_before_a_kill_is_found(tmp_path: Path, rounds: int) -> None:
    """A killed process loses nothing of what it stored, and every segment is readable."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown if the test fails
    path, report = tmp_path / "spool", tmp_path / "report.json"

    run_program(KILL, path, report, seed, rounds)

    results = json.loads(report.read_text())
    assert len(results) == rounds
    for name in names(path):
        count = readable(path / name)
        shown, _ = run_tool("dnstap", "-r", path / name, "-q")
        assert shown.count("\n") == count, name
    found: Dict[int, List[int]] = {number: [] for number in range(rounds)}
    folder = spool(path)
    for segment in adopt_all(folder):
        for number, count in marks_in(segment):
            found[number].append(count)
        segment.delete()
    for number, (stored, deleted) in enumerate(results):
        mine = found[number]
        assert mine == list(range(mine[0], mine[-1] + 1)), number
        assert mine[0] <= deleted, (number, mine[0], deleted)
        assert mine[-1] + 1 >= stored, (number, mine[-1], stored)
    assert [each.name for each in path.iterdir()] == ["addresses"]
    assert (folder.size, folder.files) == (0, 0)
