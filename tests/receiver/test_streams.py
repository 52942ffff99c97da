"""Streams that are as they should be, from scripted and real senders; and the arguments."""

from __future__ import annotations

import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any, List

import pytest

from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.receiver import DnstapReceiver, ReceiverStats
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
    require_program,
)
from tests.receiver.peer import TCP, TLS, Client, Inbox, Make, wait_for


def test_a_unidirectional_stream(make: Make, inbox: Inbox, address: str) -> None:
    """START, data, STOP without a handshake: everything is handed on, nothing is answered."""
    receiver = make(address)

    with Client(receiver) as client:
        client.send(capture(map(dnstap_payload, range(500))))
        client.expect_closed()

    stats = wait_for(receiver, finished=1)
    assert inbox.numbers == list(range(500))
    assert all(type(message) is DnstapMessage for message in inbox.items)
    assert stats == ReceiverStats(1, 0, 1, 0, 0, 0, 500, 0, 0, None)


def test_a_bidirectional_stream(make: Make, inbox: Inbox, address: str) -> None:
    """READY gets ACCEPT; STOP gets FINISH, and only when every message has been handed on."""
    receiver = make(address)

    with Client(receiver) as client:
        client.shake_hands()
        client.send(*(data(dnstap_payload(n)) for n in range(500)), control(STOP))
        client.expect(control(FINISH))
        assert inbox.numbers == list(range(500))
        client.expect_closed()

    assert wait_for(receiver, finished=1).last_error is None


def test_byte_by_byte(make: Make, inbox: Inbox, unix: str) -> None:
    """A stream may come in any portions."""
    receiver = make(unix)

    with Client(receiver) as client:
        for byte in capture(map(dnstap_payload, range(3))):
            client.send(bytes([byte]))
        wait_for(receiver, finished=1)

    assert inbox.numbers == [0, 1, 2]


def test_on_frame_gets_the_bytes_as_they_are(make: Make, unix: str) -> None:
    """A relay must not decode: it gets each payload unchanged, dnstap or not."""
    inbox = Inbox()
    receiver = make(unix, on_frame=inbox)

    with Client(receiver) as client:
        client.send(capture([b"\xff", dnstap_payload(1), b"x" * 100000]))
        stats = wait_for(receiver, finished=1)

    assert inbox.items == [b"\xff", dnstap_payload(1), b"x" * 100000]
    assert (stats.messages, stats.undecodable) == (3, 0)


