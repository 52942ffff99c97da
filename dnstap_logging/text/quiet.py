"""A message as the one line that ``dnstap -q`` prints. Pure functions; any thread.

The columns are the tool's, so its lines and these can be read by the same programs. These also show
what the tool does not know: STUB messages, the newer socket protocols, and the question of a DNS
message whose records cannot be read.
"""

from __future__ import annotations

import functools
import time
from typing import NamedTuple, Optional

from ..dnswire.message import HEADER_SIZE
from ..dnswire.names import read_name
from ..message.enums import MessageType
from ..message.message import DnstapMessage
from ..message.values import NS
from .dns import class_text, type_text
from .line import address_text, mnemonic

__all__ = ["QuietColumns", "format_quiet", "quiet_columns"]

NO_TIME = "??:??:??.??????"
NO_ADDRESS = "MISSING_ADDRESS"
UNREADABLE_QUESTION = "X"  # stands for name, class and type
KINDS_KEPT = 256  # pairs of type and class, of which there are a few in traffic
SECONDS_KEPT = 1024  # of local times; the C library is asked once for each

# The peer of these is the initiator; of the others, the tool shows the responder.
_SHOWN_BY_QUERY_ADDRESS = frozenset(
    (
        MessageType.CLIENT_QUERY,
        MessageType.CLIENT_RESPONSE,
        MessageType.AUTH_QUERY,
        MessageType.AUTH_RESPONSE,
    )
)
_NO_QUESTION = bytes(2)  # of a header, their number
_MNEMONICS = {each: mnemonic(each) for each in MessageType}


class QuietColumns(NamedTuple):
    """The columns of the line; those of the question are None where it cannot be read."""

    time: str
    mnemonic: str
    address: str
    protocol: str
    size: int
    name: Optional[str]
    network: Optional[str]
    kind: Optional[str]


def quiet_columns(message: DnstapMessage) -> QuietColumns:
    """Return the columns of a message's line."""
    clock, letters, address, protocol, size, *question = format_quiet(message).split(" ")
    name, network, kind = question if len(question) == 3 else ('""', None, None)
    return QuietColumns(
        clock, letters, address, protocol, int(size[:-1]), name[1:-1] or None, network, kind
    )


def format_quiet(message: DnstapMessage) -> str:
    """Return the line: local time, type, peer, protocol, size, and the question."""
    # Printing a capture spends most of its time here, so properties and calls are avoided.
    kind = message.message_type
    if kind & 1:
        stamp, wire = message.query_time, message.query_message
    else:
        stamp, wire = message.response_time, message.response_message
    address = message.query_address if kind in _SHOWN_BY_QUERY_ADDRESS else message.response_address
    if address is None and not kind.is_known:
        address = message.query_address
    protocol = message.socket_protocol
    try:
        question = _question(wire or b"")
    except (ValueError, IndexError):
        question = UNREADABLE_QUESTION
    if stamp is None:
        clock = NO_TIME
    else:
        second, nanoseconds = divmod(stamp, NS)
        clock = _second(second) + str(NS + nanoseconds)[1:7]
    return (
        f"{clock} {_MNEMONICS.get(kind) or mnemonic(kind)}"
        f" {NO_ADDRESS if address is None else address_text(address)}"
        f" {'' if protocol is None else protocol._name_}"
        f" {0 if wire is None else len(wire)}b {question}"
    )


def _question(wire: bytes) -> str:
    """Return name, class and type of the first question; raises ValueError, or IndexError."""
    if wire[4:6] == _NO_QUESTION or len(wire) < HEADER_SIZE:
        raise ValueError("no question")
    name, end = read_name(wire, HEADER_SIZE)
    return f'"{name}"{_kind_text(wire[end : end + 4])}'


@functools.lru_cache(maxsize=KINDS_KEPT)
def _kind_text(octets: bytes) -> str:
    """Return class and type of a question, which end its octets."""
    if len(octets) < 4:
        raise ValueError("the message ends inside the question")
    kind, network = int.from_bytes(octets[:2], "big"), int.from_bytes(octets[2:], "big")
    return f" {class_text(network)} {type_text(kind)}"


@functools.lru_cache(maxsize=SECONDS_KEPT)
def _second(number: int) -> str:
    minute, second = divmod(number, 60)
    return f"{time.strftime('%H:%M', time.localtime(minute * 60))}:{second:02d}."
