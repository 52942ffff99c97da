"""What the tests of broken sessions receive with, load, and count: nothing goes unnoticed.

A `Witness` is a collector that keeps nothing back: it writes to a file what lies in its socket
before it takes it out, so that what it had read when it was killed is in the file.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Iterable, List, NamedTuple, Optional

from dnstap_logging import Stats
from tests.helpers.support import ACCEPT, CONTENT_TYPE, FINISH, READY, START, control, wait_until
from tests.helpers.workers import WatchedLoad
from tests.situations.interop.captures import read_capture, split_frames
from tests.situations.interop.collectors import FstrmCapture
from tests.situations.interop.taps import Tap, marks_in

DEADLINE = 60.0
"""Generous: only a test that fails waits so long."""

OPTIONS = {
    "queue_size": 100_000,
    "queue_bytes": 1 << 28,
    "max_reconnect_interval": 0.5,
    "timeout": DEADLINE,
    "close_timeout": DEADLINE,
}
"""Of handlers that lose nothing at their own end, however slow the machine is."""

BURSTS_PER_SECOND = 100

# Arguments: unix or tcp, path or port, the beginning of the files' names, ACCEPT and FINISH in hex.
WITNESS = r"""
import itertools, os, socket, struct, sys
kind, where, prefix = sys.argv[1:4]
accept, finish = map(bytes.fromhex, sys.argv[4:6])
if kind == "unix":
    listener = socket.socket(socket.AF_UNIX)
    if os.path.exists(where):
        os.unlink(where)
    listener.bind(where)
else:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(where)))
listener.listen()
print("listening", flush=True)

def answers(frames):
    "Take whole frames off the buffer; give the answers to the control frames among them."
    while len(frames) >= 12:
        size, of_control, kind = struct.unpack_from(">III", frames)
        end = 4 + size if size else 8 + of_control
        if len(frames) < end:
            return
        if not size and kind in (4, 3):  # READY, STOP
            yield accept if kind == 4 else finish
        del frames[:end]

def serve(peer, out):
    frames = bytearray()
    while True:
        portion = peer.recv(65536, socket.MSG_PEEK)
        if not portion:
            return
        os.write(out, portion)
        assert len(peer.recv(len(portion))) == len(portion)
        frames += portion
        for answer in answers(frames):
            peer.sendall(answer)

