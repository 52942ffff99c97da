"""What `listen` says of its senders: of each of them, and how much it held back."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import List, Tuple

import pytest

from dnstap_logging import DnstapReceiver
from dnstap_logging.receiver.reports import MOST_SUBJECTS
from tests.cli.programs import Listener
from tests.helpers.said import Said
from tests.helpers.support import capture, dnstap_payload

BAD = b"GET / HTTP/1.1\r\n\r\n"


def send_from(host: str, address: Tuple[str, int], content: bytes) -> None:
    """Connect from a host of the loopback, send, and wait for the end."""
    with socket.socket() as sock:
        sock.settimeout(60)
        sock.bind((host, 0))
        sock.connect(address)
        try:
            sock.sendall(content)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(4096):
                pass
        except OSError:
            pass  # it was closed with something unread


def where(listener: Listener) -> Tuple[str, int]:
    """Return the TCP address of a listener."""
    host, port = re.findall(r"tcp://(.*):(\d+)", listener.addresses[0])[0]
    return host, int(port)


def test_each_sender_is_named_and_the_rest_is_counted(tmp_path: Path) -> None:
    """56 bad connections of two senders: a line of each at once, and at the end how many more."""
    with Listener(tmp_path, "tcp://127.0.0.1:0") as listener:
        for _ in range(28):
            send_from("127.0.0.2", where(listener), BAD)
        for _ in range(28):
            send_from("127.0.0.3", where(listener), BAD)
        assert listener.end() == 0

    lines = [line for line in listener.said.splitlines() if "not speak Frame Streams" in line]
    for host in ("127.0.0.2", "127.0.0.3"):
        mine = [line for line in lines if f"from {host}:" in line]
        held = sum(int(count) for count in re.findall(r"and (\d+) more like it", "\n".join(mine)))
        assert 2 <= len(mine) <= 27, mine
        assert len(mine) + held == 28, mine


def test_kinds_of_one_sender_are_apart(tmp_path: Path) -> None:
    """A stream that is cut is reported, and so is a wrong protocol."""
    with Listener(tmp_path, "tcp://127.0.0.1:0") as listener:
        send_from("127.0.0.2", where(listener), BAD)
        send_from("127.0.0.2", where(listener), capture([dnstap_payload(1)])[:-20])
        assert listener.end() == 0

    assert "not speak Frame Streams" in listener.said
    assert "closed inside a frame" in listener.said


def test_verbose_says_who_came_and_what_each_brought(tmp_path: Path) -> None:
    """Every connection, also several of one sender, with its messages; quiet says none of it."""
    brought: List[Tuple[str, int]] = [("127.0.0.2", 3), ("127.0.0.3", 1), ("127.0.0.2", 0)]
    said = {}
    for verbose in (("-v",), ()):
        with Listener(tmp_path, "tcp://127.0.0.1:0", *verbose) as listener:
            for host, count in brought:
                content = capture(map(dnstap_payload, range(count)))
                send_from(host, where(listener), content)
            send_from("127.0.0.4", where(listener), capture([dnstap_payload(1)], stop=False))
            assert listener.end() == 0
        said[verbose] = listener.said

    found = re.findall(r"connection (\d+) from ([\d.]+):\d+: connected", said["-v",])
    assert found == [("1", "127.0.0.2"), ("2", "127.0.0.3"), ("3", "127.0.0.2"), ("4", "127.0.0.4")]
    found = re.findall(r"connection (\d) from \S+: ended (\w+) STOP, (\d+ messages?)", said["-v",])
    assert sorted(found) == [  # each is said by a thread of its own
        ("1", "with", "3 messages"),
        ("2", "with", "1 message"),
        ("3", "with", "0 messages"),
        ("4", "without", "1 message"),
    ]
    assert "connected" not in said[()]
    assert "ended" not in said[()]


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="the system does not say who")
def test_processes_on_unix_sockets_are_named(tmp_path: Path) -> None:
    """A unix socket has no host and no port, but the kernel knows the process."""
    with Listener(tmp_path, f"unix://{tmp_path}/tap.sock", "-v") as listener:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(tmp_path / "tap.sock"))
            sock.sendall(capture([dnstap_payload(1)]))
            assert sock.recv(1) == b""
        assert listener.end() == 0

    assert f"connection 1 from process {os.getpid()}: ended with STOP, 1 message\n" in listener.said


def test_a_flood_of_peers_takes_no_memory(said: Said) -> None:
    """Beyond that many peers in an interval, the others are said together, and counted."""
    with DnstapReceiver("tcp://127.0.0.1:0", print, report_interval=600) as receiver:
        reports = receiver._reports
        for number in range(4 * MOST_SUBJECTS):
            host = f"192.0.2.{number}"
            reports.report("protocol", 30, f"connection from {host}: bad", host, host)
        assert len(reports._subjects) <= MOST_SUBJECTS
    lines = said.with_text(": bad")

    assert len(lines) <= MOST_SUBJECTS + 2
    held = sum(int(count) for count in re.findall(r"and (\d+) more like it", "\n".join(lines)))
    assert len(lines) + held == 4 * MOST_SUBJECTS
