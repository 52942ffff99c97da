"""What several test files share: waiting without sleeping, real programs, raw dnstap bytes."""

from __future__ import annotations

import shutil
import socket
import struct
import threading
import time
from typing import Callable, Iterable, Optional, TypeVar

import pytest

from dnstap_logging.codec.proto import Dnstap
from dnstap_logging.delivery.stats import Stats

NOT_HERE = "not available here:"
"""How the reason of each skip begins that another machine would not need: a program or a module is
missing, or the system forbids something. .ci/run looks for these words, and fails."""

T = TypeVar("T")


def require_program(name: str, path: Optional[str] = None) -> str:
    """Return the path of an external program, or skip the test without it.

    Args:
        name: of the program.
        path: the folders to look in; None: those of PATH.
    """
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{NOT_HERE} {name}")
    return found


def wait_until(condition: Callable[[], T], what: str = "the condition", timeout: float = 20.0) -> T:
    """Poll until the condition returns something true and return that; fail after the timeout."""
    deadline = time.monotonic() + timeout
    never = threading.Event()
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            pytest.fail(f"waited {timeout:g} s for {what}; it is still {value!r}")
        never.wait(0.005)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port on 127.0.0.1 that was free a moment ago (for programs that cannot bind 0)."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def assert_balanced(stats: Stats) -> None:
    """Check the one equation of the books, which holds in every snapshot."""
    waiting = stats.queued + stats.in_flight + stats.spooled
    total = stats.written + waiting + sum(stats.dropped.values())
    assert stats.logged + stats.recovered == total, stats


CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = 1, 2, 3, 4, 5
"""The control frames' types, by the Frame Streams specification and not by our own code."""


def control(kind: int, *content_types: bytes) -> bytes:
    """Return the bytes of a control frame, made by hand."""
    body = struct.pack(">I", kind)
    for content_type in content_types:
        body += struct.pack(">II", 1, len(content_type)) + content_type
    return struct.pack(">II", 0, len(body)) + body


def data(payload: bytes) -> bytes:
    """Return the bytes of a data frame, made by hand."""
    return struct.pack(">I", len(payload)) + payload


def capture(payloads: Iterable[bytes], *, stop: bool = True) -> bytes:
    """Return a unidirectional stream, as in a capture file."""
    stream = control(START, CONTENT_TYPE) + b"".join(map(data, payloads))
    return stream + control(STOP) if stop else stream


def dnstap_payload(number: int, kind: str = "CLIENT_QUERY") -> bytes:
    """Return a dnstap message by protobuf alone, its number in the query's id and the extra."""
    dnstap = Dnstap()
    dnstap.type = dnstap.MESSAGE
    dnstap.extra = b"%d" % number
    dnstap.message.type = dnstap.message.Type.Value(kind)
    dnstap.message.query_message = struct.pack(">H", number % 65536) + bytes(10)
    return dnstap.SerializeToString()
