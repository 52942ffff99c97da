"""Decode Dnstap payloads to messages; `encoding.py` does the reverse.

Readers and receivers call `decode`, each in its own thread. Framing is not done here: a payload is
what one data frame holds.

There are two decoders with the same result. `decode_plainly` accepts every payload and asks
protobuf for one field after the other: about thirty calls from Python into the runtime for each
message, which take most of its time. `decode` first tries what nearly all emitters send: the fields
in the order of their numbers, each once, and at most one DNS message. One regular expression finds
them all in one call, and most of their values are cached. All other payloads go to
`decode_plainly`. Tests compare the two.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Tuple, Type

from ..address import MAX_PORT
from ..exceptions import DecodeError
from ..message.enums import (
    E,
    HttpProtocol,
    MessageType,
    PolicyAction,
    PolicyMatch,
    SocketFamily,
    SocketProtocol,
    read_member,
)
from ..message.message import DnstapMessage
from ..message.policy import Policy
from ..message.values import MAX_SECONDS, NS
from ..shorten import describe_error
from . import proto
from .enumerators import read_enumerators
from .pieces import Memo

__all__ = ["decode", "decode_plainly", "decode_type_and_time"]


# -- the quick way -----------------------------------------------------------------------------

_LENGTH = rb"([\x00-\x7f]|[\x80-\xff][\x00-\x7f])"  # a varint of up to 16,383
_PORT = rb"([\x80-\xff]{0,2}[\x00-\x7f])"
_SECONDS = rb"([\x80-\xff]{4}[\x00-\x7f])"  # the years 1978 to 3058

# From the tag of `message` to the length of the one DNS message in it: split off before it are
# identity, version and extra, and behind it that DNS message and _END. Alternatives with nothing,
# `(?:x|)`, where `(?:x)?` would say the same and take twice the time. Every part has a bounded
# length, so that no payload can be made to take long.
_split = re.compile(
    rb"\x72" + _LENGTH  # message
    + rb"(\x08[\x00-\x7f]\x10[\x00-\x7f]\x18[\x00-\x7f])"  # type, socket_family, socket_protocol
    + rb"(?:\x22\x04(.{4})|\x22\x10(.{16})|)"  # query_address
    + rb"(?:\x2a\x04(.{4})|\x2a\x10(.{16})|)"  # response_address
    + rb"(?:\x30" + _PORT + rb"|)"  # query_port
    + rb"(?:\x38" + _PORT + rb"|)"  # response_port
    + rb"(?:\x40" + _SECONDS + rb"\x4d(.{4})|)"  # query_time
    + rb"(?:\x52|(?:\x60" + _SECONDS + rb"\x6d(.{4})|)(\x72))"  # query_message, or response_time
    + _LENGTH,  # and response_message
    re.DOTALL,
).split  # fmt: skip

_END = b"\x78\x01"
"""The type of a Dnstap, MESSAGE: the last of its fields."""

_new_tuple = tuple.__new__
_from_bytes = int.from_bytes


class _Heads(Memo[bytes, Tuple[Optional[bytes], Optional[bytes], Optional[bytes]]]):
    """What stands before a message, by its bytes; long ones are not kept."""

    __slots__ = ()

    def __missing__(self, piece: bytes) -> Tuple[Optional[bytes], Optional[bytes], Optional[bytes]]:
        return super().__missing__(piece) if len(piece) <= MAX_SEEN else self._make(piece)


def _varint(piece: bytes) -> int:
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(piece))


def _as_nanoseconds(piece: bytes) -> int:
    seconds = _varint(piece)
    if seconds >= MAX_SECONDS:
        raise ValueError
    return seconds * NS


def _as_port(piece: Optional[bytes]) -> Optional[int]:
    port = None if piece is None else _varint(piece)
    if port is not None and port > MAX_PORT:
        raise ValueError
    return port


def _as_kinds(piece: bytes) -> Tuple[MessageType, SocketFamily, SocketProtocol]:
    _, message_type, _, family, _, protocol = piece  # each number is one byte
    return (
        read_member(MessageType, message_type),
        read_member(SocketFamily, family),
        read_member(SocketProtocol, protocol),
    )


def _as_head(piece: bytes) -> Tuple[Optional[bytes], Optional[bytes], Optional[bytes]]:
    try:
        dnstap = proto.Dnstap.FromString(piece)
    except Exception as error:
        raise ValueError from error
    if dnstap.HasField("message"):
        raise ValueError  # and another one after it: protobuf makes one of them
    return _head(dnstap)


MOST_SEEN = 1024
"""How many pieces of a kind are kept: some hundred kilobytes. One server has few of each: one
identity and version, some combinations of type, family and protocol, one second at a time."""

MAX_SEEN = 256
"""Bytes of the longest piece that is kept. Identity, version and extra of a server are shorter; a
sender may fill frames of a megabyte with ever new ones."""

_lengths = Memo(_varint, 1 << 14)
_seconds = Memo(_as_nanoseconds, MOST_SEEN)
_ports = Memo(_as_port, MOST_SEEN)  # of the servers
_kinds = Memo(_as_kinds, MOST_SEEN)
_heads = _Heads(_as_head, MOST_SEEN)


def decode(payload: bytes) -> DnstapMessage:
    """Return the message of a Dnstap payload, as other programs send it.

    Fields are taken as they were sent. Those whose value a `DnstapMessage` cannot hold are left
    out: addresses of odd lengths, ports and times out of range. Enumerators that are not known yet
    are pseudo-members, see `enums.read_member`.

    Raises:
        DecodeError: it is no Dnstap payload, or holds no message, or one without a type.
    """
    try:
        (
            head, size, kinds, query_address, query_address6, response_address, response_address6,
            query_port, response_port, query_seconds, query_nanoseconds,
            response_seconds, response_nanoseconds, is_response, wire_size, rest,
        ) = _split(payload, 1)  # fmt: skip
        wire = rest[:-2]
        # Both lengths agree with the end of the payload, or protobuf has to say what is wrong.
        if (
            rest[-2:] != _END
            or len(wire) != _lengths[wire_size]
            or len(payload) - len(head) - len(size) - 3 != _lengths[size]
        ):
            return decode_plainly(payload)
        query_time = response_time = query_message = response_message = None
        if query_seconds is not None:
            nanoseconds = _from_bytes(query_nanoseconds, "little")
            if nanoseconds >= NS:
                return decode_plainly(payload)
            query_time = _seconds[query_seconds] + nanoseconds
        if is_response is None:
            query_message = wire
        else:
            response_message = wire
            if response_seconds is not None:
                nanoseconds = _from_bytes(response_nanoseconds, "little")
                if nanoseconds >= NS:
                    return decode_plainly(payload)
                response_time = _seconds[response_seconds] + nanoseconds
        if query_port is not None:
            # Clients use all of them, too many to be kept. Up to three bytes, without a loop.
            port = _from_bytes(query_port, "little")
            query_port = port & 0x7F | (port & 0x7F00) >> 1 | (port & 0x7F0000) >> 2
            if query_port > MAX_PORT:
                return decode_plainly(payload)
        message_type, family, protocol = _kinds[kinds]
        extra, identity, version = _heads[head]
        response_port = _ports[response_port]
    except ValueError:  # of the first line too: it did not come apart
        return decode_plainly(payload)
    # The class's own constructor checks, and _make takes twice as long.
    return _new_tuple(
        DnstapMessage,
        (
            message_type, family, protocol, None,
            query_address or query_address6, response_address or response_address6,
            query_port, response_port, query_time, response_time,
            query_message, response_message, None, None, extra, identity, version,
        ),
    )  # fmt: skip


def decode_type_and_time(payload: bytes) -> Tuple[MessageType, Optional[int]]:
    """Return the type of the message that `decode` returns, and the time of its own side.

    Of the other side, if it has no other. Takes two thirds of the time, for who only counts.

    Raises:
        DecodeError: as there.
    """
    try:
        (
            head, size, kinds, _, _, _, _, _, _, query_seconds, query_nanoseconds,
            response_seconds, response_nanoseconds, _, wire_size, rest,
        ) = _split(payload, 1)  # fmt: skip
        message_type, seconds, nanoseconds = _kinds[kinds][0], query_seconds, query_nanoseconds
        if response_seconds is not None and not (message_type & 1 and seconds):
            seconds, nanoseconds = response_seconds, response_nanoseconds
        fraction = 0 if seconds is None else _from_bytes(nanoseconds, "little")
        if (
            rest[-2:] == _END
            and len(rest) - 2 == _lengths[wire_size]
            and len(payload) - len(head) - len(size) - 3 == _lengths[size]
            and _heads[head]
            and fraction < NS
        ):
            return message_type, None if seconds is None else _seconds[seconds] + fraction
    except ValueError:
        pass
    message = decode_plainly(payload)
    times = [message.query_time, message.response_time]
    own, other = times if message.message_type & 1 else reversed(times)
    return message.message_type, other if own is None else own


# -- the plain way -----------------------------------------------------------------------------

_NO_ENUMERATORS: Tuple[Dict[int, int], Dict[int, int]] = ({}, {})


def decode_plainly(payload: bytes) -> DnstapMessage:
    """Do what `decode` does, by protobuf alone.

    Raises:
        DecodeError: as there.
    """
    try:
        dnstap = proto.Dnstap.FromString(payload)
    except Exception as error:  # the runtimes raise several kinds of errors on damaged input
        raise DecodeError(f"not a Dnstap payload: {describe_error(error)}") from error
    if not dnstap.HasField("type") or dnstap.type != proto.Dnstap.MESSAGE:
        raise DecodeError("a Dnstap payload of another type than MESSAGE")
    if not dnstap.HasField("message"):
        raise DecodeError("a Dnstap payload without a message")
    body = dnstap.message
    has = body.HasField
    unknown, unknown_in_policy = _unknown_enumerators(dnstap, payload)
    type_number = body.type if has("type") else unknown.get(1)
    if type_number is None:
        raise DecodeError("a dnstap message without a type")
    family = body.socket_family if has("socket_family") else unknown.get(2)
    protocol = body.socket_protocol if has("socket_protocol") else unknown.get(3)
    http_protocol = body.http_protocol if has("http_protocol") else unknown.get(16)
    policy = _policy(body.policy, unknown_in_policy) if has("policy") else None
    return DnstapMessage._make(
        (
            read_member(MessageType, type_number),
            _member(SocketFamily, family),
            _member(SocketProtocol, protocol),
            _member(HttpProtocol, http_protocol),
            *_body_fields(body),
            policy,
            *_head(dnstap),
        )
    )


def _unknown_enumerators(
    dnstap: proto.Dnstap, payload: bytes
) -> Tuple[Dict[int, int], Dict[int, int]]:
    """Return what `read_enumerators` does, if the payload may have any that protobuf left out."""
    dnstap.DiscardUnknownFields()
    if dnstap.message.HasField("type") and dnstap.ByteSize() == len(payload):
        return _NO_ENUMERATORS
    return read_enumerators(payload)


def _member(kind: Type[E], number: Optional[int]) -> Optional[E]:
    return None if number is None else read_member(kind, number)


def _head(dnstap: proto.Dnstap) -> Tuple[Optional[bytes], Optional[bytes], Optional[bytes]]:
    """Read the last three fields of a `DnstapMessage`."""
    return (
        dnstap.extra if dnstap.HasField("extra") else None,
        dnstap.identity if dnstap.HasField("identity") else None,
        dnstap.version if dnstap.HasField("version") else None,
    )


def _body_fields(body: proto.Message) -> Tuple[Any, ...]:
    """Read the fields of `DnstapMessage` from the query address to the zone, in their order."""
    has = body.HasField
    return (
        _address(body.query_address),
        _address(body.response_address),
        _port(body.query_port) if has("query_port") else None,
        _port(body.response_port) if has("response_port") else None,
        _time(body.query_time_sec, body.query_time_nsec) if has("query_time_sec") else None,
        _time(body.response_time_sec, body.response_time_nsec)
        if has("response_time_sec")
        else None,
        body.query_message if has("query_message") else None,
        body.response_message if has("response_message") else None,
        body.query_zone if has("query_zone") else None,
    )


def _address(address: bytes) -> Optional[bytes]:
    return address if len(address) in (4, 16) else None


def _port(port: int) -> Optional[int]:
    return port if port <= MAX_PORT else None


def _time(seconds: int, nanoseconds: int) -> Optional[int]:
    if seconds >= MAX_SECONDS or nanoseconds >= NS:
        return None
    return int(seconds * NS + nanoseconds)


def _policy(policy: proto.Policy, unknown: Dict[int, int]) -> Policy:
    has = policy.HasField
    action = policy.action if has("action") else unknown.get(3)
    match = policy.match if has("match") else unknown.get(4)
    name: Any = policy.type if has("type") else None
    if isinstance(name, bytes):  # how some runtimes hand on a string that is not UTF-8
        name = name.decode("utf-8", "backslashreplace")
    return Policy._make(
        (
            name,
            policy.rule if has("rule") else None,
            _member(PolicyAction, action),
            _member(PolicyMatch, match),
            policy.value if has("value") else None,
        )
    )