for number in itertools.count():
    peer, _ = listener.accept()
    out = os.open("%s-%03d" % (prefix, number), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        serve(peer, out)
    except OSError:
        pass
    os.close(out)
    peer.close()
"""

START_FRAME = control(START, CONTENT_TYPE)


class Witness:
    """A collector that reports each record at once, in its own process, which may be killed."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self._folder = folder
        self._starts = 0
        self._process: Optional[subprocess.Popen[str]] = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        kind, _, rest = self.address.partition("://")
        where = rest if kind == "unix" else rest.rpartition(":")[2]
        self._starts += 1
        answers = [control(ACCEPT, CONTENT_TYPE).hex(), control(FINISH).hex()]
        self._process = subprocess.Popen(
            [sys.executable, "-c", WITNESS, kind, where, self._prefix(), *answers],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n", "the witness died"

    def _prefix(self) -> str:
        return str(self._folder / f"seen-{self._starts:03d}")

    def end(self) -> None:
        """Kill it, and return when it is gone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(DEADLINE)
            assert process.stdout is not None
            process.stdout.close()

    def fall_behind(self) -> None:
        """Stop it (SIGSTOP): it never reads what is sent to it from now on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def has_records(self) -> bool:
        """Whether it has seen records since it was started."""
        least = len(control(READY, CONTENT_TYPE) + START_FRAME)
        return any(path.stat().st_size > least for path in self._files(self._prefix()))

    def _files(self, prefix: str) -> List[Path]:
        return sorted(self._folder.glob(f"{Path(prefix).name}*"))

    def numbers(self) -> List[int]:
        """Return the numbers of all records that it ever saw."""
        found: List[int] = []
        for path in self._files("seen-"):
            _, start, frames = path.read_bytes().partition(START_FRAME)
            found += map(int, marks_in(split_frames(start + frames).payloads))
        return found


class Captures:
    """fstrm_capture, with a new capture each time that it is started."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self._folder = folder
        self._all: List[FstrmCapture] = []
        self._behind = False

    def start(self) -> None:
        """Start it, and wait until it answers."""
        path = self._folder / f"capture{len(self._all)}.fstrm"
        self._all.append(FstrmCapture(self.address, path).start())

    def end(self) -> None:
        """Stop it as an operator does, and return when it is gone; its capture is whole."""
        current = self._all[-1]
        if self._behind:
            self._behind = False
            current.signal(signal.SIGTERM)  # which it gets to know when it goes on
            current.resume()
            wait_until(lambda: not current.running, "fstrm_capture to end", DEADLINE)
        current.stop()

    def fall_behind(self) -> None:
        """Stop it in its tracks; there are records that it has not read when it is ended."""
        self._behind = True
        self._all[-1].pause()

    def go_on(self) -> None:
        """Let it go on from where it was stopped."""
        self._behind = False
        self._all[-1].resume()

    def kill(self) -> None:
        """Make sure that it is gone."""
        for each in self._all:
            each.kill()

    def has_records(self) -> bool:
        """Whether it has written records since it was started."""
        current = self._all[-1]
        current.flush()
        return current.output.exists() and current.output.stat().st_size > len(START_FRAME)

    def numbers(self) -> List[int]:
        """Return the numbers of the records in all captures."""
        payloads = [read_capture(each.output).payloads for each in self._all]
        return [int(mark) for part in payloads for mark in marks_in(part)]


class Load(WatchedLoad):
    """Log numbered records at a steady rate.

    Args:
        tap: what to log to.
        rate: records a second, at most.
    """

    def __init__(self, tap: Tap, rate: int) -> None:
        super().__init__(tap, self._log)
        self._burst = rate // BURSTS_PER_SECOND
        self.logged = 0

    def _log(self) -> None:
        due = time.monotonic()
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            self.tap.log_numbers(range(self.logged, self.logged + self._burst))
            self.logged += self._burst
            due = max(due + 1 / BURSTS_PER_SECOND, time.monotonic() - 1.0)


class Outcome(NamedTuple):
    """What became of numbered records."""

    logged: int
    received: int
    missing: int
    twice: int
    strange: int


def outcome(logged: int, numbers: Iterable[int]) -> Outcome:
    """Compare the numbers that were logged, from 0 on, with those received."""
    counts = Counter(numbers)
    strange = sum(not 0 <= number < logged for number in counts)
    twice = sum(counts.values()) - len(counts)
    return Outcome(logged, len(counts), logged - len(counts) + strange, twice, strange)


def show(title: str, found: Outcome, stats: Stats, waits: List[float]) -> None:
    """Print the table of a run; ``pytest -s`` shows it."""
    dropped = {cause: count for cause, count in stats.dropped.items() if count}
    spread = sorted(waits) or [0.0]
    print(f"\n{title}")
    for name, value in (
        ("logged", found.logged),
        ("received", found.received),
        ("missing", found.missing),
        ("twice", found.twice),
        ("resent", stats.resent),
        ("unconfirmed", stats.unconfirmed),
        ("dropped", dropped or 0),
        ("sessions", stats.connects),
        ("first record after", f"{spread[len(spread) // 2]:.3f} s median, {spread[-1]:.3f} s most"),
    ):
        print(f"  {name:<18} {value}")


def wait_for_records(collector: object) -> float:
    """Wait until a collector that was just started has records; return the seconds it took."""
    started = time.monotonic()
    has_records = collector.has_records  # type: ignore[attr-defined]
    wait_until(has_records, "the first records after the collector's return", DEADLINE)
    return time.monotonic() - started
