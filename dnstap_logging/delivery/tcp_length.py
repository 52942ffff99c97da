"""DNS messages that still begin with the two octets of length that TCP has (RFC 1035, 4.2.2).

A server that logs what it reads from a stream may forget to remove them, and readers of the capture
would find no DNS message. Runs in the writer thread.
"""

from __future__ import annotations

from typing import List

from ..dnswire.message import HEADER_SIZE, TCP_LENGTH, read_body, read_header
from ..message.check import Problem
from ..message.snapshot import Converted, Snapshot

__all__ = ["LENGTH_SIZE", "has_length", "strip_length"]

LENGTH_SIZE = TCP_LENGTH.size


def has_length(value: object) -> bool:
    """Return whether a value of a snapshot could be a DNS message with its length before it.

    Asked for every message, so it only looks at the first two octets. One message of 65,536 has
    that value as its ID.
    """
    if type(value) is Converted:
        value = value.value
    if type(value) is not bytes or len(value) < LENGTH_SIZE + HEADER_SIZE:
        return False
    return value[0] << 8 | value[1] == len(value) - LENGTH_SIZE


def strip_length(snapshot: Snapshot, at: int, problems: List[Problem]) -> Snapshot:
    """Return a snapshot without the length before a DNS message, if that is what it is.

    That is so if the whole value cannot be read as a DNS message, and what follows the length can.
    A message with a question may have bytes after it: servers answer such a message, and what they
    answered must be what is logged.

    Args:
        snapshot: what `take_snapshot` returned.
        at: where in its values the message is; `has_length` is true for it.
        problems: gets one problem if the length was there.
    """
    created, keys, values, extra, size = snapshot
    value = values[at]
    whole = value.value if type(value) is Converted else value
    if not isinstance(whole, bytes):
        return snapshot
    end = _end(whole)
    if end == len(whole) or (end and read_header(whole).questions):
        return snapshot
    wire = whole[LENGTH_SIZE:]
    if _end(wire) != len(wire):
        return snapshot
    key = keys.names[len(keys.fixed) + at]
    text = f"{key}: the two bytes of its length on TCP left out; log it without them"
    problems.append((f"{key} with length", text))
    return created, keys, (*values[:at], wire, *values[at + 1 :]), extra, size


def _end(wire: bytes) -> int:
    """Return where a DNS message ends; 0 if it cannot be read."""
    try:
        return read_body(wire)[1]
    except ValueError:
        return 0
