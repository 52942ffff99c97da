"""What the protobuf library writes: the bytes with which the encoder's are compared."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from dnstap_logging.codec import proto
from dnstap_logging.codec.encoding import DEFAULT_MAX_PAYLOAD, Encoder
from dnstap_logging.exceptions import EncodeError
from dnstap_logging.message.check import Problem, message_from_snapshot
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.snapshot import Snapshot

NS = 10**9
FIELDS = (
    "socket_family", "socket_protocol", "http_protocol", "query_address", "response_address",
    "query_port", "response_port", "query_zone",
)  # fmt: skip

Outcome = Tuple[Optional[bytes], List[Problem], str]


def payload_of(
    message: DnstapMessage, identity: bytes = b"", version: bytes = b"", full: bool = True
) -> bytes:
    """Have protobuf write a message."""
    dnstap: Any = proto.Dnstap()
    dnstap.type = proto.Dnstap.MESSAGE
    for name, default in ("identity", identity), ("version", version), ("extra", b""):
        own = getattr(message, name)
        if (default if own is None else own) != b"":
            setattr(dnstap, name, default if own is None else own)
    body = dnstap.message
    body.type = message.message_type
    for name in FIELDS:
        if getattr(message, name) is not None:
            setattr(body, name, getattr(message, name))
    for side in ("query", "response"):
        time, wire = getattr(message, f"{side}_time"), getattr(message, f"{side}_message")
        if time is not None:
            setattr(body, f"{side}_time_sec", time // NS)
            setattr(body, f"{side}_time_nsec", time % NS)
        if full and wire is not None:
            setattr(body, f"{side}_message", wire)
    if message.policy is not None:
        body.policy.SetInParent()
        for name, value in message.policy._asdict().items():
            if value is not None:
                setattr(body.policy, name, value)
    return bytes(dnstap.SerializeToString())


class Oracle:
    """Checks and encodes records as slowly and plainly as can be; arguments as of `Encoder`."""

    def __init__(
        self,
        identity: bytes,
        version: bytes,
        full: bool = True,
        max_frame_size: int = DEFAULT_MAX_PAYLOAD,
    ) -> None:
        self._arguments = identity, version, full
        self._max_frame_size = max_frame_size
        # For its errors about payloads that are too large.
        self._encoder = Encoder(identity, version, full, max_frame_size)

    def outcome(self, snapshot: Snapshot) -> Outcome:
        """Return the payload of a record, its problems, and what it was refused for."""
        problems: List[Problem] = []
        try:
            message = message_from_snapshot(snapshot, problems)
            payload = payload_of(message, *self._arguments)
            if len(payload) > self._max_frame_size:
                payload = self._encoder.encode(message, problems)
        except EncodeError as error:
            return None, problems, f"{type(error).__name__}: {error}"
        return payload, problems, ""


def outcome_of(encoder: Encoder, snapshot: Snapshot) -> Outcome:
    """Return what the encoder under test makes of a record, in the same form."""
    problems: List[Problem] = []
    try:
        return encoder.encode_record(snapshot, problems), problems, ""
    except EncodeError as error:
        return None, problems, f"{type(error).__name__}: {error}"
