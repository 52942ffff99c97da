"""The EDNS Client Subnet option (RFC 7871) inside DNS messages: found, and rewritten.

A resolver or forwarder tells by it whom it asks for, so it is one more address of the client. Pure
functions; any thread may call them.
"""

from __future__ import annotations

import struct
from typing import Callable, List, Optional, Tuple

from ..dnswire import OPT, Option, Record, read_body, read_options

__all__ = ["Hide", "hide_client_subnets"]

Hide = Callable[[bytes, int], Tuple[bytes, int]]
"""From an address and how many of its bits are known, to another one of that size and how many of
its bits are left; 0: the address is removed."""

CLIENT_SUBNET = 8  # option code (RFC 7871, 6)
PADDING = 12  # option code (RFC 7830, 3)
TSIG = 250  # record type (RFC 8945, 4.1)
_ADDRESS_SIZE = {1: 4, 2: 16}  # by family (RFC 7871, 6)
_SUBNET = struct.Struct("!HBB")  # family, source and scope prefix lengths
_OPTION = struct.Struct("!HH")  # code, length
_LENGTH = struct.Struct("!H")  # of a record's data, just before it
_OPT_TYPE = OPT.to_bytes(2, "big")
_SUBNET_CODE = CLIENT_SUBNET.to_bytes(2, "big")
_FIXED_FIELDS = 10  # octets between a record's owner name and its data (RFC 1035, 4.1.3)
_POINTER = 0xC0  # the first bits of a compression pointer (RFC 1035, 4.1.4)


def hide_client_subnets(wire: bytes, hide: Hide) -> Optional[bytes]:
    """Rewrite the client subnets of a DNS message.

    The address is cut to the bits that are left, and all lengths with it; the scope prefix length
    stays. An option without an address in it (source prefix length 0) stays; one of which nothing
    is left, or that cannot be read, is removed. Whatever follows the last record is removed too.

    Args:
        wire: the message.
        hide: what to do with an address.

    Returns:
        The message, or None if it cannot be read and may hold a client subnet.
    """
    if _OPT_TYPE not in wire or _SUBNET_CODE not in wire:
        return wire  # whoever reads it, and however, finds no client subnet
    try:
        records, end = read_body(wire)
        parts, position = [], 0
        for number, record in enumerate(records):
            if record.kind == OPT:
                options = _rewritten(wire, record, records[number + 1 :], hide)
                parts += [wire[position : record.data - 2], _LENGTH.pack(len(options)), options]
                position = record.end
    except ValueError:
        return None
    return b"".join([*parts, wire[position:end]])


def _rewritten(wire: bytes, record: Record, later: List[Record], hide: Hide) -> bytes:
    """Return the new data of an OPT record, after which there are some later records."""
    old = read_options(wire, record)
    new = [_rewrite(wire, option, hide) for option in old]
    if sum(map(len, new)) != record.end - record.data and _moves_names(wire, record, later):
        new = [_filled(option, data) for option, data in zip(old, new)]
    return b"".join(new)


def _rewrite(wire: bytes, option: Option, hide: Hide) -> bytes:
    """Return an option as it is, or a client subnet with its address hidden; empty: removed."""
    if option.code != CLIENT_SUBNET:
        return wire[option.start : option.end]
    data = wire[option.data : option.end]
    if len(data) < _SUBNET.size:
        return b""
    family, source, scope = _SUBNET.unpack_from(data)
    address = data[_SUBNET.size :]
    size = _ADDRESS_SIZE.get(family, 0)
    if not size or max(source, scope) > 8 * size or len(address) != _octets(source):
        return b""
    if source:
        address, source = hide(address + bytes(size - len(address)), source)
        if not source:
            return b""
    address = address[: _octets(source)]
    data = _SUBNET.pack(family, source, scope) + address
    return _OPTION.pack(CLIENT_SUBNET, len(data)) + data


def _octets(bits: int) -> int:
    return (bits + 7) // 8


def _moves_names(wire: bytes, record: Record, later: List[Record]) -> bool:
    """Tell whether names of later records may point to what moves when an OPT record shrinks.

    There can be names in the data of records of any type, so every two octets there that could be
    a compression pointer count as one; but TSIG's are never compressed (RFC 8945, 4.2).
    """
    for each in later:
        parts = [wire[each.start : each.data - _FIXED_FIELDS]]
        if each.kind != TSIG:
            parts.append(wire[each.data : each.end])
        for part in parts:
            for high, low in zip(part, part[1:]):
                target = (high - _POINTER) << 8 | low  # names point back, so not past their record
                if high >= _POINTER and record.start < target < each.end:
                    return True
    return False


def _filled(option: Option, data: bytes) -> bytes:
    """Return an option's new data in the old size, or padding if it has another."""
    size = option.end - option.start
    if len(data) == size:
        return data
    return _OPTION.pack(PADDING, size - _OPTION.size) + bytes(size - _OPTION.size)
