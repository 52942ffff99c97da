"""Closing a receiver: what has arrived is handed on, and nothing holds it up."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import List, Optional, Set

import pytest

from dnstap_logging.receiver import DnstapReceiver
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    FINISH,
    READY,
    STOP,
    capture,
    control,
    data,
    dnstap_payload,
    wait_until,
)
from tests.receiver.peer import Client, Inbox, Make, wait_for


def test_close_ends_live_connections(make: Make, inbox: Inbox, address: str) -> None:
    """Idle, half through the handshake or silent: all are closed, and nobody can connect."""
    receiver = make(address)
    with Client(receiver) as idle, Client(receiver) as half, Client(receiver) as silent:
        idle.shake_hands()
        half.send(control(READY, CONTENT_TYPE))
        half.expect(control(ACCEPT, CONTENT_TYPE))
        wait_for(receiver, active=3)

        began = time.monotonic()
        receiver.close(timeout=30.0)
        took = time.monotonic() - began

        for client in (idle, half, silent):
            client.expect_closed()
        with pytest.raises(OSError):  # noqa: PT011
            Client(receiver)
    assert took < 10, "nothing was left to read, so there was nothing to wait for"
    assert receiver.stats().last_error is None, "our own close is no diagnostic"
    wait_for(receiver, active=0, interrupted=3)


def close_in_a_thread(receiver: DnstapReceiver, timeout: float = 20.0) -> threading.Thread:
    """Begin to close, and return when the receiver no longer listens."""
    closer = threading.Thread(target=receiver.close, args=(timeout,))
    closer.start()
    wait_until(lambda: not os.path.exists(receiver.address.path), "the socket file to go")
    return closer


def test_close_hands_on_what_has_arrived(make: Make, inbox: Inbox, unix: str) -> None:
    """What the kernel has taken from a stream is read before the connection is closed."""
    gate = threading.Event()
    receiver = make(unix, lambda message: (gate.wait(20), inbox(message)))
    filler = b"\x0a\x80\x08" + bytes(1024)  # identity: some blocks, more than one read brings

    with Client(receiver) as client:
        client.send(capture([filler + dnstap_payload(n) for n in range(100)], stop=False))
        closer = close_in_a_thread(receiver)
        assert inbox.items == []
        gate.set()
        closer.join(20)
        client.expect_closed()

    assert inbox.numbers == list(range(100))


def test_close_finishes_what_was_stopped(make: Make, inbox: Inbox, unix: str) -> None:
    """A sender whose STOP had arrived gets its FINISH, though the receiver is being closed."""
    gate = threading.Event()
    receiver = make(unix, lambda message: (gate.wait(20), inbox(message)))

    with Client(receiver) as client:
        client.shake_hands()
        client.send(data(dnstap_payload(1)))
        close_in_a_thread(receiver)
        client.send(data(dnstap_payload(2)), control(STOP))
        gate.set()
        client.expect(control(FINISH))

    wait_for(receiver, finished=1)
    assert inbox.numbers == [1, 2]


def test_close_is_bounded(make: Make, unix: str) -> None:
    """A callback that hangs does not delay close; its sender gets a reset, as data was unread."""
    gate = threading.Event()
    receiver = make(unix, lambda message: gate.wait(60))

    with Client(receiver) as client:
        client.sock.settimeout(20)
        client.send(capture([dnstap_payload(1), bytes(70000)], stop=False))
        client.send(data(bytes(10000)))
        began = time.monotonic()
        receiver.close(timeout=0.5)
        took = time.monotonic() - began
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)
        gate.set()

    assert 0.3 < took < 15
    wait_for(receiver, active=0, interrupted=1)


def test_a_callback_that_returns_while_it_is_cut_off(
    make: Make, unix: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The descriptor is taken away only while it is the connection's: not from who has it next."""
    gate = threading.Event()
    receiver = make(unix, lambda message: gate.wait(60))
    (tmp_path / "file").write_bytes(b"somebody's")
    taken: List[int] = []
    dup2 = os.dup2

    def dup2_later(spare: int, number: int, inheritable: bool = True) -> int:
        gate.set()  # the callback returns just now, and its thread ends
        thread.join(1.0)
        taken.append(os.open(tmp_path / "file", os.O_RDONLY))
        return dup2(spare, number, inheritable)

    with Client(receiver) as client:
        client.send(capture([dnstap_payload(1)], stop=False))
        wait_for(receiver, active=1)
        (thread,) = (each for each in threading.enumerate() if "connection 1" in each.name)
        with monkeypatch.context() as patch:
            patch.setattr(os, "dup2", dup2_later)
            receiver.close(timeout=0.1)
        wait_for(receiver, active=0)

    assert os.read(taken[0], 100) == b"somebody's"
    os.close(taken[0])


