"""Payloads that are only passed on: `DnstapHandler.emit_payload`, and the book `confirmed`."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from dnstap_logging import DnstapHandler, DnstapReceiver
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, dnstap_payload, wait_until
from tests.situations.interop.captures import read_capture

ODD = b"\x00this is no protobuf at all"


def test_payloads_arrive_byte_for_byte(capture: Path) -> None:
    """What is passed on is not decoded: fields that nobody knows, and garbage, stay as they are."""
    payloads = [dnstap_payload(1), dnstap_payload(2) + b"\xa2\x06\x03new", ODD]
    handler = DnstapHandler(capture, identity="another")

    assert [handler.emit_payload(payload) for payload in payloads] == [True] * 3
    handler.close()

    assert read_capture(capture).payloads == payloads
    stats = handler.stats()
    assert (stats.written, stats.confirmed) == (3, 0), "a file confirms nothing"


@pytest.mark.parametrize(
    ("payload", "cause"), [(b"", "invalid"), (bytes(1025), "too_large")], ids=["empty", "large"]
)
def test_payloads_that_can_be_no_frame_are_counted(
    capture: Path, payload: bytes, cause: str
) -> None:
    """An empty payload and one over max_frame_size cost themselves, and nothing else."""
    handler = DnstapHandler(capture, max_frame_size=1024)
    for each in (b"before", payload, bytes(1024)):
        assert handler.emit_payload(each)
    handler.close()

    assert read_capture(capture).payloads == [b"before", bytes(1024)]
    assert handler.stats().dropped[cause] == 1
    assert_balanced(handler.stats())


class Hostile:
    """What raises whatever is asked of it."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("hostile")

    def __repr__(self) -> str:
        raise RuntimeError("hostile")

    def __len__(self) -> int:
        raise RuntimeError("hostile")


def released() -> memoryview:
    """Return a view that nothing can be read from any more."""
    view = memoryview(b"payload")
    view.release()
    return view


WRONG: Dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "text": lambda: "text",
    "a number": lambda: 1,
    "a float": lambda: 1.5,
    "a list": lambda: [1, 2],
    "a tuple": lambda: (1, 2),
    "a dict": dict,
    "a truth": lambda: True,
    "an object": object,
    "a class": lambda: bytes,
    "a hostile object": Hostile,  # made in the test, since pytest would look at it
    "a released view": released,
}


@pytest.mark.parametrize("make", WRONG.values(), ids=list(WRONG))
def test_what_is_no_payload_is_counted(capture: Path, make: Callable[[], Any], said: Said) -> None:
    """Nothing is raised: it is `invalid`, said once, and what comes behind it is written."""
    handler = DnstapHandler(capture, report_interval=3600)
    first, second, third = [handler.emit_payload(each) for each in (make(), make(), b"behind")]
    handler.close()

    assert (first, second, third) == (False, False, True)
    stats = handler.stats()
    assert_balanced(stats)
    assert (stats.logged, stats.written, stats.dropped["invalid"]) == (3, 1, 2)
    assert read_capture(capture).payloads == [b"behind"]
    said.wait_for("record dropped (invalid): payload=")
    assert len(said.with_text("payload=")) == 1


class Own(bytes):
    """Bytes that lie about themselves."""

    def __bytes__(self) -> bytes:
        raise RuntimeError("hostile")

    def __len__(self) -> int:
        return 0


BUFFERS: Dict[str, Callable[[], Any]] = {
    "bytearray": lambda: bytearray(b"ace"),
    "view": lambda: memoryview(b"ace"),
    "view with gaps": lambda: memoryview(b"abcdef")[::2],
    "subclass": lambda: Own(b"ace"),
}


@pytest.mark.parametrize("make", BUFFERS.values(), ids=list(BUFFERS))
def test_bytes_of_other_kinds_are_copied(tmp_path: Path, make: Callable[[], Any]) -> None:
    """A buffer that is used again, and a view that is not contiguous, go out as they were."""
    payload = make()
    path = tmp_path / "capture.fstrm"
    handler = DnstapHandler(path)
    assert handler.emit_payload(payload) is True
    if isinstance(payload, bytearray):
        payload[:] = b"changed"
    handler.close()
    assert read_capture(path).payloads == [b"ace"]


def test_waiting_payloads_stand_a_reopen(tmp_path: Path) -> None:
    """overflow="block": reopen() sends no payload away that waits for room, close() does."""
    address = f"unix://{tmp_path}/late.sock"
    handler = DnstapHandler(address, overflow="block", queue_size=1, close_timeout=60)
    accepted: List[bool] = []

    def relay() -> None:
        accepted.extend(handler.emit_payload(dnstap_payload(number)) for number in range(20))

    thread = threading.Thread(target=relay)
    thread.start()
    wait_until(lambda: handler.stats().accepted == 1 and handler.stats().queued == 1, "the first")
    for _ in range(5):
        handler.reopen()
    received: List[bytes] = []
    with DnstapReceiver(address, on_frame=received.append):
        thread.join(60)
        handler.close()

    assert accepted == [True] * 20
    assert received == [dnstap_payload(number) for number in range(20)]
    assert sum(handler.stats().dropped.values()) == 0
    assert not handler.emit_payload(b"after the end")
    assert handler.stats().dropped["closed"] == 1


def test_close_sends_a_waiting_payload_away(tmp_path: Path) -> None:
    """A payload that waits for a collector that never comes is refused when the handler closes."""
    handler = DnstapHandler(
        f"unix://{tmp_path}/absent.sock", overflow="block", queue_size=1, close_timeout=0
    )
    accepted: List[bool] = []
    handler.emit_payload(b"the first")
    thread = threading.Thread(target=lambda: accepted.append(handler.emit_payload(b"waits")))
    thread.start()
    handler.close()
    thread.join(60)

    assert accepted == [False]
    assert_balanced(handler.stats())


@pytest.mark.parametrize("bidirectional", [True, False])
def test_only_finish_confirms(tmp_path: Path, bidirectional: bool) -> None:
    """`confirmed` counts the records of sessions with a FINISH: all with, none without one."""
    address = f"unix://{tmp_path}/dnstap.sock"
    with DnstapReceiver(address, on_frame=lambda payload: None) as receiver:
        handler = DnstapHandler(address, bidirectional=bidirectional)
        for number in range(3):
            handler.emit_payload(dnstap_payload(number))
        handler.flush(None)
        handler.reopen()
        wait_until(lambda: receiver.stats().finished == 1, "the end of the first session")
        handler.emit_payload(dnstap_payload(3))
        handler.close()

    assert handler.stats().confirmed == (4 if bidirectional else 0)
