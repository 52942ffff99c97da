"""More senders than `listen` serves, and more than it has descriptors for."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from pathlib import Path
from typing import List, Tuple

import pytest

from dnstap_logging import DnstapHandler
from tests.cli.programs import DEADLINE, Listener, command
from tests.cli.running import call
from tests.cli.test_listen_lines import where
from tests.helpers.programs import started_program
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    FINISH,
    READY,
    START,
    STOP,
    control,
    data,
    dnstap_payload,
    wait_until,
)
from tests.situations.interop.captures import read_capture

HEAD = control(READY, CONTENT_TYPE)
REFUSED = re.compile(r"connection from .* refused: (max_connections=\d+ are open)(.*)$", re.M)


def begin(stack: contextlib.ExitStack, address: Tuple[str, int], number: int) -> socket.socket:
    """Begin a stream, and send one message; the receiver has seen START when this returns."""
    sock = stack.enter_context(socket.create_connection(address, DEADLINE))
    sock.sendall(HEAD)
    assert sock.recv(4096) == control(ACCEPT, CONTENT_TYPE)
    sock.sendall(control(START, CONTENT_TYPE) + data(dnstap_payload(number)))
    return sock


def begin_or_not(stack: contextlib.ExitStack, address: Tuple[str, int]) -> bool:
    """Try to begin a stream, where the place may not be free yet."""
    try:
        begin(stack, address, 4711)
    except (AssertionError, ConnectionError):
        return False
    return True


def end(sock: socket.socket) -> None:
    """End a stream in order."""
    sock.sendall(control(STOP))
    assert sock.recv(4096) == control(FINISH)


def is_turned_away(address: Tuple[str, int], host: str = "127.0.0.1") -> bool:
    """Return whether a connection from a host ends before the receiver has answered anything."""
    with socket.create_connection(address, DEADLINE, (host, 0)) as sock:
        try:
            sock.sendall(HEAD)
            return sock.recv(4096) == b""
        except ConnectionError:
            return True


def count_in(path: Path) -> int:
    """Return how many messages are in a capture."""
    return len(read_capture(path).payloads)


def cpu_seconds(process: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def limited(soft: int, hard: int) -> List[str]:
    """Return what runs a program with these limits of open files."""
    return ["sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh"]


def test_a_hundred_senders_at_a_time(tmp_path: Path) -> None:
    """With a higher limit than the default of 64, all of them are served at once."""
    arguments = ("tcp://127.0.0.1:0", "--max-connections", "100", "--write", "all.fstrm")
    with Listener(tmp_path, *arguments) as listener, contextlib.ExitStack() as stack:
        streams = [begin(stack, where(listener), number) for number in range(100)]
        wait_until(lambda: count_in(tmp_path / "all.fstrm") == 100, "a message of each", DEADLINE)
        assert is_turned_away(where(listener)), "above the limit"
        for sock in streams:
            end(sock)
        assert listener.end() == 0
    assert "received 100 messages on 100 connections" in listener.said


def test_those_that_wait_get_their_turn(tmp_path: Path) -> None:
    """Six handlers, three places: the waiting ones know why, and lose nothing."""
    arguments = (f"unix://{tmp_path}/d.sock", "--max-connections", "3", "--write", "all.fstrm")
    with Listener(tmp_path, *arguments) as listener:
        handlers = []
        for number in range(6):
            handler = DnstapHandler(listener.addresses[0], close_timeout=DEADLINE)
            handlers.append(handler)
            handler.emit_payload(dnstap_payload(number))
            if number < 3:
                assert handler.flush(DEADLINE)
                wait_until(lambda: count_in(tmp_path / "all.fstrm") == len(handlers), "all")
        for waiting in handlers[3:]:
            wait_until(lambda waiting=waiting: waiting.stats().last_error, "its error", DEADLINE)
            assert "no room for another sender" in str(waiting.stats().last_error)
        for handler in handlers:
            handler.close()
        assert listener.end() == 0

    assert [handler.stats().confirmed for handler in handlers] == [1] * 6
    assert count_in(tmp_path / "all.fstrm") == 6


def test_one_line_for_all_that_wait(tmp_path: Path) -> None:
    """Twenty hosts are turned away: one line at once, and one at the end that counts the rest."""
    arguments = ("tcp://127.0.0.1:0", "--max-connections", "2", "--write", "all.fstrm")
    with Listener(tmp_path, *arguments) as listener, contextlib.ExitStack() as stack:
        for number in range(2):
            begin(stack, where(listener), number)
        wait_until(lambda: count_in(tmp_path / "all.fstrm") == 2, "both streams", DEADLINE)
        for host in range(20):
            assert is_turned_away(where(listener), f"127.0.1.{host}")
        assert listener.end() == 0

    lines = REFUSED.findall(listener.said)
    held = sum(int(count) for count in re.findall(r"and (\d+) more like it", listener.said))
    assert len(lines) + held == 20, listener.said
    assert len(lines) <= 3, "one, one at the end; on a slow machine one in ten seconds"
    assert {what for what, _ in lines} == {"max_connections=2 are open"}


def test_fewer_descriptors_than_connections(tmp_path: Path) -> None:
    """One line at the start says how many fit; the next one is turned away; a file can be opened.

    And while all places are taken, nothing spins.
    """
    arguments = ("tcp://127.0.0.1:0", "--max-connections", "2000", "--write", "all.fstrm")
    path = tmp_path / "all.fstrm"
    listener = Listener(tmp_path, *arguments, prefix=limited(64, 64))
    with listener, contextlib.ExitStack() as stack:
        (room,) = re.findall(r"at most (\d+) connections instead of 2000: .*is 64,", listener.said)
        assert 16 <= int(room) < 64
        streams = [begin(stack, where(listener), number) for number in range(int(room))]
        wait_until(lambda: count_in(path) == int(room), "a message of each", DEADLINE)
        before = cpu_seconds(listener.process.pid)
        assert is_turned_away(where(listener))
        path.rename(tmp_path / "old.fstrm")
        listener.send_signal(signal.SIGHUP)
        wait_until(path.exists, "the new file", DEADLINE)
        end(streams.pop())
        wait_until(lambda: begin_or_not(stack, where(listener)), "a stream there", DEADLINE)
        wait_until(lambda: count_in(path) == 1, "the message of the one that came", DEADLINE)
        assert cpu_seconds(listener.process.pid) - before < 1.0
        for sock in streams:
            end(sock)
        assert listener.end() == 0

    assert "cannot accept" not in listener.said


def test_a_soft_limit_is_raised(tmp_path: Path) -> None:
    """The limit of open files is raised for `listen` itself, where the system allows that."""
    listener = Listener(
        tmp_path, "tcp://127.0.0.1:0", "--max-connections", "90", prefix=limited(64, 256)
    )
    with listener, contextlib.ExitStack() as stack:
        for number in range(90):
            begin(stack, where(listener), number)
        assert "at most" not in listener.said


def test_top_has_the_same_limit(tmp_path: Path) -> None:
    """As a collector, `top` takes as many senders as it is told, and says what does not fit."""
    arguments = ("top", f"unix://{tmp_path}/d.sock", "--summary", "--max-connections", "2000")
    with started_program(tmp_path, [*limited(64, 64), *command(*arguments)]) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        process.terminate()
        process.communicate(timeout=DEADLINE)

    assert re.search(r"^dnstap-logging top: at most \d+ connections instead of 2000: ", line)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "", "1000001"])
def test_values_that_are_refused(value: str) -> None:
    """One line names the option, the value and what is right."""
    outcome = call("listen", "tcp://127.0.0.1:0", f"--max-connections={value}")

    assert outcome.status == 2
    right = f"--max-connections: '{value}' must be an integer of 1 to 1000000"
    assert right in outcome.err
    assert outcome.err.count("\n") == 1
