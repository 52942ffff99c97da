"""What the measured processes talk to: collectors that keep nothing, and emitters without end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Callable, Iterator

import trustme

from dnstap_logging import DnstapReceiver
from dnstap_logging.framestream.frames import DNSTAP_CONTENT_TYPE
from dnstap_logging.framestream.session import ReaderSession, WriterSession
from dnstap_logging.framestream.state import Direction
from tests.helpers.support import wait_until
from tests.situations.endurance.measure import MARKS, PATIENCE, resident
from tests.situations.endurance.traffic import Blocks

BEGINNING = 1000
"""Messages before the memory is looked at first."""


def drop(payload: bytes) -> None:
    """Take a payload."""


@contextlib.contextmanager
def collector(scheme: str, folder: Path) -> Iterator[str]:
    """Run a collector that drops what it gets; yield its address."""
    context = None
    if scheme == "tls":
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
    address = f"unix://{folder}/sock" if scheme == "unix" else f"{scheme}://127.0.0.1:0"
    with DnstapReceiver(address, on_frame=drop, ssl_context=context) as receiver:
        yield str(receiver.address)


@contextlib.contextmanager
def hanging_up(folder: Path) -> Iterator[str]:
    """Run a collector that ends each session after its first record; yield its address."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "sock"))
        listener.listen()
        thread = threading.Thread(target=_hang_up, args=(listener,))
        thread.start()
        try:
            yield f"unix://{folder}/sock"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _hang_up(listener: socket.socket) -> None:
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        with sock, contextlib.suppress(ConnectionError):
            session = ReaderSession(DNSTAP_CONTENT_TYPE)
            received = False
            while not received:
                data = sock.recv(65536)
                if not data:
                    break
                session.receive(data)
                received = any(True for _ in session.payloads())
                sock.sendall(session.data_to_send())


def feed(write: Callable[[bytes], object], messages: int, pid: int) -> Iterator[int]:
    """Write a stream, from START to STOP; yield the memory of the process that reads it.

    Args:
        write: takes bytes, and waits where the reader is behind.
        messages: how many, after the beginning.
        pid: of the process.
    """
    blocks = Blocks()
    session = WriterSession(DNSTAP_CONTENT_TYPE, Direction.UNIDIRECTIONAL)
    write(session.start())
    for block in blocks.take(BEGINNING):  # more than a pipe holds: the process has begun to read
        write(block)
    yield resident(pid)
    for _ in range(MARKS):
        for block in blocks.take(messages // MARKS):
            write(block)
        yield resident(pid)
    write(session.stop())


def dial(address: str) -> socket.socket:
    """Connect to a unix socket as soon as it is there."""
    path = address[len("unix://") :]

    def connected() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        try:
            sock.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            sock.close()
            return None  # type: ignore[return-value]
        return sock

    return wait_until(connected, f"a collector at {address}", PATIENCE)
