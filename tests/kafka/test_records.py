"""The key and the headers of a record are made of the message itself."""

from __future__ import annotations

import socket
from typing import Dict, Optional

import pytest

from dnstap_logging.codec.proto.dnstap_pb2 import Dnstap, Message
from dnstap_logging.delivery.options import KAFKA_KEYS
from dnstap_logging.kafka import records
from dnstap_logging.kafka.records import header_maker, key_maker

TYPE = ("content-type", b"protobuf:dnstap.Dnstap")


def payload(identity: bytes = b"", address: bytes = b"", extra: bytes = b"") -> bytes:
    """Return a message with these fields; empty ones are left out."""
    message = Dnstap(type=Dnstap.MESSAGE, message=Message(type=Message.CLIENT_QUERY))
    if identity:
        message.identity = identity
    if address:
        message.message.query_address = address
    if extra:
        message.extra = extra
    return message.SerializeToString()


@pytest.mark.parametrize("identity", [b"ns1", b"x" * 127, b"x" * 128, b"x" * 5000, b"\xff\x00"])
def test_the_key_is_the_identity(identity: bytes) -> None:
    """It is the message's own, whatever its length and bytes."""
    assert key_maker("identity")(payload(identity)) == identity


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (socket.inet_aton("192.0.2.1"), b"192.0.2.1"),
        (socket.inet_pton(socket.AF_INET6, "2001:db8::1"), b"2001:db8::1"),
        (b"", None),
        (b"abc", None),
    ],
)
def test_the_key_is_the_client(address: bytes, key: Optional[bytes]) -> None:
    """It is the query address as text; without one there is no key."""
    assert key_maker("client")(payload(address=address)) == key


def test_identity_in_another_place() -> None:
    """The order of fields does not matter, nor does what comes before it."""
    rest = payload()
    own = b"\x0a\x03ns1"
    assert key_maker("identity")(rest + own) == b"ns1"
    assert key_maker("identity")(own + rest) == b"ns1"


@pytest.mark.parametrize("given", [b"", b"\x0a", b"\x0a\x05ab", b"garbage", b"\xff" * 20])
@pytest.mark.parametrize("kind", ["identity", "client", None])
def test_what_is_no_message_has_no_key(kind: Optional[str], given: bytes) -> None:
    """Bytes that are not a message are sent, without key and number."""
    assert key_maker(kind)(given) is None
    assert header_maker(True)(given) == [TYPE]


def test_each_kind_of_key_can_be_chosen() -> None:
    """What the argument takes is what there is a maker for."""
    assert {*KAFKA_KEYS, None} == set(records._KEYS)


def test_no_key() -> None:
    """None makes records without a key, and so does a message without an identity."""
    assert key_maker(None)(payload(b"ns1")) is None
    assert key_maker("identity")(payload()) is None


@pytest.mark.parametrize(
    ("extra", "headers"),
    [
        (b"seq=0123456789abcdef/42/0", {"sequence": b"42"}),
        (b"mine seq=0123456789abcdef/7/3", {"sequence": b"7"}),
        (b"seq=1/2/3 seq=0123456789abcdef/9/3", {"sequence": b"9"}),
        (b"", {}),
        (b"mine", {}),
        (b"seq=0123456789abcdef/x/0", {}),
    ],
)
def test_the_number_is_a_header(extra: bytes, headers: Dict[str, bytes]) -> None:
    """With sequence, the number that ends extra is a header in decimal digits."""
    assert header_maker(True)(payload(extra=extra)) == [TYPE, *headers.items()]
    assert header_maker(False)(payload(extra=extra)) == [TYPE]
