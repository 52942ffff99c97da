"""A message as the one line that ``dnstap -q`` prints. Pure functions; any thread.

The columns are the tool's, so that what reads its lines reads these. Where the tool knows less,
this says more: STUB messages, the newer socket protocols, and the question of a DNS message whose
records cannot be read.
"""

from __future__ import annotations

import functools
import time
from typing import NamedTuple, Optional, Tuple

from ..dnswire.message import Question, read_question
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
QUESTIONS_KEPT = 4096  # as text: a response repeats its query, and clients each other
MINUTES_KEPT = 1024  # of local times; a minute is asked of the C library once

# The peer of these is the initiator; of the others, the tool shows the responder.
_SHOWN_BY_QUERY_ADDRESS = frozenset(
    (
        MessageType.CLIENT_QUERY,
        MessageType.CLIENT_RESPONSE,
        MessageType.AUTH_QUERY,
        MessageType.AUTH_RESPONSE,
    )
)
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
    kind = message.message_type
    if kind.is_query:
        stamp, wire = message.query_time, message.query_message
    else:
        stamp, wire = message.response_time, message.response_message
    address = message.query_address if kind in _SHOWN_BY_QUERY_ADDRESS else message.response_address
    if address is None and not kind.is_known:
        address = message.query_address
    protocol = message.socket_protocol
    return QuietColumns(
        NO_TIME if stamp is None else _clock(stamp),
        _MNEMONICS.get(kind) or mnemonic(kind),
        NO_ADDRESS if address is None else address_text(address),
        "" if protocol is None else protocol.name,
        0 if wire is None else len(wire),
        *_question(wire),
    )


def format_quiet(message: DnstapMessage) -> str:
    """Return the line: local time, type, peer, protocol, size, and the question."""
    columns = quiet_columns(message)
    start = (
        f"{columns.time} {columns.mnemonic} {columns.address} {columns.protocol} {columns.size}b"
    )
    if columns.name is None:
        return f"{start} {UNREADABLE_QUESTION}"
    return f'{start} "{columns.name}" {columns.network} {columns.kind}'


def _question(wire: Optional[bytes]) -> Tuple[Optional[str], Optional[str], Optional[str]]:
    try:
        return _question_text(read_question(wire or b""))
    except ValueError:
        return None, None, None


@functools.lru_cache(maxsize=QUESTIONS_KEPT)
def _question_text(question: Question) -> Tuple[str, str, str]:
    name, _ = read_name(question.name, 0)
    return name, class_text(question.network), type_text(question.kind)


def _clock(stamp: int) -> str:
    seconds, nanoseconds = divmod(stamp, NS)
    minute, second = divmod(seconds, 60)
    return f"{_minute(minute)}:{second:02d}.{nanoseconds // 1000:06d}"


@functools.lru_cache(maxsize=MINUTES_KEPT)
def _minute(number: int) -> str:
    return time.strftime("%H:%M", time.localtime(number * 60))
