"""A receiver among thousands of bad clients: its limits hold, and good clients notice nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest

from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.receiver import DnstapReceiver
from tests.helpers.said import Said
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    FINISH,
    READY,
    START,
    STOP,
    capture,
    control,
    data,
    dnstap_payload,
    wait_until,
)
from tests.receiver.crowd import MAX_FRAME_SIZE
from tests.receiver.peer import TCP, TLS, Authority, Client, Inbox, Make, assert_balanced, wait_for

LONG = 600.0
"""Seconds of what must not happen within a test."""


@pytest.mark.parametrize("scheme", ["unix", "tcp", "tls"])
def test_silent_connections_shut_nobody_out(
    make: Make, inbox: Inbox, unix: str, said: Said, scheme: str
) -> None:
    """If all places are taken, only the oldest connection that sent nothing is closed."""
    authority = Authority() if scheme == "tls" else None
    receiver = make(
        {"unix": unix, "tcp": TCP, "tls": TLS}[scheme],
        max_connections=3,
        handshake_timeout=LONG,
        ssl_context=authority.server() if authority else None,
    )

    with Client(receiver) as first, Client(receiver) as second, Client(receiver) as third:
        wait_for(receiver, active=3)
        with Client(receiver, authority.client() if authority else None) as good:
            good.shake_hands()
            first.expect_closed()
            stats = wait_for(receiver, active=3, protocol_errors=1, refused=0)
            good.send(data(dnstap_payload(1)), control(STOP))
            good.expect(control(FINISH))
        line = said.wait_for("max_connections=3")
        assert "connection 1" in line
        assert stats.connections == 4
        if authority is None:
            for number, client in ((2, second), (3, third)):
                client.shake_hands()
                client.send(data(dnstap_payload(number)), control(STOP))
                client.expect(control(FINISH))

    wait_for(receiver, active=0)
    assert inbox.numbers == ([1] if authority else [1, 2, 3])


def test_who_has_begun_to_shake_hands_gives_way_last(make: Make, inbox: Inbox, unix: str) -> None:
    """A sender in the middle of its handshake is not taken for a silent one while there are any."""
    receiver = make(unix, max_connections=2, handshake_timeout=LONG)

    with Client(receiver) as half, Client(receiver) as silent:
        half.send(control(READY, CONTENT_TYPE))
        half.expect(control(ACCEPT, CONTENT_TYPE))
        wait_for(receiver, active=2)
        with Client(receiver) as newcomer:
            newcomer.send(control(READY, CONTENT_TYPE))
            newcomer.expect(control(ACCEPT, CONTENT_TYPE))
            silent.expect_closed()
            with Client(receiver) as another:
                half.expect_closed()
                another.send(capture([dnstap_payload(1)]))
                another.expect_closed()
            newcomer.send(control(START, CONTENT_TYPE), data(dnstap_payload(2)), control(STOP))
            newcomer.expect(control(FINISH))

    wait_for(receiver, finished=2, protocol_errors=2, refused=0)
    assert inbox.numbers == [1, 2]


def test_streams_keep_their_places(make: Make, inbox: Inbox, unix: str, said: Said) -> None:
    """A connection that has sent START is never closed for another; the others are refused."""
    receiver = make(unix, max_connections=2, handshake_timeout=LONG, report_interval=LONG)

    with Client(receiver) as one, Client(receiver) as two:
        for number, client in enumerate((one, two)):
            client.shake_hands()
            client.send(data(dnstap_payload(number)))
        wait_for(receiver, messages=2)
        for _ in range(100):
            with Client(receiver) as knocking:
                knocking.expect_closed()
        wait_for(receiver, refused=100, active=2, connections=2)
        for number, client in enumerate((one, two), 2):
            client.send(data(dnstap_payload(number)), control(STOP))
            client.expect(control(FINISH))

    assert sorted(inbox.numbers) == [0, 1, 2, 3]
    assert len(said.with_text("refused")) == 1, said.lines


# -- the crowd ---------------------------------------------------------------------------------

ROOT = str(Path(__file__).resolve().parents[2])
CROWDS = [(400, 4000), pytest.param(2000, 20_000, marks=pytest.mark.slow)]
"""Connections of attackers, and messages of each good client."""

MAX_CONNECTIONS = 16

MEMORY = (MAX_CONNECTIONS * 5 + 48) * 65536
"""Bytes that all of it may take at most: for each connection a block of 64 KiB and a frame of 64
KiB four times over; and 3 MiB for the numbers received, the threads and the books."""

KINDS = {
    "handshake": "no START within",
    "silent": "no START yet",
    "refused": "connection refused",
    "undecodable": "payload left out",
    "reset": "ECONNRESET",
}
"""What may be said at most once in an interval; the rest are broken rules, and ends."""


class Numbers:
    """A callback that keeps the numbers of two clients, and counts what the attackers got in."""

    def __init__(self, of_each: int) -> None:
        self.of_each = of_each
        self.of: Dict[int, List[int]] = {0: [], 1: []}
        self.others = 0

    def __call__(self, message: DnstapMessage) -> None:
        number = int(message.extra or b"-1")
        if message.message_type.name == "CLIENT_QUERY":
            self.of[number // self.of_each].append(number)
        else:
            self.others += 1


class Watch:
    """Look at a receiver's books again and again, as a monitoring program does."""

    def __init__(self, receiver: DnstapReceiver) -> None:
        self.receiver = receiver
        self.most = 0
        self.over = threading.Event()
        self.wrong: List[object] = []
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Look until told otherwise."""
        while not self.over.wait(0.002):
            stats = self.receiver.stats()
            self.most = max(self.most, stats.active)
            try:
                assert_balanced(stats)
            except AssertionError:
                self.wrong.append(stats)

    def __enter__(self) -> Watch:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join(20)


def start(kind: str, receiver: DnstapReceiver, *numbers: int) -> subprocess.Popen[str]:
    """Start a process of the crowd."""
    where = (receiver.address.host, str(receiver.address.port))
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tests.receiver.crowd", kind, *where]
        + [str(number) for number in numbers],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> Dict[str, Any]:
    """End a process's input, and return what it printed at its end."""
    try:
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, err
    found: Dict[str, Any] = json.loads(out)
    return found


