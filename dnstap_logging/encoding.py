"""Messages to Dnstap payloads, by the protobuf library; `decoding.py` is the way back.

The writer thread owns an `Encoder`. Framing is not done here: a payload is what one data frame
holds.
"""

from __future__ import annotations

from typing import List

from . import proto
from .exceptions import InvalidMessage, MessageTooLarge
from .message import DnstapMessage, Policy, Problem
from .shorten import describe_error
from .values import NS

__all__ = ["DEFAULT_MAX_PAYLOAD", "DNSTAP_CONTENT_TYPE", "Encoder"]

DNSTAP_CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
DEFAULT_MAX_PAYLOAD = 98304  # what the dnstap tool reads, the smallest limit of common readers

_PLAIN_FIELDS = ("socket_family", "socket_protocol", "http_protocol", "query_address",
                 "response_address", "query_port", "response_port", "query_zone")  # fmt: skip
_POLICY_FIELDS = ("type", "rule", "action", "match", "value")


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
            dnstap = self._filled(message)
            payload = dnstap.SerializeToString()
            if len(payload) > self._max_frame_size:
                payload = self._reduced(dnstap, message, len(payload), problems)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidMessage(f"cannot be encoded: {describe_error(error)}") from error
        return payload

    def _filled(self, message: DnstapMessage) -> proto.Dnstap:
        # A new one each time. protobuf's C core frees what was once assigned to a message only with
        # the message, and not in Clear().
        dnstap = proto.Dnstap()
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
        return dnstap

    def _reduced(
        self, dnstap: proto.Dnstap, message: DnstapMessage, size: int, problems: List[Problem]
    ) -> bytes:
        """Encode once more, without the DNS message of the other side."""
        limit = f"over max_frame_size={self._max_frame_size:,}"
        other = "response_message" if message.message_type.is_query else "query_message"
        body = dnstap.message
        if not body.HasField(other):
            raise MessageTooLarge(f"a payload of {size:,} bytes is {limit}")
        length = len(getattr(body, other))
        body.ClearField(other)
        payload = dnstap.SerializeToString()
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
