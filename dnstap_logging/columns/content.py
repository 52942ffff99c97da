"""What the columns say of a DNS message, read from the wire without a DNS library.

What cannot be read is None, and all else is there. Most messages repeat flags and questions that
were seen a moment ago, so these are cached by their octets. Pure functions; any thread.
"""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple, TypeVar

from ..codec.pieces import Memo
from ..dnswire.message import (
    HEADER_SIZE,
    OPCODES,
    OPT,
    OPT_TYPE,
    RCODES,
    Record,
    find_opt,
    read_body,
    read_options,
)
from ..dnswire.names import read_name
from ..text.dns import class_text, flags_text, type_text

__all__ = ["NO_CONTENT", "Content", "Edns", "ShortMemo", "read_content"]

# The places in an OPT record are counted from its type on (RFC 6891, 6.1.2 and 6.1.3).
EXTENSION = 4  # of the response code
DNSSEC_OK = 0x80  # of the first octet of the flags (RFC 3225)
FIXED = 10  # octets from the type to the data of a record
QUESTION_END = 4  # octets of type and class, after a question's name
ONE = b"\0\1"  # of a header, the number of questions
LONGEST_SEEN = 256  # octets of the longest text or record that is kept to be read again

_NO_QUESTION = ((None, None, None), 0)
_new_tuple = tuple.__new__  # of a named one, in half the time that its class takes

Value = TypeVar("Value")
Question = Tuple[Optional[str], Optional[str], Optional[str]]


class ShortMemo(Memo[bytes, Value]):
    """What a function returned for octets; long ones are not kept."""

    __slots__ = ()

    def __missing__(self, key: bytes) -> Value:
        return super().__missing__(key) if len(key) <= LONGEST_SEEN else self._make(key)


class Edns(NamedTuple):
    """EDNS of a message (RFC 6891); the options are their codes, None if they cannot be read."""

    version: int
    udp_size: int
    dnssec_ok: bool
    options: Optional[Tuple[int, ...]]


class Content(NamedTuple):
    """What a DNS message says; None: it does not, or it cannot be read."""

    message_id: Optional[int] = None
    opcode: Optional[str] = None
    qname: Optional[str] = None
    qclass: Optional[str] = None
    qtype: Optional[str] = None
    rcode: Optional[str] = None
    flags: Optional[str] = None
    answers: Optional[int] = None
    edns: Optional[Edns] = None


NO_CONTENT = Content()


def read_content(wire: bytes) -> Content:
    """Read a DNS message; never raises, whatever its octets are."""
    if len(wire) < HEADER_SIZE:
        return Content(int.from_bytes(wire[:2], "big")) if len(wire) > 1 else NO_CONTENT
    opcode, flags = _flags[wire[2:4]]
    (name, network, kind), end = _question(wire) if wire[5] or wire[4] else _NO_QUESTION
    code, edns = wire[3] & 15, None
    if wire.find(OPT_TYPE, HEADER_SIZE) >= 0:
        opt = _find_opt(wire, end)
        if opt:
            code |= wire[opt + EXTENSION] << 4
            edns = _edns[wire[opt : opt + FIXED + (wire[opt + 8] << 8 | wire[opt + 9])]]
    return _new_tuple(
        Content,
        (
            wire[0] << 8 | wire[1], opcode, name, network, kind, _rcodes[code], flags,
            wire[6] << 8 | wire[7], edns,
        ),
    )  # fmt: skip


def _find_opt(wire: bytes, question_end: int) -> int:
    """Return where the type of the OPT record is; 0: there is none that can be read."""
    if wire[4:6] == ONE and question_end:
        return find_opt(wire, question_end)
    try:
        records, _ = read_body(wire)
    except ValueError:
        return 0
    return next((each.data - FIXED for each in records if each.kind == OPT), 0)


def _as_flags(octets: bytes) -> Tuple[str, str]:
    number = int.from_bytes(octets, "big")
    opcode = number >> 11 & 15
    return OPCODES.get(opcode, f"OPCODE{opcode}") if opcode else "QUERY", flags_text(number)


def _as_rcode(number: int) -> str:
    return RCODES.get(number, f"RCODE{number}")


def _as_question(octets: bytes) -> Question:
    """Return name, class and type of a question that is all of the octets; raises ValueError."""
    name, end = read_name(octets, 0)
    if end + QUESTION_END != len(octets):
        raise ValueError("not a question alone")
    kind, network = octets[end : end + 2], octets[end + 2 :]
    return name, class_text(int.from_bytes(network, "big")), type_text(int.from_bytes(kind, "big"))


_flags = Memo(_as_flags)
_rcodes = Memo(_as_rcode)
_questions = Memo(_as_question)


def _question(wire: bytes) -> Tuple[Question, int]:
    """Read the first question, as `read` shows it: whole, or not at all; and return its end."""
    # Nearly always, the first zero ends the name; else an octet of a label is zero.
    end = wire.find(0, HEADER_SIZE) + 1 + QUESTION_END
    try:
        return _questions[wire[HEADER_SIZE:end]], end
    except (ValueError, IndexError):
        pass
    try:
        end = read_name(wire, HEADER_SIZE)[1] + QUESTION_END
        return _as_question(wire[HEADER_SIZE:end]), end
    except (ValueError, IndexError):
        return _NO_QUESTION


def _as_edns(octets: bytes) -> Edns:
    """Read an OPT record without its name."""
    record = Record(0, OPT, 0, 0, FIXED, len(octets))
    options: Optional[Tuple[int, ...]]
    try:
        options = tuple([each.code for each in read_options(octets, record)])
    except ValueError:
        options = None
    udp_size = octets[2] << 8 | octets[3]
    return Edns(octets[5], udp_size, bool(octets[6] & DNSSEC_OK), options)


_edns = ShortMemo(_as_edns)