def threads() -> Set[str]:
    """Name the threads of this process, but for the one that logs diagnostics and stays."""
    return {thread.name for thread in threading.enumerate()} - {"dnstap-diagnostics"}


def descriptors() -> int:
    """Count this process's descriptors, where that can be done."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.fixture
def traced() -> Iterator[None]:
    """Count memory."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize(("connections", "messages"), CROWDS)
def test_two_good_clients_in_a_crowd(
    traced: None, said: Said, connections: int, messages: int
) -> None:
    """Thousands of attackers of twelve kinds; all of two good clients' messages, once, in order."""
    before = threads(), descriptors()
    numbers = Numbers(messages)
    receiver = DnstapReceiver(
        TCP,
        numbers,
        max_frame_size=MAX_FRAME_SIZE,
        max_connections=MAX_CONNECTIONS,
        handshake_timeout=0.5,
        report_interval=LONG,
    )
    with receiver, Watch(receiver) as watch:
        crowd = start("attack", receiver, connections)
        try:
            wait_until(lambda: receiver.stats().connections > 100, "the crowd to gather", 60)
            good = [start("good", receiver, first, messages) for first in (0, messages)]
            results = [result_of(client) for client in good]
        finally:
            made = result_of(crowd)
        stats = wait_for(receiver, active=0)
    peak = tracemalloc.get_traced_memory()[1]

    assert results == [{"written": messages, "dropped": 0}] * 2
    assert numbers.of[0] == list(range(messages))
    assert numbers.of[1] == list(range(messages, 2 * messages))

    assert made["errors"] == []
    assert sum(made["made"].values()) >= connections, made
    assert stats.connections + stats.refused >= connections, stats
    assert stats.finished >= 2
    assert stats.protocol_errors > connections // 4, stats
    assert watch.wrong == []
    assert watch.most <= MAX_CONNECTIONS
    assert watch.most > 2, "there was no crowd"
    assert peak < MEMORY, f"{peak:,} bytes were taken, expected less than {MEMORY:,}"

    lines = [line for line in said.lines if line.startswith(f"receiver {receiver.address}")]
    # Of each kind the first one, and at the end how many more; also who connected and ended.
    assert 3 <= len(lines) <= 2 * (len(KINDS) + 4), lines
    for text in KINDS.values():
        assert len([line for line in lines if text in line]) <= 2, lines
    assert said.with_text("unexpected") == [], "a mistake of the receiver's own"

    wait_until(lambda: threads() == before[0], f"the threads to be {before[0]} again")
    assert descriptors() == before[1]
