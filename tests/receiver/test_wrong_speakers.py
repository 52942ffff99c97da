"""Senders that break the rules, or break down, are counted and reported once; others work."""

from __future__ import annotations

import logging
import os
import struct
from typing import List

import pytest

from dnstap_logging.message.message import DnstapMessage
from tests.helpers.said import Said
from tests.helpers.support import (
    CONTENT_TYPE,
    FINISH,
    READY,
    START,
    STOP,
    capture,
    control,
    data,
    dnstap_payload,
)
from tests.receiver.peer import TCP, Client, Inbox, Make, assert_serves, wait_for


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "b'GET '"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", "it looks like TLS"),
        (dnstap_payload(1), "does not speak Frame Streams"),
        (b"\xff\xff\xff\xff", "does not speak Frame Streams"),
        (struct.pack(">II", 0, 0xFFFFFFFF), "4294967295"),
        (control(READY, b"text/plain"), "text/plain"),
        (control(START, b"text/plain"), "text/plain"),
        (control(STOP), "STOP"),
        (control(START, CONTENT_TYPE) * 2, "START"),
        (control(START, CONTENT_TYPE) + b"\xff\xff\xff\xff", "4294967295"),
        (capture([]) + b"more", "after the end"),
    ],
    ids=[
        "http",
        "tls",
        "protobuf",
        "data",
        "control-4GiB",
        "ready",
        "start",
        "stop",
        "twice",
        "4GiB",
        "after",
    ],
)
def test_a_wrong_speaker(
    make: Make, inbox: Inbox, said: Said, opening: bytes, expected: str
) -> None:
    """One clear diagnostic, one count, the connection is closed, and others are served."""
    receiver = make(TCP)

    with Client(receiver) as client:
        client.send(opening)
        client.expect_closed()
        host, port = client.sock.getsockname()

    stats = wait_for(receiver, protocol_errors=1)
    assert expected in (stats.last_error or "")
    line = said.wait_for(expected)
    assert line.startswith(f"receiver {receiver.address}: connection 1 from {host}:{port}: "), line
    assert_serves(receiver, inbox)


def test_an_oversize_frame(make: Make, inbox: Inbox, said: Said) -> None:
    """What came before it is handed on; then the connection ends, with both numbers said."""
    receiver = make(TCP, max_frame_size=1000)

    with Client(receiver) as client:
        client.shake_hands()
        client.send(data(dnstap_payload(1)), data(bytes(1001)))
        client.expect_closed()

    wait_for(receiver, protocol_errors=1)
    line = said.wait_for("1001")
    assert "1000" in line
    assert inbox.numbers == [1]
    assert_serves(receiver, inbox)


def test_many_wrong_speakers_make_one_line(make: Make, unix: str, said: Said) -> None:
    """A port scan or a broken sender in a loop does not fill the log."""
    receiver = make(unix, report_interval=600.0)

    for number in range(1, 31):
        with Client(receiver) as client:
            client.send(b"GET / HTTP/1.0\r\n\r\n")
            client.expect_closed()
        wait_for(receiver, protocol_errors=number)

    said.wait_for("GET")
    assert len(said.with_text("GET")) == 1, said.lines


def test_a_connection_without_a_byte_is_no_error(make: Make, unix: str, said: Said) -> None:
    """Health checks connect and close; that is not reported."""
    receiver = make(unix)

    Client(receiver).sock.close()

    assert wait_for(receiver, connections=1, interrupted=1).last_error is None


def test_a_payload_that_is_no_dnstap_message(
    make: Make, inbox: Inbox, unix: str, said: Said
) -> None:
    """It is counted, reported and left out; the connection goes on."""
    receiver = make(unix)

    with Client(receiver) as client:
        client.send(capture([dnstap_payload(1), b"\xff\xff", dnstap_payload(2)]))
        stats = wait_for(receiver, finished=1)

    assert inbox.numbers == [1, 2]
    assert (stats.messages, stats.undecodable, stats.protocol_errors) == (2, 1, 0)
    said.wait_for("payload left out")


@pytest.mark.parametrize("raised", [ValueError("no room"), SystemExit(3)])
def test_a_callback_that_raises(make: Make, unix: str, said: Said, raised: BaseException) -> None:
    """It is counted and reported, with the place; the stream goes on, and the sender is told."""
    seen: List[DnstapMessage] = []

    def callback(message: DnstapMessage) -> None:
        seen.append(message)
        raise raised

    receiver = make(unix, callback)
    with Client(receiver) as client:
        client.shake_hands()
        client.send(*(data(dnstap_payload(n)) for n in range(3)), control(STOP))
        client.expect(control(FINISH))

    stats = wait_for(receiver, finished=1)
    assert (len(seen), stats.messages, stats.callback_errors) == (3, 3, 3)
    line = said.wait_for("the callback raised")
    assert repr(raised) in line
    assert os.path.basename(__file__) in line


def test_a_reset_inside_a_frame(make: Make, inbox: Inbox, said: Said) -> None:
    """The whole messages before it were handed on, no part of one is, and others are served."""
    receiver = make(TCP)

    client = Client(receiver)
    client.send(capture([dnstap_payload(1)], stop=False), data(dnstap_payload(2))[:-3])
    wait_for(receiver, messages=1)
    client.reset()

    stats = wait_for(receiver, interrupted=1)
    assert "ECONNRESET" in (stats.last_error or "")
    assert inbox.numbers == [1]
    assert_serves(receiver, inbox)


def test_closed_inside_a_frame(make: Make, inbox: Inbox, unix: str, said: Said) -> None:
    """An end in the middle of a frame is reported as such."""
    receiver = make(unix)

    with Client(receiver) as client:
        client.send(capture([dnstap_payload(1)], stop=False), b"\0\0\1\0part")

    wait_for(receiver, interrupted=1)
    said.wait_for("closed inside a frame, after 8 bytes of it")
    assert inbox.numbers == [1]


def test_closed_without_stop(make: Make, inbox: Inbox, unix: str, said: Said) -> None:
    """A sender that was killed has lost nothing of what it sent, and that is no warning."""
    receiver = make(unix)

    with Client(receiver) as client:
        client.send(capture([dnstap_payload(1)], stop=False))

    wait_for(receiver, interrupted=1)
    assert inbox.numbers == [1]
    said.wait_for("closed without STOP")
    assert said.with_text("closed without STOP", logging.WARNING) == []
