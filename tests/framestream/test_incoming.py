"""An incoming stream: payloads out of any source of bytes, and what its writer is answered."""

from __future__ import annotations

from typing import List, Tuple

import pytest

from dnstap_logging.framestream.frames import DNSTAP_CONTENT_TYPE, encode_data
from dnstap_logging.framestream.incoming import IncomingStream
from dnstap_logging.framestream.session import ReaderSession
from tests.framestream.samples import ACCEPT, FINISH, READY, START, STOP

PAYLOADS = [b"one", b"two", b"three"]
DATA = b"".join(map(encode_data, PAYLOADS))


def incoming(*blocks: bytes) -> Tuple[IncomingStream, ReaderSession, List[bytes]]:
    """Return a stream that reads these blocks, its session, and what it sends."""
    left, sent = list(blocks), list[bytes]()
    session = ReaderSession(DNSTAP_CONTENT_TYPE)
    stream = IncomingStream(session, lambda: left.pop(0) if left else b"", sent.append)
    return stream, session, sent


@pytest.mark.parametrize("size", [1, 2, 7, 64, 1024])
def test_payloads_come_out_of_blocks_of_any_size(size: int) -> None:
    """Each payload comes out once and in order, however the bytes are divided."""
    data = START + DATA + STOP
    stream, session, sent = incoming(*(data[at : at + size] for at in range(0, len(data), size)))

    assert list(stream.payloads()) == PAYLOADS
    stream.finish()
    assert (session.finished, sent) == (True, [])


def test_finish_is_sent_only_when_every_payload_was_taken() -> None:
    """ACCEPT answers READY at once; FINISH waits until the caller asks for it."""
    stream, session, sent = incoming(READY, START + DATA + STOP)

    assert list(stream.payloads()) == PAYLOADS
    assert (session.finished, sent) == (True, [ACCEPT])
    stream.finish()
    assert sent == [ACCEPT, FINISH]


def test_start_takes_no_payload() -> None:
    """What follows START in the same block is still there for `payloads`."""
    stream, session, sent = incoming(STOP)

    assert stream.start(START + DATA)
    assert (session.offset, sent) == (len(START), [])
    assert list(stream.payloads()) == PAYLOADS
    assert session.finished


def test_start_answers_ready() -> None:
    """The writer sends START only once it has got ACCEPT."""
    stream, session, sent = incoming(READY[4:], START)

    assert stream.start(READY[:4])
    assert (session.streaming, sent) == (True, [ACCEPT])


@pytest.mark.parametrize("first", [b"", START[:-1]])
def test_bytes_that_end_before_start_are_said_to(first: bytes) -> None:
    """`start` returns False where the source ends inside or before the opening."""
    stream, session, _ = incoming()

    assert not stream.start(first)
    assert session.buffered == len(first)


def test_bytes_that_end_without_stop_end_the_payloads() -> None:
    """Every whole payload comes out; the session knows how much of the next frame is there."""
    stream, session, _ = incoming(START + DATA + b"\0\0")

    assert list(stream.payloads()) == PAYLOADS
    assert (session.finished, session.buffered) == (False, 2)
