"""What a DNS message says: header, question, records, EDNS options, without a DNS library.

`text/` and the filters read messages by it. What is in a message came from the network: whatever
cannot be read is one ValueError. Pure functions; any thread may call them.
"""

from __future__ import annotations

import re
import struct
from typing import Iterator, List, NamedTuple, Tuple

from .compression import POINTER, MessageNames
from .names import MAX_LABEL, MAX_NAME

__all__ = [
    "CLASSES",
    "HEADER_SIZE",
    "OPCODES",
    "OPT",
    "OPTION",
    "OPT_TYPE",
    "RCODES",
    "TCP_LENGTH",
    "TYPES",
    "Header",
    "Option",
    "Question",
    "Record",
    "find_opt",
    "read_body",
    "read_header",
    "read_options",
    "read_question",
    "read_questions",
    "read_rcode",
]

# From the registry of DNS parameters at IANA; others are shown as RFC 3597 says (TYPE65280).
TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 17: "RP",
    24: "SIG", 25: "KEY", 28: "AAAA", 29: "LOC", 33: "SRV", 35: "NAPTR", 37: "CERT", 39: "DNAME",
    41: "OPT", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG", 47: "NSEC", 48: "DNSKEY",
    49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP", 59: "CDS",
    60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC", 63: "ZONEMD", 64: "SVCB", 65: "HTTPS",
    99: "SPF", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG", 251: "IXFR", 252: "AXFR",
    255: "ANY", 256: "URI", 257: "CAA",
}  # fmt: skip
CLASSES = {1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}
OPCODES = {1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}
RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
    6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
    16: "BADVERS", 17: "BADKEY", 18: "BADTIME", 19: "BADMODE", 20: "BADNAME", 21: "BADALG",
    22: "BADTRUNC", 23: "BADCOOKIE",
}  # fmt: skip

OPT = 41  # the type of EDNS's pseudo-record (RFC 6891, 6.1.1)
HEADER_SIZE = 12
OPTION = struct.Struct("!HH")  # code and length, before an option's data (RFC 6891, 6.1.2)
OPT_TYPE = OPT.to_bytes(2, "big")
TCP_LENGTH = struct.Struct("!H")  # before each message on a stream (RFC 1035, 4.2.2)
_END_OF_NAME = HEADER_SIZE + MAX_NAME  # where the first question's name ends at the latest
# An OPT record's type, any class, and the response code's upper part, which is not 0. One search in
# C, as a message may have 32,000 such types; looking ahead, for one may begin in the class.
_EXTENSION = re.compile(re.escape(OPT_TYPE) + rb"(?=..[^\0])", re.DOTALL)
_NO_QUESTION = bytes(2)  # of a header, their number
_HEADER = struct.Struct("!6H")  # RFC 1035, 4.1.1
_QUESTION = struct.Struct("!HH")  # RFC 1035, 4.1.2, after the name
_RECORD = struct.Struct("!HHIH")  # RFC 1035, 4.1.3, after the name

_new_tuple = tuple.__new__  # of a named one, in half the time that its class takes


class Header(NamedTuple):
    """The header of a DNS message; the last four are how many entries the sections have."""

    message_id: int
    flags: int
    questions: int
    answers: int
    authorities: int
    additionals: int

    @property
    def opcode(self) -> int:
        """The kind of message: 0 is a query."""
        return self.flags >> 11 & 15

    @property
    def rcode(self) -> int:
        """The response code without the extension of EDNS."""
        return self.flags & 15


class Question(NamedTuple):
    """A question: its name as it is on the wire, its type and class."""

    name: bytes
    kind: int
    network: int


class Record(NamedTuple):
    """A resource record: where it is in the message, and its fixed fields.

    Attributes:
        start: where its owner name begins.
        kind: its type.
        network: its class; of OPT, the sender's UDP payload size.
        ttl: its time to live; of OPT, extended response code, version and flags.
        data: where its data begins; the two octets before are their length.
        end: where its data ends.
    """

    start: int
    kind: int
    network: int
    ttl: int
    data: int
    end: int


class Option(NamedTuple):
    """An EDNS option: its code, and where it, its data and its end are in the message."""

    code: int
    start: int
    data: int
    end: int


def read_header(wire: bytes) -> Header:
    """Read the header of a DNS message.

    Raises:
        ValueError: it is too short to have one.
    """
    if len(wire) < HEADER_SIZE:
        raise ValueError("a DNS message has a header of 12 octets")
    return Header._make(_HEADER.unpack_from(wire))


