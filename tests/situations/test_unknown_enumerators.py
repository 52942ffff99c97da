"""Enumerators of a later dnstap.proto: read and shown by their numbers, and never logged."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging import DnstapAdapter, DnstapHandler, DnstapMessage, DnstapReader
from dnstap_logging.codec.decoding import decode, decode_plainly
from dnstap_logging.codec.enumerators import read_enumerators
from dnstap_logging.codec.proto import Dnstap, Message
from dnstap_logging.exceptions import DecodeError
from dnstap_logging.message import enums
from dnstap_logging.message.enums import MessageType, read_member
from dnstap_logging.message.policy import Policy
from tests.cli.running import call
from tests.cli.samples import dns_wire
from tests.helpers.programs import run_python
from tests.helpers.support import capture

KINDS: List[Any] = [enums.MessageType, enums.SocketFamily, enums.SocketProtocol, enums.HttpProtocol,
                    enums.PolicyAction, enums.PolicyMatch]  # fmt: skip
UNKNOWN_NUMBERS = [0, 15, 99, 127, 128, 255, 65536, 2**31 - 1, -1, -(2**31)]


def varint(number: int) -> bytes:
    """Return an enumerator as it is on the wire, which has 64 bits of a negative one."""
    number &= 2**64 - 1
    octets = []
    while number > 127:
        octets.append(number & 127 | 128)
        number >>= 7
    return bytes([*octets, number])


def field(number: int, value: bytes) -> bytes:
    """Return a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def payload(
    kind: Optional[int] = 255,
    family: int = 1,
    protocol: int = 1,
    http: Optional[int] = None,
    policy: Optional[Tuple[int, int]] = None,
) -> bytes:
    """Return a payload with any numbers as enumerators, the other fields as emitters send them."""
    body = b"" if kind is None else b"\x08" + varint(kind)
    body += b"\x10" + varint(family) + b"\x18" + varint(protocol)
    body += b"\x22\x04\xc0\0\2\1" + b"\x40" + varint(1_767_268_800) + b"\x4d" + struct.pack("<I", 5)
    body += field(10, dns_wire())
    if policy is not None:
        body += field(
            15, field(1, b"RPZ") + b"\x18" + varint(policy[0]) + b"\x20" + varint(policy[1])
        )
    if http is not None:
        body += b"\x80\x01" + varint(http)
    return field(1, b"ns1") + field(14, body) + b"\x78\x01"


def read(data: bytes) -> DnstapMessage:
    """Return a payload's message, which both ways to decode it agree on."""
    message = decode(data)
    assert message == decode_plainly(data)
    return message


@pytest.mark.parametrize("number", UNKNOWN_NUMBERS)
def test_an_unknown_type_is_a_pseudo_member(number: int) -> None:
    """It has a name and a number, and the rest of the message is there."""
    message = read(payload(number))

    assert isinstance(message.message_type, MessageType)
    assert (message.message_type.name, message.message_type.value) == (f"TYPE{number}", number)
    assert message.message_type == number
    assert not message.message_type.is_known
    assert message.message_type.is_query == bool(number & 1)
    assert message.query_message == dns_wire()
    assert (message.identity, message.query_address) == (b"ns1", b"\xc0\0\2\1")


@pytest.mark.parametrize("number", UNKNOWN_NUMBERS)
def test_all_other_enumerators_too(number: int) -> None:
    """Family, protocol, version of HTTP, and what a policy did: each by its number."""
    message = read(payload(5, number, number, number, (number, number)))

    assert message.message_type is MessageType.CLIENT_QUERY
    policy = message.policy
    assert policy is not None
    found = (
        *(message.socket_family, message.socket_protocol, message.http_protocol),
        *(policy.action, policy.match),
    )
    prefixes = ("FAMILY", "PROTOCOL", "HTTP_PROTOCOL", "ACTION", "MATCH")
    assert all(isinstance(each, kind) for each, kind in zip(found, KINDS[1:]))
    assert [getattr(each, "name", None) for each in found] == [
        f"{each}{number}" for each in prefixes
    ]
    assert [getattr(each, "value", None) for each in found] == [number] * 5
    assert policy.type == "RPZ"


