"""Messages to Dnstap payloads and back, checked by two decoders that are not ours."""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import dnstap_pb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging.codec import proto
from dnstap_logging.codec import table as wire_table
from dnstap_logging.codec.decoding import decode
from dnstap_logging.codec.encoding import DEFAULT_MAX_PAYLOAD, Encoder
from dnstap_logging.codec.table import WireField
from dnstap_logging.exceptions import DecodeError, InvalidMessage, MessageTooLarge
from dnstap_logging.framestream.frames import DNSTAP_CONTENT_TYPE
from dnstap_logging.message.check import Problem, message_from_snapshot
from dnstap_logging.message.enums import SocketFamily
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.policy import Policy
from dnstap_logging.message.snapshot import take_snapshot
from tests.codec.strategies import extras

# A busy machine says nothing about the code.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ZONE = b"\x07example\x03com\x00"
Fields = Dict[int, Any]


# -- a decoder of protobuf's wire format, written for these tests -------------------------------


def varint(data: bytes, at: int) -> Tuple[int, int]:
    """Read an integer of seven bits a byte, the lowest first; returns it and what follows."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def walk(data: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    """Yield the number and value of each field."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
            yield tag >> 3, value
        elif tag & 7 == 2:
            length, at = varint(data, at)
            assert at + length <= len(data)
            yield tag >> 3, data[at : at + length]
            at += length
        else:
            assert tag & 7 == 5, f"wire type {tag & 7}"
            yield tag >> 3, int.from_bytes(data[at : at + 4], "little")
            at += 4


