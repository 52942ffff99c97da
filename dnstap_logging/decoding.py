"""Dnstap payloads to messages, by the protobuf library; `encoding.py` is the way there.

Readers and receivers call `decode`, each in its own thread. Framing is not done here: a payload is
what one data frame holds.
"""

from __future__ import annotations

import enum
from typing import Any, Optional, Tuple, Type, TypeVar

from . import proto
from .exceptions import DecodeError
from .message import (
    DnstapMessage,
    HttpProtocol,
    MessageType,
    Policy,
    PolicyAction,
    PolicyMatch,
    SocketFamily,
    SocketProtocol,
)
from .shorten import describe_error
from .values import MAX_PORT, MAX_SECONDS, NS

__all__ = ["decode"]

E = TypeVar("E", bound=enum.IntEnum)


def decode(payload: bytes) -> DnstapMessage:
    """Return the message of a Dnstap payload, as other programs send it.

    Fields are taken as they were sent. Those whose value a `DnstapMessage` cannot hold are left
    out: enumerators not known yet, addresses of odd lengths, ports and times out of range.

    Raises:
        DecodeError: it is no Dnstap payload, or holds no message, or one of unknown type.
    """
    try:
        dnstap = proto.Dnstap.FromString(payload)
    except Exception as error:  # the runtimes raise several kinds of errors on damaged input
        raise DecodeError(f"not a Dnstap payload: {describe_error(error)}") from error
    if not dnstap.HasField("type") or dnstap.type != proto.Dnstap.MESSAGE:
        raise DecodeError("a Dnstap payload of another type than MESSAGE")
    if not dnstap.HasField("message"):
        raise DecodeError("a Dnstap payload without a message")
    message_type = _enumerator(MessageType, dnstap.message, "type")
    if message_type is None:
        raise DecodeError("a dnstap message without a type, or of an unknown one")
    return DnstapMessage._make(
        (
            message_type,
            *_body_fields(dnstap.message),
            _optional(dnstap, "extra"),
            _optional(dnstap, "identity"),
            _optional(dnstap, "version"),
        )
    )


def _body_fields(body: proto.Message) -> Tuple[Any, ...]:
    """Read the fields of `DnstapMessage` from the second to the policy, in their order."""
    return (
        _enumerator(SocketFamily, body, "socket_family"),
        _enumerator(SocketProtocol, body, "socket_protocol"),
        _enumerator(HttpProtocol, body, "http_protocol"),
        _address(body, "query_address"),
        _address(body, "response_address"),
        _port(body, "query_port"),
        _port(body, "response_port"),
        _time(body, "query_time"),
        _time(body, "response_time"),
        _optional(body, "query_message"),
        _optional(body, "response_message"),
        _optional(body, "query_zone"),
        _policy(body.policy) if body.HasField("policy") else None,
    )


def _optional(body: Any, name: str) -> Any:
    return getattr(body, name) if body.HasField(name) else None


def _enumerator(kind: Type[E], body: Any, name: str) -> Optional[E]:
    value = _optional(body, name)
    try:
        return None if value is None else kind(value)
    except ValueError:
        return None


def _address(body: proto.Message, name: str) -> Optional[bytes]:
    address = _optional(body, name)
    return address if address is not None and len(address) in (4, 16) else None


def _port(body: proto.Message, name: str) -> Optional[int]:
    port = _optional(body, name)
    return port if port is not None and port <= MAX_PORT else None


def _time(body: proto.Message, name: str) -> Optional[int]:
    seconds = _optional(body, f"{name}_sec")
    nanoseconds = getattr(body, f"{name}_nsec")
    if seconds is None or seconds >= MAX_SECONDS or nanoseconds >= NS:
        return None
    return int(seconds * NS + nanoseconds)


def _policy(body: proto.Policy) -> Policy:
    name = _optional(body, "type")
    if isinstance(name, bytes):  # how some runtimes hand on a string that is not UTF-8
        name = name.decode("utf-8", "backslashreplace")
    return Policy._make(
        (
            name,
            _optional(body, "rule"),
            _enumerator(PolicyAction, body, "action"),
            _enumerator(PolicyMatch, body, "match"),
            _optional(body, "value"),
        )
    )
