"""The workloads, by name: generators that yield the memory of their process at each mark."""

from __future__ import annotations

import contextlib
import signal
from functools import partial
from pathlib import Path
from typing import Callable, Iterator, List, NamedTuple

from tests.situations.endurance.measure import MARKS, Figures, Process
from tests.situations.endurance.peers import BEGINNING, collector, dial, feed, hanging_up

Run = Callable[[int, Path, str], Iterator[int]]
"""Takes how many, a folder, and the implementation of protobuf."""

MILLION = 1_000_000


class Workload(NamedTuple):
    """Something to do again and again.

    Attributes:
        name: of what, and by what.
        unit: what is counted.
        full: how many for ``make endurance``.
        small: how many in the tests; with these, the leaks that there were show.
        run: does it.
        spare: bytes of a queue that may be empty at one mark and full at another.
    """

    name: str
    unit: str
    full: int
    small: int
    run: Run
    spare: int = 0

    def measure(self, count: int, folder: Path, implementation: str) -> Figures:
        """Run it in a process of its own."""
        return Figures(list(self.run(count, folder, implementation)))


# -- processes that log ------------------------------------------------------------------------


def log(work: str, kind: str, count: int, folder: Path, implementation: str) -> Iterator[int]:
    """Have a process log through a handler.

    Args:
        work: what it does, as `child` names it.
        kind: of the handler.
        count: how often.
        folder: for its files.
        implementation: of protobuf.
    """
    with contextlib.ExitStack() as stack:
        address = ""
        if work == "reconnects":
            address = stack.enter_context(hanging_up(folder))
        elif kind in ("unix", "tcp", "tls"):
            address = stack.enter_context(collector(kind, folder))
        arguments = [
            "-m",
            "tests.situations.endurance.child",
            work,
            str(count),
            kind,
            str(folder),
            address,
        ]
        process = stack.enter_context(Process(arguments, folder, implementation, marks=True))
        yield from process.at_marks()
        process.end()


def logging_with(work: str, kind: str) -> Run:
    """Return such a workload."""
    return partial(log, work, kind)


# -- processes that read -----------------------------------------------------------------------

READER = """
import sys
from dnstap_logging import DnstapReader
print("received", sum(1 for _ in DnstapReader(sys.stdin.buffer)), "messages")
"""
RECEIVER = """
import sys
from dnstap_logging import DnstapReceiver
with DnstapReceiver(sys.argv[1], lambda message: None) as receiver:
    sys.stdin.read()
print("received", receiver.stats().messages, "messages")
"""
COMMAND = ("-m", "dnstap_logging")


def read(
    arguments: List[str], expected: str, count: int, folder: Path, implementation: str
) -> Iterator[int]:
    """Feed a process by its standard input."""
    with Process(arguments, folder, implementation) as process:
        yield from feed(process.input.write, count, process.pid)
        process.input.flush()
        _check(process.end(), expected, count)


def collect(
    arguments: List[str], expected: str, count: int, folder: Path, implementation: str
) -> Iterator[int]:
    """Feed a process by a connection to it."""
    address = f"unix://{folder}/sock"
    places = {"ADDRESS": address, "CAPTURE": str(folder / "capture.fstrm")}
    arguments = [places.get(each, each) for each in arguments]
    with Process(arguments, folder, implementation) as process:
        with dial(address) as sock:
            yield from feed(sock.sendall, count, process.pid)
        number = None if arguments[0] == "-c" else signal.SIGINT
        _check(process.end(number), expected, count)


def send(count: int, folder: Path, implementation: str) -> Iterator[int]:
    """Feed a process that sends it on."""
    with collector("unix", folder) as address:
        arguments = [*COMMAND, "send", "-", address]
        yield from read(arguments, "{} of {} messages sent", count, folder, implementation)


def _check(said: str, expected: str, count: int) -> None:
    """Make sure that it has read all."""
    total = BEGINNING + count // MARKS // 1000 * 1000 * MARKS
    wanted = expected.replace("{}", str(total))
    assert wanted in said, f"no {wanted!r} in what it printed: {said[-2000:]}"


def reading(expected: str, *arguments: str) -> Run:
    """Return a workload of a process that reads its standard input."""
    return partial(read, list(arguments), expected)


def collecting(expected: str, *arguments: str) -> Run:
    """Return a workload of a process that listens on ADDRESS."""
    return partial(collect, list(arguments), expected)


RECEIVED = "received {} messages"
COUNTED = '"messages": {}'

FULL_QUEUE = 6 << 20
"""Bytes of 10,000 payloads, with room to spare."""

HANDLERS = ("file", "unix", "tcp", "tls", "rotating", "timed")
FILTERS = ("anonymizing", "sampling", "rcode", "qname", "pseudonyms")
INTEGRATIONS = (
    "socketserver-udp", "socketserver-tcp", "dnslib-server", "dnslib-upstream", "dnspython"
)  # fmt: skip


def _records(name: str, work: str, kind: str, full: int = 2 * MILLION) -> Workload:
    return Workload(name, "records", full, 30_000, logging_with(work, kind))


def _messages(name: str, run: Run) -> Workload:
    return Workload(name, "messages", 10 * MILLION, 60_000, run)


LOGGING = [
    _records(f"{kind}-{work}", work, kind) for kind in HANDLERS for work in ("adapter", "logger")
]
FILTERING = [_records(f"filter-{name}", name, "file", MILLION) for name in FILTERS]
SERVING = [
    Workload(name, "queries", 200_000, 2000, logging_with(name, "file")) for name in INTEGRATIONS
]
HANDLING = [
    Workload("reconnects", "sessions", 1000, 200, logging_with("reconnects", "unix")),
    Workload("rollovers", "rollovers", 1000, 200, logging_with("rollovers", "rotating")),
    Workload("rollovers-timed", "rollovers", 1000, 200, logging_with("rollovers", "timed")),
    Workload("renewals-file", "handlers", 1000, 200, logging_with("renewals", "file")),
    Workload("renewals-tls", "handlers", 1000, 100, logging_with("renewals", "tls")),
]
READING = [
    _messages("reader", reading(RECEIVED, "-c", READER)),
    _messages("receiver", collecting(RECEIVED, "-c", RECEIVER, "ADDRESS")),
    _messages("top", reading(COUNTED, *COMMAND, "top", "-", "--json")),
    _messages("top-listening", collecting(COUNTED, *COMMAND, "top", "ADDRESS", "--json")),
    _messages("listen", collecting(RECEIVED, *COMMAND, "listen", "ADDRESS")),
    _messages(
        "listen-write", collecting(RECEIVED, *COMMAND, "listen", "ADDRESS", "--write", "CAPTURE")
    ),
    Workload("send", "messages", 10 * MILLION, 120_000, send, FULL_QUEUE),
    _messages("check", reading("{} messages", *COMMAND, "check", "-")),
    Workload(
        "read-yaml", "messages", MILLION, 20_000, reading("", *COMMAND, "read", "--yaml", "-")
    ),
]
WORKLOADS = [*LOGGING, *FILTERING, *SERVING, *HANDLING, *READING]
