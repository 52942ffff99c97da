"""dnstap_logging.codec.proto: the schema is complete, and the same on every runtime."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Dict

import pytest

from dnstap_logging.codec.proto import Dnstap, Message, Policy, dnstap_pb2

ROLES = ("AUTH", "RESOLVER", "CLIENT", "FORWARDER", "STUB", "TOOL", "UPDATE")

ENUMS = {
    "Dnstap.Type": {"MESSAGE": 1},
    "Message.Type": {
        f"{role}_{direction}": 2 * index + number
        for index, role in enumerate(ROLES)
        for number, direction in enumerate(("QUERY", "RESPONSE"), start=1)
    },
    "SocketFamily": {"INET": 1, "INET6": 2},
    "SocketProtocol": {
        "UDP": 1,
        "TCP": 2,
        "DOT": 3,
        "DOH": 4,
        "DNSCryptUDP": 5,
        "DNSCryptTCP": 6,
        "DOQ": 7,
    },
    "HttpProtocol": {"HTTP1": 1, "HTTP2": 2, "HTTP3": 3},
    "Policy.Action": {
        "NXDOMAIN": 1,
        "NODATA": 2,
        "PASS": 3,
        "DROP": 4,
        "TRUNCATE": 5,
        "LOCAL_DATA": 6,
    },
    "Policy.Match": {"QNAME": 1, "CLIENT_IP": 2, "RESPONSE_IP": 3, "NS_NAME": 4, "NS_IP": 5},
}

# One field of each message set, in the order of the schema, as any dnstap writer puts it on the
# wire: the key (field number and wire type), then the value.
DNSTAP_BYTES = b"\x0a\x01i\x12\x01v\x1a\x01e\x72\x02\x08\x05\x78\x01"
MESSAGE_BYTES = (
    b"\x08\x05\x10\x01\x18\x04"  # type, socket_family, socket_protocol
    b"\x22\x04\xc0\x00\x02\x01\x2a\x04\xc0\x00\x02\x02"  # the two addresses
    b"\x30\xe9\x29\x38\x35"  # the two ports
    b"\x40\x80\x94\xeb\xdc\x03\x4d\x01\x00\x00\x00"  # query_time_sec, query_time_nsec (fixed32)
    b"\x52\x01q\x5a\x01\x00"  # query_message, query_zone
    b"\x60\x81\x94\xeb\xdc\x03\x6d\x02\x00\x00\x00"  # response_time_sec, response_time_nsec
    b"\x72\x01r"  # response_message
    b"\x7a\x0f\x0a\x03RPZ\x12\x01\x00\x18\x04\x20\x02\x2a\x01\x01"  # policy
    b"\x80\x01\x02"  # http_protocol
)


def full_message() -> Message:
    """Return a message with every field set."""
    return Message(
        type=Message.CLIENT_QUERY,
        socket_family=dnstap_pb2.INET,
        socket_protocol=dnstap_pb2.DOH,
        query_address=b"\xc0\x00\x02\x01",
        response_address=b"\xc0\x00\x02\x02",
        query_port=5353,
        response_port=53,
        query_time_sec=1_000_000_000,
        query_time_nsec=1,
        query_message=b"q",
        query_zone=b"\0",
        response_time_sec=1_000_000_001,
        response_time_nsec=2,
        response_message=b"r",
        policy=Policy(
            type="RPZ", rule=b"\0", action=Policy.DROP, match=Policy.CLIENT_IP, value=b"\1"
        ),
        http_protocol=dnstap_pb2.HTTP2,
    )


def enum_numbers(path: str) -> Dict[str, int]:
    """Return the names and numbers of an enum as the loaded schema has them."""
    message, _, name = path.rpartition(".")
    schema = dnstap_pb2.DESCRIPTOR
    enums = (schema.message_types_by_name[message] if message else schema).enum_types_by_name
    return {value.name: value.number for value in enums[name].values}


@pytest.mark.parametrize("path", ENUMS)
def test_enums_are_complete(path: str) -> None:
    """Every enum has every name of dnstap's schema, with its number, and no other."""
    assert enum_numbers(path) == ENUMS[path]


def test_message_fields_have_dnstap_numbers_and_types() -> None:
    """A message with every field set is, byte for byte, what dnstap's schema makes of it."""
    message = full_message()

    assert message.SerializeToString(deterministic=True) == MESSAGE_BYTES
    assert Message.FromString(MESSAGE_BYTES) == message
    assert len(message.ListFields()) == len(Message.DESCRIPTOR.fields)


def test_envelope_fields_have_dnstap_numbers_and_types() -> None:
    """The envelope with every field set is, byte for byte, what dnstap's schema makes of it."""
    envelope = Dnstap(identity=b"i", version=b"v", extra=b"e", type=Dnstap.MESSAGE)
    envelope.message.type = Message.CLIENT_QUERY

    assert envelope.SerializeToString(deterministic=True) == DNSTAP_BYTES
    assert Dnstap.FromString(DNSTAP_BYTES) == envelope
    assert len(envelope.ListFields()) == len(Dnstap.DESCRIPTOR.fields)


@pytest.mark.parametrize("message_class", [Dnstap, Message])
def test_only_the_type_is_required(message_class: type) -> None:
    """Everything but the type may be left out (dnstap.proto)."""
    assert not message_class().IsInitialized()
    assert message_class(type=1).IsInitialized()


def test_messages_can_be_pickled_and_name_their_module() -> None:
    """A message says where its class is, as every class does, so that it can be pickled."""
    message = full_message()

    assert pickle.loads(pickle.dumps(message)) == message
    assert Message.__module__ == "dnstap_logging.codec.proto.dnstap_pb2"


def test_schema_is_shipped_beside_its_module() -> None:
    """The .proto file that comes with the package names every field that its module has."""
    text = Path(dnstap_pb2.__file__).with_name("dnstap.proto").read_text(encoding="utf-8")
    declared = set(re.findall(r"^\s+(?:optional|required) \w+ (\w+) = ", text, re.MULTILINE))
    loaded = {
        field.name
        for message in dnstap_pb2.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
    }

    assert declared == loaded
