"""The same for real: many senders in a few processes, a collector that is killed and comes back.

    python -m tests.storm.real --senders 200 --outage 10

It prints a table with what the simulation says beside it. The collectors are `dnstap-logging
listen` and fstrm_capture. A collector that is killed loses what it has read and not yet written. No
sender can know of that; `check --sequence` finds it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, ContextManager, Dict, Iterator, List, NamedTuple, Protocol

from tests.cli.programs import Listener
from tests.cli.running import run as run_command
from tests.helpers.programs import with_environment
from tests.helpers.support import free_port
from tests.situations.interop.collectors import FstrmCapture
from tests.storm.__main__ import show, text
from tests.storm.simulation import Scene, run

DEADLINE = 180.0
PROCESSES, LEAST = 8, 10
"""At most so many processes; with fewer senders there are fewer, of at least so many each."""

ARGUMENTS = {"close_timeout": DEADLINE, "queue_size": 100_000, "resend_bytes": 1 << 20}


class Collector(Protocol):
    """What writes a capture at an address until it is killed, or stopped in order."""

    def kill(self) -> None:
        """End it at once."""

    def stop(self) -> None:
        """End it in order."""


class Listen(Listener):
    """`dnstap-logging listen` as a collector."""

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self) -> None:
        """End it in order."""
        assert self.end() == 0, self.said


def listen(address: str, path: Path, senders: int) -> ContextManager[Collector]:
    """Return `dnstap-logging listen` with room for all."""
    folder = path.with_suffix("")
    folder.mkdir()
    arguments = ("--max-connections", senders + 10, "--write", path)
    return Listen(folder, address, *arguments)


def fstrm_capture(address: str, path: Path, senders: int) -> ContextManager[Collector]:
    """Return fstrm_capture, which has no limit of connections."""
    return FstrmCapture(address, path)


COLLECTORS = {"dnstap-logging listen": listen, "fstrm_capture": fstrm_capture}


class Outcome(NamedTuple):
    """What came of a run.

    Attributes:
        away: seconds from the collector's end until it answered again.
        back: seconds from then on until the last sender had a session.
        logged: records of all senders.
        dropped: those that the senders dropped.
        unconfirmed: those that the senders say may be missing.
        missing: those that are in no capture.
        twice: those that are there more than once.
        runs: handlers that are found in the captures.
    """

    away: float
    back: float
    logged: int
    dropped: int
    unconfirmed: int
    missing: int
    twice: int
    runs: int


@contextlib.contextmanager
def crowd(folder: Path, address: str, senders: int) -> Iterator[List[subprocess.Popen[str]]]:
    """Run senders in a few processes."""
    processes: List[subprocess.Popen[str]] = []
    share = max(LEAST, -(-senders // PROCESSES))
    try:
        for first in range(0, senders, share):
            count = min(share, senders - first)
            arguments = [address, str(first), str(count), json.dumps(ARGUMENTS)]
            with (folder / f"crowd-{first}.err").open("w") as said:
                process = subprocess.Popen(
                    [sys.executable, "-W", "error", "-m", "tests.storm.crowd", *arguments],
                    env=with_environment(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    text=True,
                )
            processes.append(process)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait(DEADLINE)
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def restart(folder: Path, name: str, senders: int, outage: float, *, kill: bool = True) -> Outcome:
    """End a collector under its senders, and start it again.

    Args:
        folder: for the captures.
        name: of the collector.
        senders: how many there are.
        outage: seconds for which it is away.
        kill: end it with SIGKILL; otherwise in order.
    """
    address = f"tcp://127.0.0.1:{free_port()}"
    make = COLLECTORS[name]
    captures = [folder / "first.fstrm", folder / "second.fstrm"]
    with contextlib.ExitStack() as stack:
        collector = stack.enter_context(make(address, captures[0], senders))
        processes = stack.enter_context(crowd(folder, address, senders))
        wait_for_sessions(processes)
        (collector.kill if kill else collector.stop)()
        ended = time.monotonic()
        threading.Event().wait(outage)  # the pause is the scenario
        collector = stack.enter_context(make(address, captures[1], senders))
        since = time.monotonic()
        wait_for_sessions(processes)
        ends = list(_ends(processes))
        collector.stop()
    return _outcome(ends, ended, since, captures)


def wait_for_sessions(processes: List[subprocess.Popen[str]]) -> None:
    """Wait until all senders have a session, or another one."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "all have a session\n"


def _ends(processes: List[subprocess.Popen[str]]) -> Iterator[Dict[str, Any]]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    for process in processes:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
        assert process.wait(DEADLINE) == 0
        yield from (json.loads(line) for line in lines if line.startswith("{"))


def _outcome(
    ends: List[Dict[str, Any]], ended: float, since: float, captures: List[Path]
) -> Outcome:
    done = run_command("check", "--sequence", "--json", *captures)
    runs = [json.loads(line) for line in done.out.splitlines()]
    return Outcome(
        since - ended,
        max(0.0, max(end["began"][1] for end in ends) - since),
        sum(end["logged"] for end in ends),
        sum(end["dropped"] for end in ends),
        sum(end["unconfirmed"] for end in ends),
        sum(each["missing"] for each in runs),
        sum(each["twice"] for each in runs),
        len(runs),
    )


WAYS = [("dnstap-logging listen", True), ("fstrm_capture", True), ("fstrm_capture", False)]


def main() -> None:
    """Restart each collector, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm.real", description=__doc__)
    parser.add_argument("--senders", type=int, default=200)
    parser.add_argument("--outage", type=float, default=10.0)
    options = parser.parse_args()
    rows = []
    for name, kill in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            found = restart(Path(folder), name, options.senders, options.outage, kill=kill)
        simulated = run(Scene(options.senders, None, found.away)).all_back(found.away)
        rows.append(
            [
                f"`{name}`, {'killed' if kill else 'stopped'}",
                f"{found.away:.1f} s",
                f"{found.back:.1f} s",
                text(simulated),
                f"{found.logged:,}",
                str(found.dropped),
                str(found.unconfirmed),
                str(found.missing),
                str(found.twice),
            ]
        )
    columns = ("collector", "away", "all back", "simulated", "logged", "dropped", "unconfirmed")
    show(
        f"{options.senders} senders, each with 20 records a second",
        (*columns, "missing", "twice"),
        rows,
    )


if __name__ == "__main__":
    main()
