"""A DNS message as text in sections, laid out as the ``dnstap`` tool does. Pure; any thread.

Header, question and EDNS are read from the wire. Records are rendered by a function that the caller
passes; without one, they are counted.
"""

from __future__ import annotations

import socket
from typing import Callable, Dict, Iterator, List, Optional

from ..dnswire.message import (
    CLASSES,
    OPCODES,
    OPT,
    RCODES,
    TYPES,
    Header,
    Option,
    Question,
    Record,
    read_body,
    read_header,
    read_options,
    read_questions,
)
from ..dnswire.names import read_name
from .octets import clean, plain

__all__ = ["DnsText", "RecordText", "class_text", "flags_text", "format_dns", "type_text"]

RecordText = Callable[[bytes, Record], str]
"""Returns a record of a DNS message as a line; raises ValueError where it cannot be read."""

DnsText = Callable[[bytes], str]
"""Returns a DNS message as lines; raises ValueError where it cannot be read."""

_FLAGS = (
    (0x8000, "qr"), (0x0400, "aa"), (0x0200, "tc"), (0x0100, "rd"),
    (0x0080, "ra"), (0x0040, "z"), (0x0020, "ad"), (0x0010, "cd"),
)  # fmt: skip
_DO = 0x8000  # "DNSSEC OK", of EDNS (RFC 3225)
_NSID, _SUBNET, _COOKIE, _PADDING, _EDE = 3, 8, 10, 12, 15  # EDNS options, by IANA's registry
_SECTIONS = ("ANSWER", "AUTHORITY", "ADDITIONAL")


def class_text(number: int) -> str:
    """Return the name of a class, CLASS7 where it has none (RFC 3597)."""
    return CLASSES.get(number, f"CLASS{number}")


def type_text(number: int) -> str:
    """Return the name of a type, TYPE65280 where it has none (RFC 3597)."""
    return TYPES.get(number, f"TYPE{number}")


def flags_text(number: int) -> str:
    """Return the names of a header's flags, such as ``qr rd ra``."""
    return " ".join(name for bit, name in _FLAGS if number & bit)


def format_dns(wire: bytes, record_text: Optional[RecordText] = None) -> str:
    """Return a DNS message as lines, the last one ended too.

    Args:
        wire: the message.
        record_text: what renders a record; None: the records are counted instead.

    Raises:
        ValueError: it cannot be read to its end.
    """
    header = read_header(wire)
    records, _ = read_body(wire)
    opt = next((each for each in records if each.kind == OPT), None)
    lines = [*_header(header, opt)]
    if opt is not None:
        lines += ["", ";; OPT PSEUDOSECTION:", *_edns(wire, opt)]
    if header.questions:
        lines += ["", ";; QUESTION SECTION:", *map(_question, read_questions(wire))]
    shown = [each for each in records if each.kind != OPT]
    if record_text is not None:
        lines += _sections(wire, header, records, record_text)
    elif shown:
        plural = "" if len(shown) == 1 else "s"
        lines += ["", f";; {len(shown)} record{plural} not shown: install dnspython to see them"]
    return "\n".join(map(clean, lines)) + "\n"


def _header(header: Header, opt: Optional[Record]) -> Iterator[str]:
    rcode = header.rcode if opt is None else opt.ttl >> 24 << 4 | header.rcode
    opcode = OPCODES.get(header.opcode, f"OPCODE{header.opcode}") if header.opcode else "QUERY"
    status = RCODES.get(rcode, f"RCODE{rcode}")
    yield f";; opcode: {opcode}, status: {status}, id: {header.message_id}"
    flags = f" {flags_text(header.flags)}".rstrip()
    yield (
        f";; flags:{flags}; QUERY: {header.questions}, ANSWER: {header.answers}, "
        f"AUTHORITY: {header.authorities}, ADDITIONAL: {header.additionals}"
    )


def _question(question: Question) -> str:
    name, _ = read_name(question.name, 0)
    return f";{name}\t{class_text(question.network)}\t {type_text(question.kind)}"


def _sections(
    wire: bytes, header: Header, records: List[Record], record_text: RecordText
) -> Iterator[str]:
    counts = (header.answers, header.authorities, header.additionals)
    position = 0
    for title, count in zip(_SECTIONS, counts):
        section = records[position : position + count]
        position += count
        lines = [record_text(wire, each) for each in section if each.kind != OPT]
        if lines:
            yield from ("", f";; {title} SECTION:", *lines)


# -- EDNS --------------------------------------------------------------------------------------


def _edns(wire: bytes, opt: Record) -> Iterator[str]:
    version, flags = opt.ttl >> 16 & 0xFF, "do" if opt.ttl & _DO else ""
    yield f"; EDNS: version {version}; flags: {flags}; udp: {opt.network}"
    for option in read_options(wire, opt):
        yield f"; {_option(wire, option)}"


def _option(wire: bytes, option: Option) -> str:
    data = wire[option.data : option.end]
    render = _OPTIONS.get(option.code)
    return f"OPT{option.code}: {data.hex()}" if render is None else render(data)


def _nsid(data: bytes) -> str:
    letters = "".join(f"({chr(octet)})" for octet in data)
    return f"NSID: {data.hex()}  {letters}"


def _subnet(data: bytes) -> str:
    """Show a client's subnet (RFC 7871, 6)."""
    family = {1: socket.AF_INET, 2: socket.AF_INET6}.get(int.from_bytes(data[:2], "big"))
    size = 16 if family is socket.AF_INET6 else 4
    if family is None or not 4 <= len(data) <= 4 + size:
        raise ValueError("an EDNS client subnet that is none")
    address = socket.inet_ntop(family, data[4:].ljust(size, b"\0"))
    return f"SUBNET: {f'[{address}]' if size == 16 else address}/{data[2]}/{data[3]}"


def _error(data: bytes) -> str:
    """Show an extended DNS error (RFC 8914, 2)."""
    if len(data) < 2:
        raise ValueError("an extended DNS error that is none")
    return f"EDE: {int.from_bytes(data[:2], 'big')}: ({plain(data[2:])})"


_OPTIONS: Dict[int, Callable[[bytes], str]] = {
    _NSID: _nsid,
    _SUBNET: _subnet,
    _COOKIE: lambda data: f"COOKIE: {data.hex()}",
    _PADDING: lambda data: f"PADDING: {data.hex()}",
    _EDE: _error,
}
