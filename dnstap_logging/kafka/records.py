"""A dnstap message as a record of Kafka: its key and its headers."""

from __future__ import annotations

import ipaddress
from typing import Callable, Dict, List, Optional, Tuple

from google.protobuf.message import DecodeError

from ..codec.proto.dnstap_pb2 import Dnstap

__all__ = ["Headers", "KeyOf", "header_maker", "key_maker"]

KeyOf = Callable[[bytes], Optional[bytes]]
Headers = List[Tuple[str, bytes]]

CONTENT_TYPE = ("content-type", b"protobuf:dnstap.Dnstap")

# Of Dnstap.identity, which our encoder writes first, while one byte is enough for its length.
IDENTITY_TAG = 0x0A
ONE_BYTE = 0x80


def _identity(payload: bytes) -> Optional[bytes]:
    """Return Dnstap.identity, or None."""
    if len(payload) > 1 and payload[0] == IDENTITY_TAG and payload[1] < ONE_BYTE:
        end = 2 + payload[1]
        if end <= len(payload):
            return payload[2:end] or None  # saves the parsing of the whole message
    message = _parse(payload)
    return (message.identity or None) if message is not None else None


def _client(payload: bytes) -> Optional[bytes]:
    """Return the query address as text, or None."""
    message = _parse(payload)
    if message is None:
        return None
    try:
        return str(ipaddress.ip_address(message.message.query_address)).encode()
    except ValueError:  # neither 4 nor 16 bytes
        return None


def _no_key(payload: bytes) -> Optional[bytes]:
    return None


def _parse(payload: bytes) -> Optional[Dnstap]:
    """Return the message; None: these bytes are none, and go on as they are."""
    try:
        return Dnstap.FromString(payload)
    except DecodeError:
        return None


_KEYS: Dict[Optional[str], KeyOf] = {"identity": _identity, "client": _client, None: _no_key}


def key_maker(kind: Optional[str]) -> KeyOf:
    """Return what makes a record's key of a payload, for a value of ``kafka_key``."""
    return _KEYS[kind]


def header_maker(sequence: bool) -> Callable[[bytes], Headers]:
    """Return what makes a record's headers of a payload.

    Args:
        sequence: whether the number of the record is one of them.
    """
    usual = [CONTENT_TYPE]
    if not sequence:
        return lambda payload: usual

    def headers(payload: bytes) -> Headers:
        number = _number(payload)
        return usual if number is None else [CONTENT_TYPE, ("sequence", number)]

    return headers


def _number(payload: bytes) -> Optional[bytes]:
    """Return the number that ends Dnstap.extra, in decimal digits, or None."""
    message = _parse(payload)
    if message is None:
        return None
    parts = message.extra.rpartition(b"seq=")[2].split(b"/")
    return parts[1] if len(parts) == 3 and parts[1].isdigit() else None