def test_each_alone_is_found() -> None:
    """Beside known enumerators, in a payload that is usual otherwise and in one that is not."""
    assert read(payload(5, protocol=9)).socket_protocol == 9
    assert read(payload(5, family=9)).socket_family == 9
    assert read(payload(5, http=9)).http_protocol == 9
    policy = read(payload(5, policy=(3, 9))).policy
    assert policy is not None
    assert (policy.action, policy.match) == (enums.PolicyAction.PASS, 9)
    assert read(payload(5, policy=(9, 1))).policy is not None


def test_a_message_without_a_type_is_none() -> None:
    """A type that is missing is no type that is unknown."""
    with pytest.raises(DecodeError, match="without a type"):
        read(payload(None))


def test_pseudo_members_are_not_members() -> None:
    """Iteration, names and calls are as they were: what users write is still checked."""
    before = list(MessageType)
    pseudo = read(payload(255)).message_type

    assert list(MessageType) == before
    assert pseudo not in list(MessageType)
    assert "TYPE255" not in MessageType.__members__
    with pytest.raises(ValueError, match="255"):
        MessageType(255)
    with pytest.raises(KeyError):
        MessageType["TYPE255"]
    for value in (pseudo, 255, "TYPE255"):
        with pytest.raises(ValueError, match="message_type"):
            DnstapMessage(value)
    with pytest.raises(ValueError, match="action"):
        Policy(action=read_member(enums.PolicyAction, 9))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [1, 255])
def test_copies_are_the_same_object(kind: Any, number: int) -> None:
    """By pickle, copy and deepcopy, for members and pseudo-members; also inside a message."""
    member = read_member(kind, number)

    assert copy.copy(member) is member
    assert copy.deepcopy([member])[0] is member
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(member, protocol)) is member
    message = read(payload(255, 9, 9, 9, (9, 9)))
    for again in (pickle.loads(pickle.dumps(message)), copy.deepcopy(message)):
        assert again == message
        assert again.message_type is message.message_type
        assert again.policy.action is message.policy.action


def test_another_process_reads_what_was_pickled() -> None:
    """A worker process that never saw the number before gets the pseudo-member."""
    script = "import pickle, sys; print(pickle.load(sys.stdin.buffer).message_type.name)"
    pickled = pickle.dumps(read(payload(4242)))
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickled, capture_output=True, check=True, timeout=60
    )

    assert done.stdout == b"TYPE4242\n"


def test_made_up_types_take_no_memory() -> None:
    """Even with more types than are kept, each is right, and the latest one equals its copies."""
    for number in range(1000, 1000 + 3 * enums.MOST_KEPT):
        member = read(payload(number)).message_type
        assert (member.name, member.value) == (f"TYPE{number}", number)
        assert member == read_member(MessageType, number)
        assert hash(member) == hash(read_member(MessageType, number))
        assert copy.deepcopy(member) is member
        assert pickle.loads(pickle.dumps(member)) is member

    assert len(enums._kept) <= enums.MOST_KEPT


