"""Filling in: nothing is left of the record before, however that one ended."""

from __future__ import annotations

import itertools
import sys
from types import FrameType
from typing import Any, List, Mapping

import pytest

from dnstap_logging.encoding import Encoder
from dnstap_logging.enums import MessageType
from dnstap_logging.extras import FIELDS, KeySet, take_snapshot
from dnstap_logging.filling import MAX_ARENA
from dnstap_logging.templates import RecordEncoder
from tests.test_templates import MIXED, NOW, QUERY, by_template, plainly


@pytest.mark.parametrize("name", ["query_address", "response_address"])
@pytest.mark.parametrize(
    "ends",
    [
        # Without an address: not with that of the record before,
        [("192.0.2.1", 5), None, None],
        # nor if that was filled in by half.
        [("192.0.2.1", 5), ("192.0.2.1", 5), ("192.0.2.1", 70000), None],
        # A list has a port, too.
        [["192.0.2.1", 5], "192.0.2.2", ("192.0.2.3", 6), "192.0.2.4"],
        [("192.0.2.1", 5), ("nowhere", 6), ("192.0.2.2", -1), "192.0.2.1", ("192.0.2.1", 5)],
    ],
)
@pytest.mark.parametrize("others", [{}, QUERY])
def test_nothing_is_left_of_the_record_before(
    name: str, ends: List[Any], others: Mapping[str, Any]
) -> None:
    """An address and port that a record does not have are not those of an earlier record."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    for end in ends:
        values = {**others, "dns_message_type": "CLIENT_QUERY", f"dns_{name}": end}
        snapshot = take_snapshot(values, 1.7e9)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot), end


@pytest.mark.parametrize("name", sorted({*MIXED} - {"message_type", "query_address"}))
def test_a_constant_that_is_none_is_as_good_as_not_there(name: str) -> None:
    """An adapter's dns_query_port=None does not have all clients sent with the first one's port."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    fields = tuple(FIELDS[each] for each in ("message_type", name, "query_address"))
    keys = KeySet(fields, fixed=(MessageType.CLIENT_QUERY, None))
    for client in [("192.0.2.1", 1), ("192.0.2.2", 2), ("2001:db8::1", 3), ("192.0.2.3", 4)]:
        for formatted in (None, "a note"):
            snapshot: Any = (NOW, keys, (client,), formatted, 0)

            assert by_template(encoder, snapshot) == plainly(plain, snapshot), client


@pytest.mark.parametrize("side", ["query", "response"])
@pytest.mark.parametrize("wrong", [("192.0.2.1", 65536), ("192.0.2.1", -1), ("192.0.2.1",)])
def test_a_socket_address_is_checked_whole_also_beside_a_port(side: str, wrong: Any) -> None:
    """With a dns_query_port of its own, too, an address whose port is none is left out."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    for end in [("192.0.2.1", 1), ("192.0.2.1", 1), wrong, wrong, ("192.0.2.1", 2)]:
        values = {f"dns_{side}_address": end, f"dns_{side}_port": 53}
        snapshot = take_snapshot({"dns_message_type": "CLIENT_QUERY", **values}, 1.7e9)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot), end


def test_a_float_of_1970_is_rounded_as_ever_behind_nanoseconds_of_the_same_second() -> None:
    """A fraction that is all but a second becomes the next second, not 10**9 nanoseconds."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    second = 1_000_000
    for time in (second * 10**9, second * 10**9 + 5, second + 0.25, second + 1 - 2**-33):
        snapshot = take_snapshot({**QUERY, "dns_query_time": time}, 1.7e9)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot), time


def test_an_interrupt_leaves_nothing_half_filled_in() -> None:
    """Ctrl-C anywhere in it, where the main thread delivers, does no harm to the next record."""
    finished = False
    plain = Encoder(b"ns1", b"test")
    ends = [("192.0.2.1", 1), ("192.0.2.2", 2), ("2001:db8::3", 3), ("192.0.2.4", 4)]
    some = [
        take_snapshot({**QUERY, "dns_query_address": end, "dns_response_address": end}, 1.7e9 + at)
        for at, end in enumerate(ends)
    ]
    for interrupted in range(1, 60):
        encoder = RecordEncoder(b"ns1", b"test")
        for snapshot in some[:2]:
            encoder.encode(snapshot, [])
        lines = itertools.count(1)

        def interrupt(frame: FrameType, event: str, _: object, at: int = interrupted) -> Any:
            if event == "line" and next(lines) == at:  # noqa: B023
                raise KeyboardInterrupt
            return interrupt

        def begin(frame: FrameType, event: str, _: object) -> Any:
            return interrupt if frame.f_code.co_name == "fill" else None

        before = sys.gettrace()
        sys.settrace(begin)
        try:
            encoder.encode(some[2], [])
            finished = True
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        for snapshot in (*some[2:], *some):
            assert by_template(encoder, snapshot) == plainly(plain, snapshot), interrupted

    assert finished, "every line in it was interrupted"


@pytest.mark.parametrize("side", ["query", "response"])
def test_nothing_changes_when_a_new_message_takes_the_place_of_a_full_one(side: str) -> None:
    """Families, ports and seconds are right in whichever record the message is replaced."""
    plain, encoder = Encoder(b"ns1", b"test"), RecordEncoder(b"ns1", b"test")
    ends = ["192.0.2.1", "2001:db8::1", "2001:db8::2", "nowhere", "192.0.2.2"]
    for number in range(600):
        values = {
            "dns_message_type": f"CLIENT_{side.upper()}",
            f"dns_{side}_address": (ends[number % 5], number),
            f"dns_{side}_message": bytes(number % 97 * MAX_ARENA // 300),
            f"dns_{side}_time": 1.7e9 + number // 3,
        }
        snapshot = take_snapshot(values, 1.7e9)

        assert by_template(encoder, snapshot) == plainly(plain, snapshot), number
