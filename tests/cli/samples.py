"""Captures for the tests of the command line, made of plain messages."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Iterable, List

from dnstap_logging import DnstapHandler, DnstapMessage
from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.codec.proto import Dnstap
from tests.cli.programs import DEADLINE
from tests.helpers.support import capture, dnstap_payload

NS = 10**9
NOON = 1_767_268_800 * NS
"""2026-01-01T12:00:00Z, the time of the first message."""


def dns_wire(name: bytes = b"\3www\7example\3org\0", flags: int = 0x0100, kind: int = 1) -> bytes:
    """Return a DNS message with one question."""
    return struct.pack("!6H", 1, flags, 1, 0, 0, 0) + name + struct.pack("!2H", kind, 1)


def query(second: int = 0, **fields: Any) -> DnstapMessage:
    """Return a CLIENT_QUERY of that many seconds after noon."""
    given = {
        "query_time": NOON + second * NS,
        "query_message": dns_wire(),
        "query_address": ("192.0.2.1", 5353),
        "socket_protocol": "UDP",
        **fields,
    }
    return DnstapMessage("CLIENT_QUERY", **given)


def response(second: int = 0, rcode: int = 0, **fields: Any) -> DnstapMessage:
    """Return a CLIENT_RESPONSE of that many seconds after noon."""
    given = {
        "response_time": NOON + second * NS,
        "response_message": dns_wire(flags=0x8180 | rcode),
        "query_address": ("192.0.2.1", 5353),
        "socket_protocol": "UDP",
        **fields,
    }
    return DnstapMessage("CLIENT_RESPONSE", **given)


def payloads(messages: Iterable[DnstapMessage]) -> List[bytes]:
    """Encode messages."""
    encoder = Encoder(b"", b"")
    return [encoder.encode(message, []) for message in messages]


def write(path: Path, messages: Iterable[DnstapMessage], *, stop: bool = True) -> Path:
    """Write a capture; return its path."""
    path.write_bytes(capture(payloads(messages), stop=stop))
    return path


def relay(address: str, payloads: List[bytes], **arguments: object) -> DnstapHandler:
    """Send payloads by a handler of ours; return it, closed."""
    handler = DnstapHandler(address, overflow="block", close_timeout=DEADLINE, **arguments)  # type: ignore[arg-type]
    for payload in payloads:
        handler.emit_payload(payload)
    handler.close()
    return handler


def numbered(sender: int, count: int) -> List[bytes]:
    """Return payloads that tell their sender and their order."""
    return [dnstap_payload(sender * 1_000_000 + number) for number in range(count)]


def payload_at(seconds: float, kind: str = "CLIENT_QUERY") -> bytes:
    """Return a message whose own side's time is that many seconds after some moment."""
    dnstap = Dnstap(type=Dnstap.MESSAGE)
    dnstap.message.type = dnstap.message.Type.Value(kind)
    whole = 1_700_000_000 + int(seconds)
    side = "query" if kind.endswith("QUERY") else "response"
    setattr(dnstap.message, f"{side}_time_sec", whole)
    setattr(dnstap.message, f"{side}_time_nsec", round(seconds % 1 * 1e9))
    return dnstap.SerializeToString()


OWN_MESSAGES = 420
"""Of our own handler: every message type with every socket protocol, at least."""