def fields_of(data: Any) -> Fields:
    """Return the fields of a payload by number, each at most once."""
    pairs = list(walk(data))
    assert len({number for number, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


# -- what goes in comes out --------------------------------------------------------------------


def present(values: Fields) -> Fields:
    """Leave out what is None."""
    return {number: value for number, value in values.items() if value is not None}


def expected_fields(message: DnstapMessage) -> Fields:
    """Say what the wire has to hold, by the numbers of dnstap.proto."""
    query, response = message.query_time, message.response_time
    policy = message.policy
    if policy is not None:
        text = None if policy.type is None else policy.type.encode()
        pairs = {1: text, 2: policy.rule, 3: policy.action, 4: policy.match, 5: policy.value}
    return present(
        {
            1: message.message_type,
            2: message.socket_family,
            3: message.socket_protocol,
            4: message.query_address,
            5: message.response_address,
            6: message.query_port,
            7: message.response_port,
            8: None if query is None else query // 10**9,
            9: None if query is None else query % 10**9,
            10: message.query_message,
            11: message.query_zone,
            12: None if response is None else response // 10**9,
            13: None if response is None else response % 10**9,
            14: message.response_message,
            15: None if policy is None else present(pairs),
            16: message.http_protocol,
        }
    )


def assert_on_the_wire(payload: bytes, message: DnstapMessage) -> None:
    """Compare a payload with a message, by both independent decoders."""
    outer = fields_of(payload)
    inner = fields_of(outer.pop(14))
    if 15 in inner:
        inner[15] = fields_of(inner[15])
    assert inner == expected_fields(message)
    given = {1: message.identity or None, 2: message.version or None, 3: message.extra, 15: 1}
    assert outer == present(given)

    theirs = dnstap_pb.Dnstap.FromString(payload)
    assert theirs.type == dnstap_pb.Dnstap.MESSAGE
    assert theirs.extra == (message.extra or b"")
    assert dnstap_pb.Message.Type.Name(theirs.message.type) == message.message_type.name
    for name in PLAIN_FIELDS:
        value = getattr(message, name)
        assert theirs.message.HasField(name) is (value is not None), name
        if value is not None:
            assert getattr(theirs.message, name) == value, name
    for side in ("query", "response"):
        time = getattr(message, f"{side}_time")
        if time is not None:
            seconds = getattr(theirs.message, f"{side}_time_sec")
            assert seconds * 10**9 + getattr(theirs.message, f"{side}_time_nsec") == time


PLAIN_FIELDS = (
    *("socket_family", "socket_protocol", "query_address", "response_address", "query_port"),
    *("response_port", "query_message", "response_message", "query_zone"),
)


def as_octets(value: Any) -> Any:
    """Return text and buffers as bytes, all else as it is."""
    if isinstance(value, str):
        return value.encode()
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


def address_of(value: Any) -> Tuple[Optional[bytes], Optional[int]]:
    """Read an address extra in the tests' own way."""
    if value is None:
        return None, None
    if isinstance(value, tuple):
        return ipaddress.ip_address(value[0]).packed, value[1]
    return ipaddress.ip_address(value).packed, None


def assert_what_was_written(message: DnstapMessage, values: Dict[str, Any], created: int) -> None:
    """Compare a checked message with the extras that it was made of."""
    written = {name: values.get(f"dns_{name}") for name in DnstapMessage._fields}
    for side in ("query", "response"):
        packed, port = address_of(written[f"{side}_address"])
        explicit = written[f"{side}_port"]
        assert getattr(message, f"{side}_address") == packed
        assert getattr(message, f"{side}_port") == (port if explicit is None else explicit)
        wire = as_octets(written[f"{side}_message"])
        assert getattr(message, f"{side}_message") == wire
    own = "query_time" if message.message_type.is_query else "response_time"
    assert getattr(message, own) == written[own] or (written[own] is None and created)
    assert message.message_type == written["message_type"]
    assert message.query_zone == written["query_zone"]
    assert message.extra == (as_octets(written["extra"]) or None)
    assert message.identity == as_octets(written["identity"])
    assert message.version == as_octets(written["version"])
    assert message.http_protocol == written["http_protocol"]
    policy = written["policy"]
    assert message.policy == (tuple(policy.values()) if isinstance(policy, dict) else policy)


@relaxed
@given(extras())
def test_what_goes_in_comes_out(values: Dict[str, Any]) -> None:
    """Good extras of every form come out of independent decoders as they were written."""
    problems: List[Problem] = []
    message = message_from_snapshot(take_snapshot(values, 1_700_000_000.5), problems)
    payload = Encoder(b"", b"").encode(message, problems)

    assert problems == []
    assert_what_was_written(message, values, 1_700_000_000_500_000_000)
    assert_on_the_wire(payload, message)


@relaxed
@given(extras())
def test_decode_undoes_encode(values: Dict[str, Any]) -> None:
    """Our own decoder returns the very message; an empty identity is the same as none there."""
    message = message_from_snapshot(take_snapshot(values, 0.0), [])
    payload = Encoder(b"", b"").encode(message, [])
    left_out = {"identity": message.identity or None, "version": message.version or None}

    decoded = decode(payload)

    assert decoded == message._replace(**left_out)
    assert list(map(type, decoded)) == list(map(type, message._replace(**left_out)))


@relaxed
@given(st.lists(extras(), min_size=2, max_size=4))
def test_an_encoder_keeps_nothing(several: List[Dict[str, Any]]) -> None:
    """A message leaves nothing behind for the next one in the encoder's reused object."""
    encoder = Encoder(b"ns1", b"1.0")
    for values in several:
        message = message_from_snapshot(take_snapshot(values, 0.0), [])
        assert encoder.encode(message, []) == Encoder(b"ns1", b"1.0").encode(message, [])


def test_an_error_leaves_nothing_behind() -> None:
    """A message that cannot be encoded leaves nothing for the next one, either."""
    good = DnstapMessage("TOOL_QUERY")
    encoder = Encoder(b"", b"", max_frame_size=100)
    with pytest.raises(MessageTooLarge):
        encoder.encode(DnstapMessage("AUTH_QUERY", query_message=bytes(200), extra=b"x"), [])
    with pytest.raises(InvalidMessage):
        encoder.encode(good._replace(query_zone=b".", query_port=-1), [])

    assert encoder.encode(good, []) == Encoder(b"", b"").encode(good, [])


# -- the encoder's arguments -------------------------------------------------------------------


def test_content_type() -> None:
    """The content type is dnstap's, byte for byte."""
    assert DNSTAP_CONTENT_TYPE == b"protobuf:dnstap.Dnstap"


@pytest.mark.parametrize(
    ("handlers", "own", "sent"),
    [
        (b"ns1", None, b"ns1"),
        (b"ns1", b"ns2", b"ns2"),
        (b"ns1", b"", None),
        (b"", None, None),
        (b"", b"ns2", b"ns2"),
    ],
)
def test_identity_and_version(handlers: bytes, own: Optional[bytes], sent: bytes) -> None:
    """The message's own wins, None means the handler's, and empty leaves the field out."""
    message = DnstapMessage("CLIENT_QUERY", identity=own, version=own)
    fields = fields_of(Encoder(handlers, handlers).encode(message, []))

    assert (fields.get(1), fields.get(2)) == (sent, sent)


@pytest.mark.parametrize("message_type", ["CLIENT_QUERY", "CLIENT_RESPONSE"])
def test_not_full(message_type: str) -> None:
    """full=False leaves both DNS messages out and everything else in."""
    message = DnstapMessage(
        message_type, query_message=b"q", response_message=b"r", query_zone=ZONE, query_port=53
    )
    problems: List[Problem] = []
    decoded = decode(Encoder(b"", b"", full=False).encode(message, problems))

    assert decoded == message._replace(query_message=None, response_message=None)
    assert problems == []


def two_sides(message_type: str, query: int, response: int, **others: Any) -> DnstapMessage:
    """Make a message with a query and a response of these sizes."""
    sides: Any = {"query_message": bytes(query), "response_message": bytes(response)}
    return DnstapMessage(message_type, **sides, **others)


@pytest.mark.parametrize(
    ("message_type", "other", "own"),
    [
        ("CLIENT_QUERY", "response_message", "query_message"),
        ("CLIENT_RESPONSE", "query_message", "response_message"),
    ],
)
def test_other_side_is_left_out_first(message_type: str, other: str, own: str) -> None:
    """A query and a response of 64 KiB do not fit: the message's own side stays, with a problem."""
    problems: List[Problem] = []
    payload = Encoder(b"", b"").encode(two_sides(message_type, 65535, 65535), problems)
    decoded = decode(payload)

    assert len(payload) <= DEFAULT_MAX_PAYLOAD == 98304
    assert getattr(decoded, own) == bytes(65535)
    assert getattr(decoded, other) is None
    assert [kind for kind, _ in problems] == [f"dns_{other}"]
    assert problems[0][1].startswith(f"dns_{other} of 65,535 bytes left out: ")
    assert "over max_frame_size=98,304" in problems[0][1]


def test_payload_that_just_fits() -> None:
    """The limit is the payload's last allowed size, on both sides of it."""
    message = two_sides("CLIENT_QUERY", 1000, 1000)
    size = len(Encoder(b"", b"").encode(message, []))
    problems: List[Problem] = []

    assert len(Encoder(b"", b"", max_frame_size=size).encode(message, problems)) == size
    assert problems == []
    assert len(Encoder(b"", b"", max_frame_size=size - 1).encode(message, problems)) < size - 1000
    assert len(problems) == 1


@pytest.mark.parametrize(
    "message",
    [
        DnstapMessage("CLIENT_QUERY", query_message=bytes(2000)),
        two_sides("CLIENT_QUERY", 2000, 10),
        DnstapMessage("CLIENT_QUERY", extra=bytes(2000)),
        DnstapMessage("CLIENT_QUERY", policy=Policy(value=bytes(2000))),
    ],
    ids=["own side", "both sides", "extra", "policy"],
)
def test_too_large_even_so(message: DnstapMessage) -> None:
    """What does not fit without the other side is too large, and that is no second problem."""
    problems: List[Problem] = []
    with pytest.raises(MessageTooLarge, match=r"is over max_frame_size=1,000"):
        Encoder(b"", b"", max_frame_size=1000).encode(message, problems)

    assert problems == []


@pytest.mark.parametrize(
    "changes",
    [
        {"query_port": -1},
        {"query_port": "53"},
        {"query_message": "text"},
        {"socket_family": 7},
        {"message_type": None},
        {"message_type": 99},
        {"query_time": -1},
        {"query_time": "now"},
        {"policy": 5},
        {"identity": "ns1"},
    ],
    ids=str,
)
def test_unchecked_values(changes: Dict[str, Any]) -> None:
    """Values that only _replace can bring in are an InvalidMessage, not protobuf's errors."""
    message = DnstapMessage("CLIENT_QUERY", query_message=b"q")._replace(**changes)

    with pytest.raises(InvalidMessage, match=r"^cannot be encoded: "):
        Encoder(b"", b"").encode(message, [])


# -- decoding what others send -----------------------------------------------------------------


def payload_of(**fields: Any) -> bytes:
    """Return a payload of protobuf's own making."""
    dnstap = proto.Dnstap()
    dnstap.type = proto.Dnstap.MESSAGE
    dnstap.message.type = proto.Message.CLIENT_QUERY
    for name, value in fields.items():
        setattr(dnstap.message, name, value)
    return dnstap.SerializeToString()


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b"", "another type"),
        (b"\x0a", "not a Dnstap payload"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "not a Dnstap payload"),
        (b"\x78\x02\x72\x02\x08\x05", "another type"),
        (b"\x72\x02\x08\x05", "another type"),
        (b"\x78\x01", "without a message"),
        (b"\x78\x01\x72\x00", "a dnstap message without a type"),
        (b"\x78\x01\x72\x02\x08", "not a Dnstap payload"),
        (b"GET / HTTP/1.1\r\n\r\n", "not a Dnstap payload"),
    ],
)
def test_no_message(payload: bytes, text: str) -> None:
    """What is not a Dnstap payload, or has no message with a type, is a DecodeError."""
    with pytest.raises(DecodeError, match=text):
        decode(payload)


