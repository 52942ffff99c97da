"""Records and messages to Dnstap payloads; `decoding.py` is the way back.

The bytes are those that the protobuf library writes: each field that has a value, in the order of
the numbers (`table.py`). `Encoder.encode` takes a message. `Encoder.encode_record` takes the
snapshot of a record, and joins the same pieces without making a message first (`record_code.py`).
A record with a value that is not usual is left to `message_from_snapshot`, which converts the value
or says what is wrong with it.

The writer thread owns an `Encoder`. Framing is not done here: a payload is what one data frame
holds.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Union

from ..exceptions import InvalidMessage, MessageTooLarge
from ..message.check import Problem, message_from_snapshot
from ..message.fields import KeySet
from ..message.message import DnstapMessage
from ..message.snapshot import PAYLOAD, Snapshot
from ..message.values import NS, as_text_octets
from ..shorten import describe_error, shorten
from .numbering import Numbering
from .pieces import Memo
from .record_code import Encode, compile_encode
from .table import DNSTAP, MESSAGE, TYPE_IS_MESSAGE, varint

__all__ = ["DEFAULT_MAX_PAYLOAD", "Encoder", "NumberingEncoder"]

MAX_FUNCTIONS = 256  # kept by one encoder, one for each set of keys: a program has a few
DEFAULT_MAX_PAYLOAD = 98304  # what the dnstap tool reads, the smallest limit of common readers


class Encoder:
    """Encodes records and messages one after the other; keeps nothing of them.

    Args:
        identity: the DNS server's, for messages without one of their own; empty: left out.
        version: the same of the software.
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
        heads = self._heads()
        self._by_keys: Memo[KeySet, Encode] = Memo(
            lambda keys: compile_encode(keys, full, heads, self._head_of_text), MAX_FUNCTIONS
        )

    def _heads(self) -> Dict[int, bytes]:
        """Return what stands before the body of a message, by the body's length."""
        return Memo(lambda length: self._head(None, None, None, length))

    def encode_record(self, snapshot: Snapshot, problems: List[Problem]) -> bytes:
        """Return the Dnstap payload of a record.

        Args:
            snapshot: what `take_snapshot` returned.
            problems: gets one problem for each field that had to be left out.

        Raises:
            MessageTooLarge: a DNS message is longer than 65,535 bytes, or the payload is above
                `max_frame_size` even without the other side's DNS message.
            InvalidMessage: there is no message type, or an unknown one.
        """
        try:
            payload = self._by_keys[snapshot[1]](snapshot)
            if len(payload) <= self._max_frame_size:
                return payload
        except Exception:  # noqa: BLE001 - an unusual value: `check` converts it or names it
            pass
        if snapshot[1] is PAYLOAD:
            return self._checked(snapshot[2][0])
        return self.encode(message_from_snapshot(snapshot, problems), problems)

    def _checked(self, payload: Any) -> bytes:
        """Return a ready payload, if it can be a frame."""
        if not isinstance(payload, bytes) or not payload:
            raise InvalidMessage(f"{shorten(payload)}: a payload must be bytes, and not empty")
        if len(payload) > self._max_frame_size:
            size, limit = len(payload), self._max_frame_size
            raise MessageTooLarge(f"a payload of {size} bytes, more than max_frame_size={limit}")
        return payload

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
            payload = self._payload(message)
            if len(payload) > self._max_frame_size:
                payload = self._reduced(message, len(payload), problems)
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidMessage(f"cannot be encoded: {describe_error(error)}") from error
        return payload

    def _payload(self, message: DnstapMessage) -> bytes:
        fields = _fields_of(message, self._full)
        pieces = [
            field.piece(fields[name])
            for name, field in MESSAGE.items()
            if fields.get(name) is not None or name == "type"
        ]
        body = b"".join(pieces)
        head = self._head(message.identity, message.version, message.extra, len(body))
        return head + body + TYPE_IS_MESSAGE

    def _head(
        self,
        identity: Optional[bytes],
        version: Optional[bytes],
        extra: Optional[bytes],
        length: int,
    ) -> bytes:
        """Return the bytes before the body of a message of this length."""
        identity = self._identity if identity is None else identity
        version = self._version if version is None else version
        pieces = [
            DNSTAP["identity"].piece(identity) if identity else b"",
            DNSTAP["version"].piece(version) if version else b"",
            DNSTAP["extra"].piece(extra) if extra is not None else b"",
            DNSTAP["message"].tag,
            varint(length),
        ]
        return b"".join(pieces)

    def _head_of_text(self, identity: Any, version: Any, extra: Any, length: int) -> bytes:
        """Return the same of a record's values, which may be text."""
        return self._head(_octets(identity), _octets(version), _octets(extra) or None, length)

    def _reduced(self, message: DnstapMessage, size: int, problems: List[Problem]) -> bytes:
        """Encode once more, without the DNS message of the other side."""
        limit = f"over max_frame_size={self._max_frame_size:,}"
        other = "response_message" if message.message_type.is_query else "query_message"
        left_out: Optional[bytes] = getattr(message, other)
        if left_out is None or not self._full:
            raise MessageTooLarge(f"a payload of {size:,} bytes is {limit}")
        payload = self._payload(message._replace(**{other: None}))  # type: ignore[arg-type]
        if len(payload) > self._max_frame_size:
            raise MessageTooLarge(
                f"a payload of {size:,} bytes, {len(payload):,} without {other}, is {limit}"
            )
        text = (
            f"dns_{other} of {len(left_out):,} bytes left out: "
            f"the payload of {size:,} bytes is {limit}"
        )
        problems.append((f"dns_{other}", text))
        return payload


