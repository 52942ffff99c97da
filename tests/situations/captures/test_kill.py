"""A killed writer leaves a torn capture, and the next writer continues it."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any, Dict, List

import pytest

from dnstap_logging import DnstapHandler
from tests.helpers.support import CONTENT_TYPE, START, STOP, control, data, dnstap_payload
from tests.situations.captures.programs import run_program
from tests.situations.captures.whole import log_mark, marks_of, read_whole
from tests.situations.interop.captures import assert_same, split_frames
from tests.situations.interop.taps import marks_in

ROUNDS = [40, pytest.param(200, marks=pytest.mark.slow)]
IN_ORDER = 10
"""One round in this many ends in order, so that the next one overwrites its STOP."""

TOOLS_EVERY = 7
"""The external programs read the capture after one cut in this many: a prime, so that cuts of all
kinds are among them."""

# One process that has imported everything forks a child for each round, which is quick. It has no
# handler of its own, so that a child is like a new process.
KILLER = """
import mmap, random, select

path, seed, rounds, in_order, report = sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5]
chance = random.Random(seed)
written = memoryview(mmap.mmap(-1, 8)).cast("Q")    # shared with the child, and outlives it
STOP = bytes.fromhex("00000000 00000004 00000003")
START_SIZE = 42
FILLER = "x" * 200      # a batch is many pages, so that a kill may come in the middle of a write

def work(number, most, pipe):
    attach(path, overflow="block", queue_size=1000, identity="", version="")
    count = 0
    while count < most:
        logger.info("", extra={
            "dns_message_type": "CLIENT_QUERY", "dns_extra": f"{number} {count} {FILLER}"})
        count += 1
        written[0] = handler.stats().written
        if written[0] and pipe is not None:
            os.write(pipe, b"under load")
            pipe = None
    handler.close()
    stats = handler.stats()
    assert stats.logged == stats.written == most, stats
    written[0] = stats.written

def begin(number, most):
    load, pipe = os.pipe()
    child = fork(lambda: work(number, most, pipe))
    os.close(pipe)
    return child, load

def wait_for_load(load):
    assert select.select([load], [], [], 20)[0] and os.read(load, 100), "no record in 20 s"

def wait(load, seconds):
    '''Wait so long; a child that ends before that, or is under load only now, ends the wait.'''
    select.select([load], [], [], seconds)

def rest_behind(offset):
    '''Return where the whole frames end that follow this offset, and what is behind them.'''
    with open(path, "rb") as capture:
        capture.seek(offset)
        data = capture.read()
    at = 0
    while True:
        size = int.from_bytes(data[at:at + 4], "big")
        if size == 0 or at + 4 + size > len(data):
            return offset + at, data[at:]
        at += 4 + size

offset, results = START_SIZE, []
for number in range(rounds):
    orderly = (number + 1) % in_order == 0
    written[0] = 0
    child, load = begin(number, 300 if orderly else 1 << 60)
    if not orderly:
        if number == 0 or chance.random() < 0.8:    # the others die before, or at the first frames
            wait_for_load(load)
        wait(load, chance.uniform(0, 0.01))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    os.close(load)
    assert status == (0 if orderly else signal.SIGKILL), f"round {number}: status {status:#x}"
    offset, rest = rest_behind(offset)
    left = "nothing" if not rest else "STOP" if rest == STOP else "torn"
    results.append({"reported": written[0], "left": left})
with open(report, "w") as file:
    json.dump(results, file)
