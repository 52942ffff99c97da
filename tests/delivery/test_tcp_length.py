"""The two octets of length that TCP puts before a DNS message: left out where they were logged."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any, Callable, List

import dns.message
import dns.rrset
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging import DnstapAdapter, DnstapHandler
from dnstap_logging.delivery.tcp_length import has_length, strip_length
from dnstap_logging.dnswire.message import read_body
from dnstap_logging.message.check import Problem
from dnstap_logging.message.snapshot import take_snapshot
from tests.helpers.hostile_messages import HOSTILE, hostile_message
from tests.helpers.hostile_messages import with_length as hostile_with_length
from tests.helpers.records import read
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced


def query(name: str = "www.example.org.", **options: Any) -> dns.message.Message:
    """Return a query."""
    return dns.message.make_query(name, "A", **options)


def response() -> dns.message.Message:
    """Return a response with a record."""
    made = dns.message.make_response(query(use_edns=0))
    made.answer.append(dns.rrset.from_text("www.example.org.", 60, "IN", "A", "192.0.2.1"))
    return made


def update() -> dns.message.Message:
    """Return a dynamic update."""
    made = dns.update.UpdateMessage("example.org.")
    made.add("www", 60, "A", "192.0.2.1")
    return made


def not_recursive(name: str) -> dns.message.Message:
    """Return a query whose flags are all 0."""
    made = query(name, use_edns=0, want_dnssec=True)
    made.flags = 0  # type: ignore[assignment]
    return made


MESSAGES = [
    query().to_wire(),
    query(use_edns=0, payload=1232).to_wire(),
    not_recursive("www.example.org.").to_wire(),
    not_recursive("abcdef.").to_wire(),  # with its length, a record and a rest
    response().to_wire(),
    update().to_wire(),
    bytes.fromhex("123480010000000000000000"),
]
MESSAGE_IDS = ["query", "EDNS", "not recursive", "short", "response", "update", "FORMERR alone"]


def with_length(wire: bytes) -> bytes:
    """Return a message as it is on TCP."""
    return struct.pack("!H", len(wire)) + wire


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("wire", MESSAGES, ids=MESSAGE_IDS)
def test_both_messages(
    logger: logging.Logger, capture: Path, said: Said, wire: bytes, form: Callable[[bytes], Any]
) -> None:
    """The length is left out of either message, counted each time, and said once for each."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    whole = with_length(wire)
    both = {"dns_query_message": form(whole), "dns_response_message": form(whole)}
    for _ in range(3):
        logger.info("response", extra={"dns_message_type": "CLIENT_RESPONSE", **both})
    logger.info("right", extra={"dns_message_type": "TOOL_QUERY", "dns_query_message": form(wire)})
    handler.close()

    *mended, right = read(capture)
    assert [(each.query_message, each.response_message) for each in mended] == [(wire, wire)] * 3
    assert (right.query_message, right.response_message) == (wire, None)
    assert handler.stats().invalid_fields == 6
    assert_balanced(handler.stats())
    for side in ("query", "response"):
        (line,) = said.with_text(f"dns_{side}_message", logging.WARNING)
        assert line.endswith("the two bytes of its length on TCP left out; log it without them")


def test_the_adapter(logger: logging.Logger, capture: Path, said: Said) -> None:
    """Its calls, which make no log record, are mended in the same way."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    tap = DnstapAdapter(logger, {"dns_socket_protocol": "TCP"})
    for wire in MESSAGES:
        tap.client_query(with_length(wire))
        tap.client_response(with_length(wire), query_message=wire)
        tap.client_query(wire)
    handler.close()

    messages = read(capture)
    assert [each.query_message for each in messages] == [w for w in MESSAGES for _ in range(3)]
    assert [each.response_message for each in messages[1::3]] == MESSAGES
    assert handler.stats().invalid_fields == 2 * len(MESSAGES)
    assert len(said.with_text("length on TCP", logging.WARNING)) == 2


def test_the_longest_message(logger: logging.Logger, capture: Path) -> None:
    """A message with its length in front may be longer than a DNS message, and is accepted."""
    opaque = 65535 - 12 - 11
    wire = bytes.fromhex("123480000000000000000001") + struct.pack("!xHHIH", 10, 1, 0, opaque)
    wire += bytes(opaque)
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    logger.info(
        "long",
        extra={"dns_message_type": "AUTH_QUERY", "dns_query_message": with_length(wire)},
    )
    handler.close()

    assert [each.query_message for each in read(capture)] == [wire]


def left_as_it_is(value: bytes) -> bool:
    """Return whether a message goes on as it was logged."""
    snapshot = take_snapshot({"dns_message_type": 5, "dns_query_message": value}, 1.7e9)
    (at,) = snapshot[1].messages_at
    problems: List[Problem] = []
    if has_length(snapshot[2][at]):
        stripped = strip_length(snapshot, at, problems)
        assert (stripped is snapshot) == (not problems)
    return not problems


def with_id_of_its_length(wire: bytes) -> bytes:
    """Return a message whose ID is what its length would be, if it were one on TCP."""
    return struct.pack("!H", len(wire) - 2) + wire[2:]


def test_nobody_can_have_another_message_logged() -> None:
    """A query that a server answers, whatever comes after it, is logged as it was received."""
    header = struct.pack("!6H", 0, 0, 1, 0, 0, 1)
    question, owner = b"\0\0\1\0\1", b"\1\0\0"
    forged = header + question + owner + struct.pack("!HHIH", 1, 1, 1, 0) + bytes(255)
    forged = with_id_of_its_length(forged)

    # Its own counts are right, with a rest behind; and so are those from its third octet on.
    assert read_body(forged)[1] == len(forged) - 255
    assert read_body(forged[2:])[1] == len(forged) - 2
    assert left_as_it_is(forged)


OTHER_LENGTHS = [-2, -1, 1, 2, 256]


@pytest.mark.parametrize("wire", MESSAGES, ids=MESSAGE_IDS)
def test_what_is_left_as_it_is(wire: bytes) -> None:
    """A message that can be read, one that cannot without two octets, another length."""
    assert left_as_it_is(wire)
    assert left_as_it_is(with_id_of_its_length(wire))
    assert left_as_it_is(with_id_of_its_length(with_id_of_its_length(wire) + b"\0"))
    assert left_as_it_is(with_length(wire[:-1]))
    assert left_as_it_is(with_length(wire + b"\0"))
    assert left_as_it_is(with_length(with_length(wire)))
    for difference in OTHER_LENGTHS:
        assert left_as_it_is(struct.pack("!H", len(wire) + difference) + wire)
    for size in range(len(wire) + 2):
        assert left_as_it_is(with_length(wire)[:size])


@given(st.binary(min_size=12, max_size=60))
def test_any_octets(wire: bytes) -> None:
    """Whatever is not a whole DNS message behind its length stays."""
    try:
        dns.message.from_wire(wire, ignore_trailing=False)
    except Exception:  # noqa: BLE001 - what dnspython refuses may still have the form of a message
        return
    assert left_as_it_is(wire)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages(name: str) -> None:
    """Nothing is raised for them, whether they can be read or not."""
    wire = hostile_message(name)

    assert left_as_it_is(wire)
    left_as_it_is(hostile_with_length(wire))