def read_question(wire: bytes) -> Question:
    """Read the first question of a DNS message; its name is never compressed.

    Raises:
        ValueError: there is none, or it cannot be read.
    """
    if len(wire) < HEADER_SIZE or wire[4:6] == _NO_QUESTION:
        raise ValueError("no question")
    position = HEADER_SIZE + 1
    try:
        length = wire[HEADER_SIZE]
        while length and position <= _END_OF_NAME:
            if length > MAX_LABEL:
                raise ValueError("no uncompressed name")
            position += length + 1
            length = wire[position - 1]
        kind, network = _QUESTION.unpack_from(wire, position)
    except (IndexError, struct.error):
        raise ValueError("the message ends inside the question") from None
    if position > _END_OF_NAME:
        raise ValueError(f"a domain name has at most {MAX_NAME} octets")
    return _new_tuple(Question, (wire[HEADER_SIZE:position], kind, network))


def read_questions(wire: bytes) -> Iterator[Question]:
    """Read all questions of a DNS message; names of later ones, if compressed, are decompressed.

    Yields:
        The questions that can be read, in their order.

    Raises:
        ValueError: there is none, or this and the following ones cannot be read.
    """
    first = read_question(wire)
    yield first
    more = read_header(wire).questions - 1
    if not more:
        return
    names = MessageNames(wire)
    position = HEADER_SIZE + len(first.name) + _QUESTION.size
    try:
        for _ in range(more):
            name, position = names.read(position)
            kind, network = _QUESTION.unpack_from(wire, position)
            position += _QUESTION.size
            yield Question(name, kind, network)
    except (IndexError, struct.error):
        raise ValueError("the message ends inside a question") from None


def read_body(wire: bytes) -> Tuple[List[Record], int]:
    """Read where the records of all sections are.

    Returns:
        The records, and where the last one, or the last question, ends.

    Raises:
        ValueError: the message is not as its header says.
    """
    header = read_header(wire)
    position, records = HEADER_SIZE, []
    try:
        for _ in range(header.questions):
            position = _after_name(wire, position) + _QUESTION.size
        for _ in range(header.answers + header.authorities + header.additionals):
            start, position = position, _after_name(wire, position)
            kind, network, ttl, length = _RECORD.unpack_from(wire, position)
            data = position + _RECORD.size
            position = data + length
            records.append(Record(start, kind, network, ttl, data, position))
    except (IndexError, struct.error):
        position = len(wire) + 1
    if position > len(wire):
        raise ValueError("the message ends inside a question or a record")
    return records, position


def find_opt(wire: bytes, position: int) -> int:
    """Return where the first OPT record's type is, its records as `read_body` reads them.

    Takes a third of the time, for who reads each message.

    Args:
        wire: a DNS message that has a header.
        position: where its questions end.

    Returns:
        The place; 0 if there is none, or a record cannot be read.
    """
    found = 0
    try:
        for _ in range(sum(_HEADER.unpack_from(wire)[3:])):
            length = wire[position]
            if not length:
                position += 1
            elif length >= POINTER and (length - POINTER) << 8 | wire[position + 1] < position:
                position += 2
            else:
                position = _after_name(wire, position)
            if not found and wire[position] == 0 and wire[position + 1] == OPT:
                found = position
            position += _RECORD.size + (wire[position + 8] << 8 | wire[position + 9])
    except (IndexError, ValueError):
        return 0
    return found if position <= len(wire) else 0


def _after_name(wire: bytes, position: int) -> int:
    """Return where a name ends; a compression pointer must point back (RFC 1035, 4.1.4)."""
    start = position
    while wire[position]:
        length = wire[position]
        if length >= POINTER:
            if (length - POINTER) << 8 | wire[position + 1] >= start:
                raise ValueError("a compression pointer that does not point back")
            return position + 2
        if length > MAX_LABEL:
            raise ValueError("neither a label nor a compression pointer")
        position += 1 + length
        if position - start >= MAX_NAME:
            raise ValueError(f"a domain name has at most {MAX_NAME} octets")
    return position + 1


def read_options(wire: bytes, record: Record) -> List[Option]:
    """Read where the options of an OPT record are (RFC 6891, 6.1.2).

    Raises:
        ValueError: they do not fill the record's data.
    """
    options, position = [], record.data
    while position < record.end:
        data = position + OPTION.size
        if data > record.end:
            raise ValueError("the record ends inside an option")
        code, length = OPTION.unpack_from(wire, position)
        options.append(Option(code, position, data, data + length))
        position = data + length
    if position > record.end:
        raise ValueError("an option ends after its record")
    return options


def read_rcode(wire: bytes) -> int:
    """Read the response code, with the extension of EDNS (RFC 6891, 6.1.3) if it can be read.

    Raises:
        ValueError: there is no header.
    """
    if len(wire) < HEADER_SIZE:
        raise ValueError("a DNS message has a header of 12 octets")
    code = wire[3] & 15
    # Most OPT records, and most octets that could be of one, add nothing to it.
    if _EXTENSION.search(wire, HEADER_SIZE) is None:
        return code
    try:
        records, _ = read_body(wire)
    except ValueError:
        return code
    return next((each.ttl >> 24 << 4 | code for each in records if each.kind == OPT), code)