@pytest.mark.parametrize("way", ["record", "adapter", "adapter with keywords", "adapter, record"])
def test_logging_one_is_invalid(way: str, tmp_path: Path) -> None:
    """Whichever way it goes: it is counted, and the file has what is known only."""
    handler = DnstapHandler(tmp_path / "out.fstrm")
    logger = logging.Logger("unknown", logging.INFO)
    logger.addHandler(handler)
    pseudo = read(payload(255)).message_type
    tap = DnstapAdapter(logger)
    if way == "adapter, record":
        logger.addFilter(lambda record: True)
    for kind in (pseudo, MessageType.CLIENT_QUERY):
        if way == "record":
            extras = {"dns_message_type": kind, "dns_query_message": dns_wire()}
            logger.info("", extra=extras)
        elif way == "adapter with keywords":
            tap.log_message(kind, dns_wire(), query_address="192.0.2.1", query_port=5)
        else:
            tap.log_message(kind, dns_wire(), query_address="192.0.2.1")
    handler.close()

    stats = handler.stats()
    assert (stats.logged, stats.written, stats.dropped["invalid"]) == (2, 1, 1)
    with DnstapReader(tmp_path / "out.fstrm") as reader:
        assert [each.message_type for each in reader] == [MessageType.CLIENT_QUERY]


def test_logging_an_unknown_optional_one_leaves_it_out(tmp_path: Path) -> None:
    """The message goes out without the field, which is counted."""
    handler = DnstapHandler(tmp_path / "out.fstrm")
    logger = logging.Logger("unknown", logging.INFO)
    logger.addHandler(handler)
    protocol = read(payload(5, protocol=99)).socket_protocol
    DnstapAdapter(logger).client_query(dns_wire(), socket_protocol=protocol)
    handler.close()

    assert (handler.stats().written, handler.stats().invalid_fields) == (1, 1)
    with DnstapReader(tmp_path / "out.fstrm") as reader:
        assert [each.socket_protocol for each in reader] == [None]


