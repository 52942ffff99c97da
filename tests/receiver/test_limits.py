"""What one sender cannot take from the others: time, connections, descriptors."""

from __future__ import annotations

import socket

import pytest

from tests.helpers.programs import run_python
from tests.helpers.said import Said
from tests.helpers.support import CONTENT_TYPE, FINISH, READY, STOP, control, data, dnstap_payload
from tests.receiver.peer import TCP, Client, Inbox, Make, assert_serves, wait_for


def test_a_silent_client_blocks_nobody(make: Make, inbox: Inbox, said: Said) -> None:
    """It is closed when its time is over; until then, and afterwards, others are served."""
    receiver = make(TCP, handshake_timeout=2.0)

    with Client(receiver) as silent:
        assert_serves(receiver, inbox)
        assert receiver.stats().protocol_errors == 0, "the silent one still has time"
        silent.expect_closed()

    wait_for(receiver, protocol_errors=1)
    said.wait_for("no START within 2 s")
    assert_serves(receiver, inbox)


def test_a_dripping_client_has_no_more_time(make: Make, unix: str) -> None:
    """The handshake has one deadline: single bytes do not extend it."""
    receiver = make(unix, handshake_timeout=0.3)
    drops = iter(control(READY, *[CONTENT_TYPE] * 10))

    with Client(receiver) as client:
        client.sock.settimeout(0.02)
        while receiver.stats().protocol_errors == 0:
            try:
                client.send(bytes([next(drops)]))
                client.sock.recv(1)
            except socket.timeout:
                continue
            except OSError:
                break

    wait_for(receiver, protocol_errors=1)
    assert next(drops, None) is not None, "closed before the frame was whole"


def test_an_idle_stream_is_left_alone(make: Make, inbox: Inbox, unix: str) -> None:
    """After START the handshake's time no longer counts: a DNS server may have nothing to say."""
    receiver = make(unix, handshake_timeout=1.0)

    with Client(receiver) as idle, Client(receiver) as silent:
        idle.shake_hands()
        silent.expect_closed()  # whose time was over later
        idle.send(data(dnstap_payload(1)), control(STOP))
        idle.expect(control(FINISH))

    assert inbox.numbers == [1]


def test_too_many_connections(make: Make, inbox: Inbox, unix: str, said: Said) -> None:
    """One above the limit is closed at once and counted; free places are used again."""
    receiver = make(unix, max_connections=2)

    with Client(receiver) as first, Client(receiver) as second:
        first.shake_hands()
        second.shake_hands()
        first.send(data(dnstap_payload(1)))
        second.send(data(dnstap_payload(2)))
        wait_for(receiver, messages=2)  # so both streams have begun, and keep their places
        with Client(receiver) as third:
            third.expect_closed()
        stats = wait_for(receiver, refused=1)
        assert (stats.connections, stats.active) == (2, 2)
        said.wait_for("max_connections=2")
        first.send(control(STOP))
        first.expect(control(FINISH))
        wait_for(receiver, active=1)
        assert_serves(receiver, inbox)
        second.send(control(STOP))
        second.expect(control(FINISH))


OUT_OF_DESCRIPTORS = """
import resource, socket, sys, time
from dnstap_logging.receiver import DnstapReceiver
from tests.helpers.support import ACCEPT, CONTENT_TYPE, READY, control, wait_until

receiver = DnstapReceiver(sys.argv[1], lambda message: None).start()
client = socket.socket(socket.AF_UNIX)
client.settimeout(20)
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, hard))
client.connect(receiver.address.path)
wait_until(lambda: receiver.stats().last_error, "a diagnostic")
assert "EMFILE" in receiver.stats().last_error or "open files" in receiver.stats().last_error
wall, used = time.monotonic(), time.process_time()
client.settimeout(1)
try:
    client.recv(1)
    raise AssertionError("accepted without a descriptor")
except socket.timeout:
    pass
share = (time.process_time() - used) / (time.monotonic() - wall)
assert share < 0.5, f"spent {share:.0%} of the time computing"
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
client.settimeout(20)
client.sendall(control(READY, CONTENT_TYPE))
assert client.recv(1000) == control(ACCEPT, CONTENT_TYPE)
client.close()
receiver.close()
print("served")
"""


def test_no_descriptors_left(unix: str) -> None:
    """Accept fails with EMFILE: no spinning, and the client is served once one is free."""
    pytest.importorskip("resource")
    done = run_python(OUT_OF_DESCRIPTORS, unix)

    assert done.stdout == "served\n", done.stderr