def test_unread_data_resets_the_connection(make: Make, unix: str) -> None:
    """A sender must be able to tell that not all of it was read: end of stream would say it was."""
    gate = threading.Event()
    receivers: List[DnstapReceiver] = []

    def callback(payload: bytes) -> None:
        gate.wait(20)
        receivers[0].close(timeout=0)

    receiver = make(unix, on_frame=callback)
    receivers.append(receiver)
    with Client(receiver) as client:
        # More than one read of the receiver's brings, less than a socket's buffer holds.
        client.send(capture([b"first", bytes(70000), bytes(10000)], stop=False))
        gate.set()
        with pytest.raises(ConnectionResetError):
            client.sock.recv(1)

    assert wait_for(receiver, interrupted=1).messages == 1


def test_close_does_not_wait_for_an_endless_stream(make: Make, unix: str) -> None:
    """A sender that never pauses is cut off at the deadline."""
    receiver = make(unix)
    stopped = threading.Event()

    def stream() -> None:
        frames = data(dnstap_payload(1)) * 1000
        with Client(receiver) as client:
            client.shake_hands()
            try:
                while not stopped.is_set():
                    client.send(frames)
            except OSError:
                pass  # as it should be

    sender = threading.Thread(target=stream)
    sender.start()
    wait_until(lambda: receiver.stats().messages > 5000, "the stream to flow")
    began = time.monotonic()
    receiver.close(timeout=0.5)
    took = time.monotonic() - began
    sender.join(20)
    alive = sender.is_alive()
    stopped.set()

    assert not alive, "the sender was not cut off"
    assert took < 15


def test_close_twice_early_and_from_the_callback(make: Make, inbox: Inbox, unix: str) -> None:
    """Close never hangs and never raises: before start, in the callback, again and again."""
    DnstapReceiver(unix, inbox).close()
    receivers: List[DnstapReceiver] = []
    receiver = make(unix, lambda message: (receivers[0].close(), inbox(message)))
    receivers.append(receiver)

    with Client(receiver) as client:
        client.send(capture(map(dnstap_payload, range(3))))
        client.expect_closed()

    wait_for(receiver, active=0, connections=1)
    assert inbox.numbers == [0, 1, 2]
    receiver.close()
    receiver.close(timeout=0)


def test_no_thread_and_no_descriptor_stays(inbox: Inbox, unix: str) -> None:
    """After close everything is given back: it can be done a hundred times."""

    def threads() -> Set[str]:
        return {thread.name for thread in threading.enumerate() if "connection" in thread.name}

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    before: Optional[int] = None
    for _ in range(10):
        with DnstapReceiver(unix, inbox) as receiver, Client(receiver) as client:
            client.send(capture([dnstap_payload(1)]))
            wait_for(receiver, finished=1)
        receiver.close()
        before = descriptors() if before is None else before

    assert descriptors() == before
    assert threads() == set()


def test_a_sender_that_never_stops(make: Make, unix: str) -> None:
    """What had arrived is bounded by what kernels hold, not by the time that close may take."""
    taken: List[int] = []
    receiver = make(unix, on_frame=lambda payload: taken.append(len(payload)))
    frame = data(bytes(100_000))
    over = threading.Event()

    def send_for_ever(client: Client) -> None:
        try:
            while not over.is_set():
                client.send(frame * 10)
        except OSError:
            pass

    with Client(receiver) as client:
        client.send(capture([], stop=False))
        sender = threading.Thread(target=send_for_ever, args=(client,))
        sender.start()
        wait_until(lambda: taken, "the first frame")
        began, before = time.monotonic(), sum(taken)
        receiver.close(timeout=300)
        took = time.monotonic() - began
        over.set()
        sender.join(20)

    assert took < 150
    assert sum(taken) - before < 300 * 1024 * 1024
    wait_for(receiver, active=0, interrupted=1)