# -- the command line --------------------------------------------------------------------------


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Return a capture of a program that knows more than we do."""
    path = tmp_path / "foreign.fstrm"
    path.write_bytes(
        capture([payload(255), payload(5, 9, 99, 7, (8, 9)), payload(256), payload(5)])
    )
    return path


def test_the_capture_is_whole(foreign: Path) -> None:
    """What is unknown is counted by its name, and nothing is wrong."""
    outcome = call("check", "--json", foreign)

    report = json.loads(outcome.out)
    assert (outcome.status, report["whole"], report["undecodable"]) == (0, True, 0)
    assert report["types"] == {"CLIENT_QUERY": 2, "TYPE255": 1, "TYPE256": 1}


def test_every_format_shows_it(foreign: Path) -> None:
    """The line, YAML, JSON, all of it, and templates."""
    lines = call("read", foreign).out.splitlines()
    assert [line.split()[1] for line in lines] == ["TYPE255", "CQ", "TYPE256", "CQ"]
    assert lines[0].split()[2:4] == ["192.0.2.1", "UDP"]
    assert "PROTOCOL99" in lines[1]
    documents = yaml.safe_load_all(call("read", "--yaml", foreign).out)
    shown = [each["message"] for each in documents if each]
    assert [each["type"] for each in shown] == [
        "TYPE255",
        "CLIENT_QUERY",
        "TYPE256",
        "CLIENT_QUERY",
    ]
    assert (shown[1]["socket_family"], shown[1]["socket_protocol"]) == ("FAMILY9", "PROTOCOL99")
    for option in ("--json", "--json=full"):
        shown = [
            json.loads(line)["message"] for line in call("read", option, foreign).out.splitlines()
        ]
        assert [each["type"] for each in shown][::2] == ["TYPE255", "TYPE256"]
        assert (shown[1]["socket_family"], shown[1]["socket_protocol"]) == ("FAMILY9", "PROTOCOL99")
    assert shown[1]["http_protocol"] == "HTTP_PROTOCOL7"
    assert shown[1]["policy"] == {"type": "RPZ", "action": "ACTION8", "match": "MATCH9"}
    template = "{message_type} {mnemonic} {socket_protocol} {http_protocol}"
    assert call("read", "--format", template, foreign).out.splitlines()[:2] == [
        "TYPE255 TYPE255 UDP -",
        "CLIENT_QUERY CQ PROTOCOL99 HTTP_PROTOCOL7",
    ]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [("TYPE255", 1), ("type255", 1), ("TYPE*", 2), ("TYPE25?", 2), ("*", 4), ("CQ,TYPE256", 3),
     ("TYPE5", 2), ("TYPE9", 0), ("*_QUERY", 2)],
)  # fmt: skip
def test_they_can_be_chosen(wanted: str, count: int, foreign: Path) -> None:
    """By their names and by patterns."""
    outcome = call("read", "--type", wanted, foreign)

    assert (outcome.status, len(outcome.out.splitlines())) == (0, count)


def test_top_counts_them(foreign: Path) -> None:
    """By their names, in types and protocols."""
    summary = json.loads(call("top", "--json", foreign).out)

    assert summary["types"] == {"CLIENT_QUERY": 2, "TYPE255": 1, "TYPE256": 1}
    assert summary["protocols"] == {"UDP": 3, "PROTOCOL99": 1}


def test_many_made_up_ones_are_counted_together(tmp_path: Path) -> None:
    """A sender that makes up types does not make the report, or the memory, longer."""
    path = tmp_path / "many.fstrm"
    path.write_bytes(capture([payload(1000 + number, 9, number) for number in range(1000)]))

    for command in ("check", "top"):
        report: Dict[str, Any] = json.loads(call(command, "--json", path).out)
        for counts in (report["types"], report.get("protocols", {"-": 1000})):
            assert sum(counts.values()) == 1000
            assert len(counts) <= 100
            assert all(
                name == "OTHER" or count < 1000 or name == "-" for name, count in counts.items()
            )


# -- the fields themselves ---------------------------------------------------------------------

FIELDS = st.one_of(
    st.tuples(st.sampled_from([1, 2, 3, 16]), st.integers(-(2**31), 2**31 - 1)).map(
        lambda given: varint(given[0] << 3) + varint(given[1])
    ),
    st.tuples(st.sampled_from([4, 10, 99]), st.binary(max_size=5)).map(lambda given: field(*given)),
    st.just(varint(98 << 3 | 3) + b"\x08\x63" + varint(98 << 3 | 4)),  # a group, with a "type"
    st.just(varint(97 << 3 | 1) + bytes(8)),
    st.just(varint(96 << 3 | 5) + bytes(4)),
)


@given(st.lists(FIELDS, max_size=6), st.lists(FIELDS, max_size=6))
def test_numbers_are_what_protobuf_reads(one: List[bytes], other: List[bytes]) -> None:
    """In any order, number and company: known ones are protobuf's, unknown ones the last."""
    parts = [b"".join(one), b"".join(other)]
    data = field(1, b"x") + b"".join(field(14, part) for part in parts) + b"\x78\x01"
    body = Message.FromString(b"".join(parts))
    numbers, _ = read_enumerators(data)

    Dnstap.FromString(data)
    for name, number in (("type", 1), ("socket_family", 2), ("http_protocol", 16)):
        if body.HasField(name):
            assert number in numbers
        elif number in numbers:
            kind = {1: MessageType, 2: enums.SocketFamily, 16: enums.HttpProtocol}[number]
            assert not read_member(kind, numbers[number]).is_known  # type: ignore[type-var]


@pytest.mark.parametrize("implementation", ["python", "upb"])
def test_both_implementations_of_protobuf(implementation: str) -> None:
    """protobuf in Python and in C put unknown enumerators in different places; we read the same."""
    script = (
        "import sys; from dnstap_logging.codec.decoding import decode, decode_plainly\n"
        "data = bytes.fromhex(sys.argv[1])\n"
        "message = decode_plainly(data)\n"
        "assert message == decode(data)\n"
        "print(message.message_type.name, message.socket_protocol.name, message.policy.action.name)"
    )
    data = payload(255, 1, 99, None, (8, 1)).hex()
    done = run_python(script, data, protobuf=implementation)

    assert (done.stdout, done.stderr) == ("TYPE255 PROTOCOL99 ACTION8\n", "")
