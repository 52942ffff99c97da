"""A reader on a connected socket: both directions of Frame Streams, and every end."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Iterator, Tuple

import pytest
import trustme

from dnstap_logging import DnstapHandler
from dnstap_logging.exceptions import DecodeError, TransportError, TransportTimeout
from dnstap_logging.reader.reader import DnstapReader
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
)
from tests.rotating.load import log, mark_of

DEADLINE = 20.0

Pair = Tuple[socket.socket, socket.socket]


@pytest.fixture(params=["unix", "tcp"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """Connect a sender's socket and a reader's; the sender's has a deadline."""
    if request.param == "unix":
        sender, ours = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            sender = socket.create_connection(listener.getsockname())
            ours, _ = listener.accept()
    sender.settimeout(DEADLINE)
    with sender, ours:
        yield sender, ours


def receive(sock: socket.socket, size: int) -> bytes:
    """Receive exactly that many bytes."""
    received = b""
    while len(received) < size:
        block = sock.recv(size - len(received))
        assert block, f"the end after {received!r}"
        received += block
    return received


def test_unidirectional(pair: Pair) -> None:
    """A bare stream is read to its STOP; nothing is answered, and the socket stays open."""
    sender, ours = pair
    sender.sendall(capture(map(dnstap_payload, range(3))))

    with DnstapReader(ours) as reader:
        assert reader.content_type == CONTENT_TYPE
        assert [message.extra for message in reader] == [b"0", b"1", b"2"]
        assert reader.complete, "the end of the stream was not waited for"

    ours.sendall(b"still open")
    assert receive(sender, 10) == b"still open"
    assert ours.gettimeout() is None, "given back as it was"


def test_bidirectional(pair: Pair) -> None:
    """READY is answered with ACCEPT at once, STOP with FINISH after the last message."""
    sender, ours = pair
    accept, finish = control(ACCEPT, CONTENT_TYPE), control(FINISH)
    answers = []

    def send() -> None:
        sender.sendall(control(READY, CONTENT_TYPE, b"another"))
        answers.append(receive(sender, len(accept)))
        sender.sendall(capture(map(dnstap_payload, range(2))))
        answers.append(receive(sender, len(finish)))

    thread = threading.Thread(target=send)
    thread.start()
    with DnstapReader(ours) as reader:
        assert next(reader).extra == b"0"
        assert next(reader).extra == b"1"
        assert answers == [accept], "FINISH says that all was taken, which is not so yet"
        assert list(reader) == []
        assert reader.complete
    thread.join(DEADLINE)

    assert answers == [accept, finish]


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_our_own_handler(tmp_path: Path, scheme: str) -> None:
    """A handler delivers to a reader: all records, and an orderly end on both sides."""
    with socket.socket(socket.AF_UNIX if scheme == "unix" else socket.AF_INET) as listener:
        listener.bind(str(tmp_path / "s") if scheme == "unix" else ("127.0.0.1", 0))
        listener.listen()
        where = listener.getsockname()
        address = f"unix://{where}" if scheme == "unix" else f"tcp://127.0.0.1:{where[1]}"
        handler = DnstapHandler(address, overflow="block", close_timeout=DEADLINE)
        thread = threading.Thread(
            target=lambda: (log(handler, 0), log(handler, 1), handler.close())
        )
        thread.start()
        ours, _ = listener.accept()
        with ours, DnstapReader(ours) as reader:
            found = [mark_of(message) for message in reader]
            assert reader.complete
        thread.join(DEADLINE)

    assert found == [(0, 0), (0, 1)]
    stats = handler.stats()
    assert (stats.written, stats.unconfirmed) == (2, 0), stats


def test_our_own_handler_over_tls(tmp_path: Path) -> None:
    """So is a TLS socket, once its hands were shaken."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        handler = DnstapHandler(
            f"tls://127.0.0.1:{listener.getsockname()[1]}",
            cafile=str(tmp_path / "ca.pem"),
            close_timeout=DEADLINE,
        )
        thread = threading.Thread(target=lambda: (log(handler, 0), handler.close()))
        thread.start()
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as ours, DnstapReader(ours) as reader:
            assert [mark_of(message) for message in reader] == [(0, 0)]
            assert reader.complete
            thread.join(DEADLINE)  # it has FINISH before the connection is closed

    assert handler.stats().unconfirmed == 0, handler.stats()


def test_a_tls_sender_that_resets() -> None:
    """A connection that broke is an error, also between two frames, and also under TLS."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    read = threading.Event()

    def send_and_reset(address: Tuple[str, int]) -> None:
        with socket.create_connection(address) as plain:
            sender = trusting.wrap_socket(plain, server_hostname="127.0.0.1")
            sender.sendall(capture([dnstap_payload(0)], stop=False))
            assert read.wait(DEADLINE)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sender.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=send_and_reset, args=(listener.getsockname(),))
        thread.start()
        plain, _ = listener.accept()
        with context.wrap_socket(plain, server_side=True) as ours, DnstapReader(ours) as reader:
            assert next(reader).extra == b"0"
            read.set()
            with pytest.raises(TransportError, match="ECONNRESET"):
                next(reader)
        thread.join(DEADLINE)