def test_smallest_message() -> None:
    """A message has a type; everything else may be missing."""
    assert decode(b"\x78\x01\x72\x02\x08\x05") == DnstapMessage("CLIENT_QUERY")


@pytest.mark.parametrize(
    ("extension", "name", "number"),
    [
        (b"\x10\x09", "socket_family", 9),
        (b"\x18\x63", "socket_protocol", 99),
        (b"\x80\x01\x09", "http_protocol", 9),
        (b"\xf8\x07\x01", None, 1),
    ],
)
def test_fields_of_the_future(extension: bytes, name: Optional[str], number: int) -> None:
    """Unknown enumerators are kept as they are, unknown fields are left out, all else is kept."""
    inner = b"\x08\x05" + extension + b"\x30\x35"
    message = decode(b"\x78\x01\x72" + bytes([len(inner)]) + inner)

    if name is not None:
        assert getattr(message, name) == number
        message = message._replace(**{name: None})
    assert message == DnstapMessage("CLIENT_QUERY", query_port=53)


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"query_address": b"123"}, "query_address"),
        ({"query_address": b""}, "query_address"),
        ({"response_address": bytes(17)}, "response_address"),
        ({"query_port": 65536}, "query_port"),
        ({"response_port": 2**32 - 1}, "response_port"),
        ({"query_time_sec": 2**64 - 1}, "query_time"),
        ({"query_time_sec": 1, "query_time_nsec": 10**9}, "query_time"),
        ({"response_time_nsec": 5}, "response_time"),
        ({"response_time_sec": 253402300800}, "response_time"),
    ],
    ids=str,
)
def test_values_out_of_range(fields: Dict[str, Any], missing: str) -> None:
    """A value that a message cannot hold is left out."""
    message = decode(payload_of(query_zone=ZONE, **fields))

    assert getattr(message, missing) is None
    assert message == DnstapMessage("CLIENT_QUERY", query_zone=ZONE)


