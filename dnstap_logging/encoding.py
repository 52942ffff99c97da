"""Messages to Dnstap payloads and back, by the protobuf library.

The writer thread owns an `Encoder`; readers and receivers call `decode`, each in its own thread.
Framing is not done here: a payload is what one data frame holds.
"""

from __future__ import annotations

import enum
from typing import Any, List, Optional, Tuple, Type, TypeVar

from . import proto
from .exceptions import DecodeError, InvalidMessage, MessageTooLarge
from .message import (
    DnstapMessage,
    HttpProtocol,
    MessageType,
    Policy,
    PolicyAction,
    PolicyMatch,
    Problem,
    SocketFamily,
    SocketProtocol,
)
from .shorten import describe_error
from .values import MAX_PORT, MAX_SECONDS, NS

__all__ = ["DEFAULT_MAX_PAYLOAD", "DNSTAP_CONTENT_TYPE", "Encoder", "decode"]

DNSTAP_CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
DEFAULT_MAX_PAYLOAD = 98304  # what the dnstap tool reads, the smallest limit of common readers

_PLAIN_FIELDS = ("socket_family", "socket_protocol", "http_protocol", "query_address",
                 "response_address", "query_port", "response_port", "query_zone")  # fmt: skip
_POLICY_FIELDS = ("type", "rule", "action", "match", "value")

E = TypeVar("E", bound=enum.IntEnum)


class Encoder:
    """Encodes messages one after the other; owned by one thread.

    Args:
        identity: the DNS server's, for messages without one of their own; empty: left out.
        version: likewise.
        full: whether the DNS messages themselves are sent.
        max_frame_size: bytes of the longest payload.
    """

    def __init__(
        self,
        identity: bytes,
        version: bytes,
        full: bool = True,
        max_frame_size: int = DEFAULT_MAX_PAYLOAD,
    ) -> None:
        self._identity = identity
        self._version = version
        self._full = full
        self._max_frame_size = max_frame_size
        self._dnstap = proto.Dnstap()  # used again and again: making one costs more than Clear()

    def encode(self, message: DnstapMessage, problems: List[Problem]) -> bytes:
        """Return the Dnstap payload of a message.

        Args:
            message: what is to be encoded.
            problems: gets one problem if the other side's DNS message had to be left out.

        Raises:
            MessageTooLarge: the payload is above `max_frame_size` even so.
            InvalidMessage: the message was not made by `DnstapMessage` or `check`, and holds
                values that its fields cannot have.
        """
        try:
            self._fill(message)
            payload = self._dnstap.SerializeToString()
            if len(payload) > self._max_frame_size:
                payload = self._reduced(message, len(payload), problems)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidMessage(f"cannot be encoded: {describe_error(error)}") from error
        return payload

    def _fill(self, message: DnstapMessage) -> None:
        dnstap = self._dnstap
        dnstap.Clear()
        dnstap.type = proto.Dnstap.MESSAGE
        identity = self._identity if message.identity is None else message.identity
        if identity:
            dnstap.identity = identity
        version = self._version if message.version is None else message.version
        if version:
            dnstap.version = version
        if message.extra is not None:
            dnstap.extra = message.extra
        _fill_body(dnstap.message, message, self._full)

    def _reduced(self, message: DnstapMessage, size: int, problems: List[Problem]) -> bytes:
        """Encode once more, without the DNS message of the other side."""
        limit = f"over max_frame_size={self._max_frame_size:,}"
        other = "response_message" if message.message_type.is_query else "query_message"
        body = self._dnstap.message
        if not body.HasField(other):
            raise MessageTooLarge(f"a payload of {size:,} bytes is {limit}")
        length = len(getattr(body, other))
        body.ClearField(other)
        payload = self._dnstap.SerializeToString()
        if len(payload) > self._max_frame_size:
            raise MessageTooLarge(
                f"a payload of {size:,} bytes, {len(payload):,} without {other}, is {limit}"
            )
        text = f"dns_{other} of {length:,} bytes left out: the payload of {size:,} bytes is {limit}"
        problems.append((f"dns_{other}", text))
        return payload


def _fill_body(body: proto.Message, message: DnstapMessage, full: bool) -> None:
    body.type = message.message_type  # type: ignore[assignment]
    for name in _PLAIN_FIELDS:
        value = getattr(message, name)
        if value is not None:
            setattr(body, name, value)
    if message.query_time is not None:
        body.query_time_sec, body.query_time_nsec = divmod(message.query_time, NS)
    if message.response_time is not None:
        body.response_time_sec, body.response_time_nsec = divmod(message.response_time, NS)
    if full and message.query_message is not None:
        body.query_message = message.query_message
    if full and message.response_message is not None:
        body.response_message = message.response_message
    if message.policy is not None:
        _fill_policy(body.policy, message.policy)


def _fill_policy(body: proto.Policy, policy: Policy) -> None:
    body.SetInParent()  # a policy without any field is there all the same
    for name, value in zip(_POLICY_FIELDS, policy):
        if value is not None:
            setattr(body, name, value)


# -- decoding ----------------------------------------------------------------------------------


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