def test_a_ready_and_a_start_without_content_type(make: Make, inbox: Inbox, unix: str) -> None:
    """READY without one means any: the answer names ours; START without one is taken."""
    receiver = make(unix)

    with Client(receiver) as client:
        client.send(control(READY))
        client.expect(control(ACCEPT, CONTENT_TYPE))
        client.send(control(START), data(dnstap_payload(1)), control(STOP))
        client.expect(control(FINISH))

    assert inbox.numbers == [1]


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_fstrm_replay(make: Make, inbox: Inbox, unix: str, tmp_path: Path, scheme: str) -> None:
    """The reference sender hands over a capture, whole and in order, and is content."""
    program = require_program("fstrm_replay")
    payloads = [dnstap_payload(n) for n in range(5000)]
    file = tmp_path / "capture.dnstap"
    file.write_bytes(capture(payloads))
    receiver = make(unix if scheme == "unix" else TCP)
    where = ["-u", receiver.address.path]
    if scheme == "tcp":
        where = ["-a", receiver.address.host, "-p", str(receiver.address.port)]

    command = [program, "-t", CONTENT_TYPE.decode(), "-r", str(file), *where]
    done = subprocess.run(command, timeout=60, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    stats = wait_for(receiver, finished=1)
    assert inbox.numbers == list(range(5000))
    assert stats.last_error is None


def test_connections_at_the_same_time(make: Make, inbox: Inbox, unix: str) -> None:
    """Each connection's messages come in its own order; an open one keeps nobody waiting."""
    receiver = make(unix)

    with Client(receiver) as first, Client(receiver) as second:
        first.shake_hands()
        second.shake_hands()
        for number in range(100):
            first.send(data(dnstap_payload(number)))
            second.send(data(dnstap_payload(1000 + number)))
        second.send(control(STOP))
        second.expect(control(FINISH))
        first.send(control(STOP))
        first.expect(control(FINISH))

    assert [n for n in inbox.numbers if n < 1000] == list(range(100))
    assert [n for n in inbox.numbers if n >= 1000] == list(range(1000, 1100))


def test_a_sender_that_does_not_wait_for_finish(
    make: Make, inbox: Inbox, unix: str, said: Said
) -> None:
    """Some send STOP and close at once: nothing is missing, so that is an orderly end."""
    gate = threading.Event()
    receiver = make(unix, lambda message: (gate.wait(20), inbox(message)))

    with Client(receiver) as client:
        client.shake_hands()
        client.send(data(dnstap_payload(1)), control(STOP))
    gate.set()

    assert wait_for(receiver, finished=1).last_error is None
    assert inbox.numbers == [1]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"address": "file:///var/capture"}, "address"),
        ({"address": "/run/dnstap.sock"}, "address"),
        ({"address": "http://127.0.0.1:80"}, "address"),
        ({"address": "tcp://127.0.0.1:70000"}, "70000"),
        ({"address": None}, "address"),
        ({"on_message": None}, "exactly one"),
        ({"on_frame": print}, "exactly one"),
        ({"on_message": "print"}, "on_message='print'"),
        ({"max_frame_size": 0}, "max_frame_size=0"),
        ({"max_frame_size": 1 << 32}, "max_frame_size=4294967296"),
        ({"max_frame_size": "1M"}, "max_frame_size='1M'"),
        ({"max_connections": 0}, "max_connections=0"),
        ({"max_connections": True}, "max_connections=True"),
        ({"handshake_timeout": 0}, "handshake_timeout=0"),
        ({"handshake_timeout": float("nan")}, "handshake_timeout=nan"),
        ({"handshake_timeout": 1e300}, "handshake_timeout=1e+300"),
        ({"handshake_timeout": None}, "handshake_timeout=None"),
        ({"report_interval": -1}, "report_interval=-1"),
        ({"ssl_context": ssl.create_default_context()}, "ssl_context"),
        ({"address": TLS}, "ssl_context=None"),
        ({"address": TLS, "ssl_context": True}, "ssl_context=True"),
        ({"address": TLS, "ssl_context": ssl.create_default_context()}, "for servers"),
    ],
)
def test_bad_arguments(arguments: Any, expected: str) -> None:
    """Each is refused at construction, by name."""
    with pytest.raises((TypeError, ValueError)) as caught:
        DnstapReceiver(**{"address": TCP, "on_message": print, **arguments})

    assert expected in str(caught.value)


def test_start_only_once(make: Make, unix: str) -> None:
    """A receiver is one life: a second start, or one after close, is refused."""
    receiver = make(unix)

    with pytest.raises(RuntimeError, match="only once"):
        receiver.start()
    receiver.close()
    with pytest.raises(RuntimeError, match="only once"):
        receiver.start()
    with pytest.raises(ValueError, match="timeout=-1"):
        receiver.close(timeout=-1)


def test_before_finish_comes_between_the_last_message_and_finish(
    make: Make, inbox: Inbox, address: str
) -> None:
    """FINISH waits for before_finish, which is called once the last message was handed on."""
    seen: List[int] = []
    receiver = make(address, before_finish=lambda: seen.append(len(inbox.items)))
    with Client(receiver) as client:
        client.shake_hands()
        client.send(*(data(dnstap_payload(number)) for number in range(3)), control(STOP))
        client.expect(control(FINISH))
        assert seen == [3]

    wait_for(receiver, finished=1)


def test_no_finish_where_before_finish_raises(make: Make, address: str) -> None:
    """What could not be kept is not confirmed: the connection ends without FINISH."""

    def fail() -> None:
        raise OSError("the disk is gone")

    receiver = make(address, before_finish=fail)
    with Client(receiver) as client:
        client.shake_hands()
        client.send(data(dnstap_payload(1)), control(STOP))
        client.expect_closed()

    stats = wait_for(receiver, interrupted=1, finished=0, callback_errors=1, messages=1)
    assert "before_finish raised OSError('the disk is gone')" in (stats.last_error or "")
