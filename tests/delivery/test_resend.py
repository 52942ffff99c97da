"""The ring of a session's last frames: what goes out again, and what nobody can tell any more."""

from __future__ import annotations

import math
import struct
from typing import List, Sequence

from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging.delivery.resend import ResendRing

HEADER = 4  # the length before each data frame (Frame Streams)


def payloads(first: int, number: int, size: int = 6) -> List[bytes]:
    """Return payloads of a size, each with its number."""
    return [struct.pack(">I", first + each).ljust(size, b".") for each in range(number)]


def add(ring: ResendRing, batch: Sequence[bytes]) -> None:
    """Add a batch as the writer thread does."""
    ring.add(batch, sum(HEADER + len(payload) for payload in batch))


def test_what_was_read_is_none_of_it() -> None:
    """With nothing unread, nothing goes out again and nothing is unknown."""
    ring = ResendRing(1000)
    add(ring, payloads(0, 5))

    assert ring.unread(0) == ([], 0)


def test_a_frame_that_was_read_in_part_goes_out_whole() -> None:
    """One unread byte more than a frame means two frames."""
    ring = ResendRing(1000)
    add(ring, payloads(0, 5))

    assert ring.unread(10).frames == payloads(4, 1)
    assert ring.unread(11).frames == payloads(3, 2)
    assert ring.unread(50) == (payloads(0, 5), 0)


def test_more_than_there_is() -> None:
    """The memory of a unix socket counts more than its bytes: all of a short session, no more."""
    ring = ResendRing(1000)
    add(ring, payloads(0, 5))

    assert ring.unread(51) == (payloads(0, 5), 0)
    assert ring.unread(math.inf) == (payloads(0, 5), 0)


def test_what_has_left_the_ring_is_unknown() -> None:
    """Of a longer session the ring's part goes out again; of the rest only the number is known."""
    ring = ResendRing(100)
    for batch in range(10):
        add(ring, payloads(batch * 5, 5))

    assert ring.unread(100) == (payloads(40, 10), 0)
    assert ring.unread(101) == (payloads(40, 10), 5), "by whole batches"
    assert ring.unread(math.inf) == (payloads(40, 10), 40)


def test_a_batch_larger_than_the_ring() -> None:
    """Only the last frames of it, as many as the limit has bytes, go out again."""
    ring = ResendRing(25)
    add(ring, payloads(0, 100))

    assert ring.unread(math.inf) == (payloads(97, 3), 97)


def test_without_a_ring_all_is_unknown() -> None:
    """With resend_bytes=0 nothing is kept, and whatever may not have been read is counted."""
    ring = ResendRing(0)
    add(ring, payloads(0, 7))

    assert ring.unread(math.inf) == ([], 7)
    assert ring.unread(0) == ([], 0)


@given(
    batches=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=8), max_size=20),
    limit=st.integers(0, 400),
    unread=st.one_of(st.integers(0, 900), st.just(math.inf)),
)
def test_the_last_bytes_are_there_or_counted(
    batches: List[List[int]], limit: int, unread: float
) -> None:
    """Every frame within the unread bytes is kept, as far as the limit allows, or counted."""
    ring = ResendRing(limit)
    written: List[bytes] = []
    for sizes in batches:
        batch = [bytes([len(written) % 256]) * size for size in sizes]
        add(ring, batch)
        written += batch

    frames, lost_sight = ring.unread(unread)

    assert frames == written[len(written) - len(frames) :]
    wanted = room = 0.0
    for payload in reversed(written):
        if wanted < unread and room < limit:
            assert payload in frames, "a frame within both bounds is missing"
        wanted += HEADER + len(payload)
        room += HEADER + len(payload)
    older = written[: len(written) - len(frames)]
    reach = sum(HEADER + len(payload) for payload in frames)
    within = 0
    for payload in reversed(older):
        if reach >= unread:
            break
        within += 1
        reach += HEADER + len(payload)
    assert within <= lost_sight <= len(older), "what may be unread is neither kept nor counted"