"""


@pytest.mark.parametrize("times", ROUNDS)
def test_what_was_written_before_a_kill_is_in_the_capture(
    capture: Path, tmp_path: Path, times: int
) -> None:
    """Killed under load and continued, over and over, a capture is one stream with all it took."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # shown if the test fails
    report = tmp_path / "report.json"
    run_program(KILLER, capture, seed, times, IN_ORDER, report)
    rounds: List[Dict[str, Any]] = json.loads(report.read_text())

    assert len(rounds) == times
    killed = [each["left"] for number, each in enumerate(rounds) if (number + 1) % IN_ORDER]
    assert killed.count("torn") + killed.count("nothing") > times // 2, (seed, killed)
    in_order = [each["left"] for each in rounds[IN_ORDER - 1 :: IN_ORDER]]
    assert in_order == ["STOP"] * (times // IN_ORDER), (seed, in_order)

    found: List[List[int]] = [[] for _ in rounds]
    last = 0
    for mark in marks_of(capture):
        number, count = map(int, mark.split()[:2])
        assert number >= last, f"seed {seed}: round {number} after round {last}"
        found[number].append(count)
        last = number
    for number, each in enumerate(rounds):
        what = f"records of round {number} of seed {seed}"
        assert_same(found[number], range(len(found[number])), what)
        assert len(found[number]) >= each["reported"], f"{what}: {len(found[number])}, {each}"


@pytest.fixture
def sample(tmp_path: Path) -> bytes:
    """Return a small capture of the handler's, five records."""
    path = tmp_path / "sample.fstrm"
    handler = DnstapHandler(path, identity="", version="")
    for number in range(5):
        log_mark(handler, f"old {number}")
    handler.close()
    return path.read_bytes()


def continue_capture(path: Path, content: bytes, *marks: str) -> None:
    """Put a file there as a writer that was killed left it, and log these marks into it."""
    path.write_bytes(content)
    handler = DnstapHandler(path, identity="", version="")
    for mark in marks:
        log_mark(handler, mark)
    handler.close()
    stats = handler.stats()
    assert (stats.written, stats.logged, stats.last_error) == (len(marks), len(marks), None), stats


def cuts_of(sample: bytes) -> List[int]:
    """Return every place in START, in the last two frames and in STOP."""
    last_two = sum(4 + len(payload) for payload in split_frames(sample).payloads[-2:])
    stop = len(sample) - len(control(STOP))
    return [*range(len(control(START, CONTENT_TYPE)) + 1), *range(stop - last_two, len(sample) + 1)]


def test_a_capture_that_was_cut_anywhere_goes_on(capture: Path, sample: bytes) -> None:
    """Wherever a capture ends, all its whole frames stay, and the next ones follow them."""
    for cut in cuts_of(sample):
        kept = split_frames(sample[:cut]).payloads

        continue_capture(capture, sample[:cut], f"new {cut}")

        payloads = read_whole(capture, tools=cut % TOOLS_EVERY == 0)
        assert payloads[:-1] == kept, f"cut at byte {cut}"
        assert marks_of(capture, tools=False)[-1] == f"new {cut}", f"cut at byte {cut}"


def test_a_capture_that_was_cut_gets_its_stop_without_a_record(
    capture: Path, sample: bytes
) -> None:
    """A handler that only comes and goes makes the capture whole again, and adds nothing."""
    for cut in cuts_of(sample):
        kept = split_frames(sample[:cut]).payloads

        continue_capture(capture, sample[:cut])

        assert read_whole(capture, tools=cut % TOOLS_EVERY == 0) == kept, f"cut at byte {cut}"


@pytest.mark.parametrize("zeros", [1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 511, 4096, 1 << 20])
@pytest.mark.parametrize("stop", [True, False])
def test_zeros_at_the_end_are_cut_off(capture: Path, sample: bytes, zeros: int, stop: bool) -> None:
    """Zeros that a file system left for bytes that never reached the disk are cut off."""
    content = sample if stop else sample[: -len(control(STOP))]

    continue_capture(capture, content + bytes(zeros), "new")

    assert marks_of(capture) == [f"old {number}" for number in range(5)] + ["new"]


def test_a_frame_that_promises_more_than_there_is_is_cut_off(capture: Path, sample: bytes) -> None:
    """A frame of which only the length was written is cut off, even of the largest size."""
    torn = sample[: -len(control(STOP))] + (1 << 20).to_bytes(4, "big") + b"x" * 100

    continue_capture(capture, torn, "new")

    assert marks_of(capture) == [f"old {number}" for number in range(5)] + ["new"]


def test_an_empty_stream_is_continued(capture: Path) -> None:
    """A capture of START alone, or of START and STOP, gets its records behind START."""
    start = control(START, CONTENT_TYPE)
    for content in (start, start + control(STOP)):
        continue_capture(capture, content, "new")

        assert marks_of(capture) == ["new"]
        assert capture.read_bytes().startswith(start)


LARGE = 70 * 1024 * 1024
"""More than what is read from the beginning to find the end of a capture."""


def test_a_large_capture_goes_on(capture: Path) -> None:
    """A capture of which only the tail is read is continued after its last whole frame."""
    payload = dnstap_payload(0) + b"\x1a\x80\x80\x04" + b"x" * 65536  # extra once more: it wins
    count = LARGE // (4 + len(payload)) + 1
    with capture.open("wb") as file:
        file.write(control(START, CONTENT_TYPE))
        for _ in range(count):
            file.write(data(payload))
    size = capture.stat().st_size
    for cut, whole in (size, count), (size - 1, count - 1), (size - 2 * len(payload), count - 2):
        os.truncate(capture, cut)
        handler = DnstapHandler(capture, identity="", version="")
        log_mark(handler, "new")
        handler.close()

        payloads = read_whole(capture, tools=False)
        assert len(payloads) == whole + 1, f"cut at byte {cut}"
        assert set(payloads[:-1]) == {payload}, f"cut at byte {cut}"
        assert marks_in(payloads[-1:]) == ["new"], f"cut at byte {cut}"