def test_values_are_taken_as_sent() -> None:
    """What others send is shown as it is: early times, odd zones, 16 bytes with INET."""
    fields = {"socket_family": 1, "query_address": bytes(16), "query_time_sec": 5}
    message = decode(payload_of(query_zone=b"text", query_message=b"", **fields))

    assert message.socket_family is SocketFamily.INET
    assert message.query_address == bytes(16)
    assert message.query_time == 5_000_000_000
    assert (message.query_zone, message.query_message) == (b"text", b"")


def test_policy_that_is_not_utf8() -> None:
    """Text of a policy that is not UTF-8 is escaped, or refused by the runtime; never garbage."""
    payload = b"\x78\x01\x72\x07\x08\x05\x7a\x03\x0a\x01\xff"
    try:
        policy = decode(payload).policy
    except DecodeError:
        return
    assert policy == Policy("\\xff")


@relaxed
@given(st.binary(max_size=200))
def test_random_bytes(payload: bytes) -> None:
    """Any bytes are a message or a DecodeError."""
    try:
        message = decode(payload)
    except DecodeError:
        return
    assert type(message) is DnstapMessage


@relaxed
@given(extras(), st.data())
def test_damaged_payloads(values: Dict[str, Any], data: st.DataObject) -> None:
    """So is a payload with changed bytes; what is decoded and known can be encoded again."""
    payload = bytearray(
        Encoder(b"ns1", b"").encode(message_from_snapshot(take_snapshot(values, 0.0), []), [])
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
    try:
        message = decode(bytes(payload))
    except DecodeError:
        return
    parts = (*message, *(message.policy or ()))
    if not all(getattr(part, "is_known", True) for part in parts):
        with pytest.raises(InvalidMessage, match=r"is not in this dnstap\.proto"):
            Encoder(b"", b"").encode(message, [])
        return
    again = Encoder(b"", b"").encode(message, [])
    assert decode(again) == message._replace(
        identity=message.identity or None, version=message.version or None
    )


OTHER_RUNTIME = "DNSTAP_LOGGING_TEST_RUNTIME"


@pytest.mark.slow
@pytest.mark.skipif(OTHER_RUNTIME in os.environ, reason="this is the other runtime's run")
def test_pure_python_runtime() -> None:
    """All of this holds with protobuf's pure Python implementation, too."""
    chosen = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python", OTHER_RUNTIME: "python"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


# -- the table ---------------------------------------------------------------------------------

WIRE_TYPES = {
    "uint64": 0,
    "uint32": 0,
    "enum": 0,
    "bytes": 2,
    "string": 2,
    "message": 2,
    "fixed32": 5,
}


@pytest.mark.parametrize(
    ("table", "schema"),
    [
        (wire_table.DNSTAP, proto.Dnstap),
        (wire_table.MESSAGE, proto.Message),
        (wire_table.POLICY, proto.Policy),
    ],
    ids=["Dnstap", "Message", "Policy"],
)
def test_the_table_is_that_of_the_schema(table: Dict[str, WireField], schema: Any) -> None:
    """Names, numbers, order and wire types of the encoder's fields are those of dnstap.proto."""
    fields = sorted(schema.DESCRIPTOR.fields, key=lambda field: field.number)
    kinds = {getattr(type(fields[0]), f"TYPE_{name.upper()}"): name for name in WIRE_TYPES}
    expected = [(field.name, field.number, WIRE_TYPES[kinds[field.type]]) for field in fields]

    assert [(name, each.number, each.wire_type) for name, each in table.items()] == expected