def test_the_stream_ends_without_stop(pair: Pair) -> None:
    """A sender that closes between two frames left no damage, as in a file."""
    sender, ours = pair
    sender.sendall(capture([dnstap_payload(0)], stop=False))
    sender.close()

    with DnstapReader(ours) as reader:
        assert len(list(reader)) == 1
        assert not reader.complete


def test_the_connection_ends_inside_a_frame(pair: Pair) -> None:
    """Whole messages first, then an error with the peer's name and the place in the stream."""
    sender, ours = pair
    good = capture([dnstap_payload(0)], stop=False)
    sender.sendall(good + data(dnstap_payload(1))[:-1])
    sender.close()

    with DnstapReader(ours) as reader:
        assert next(reader).extra == b"0"
        with pytest.raises(DecodeError) as caught:
            next(reader)
    text = f"{reader.name}: byte {len(good)}: the connection ends inside a frame"
    assert str(caught.value).startswith(text)


def test_a_connection_without_a_word(pair: Pair) -> None:
    """A sender that closes at once was no dnstap sender."""
    sender, ours = pair
    sender.close()

    with pytest.raises(DecodeError, match="byte 0: the connection is empty"):
        DnstapReader(ours)


@pytest.mark.parametrize(
    ("opening", "expected"),
    [
        (control(READY, b"text/plain"), "b'text/plain'"),
        (control(STOP), "received STOP as the first frame"),
        (b"GET / HTTP/1.1\r\n\r\n", "not Frame Streams"),
        (control(READY, CONTENT_TYPE) + data(b"x"), "received a data frame of 1 bytes"),
    ],
    ids=["type", "stop", "http", "early"],
)
def test_what_is_no_dnstap(pair: Pair, opening: bytes, expected: str) -> None:
    """A sender of something else is refused with a text that names it, as a file is."""
    sender, ours = pair
    sender.sendall(opening)

    with pytest.raises(DecodeError, match="byte ") as caught:
        DnstapReader(ours)
    assert expected in str(caught.value)


def test_a_reset_connection(pair: Pair) -> None:
    """A connection that breaks is the library's own error, with the peer's name."""
    sender, ours = pair
    ours.sendall(b"never read, so that the close is a reset")
    sender.sendall(capture([dnstap_payload(0)], stop=False))
    reader = DnstapReader(ours)
    assert next(reader).extra == b"0"
    sender.close()

    with pytest.raises(TransportError) as caught:
        next(reader)
    assert caught.value.address == reader.name


def test_the_socket_s_own_timeout(pair: Pair) -> None:
    """A timeout that the socket has bounds each wait."""
    sender, ours = pair
    sender.sendall(capture([], stop=False))
    ours.settimeout(0.05)
    reader = DnstapReader(ours)

    with pytest.raises(TransportTimeout, match=r"sent nothing in 0\.05 s"):
        next(reader)
    assert ours.gettimeout() == 0.05


def test_close_ends_the_wait(pair: Pair) -> None:
    """close() in another thread ends an iteration that waits for the sender."""
    sender, ours = pair
    sender.sendall(capture([dnstap_payload(0)], stop=False))
    reader = DnstapReader(ours)
    assert next(reader).extra == b"0"
    closer = threading.Thread(target=reader.close)
    closer.start()

    assert list(reader) == []
    closer.join()
    assert not reader.complete
    assert ours.fileno() >= 0, "the socket is its owner's to close"


def test_what_is_no_connected_stream_socket() -> None:
    """Another kind of socket, or one without a peer, is refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as alone:
        with pytest.raises(ValueError, match="must be connected"):
            DnstapReader(alone)
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other, pytest.raises(ValueError, match="must be a stream socket"):
        DnstapReader(one)
