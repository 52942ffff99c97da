"""The listening socket: where it is bound, and the socket file."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import traceback
from pathlib import Path
from typing import List

import pytest

from dnstap_logging.exceptions import TransportError
from dnstap_logging.receiver import DnstapReceiver
from tests.helpers.support import data, dnstap_payload, wait_until
from tests.receiver.peer import TCP, Client, Inbox, Make, assert_serves, wait_for


def test_an_empty_host_is_loopback(make: Make, inbox: Inbox) -> None:
    """An empty host is the loopback and not the network; the address has the real port."""
    receiver = make("tcp://:0")

    assert receiver.address.host == "127.0.0.1"
    assert receiver.address.port > 0
    assert str(receiver.address) == f"tcp://127.0.0.1:{receiver.address.port}"
    assert_serves(receiver, inbox)


def test_a_port_in_use(make: Make, inbox: Inbox) -> None:
    """The error names the address and the reason."""
    receiver = make(TCP)

    with pytest.raises(TransportError, match=f"{receiver.address}: .*in use"):
        make(str(receiver.address))


def test_ipv6(make: Make, inbox: Inbox) -> None:
    """An IPv6 address works as any other, brackets and all."""
    try:
        receiver = make("tcp://[::1]:0")
    except TransportError:
        pytest.skip("no IPv6 loopback here")

    assert str(receiver.address) == f"tcp://[::1]:{receiver.address.port}"
    assert_serves(receiver, inbox)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="abstract names are Linux's")
def test_an_abstract_name(make: Make, inbox: Inbox) -> None:
    """An abstract unix name leaves no file; a second receiver on it is refused."""
    name = f"unix://@dnstap-logging-test-{os.getpid()}"
    receiver = make(name)

    assert_serves(receiver, inbox)
    with pytest.raises(TransportError, match="in use"):
        make(name)


def test_the_socket_file_goes_with_the_receiver(make: Make, unix: str) -> None:
    """Close removes the file that start made; then another may start there."""
    receiver = make(unix)
    path = receiver.address.path
    assert os.path.exists(path)

    receiver.close()

    assert not os.path.exists(path)
    make(unix)


def test_a_stale_socket_file_is_replaced(make: Make, inbox: Inbox, unix: str) -> None:
    """A receiver that was killed left its file behind: it is no obstacle."""
    path = unix[len("unix://") :]
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(path)
        killed.listen()
    assert os.path.exists(path)

    assert_serves(make(unix), inbox)


def test_a_live_socket_is_refused(make: Make, inbox: Inbox, unix: str) -> None:
    """A socket that still answers is not replaced."""
    receiver = make(unix)

    with pytest.raises(TransportError, match=f"{unix}: .*in use"):
        make(unix)

    assert_serves(receiver, inbox)


def test_a_live_socket_with_a_full_backlog_is_refused(make: Make, unix: str) -> None:
    """A listener too busy to accept is alive."""
    path = unix[len("unix://") :]
    clients: List[socket.socket] = []
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        try:
            for _ in range(10):
                clients.append(socket.socket(socket.AF_UNIX))
                clients[-1].setblocking(False)
                clients[-1].connect(path)
        except BlockingIOError:
            pass
        with pytest.raises(TransportError, match="in use"):
            make(unix)
        assert os.path.exists(path)
        for client in clients:
            client.close()


def test_a_file_that_is_no_socket_is_left_alone(make: Make, tmp_path: Path) -> None:
    """A mistyped path does not cost anybody a file."""
    file = tmp_path / "precious"
    file.write_text("data")

    with pytest.raises(TransportError, match="not a socket"):
        make(f"unix://{file}")

    assert file.read_text() == "data"


def test_a_missing_folder(make: Make, tmp_path: Path) -> None:
    """The error names the address and the reason."""
    with pytest.raises(
        TransportError, match=f"unix://{tmp_path}/no/d.sock: .*the directory does not exist"
    ):
        make(f"unix://{tmp_path}/no/d.sock")


def test_the_socket_file_of_another_stays(make: Make, unix: str) -> None:
    """If somebody took over the path meanwhile, close does not remove their file."""
    receiver = make(unix)
    path = receiver.address.path
    os.unlink(path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)

        receiver.close()

        assert os.path.exists(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_close_in_a_forked_child_harms_nobody(make: Make, inbox: Inbox, unix: str) -> None:
    """A child that unwinds its copy of the with block leaves the parent's socket alone."""
    receiver = make(unix)
    held, forked = threading.Event(), threading.Event()

    def count() -> None:
        with receiver._lock:  # as where a connection ends
            held.set()
            assert forked.wait(20)

    thread = threading.Thread(target=count)
    thread.start()
    assert held.wait(20)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # or it would wait for a lock that no thread of its own holds
        receiver.stats()
        receiver.close(timeout=0.1)
        os._exit(0)
    forked.set()
    thread.join(20)

    assert os.waitpid(child, 0)[1] == 0
    assert_serves(receiver, inbox)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("asked", ["stats", "close"])
def test_a_receiver_that_is_started_in_a_forked_child(inbox: Inbox, unix: str, asked: str) -> None:
    """Made before the fork, as a prefork server does, it serves where it is started, to the end."""
    receiver = DnstapReceiver(unix, inbox)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        status = 1
        try:
            _assert_keeps_its_connection(receiver.start(), inbox, asked)
            status = 0
        except BaseException:  # noqa: BLE001 - the child must not go on as pytest
            traceback.print_exc()
        finally:
            os._exit(status)

    assert os.waitpid(child, 0)[1] == 0


def _assert_keeps_its_connection(receiver: DnstapReceiver, inbox: Inbox, asked: str) -> None:
    """Assert that an open connection is counted, and closed like any other."""
    with Client(receiver) as client:
        client.shake_hands()
        client.send(data(dnstap_payload(1)))
        wait_until(lambda: inbox.numbers == [1], "the message")
        if asked == "stats":
            wait_for(receiver, messages=1, active=1)
        receiver.close()
        stats = wait_for(receiver, messages=1, interrupted=1, active=0)
    assert stats.connections == 1