class NumberingEncoder(Encoder):
    """An `Encoder` that numbers the records it encodes.

    A record that raises takes no number, nor does a ready payload.

    Args:
        numbering: gives the numbers.
        arguments: those of `Encoder`.
    """

    def __init__(self, numbering: Numbering, *arguments: Any) -> None:
        self._numbering = numbering
        super().__init__(*arguments)

    def _heads(self) -> Dict[int, bytes]:
        names = (("identity", self._identity), ("version", self._version))
        front = b"".join([DNSTAP[name].piece(value) for name, value in names if value])
        return _NumberedHeads(front, self._numbering)

    def encode_record(self, snapshot: Snapshot, problems: List[Problem]) -> bytes:
        """Return the Dnstap payload of a record; see `Encoder.encode_record`."""
        payload = super().encode_record(snapshot, problems)
        if snapshot[1] is not PAYLOAD:
            self._numbering.last += 1
        return payload

    def _head(
        self,
        identity: Optional[bytes],
        version: Optional[bytes],
        extra: Optional[bytes],
        length: int,
    ) -> bytes:
        return super()._head(identity, version, self._numbering.extra(extra), length)


class _NumberedHeads(Dict[int, bytes]):
    """What stands before the bodies of records without an extra of their own; keeps none of it.

    Args:
        front: what stands before the extra.
        numbering: gives the numbers.
    """

    def __init__(self, front: bytes, numbering: Numbering) -> None:
        super().__init__()
        extra, message = DNSTAP["extra"], DNSTAP["message"]
        self._fronts: Memo[int, bytes] = Memo(lambda size: front + extra.tag + varint(size))
        self._lengths: Memo[int, bytes] = Memo(lambda length: message.tag + varint(length))
        self._numbering = numbering

    def __missing__(self, length: int) -> bytes:
        extra = self._numbering.extra(None)
        return self._fronts[len(extra)] + extra + self._lengths[length]


def _fields_of(message: DnstapMessage, full: bool) -> Dict[str, Any]:
    """Return what a message says, by the names of dnstap.proto."""
    fields = message._asdict()
    fields["type"] = message.message_type
    for side in ("query", "response"):
        time = fields[f"{side}_time"]
        if time is not None:
            fields[f"{side}_time_sec"], fields[f"{side}_time_nsec"] = divmod(time, NS)
        if not full:
            fields[f"{side}_message"] = None
    return fields


def _octets(text: Union[str, bytes, None]) -> Optional[bytes]:
    return None if text is None else as_text_octets(text)
