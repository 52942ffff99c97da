"""Rewrite clients' addresses inside DNS messages, in EDNS options and records.

Resolvers and forwarders say in them for which client they ask. Any thread.
"""

from __future__ import annotations

import struct
from typing import Callable, List, Optional, Tuple

from ..dnswire.compression import POINTER
from ..dnswire.message import OPT, OPT_TYPE, OPTION, Option, Record, read_body, read_options
from .umbrella import UMBRELLA, hide_umbrella

__all__ = ["Hide", "hide_client_subnets"]

Hide = Callable[[bytes, int], Tuple[bytes, int]]
"""From an address and the number of its known bits, to another one of that size and the number of
bits that are kept; 0: the address is removed."""

SUBNETS = frozenset(
    (
        8,  # EDNS Client Subnet (RFC 7871, 6)
        0x50FA,  # its code before it had one of IANA's, with the same data
    )
)
REMOVED = frozenset(
    (
        4,  # the owner's MAC address (draft-cheshire-edns0-owner-option), an OpenDNS device
        26946,  # DeviceID (IANA)
        65001,  # a MAC address: dnsmasq's --add-mac
        65073,  # a MAC address as text: dnsmasq's --add-mac=text and =base64 (Nominum)
        65074,  # the customer's equipment: dnsmasq's --add-cpe-id (Nominum)
    )
)
"""Options that identify one client or its device, and have no part that could be kept."""

XPF = 65422
"""The type of dnsdist's record of the client's address and port (draft-bellis-dnsop-xpf)."""

MAX_ADDRESSES = 16
"""Options with an address that are read in one message; usually there is one. Pseudonyms of as many
as fit into a message would take a tenth of a second."""

PADDING = 12  # option code (RFC 7830, 3)
TSIG = 250  # record type (RFC 8945, 4.1)
_ADDRESS_SIZE = {1: 4, 2: 16}  # by family (RFC 7871, 6)
_SUBNET = struct.Struct("!HBB")  # family, source and scope prefix lengths
_LENGTH = struct.Struct("!H")  # of a record's data, just before it
_XPF_TYPE = XPF.to_bytes(2, "big")
_CODES = [code.to_bytes(2, "big") for code in sorted((*SUBNETS, *REMOVED, UMBRELLA))]
_FIXED_FIELDS = 10  # octets between a record's owner name and its data (RFC 1035, 4.1.3)


def hide_client_subnets(wire: bytes, hide: Hide) -> Optional[bytes]:
    """Rewrite the options of a DNS message that hold a client's address.

    The address of a client subnet is cut to the bits that are kept, and all lengths are adjusted;
    the scope prefix length stays. An option without an address (source prefix length 0) stays.
    Removed are options of which nothing is kept, or that cannot be read, options that identify the
    client in other ways, and what follows the last record.

    Args:
        wire: the message.
        hide: what to do with an address.

    Returns:
        The message, or None if it has an XPF record, or cannot be read and may hold an address.
    """
    if not _may_hold_address(wire):
        return wire
    try:
        records, end = read_body(wire)
        number = _number_of_opt(records)
        if number is None:
            return wire[:end]
        record = records[number]
        options = _rewritten(wire, record, records[number + 1 :], hide)
    except ValueError:
        return None
    parts = wire[: record.data - _LENGTH.size], _LENGTH.pack(len(options)), options
    return b"".join((*parts, wire[record.end : end]))


def _may_hold_address(wire: bytes) -> bool:
    """Return whether the message may hold an address, however it is read."""
    if _XPF_TYPE in wire:
        return True
    opt = wire.find(OPT_TYPE)
    if opt < 0:
        return False
    after = opt + len(OPT_TYPE)  # an option comes after octets that could be OPT's type
    return any(wire.find(code, after) >= 0 for code in _CODES)


def _number_of_opt(records: List[Record]) -> Optional[int]:
    """Return which record is OPT, or None if there is no such record.

    Raises:
        ValueError: there are several (RFC 6891, 6.1.1 allows one), or a record is XPF.
    """
    found = None
    for number, record in enumerate(records):
        if record.kind == XPF:
            raise ValueError("an XPF record")
        if record.kind == OPT:
            if found is not None:
                raise ValueError("more than one OPT record")
            found = number
    return found


def _rewritten(wire: bytes, record: Record, later: List[Record], hide: Hide) -> bytes:
    """Return the new data of the OPT record.

    Raises:
        ValueError: its options cannot be read, or too many have an address.
    """
    old = read_options(wire, record)
    if sum(each.code in SUBNETS or each.code == UMBRELLA for each in old) > MAX_ADDRESSES:
        raise ValueError(f"more than {MAX_ADDRESSES} options with an address")
    new = [_rewrite(wire, option, hide) for option in old]
    if sum(map(len, new)) != record.end - record.data and _moves_names(wire, record, later):
        new = [_filled(option, data) for option, data in zip(old, new)]
    return b"".join(new)


def _rewrite(wire: bytes, option: Option, hide: Hide) -> bytes:
    """Return an option as it is, or with its address hidden; empty: removed."""
    code = option.code
    if code in REMOVED:
        return b""
    if code in SUBNETS:
        data = _hide_subnet(wire[option.data : option.end], hide)
    elif code == UMBRELLA:
        data = hide_umbrella(wire[option.data : option.end], hide)
    else:
        return wire[option.start : option.end]
    return OPTION.pack(code, len(data)) + data if data else b""


def _hide_subnet(data: bytes, hide: Hide) -> bytes:
    """Return a client subnet with its address hidden; empty: removed."""
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
    return _SUBNET.pack(family, source, scope) + address[: _octets(source)]


def _octets(bits: int) -> int:
    return (bits + 7) // 8


def _moves_names(wire: bytes, record: Record, later: List[Record]) -> bool:
    """Return whether names of later records may point into or behind the shrunk OPT record.

    Data of any type can hold names, so every two octets in it that could be a compression pointer
    count as one; but TSIG's names are never compressed (RFC 8945, 4.2).
    """
    for each in later:
        parts = [wire[each.start : each.data - _FIXED_FIELDS]]
        if each.kind != TSIG:
            parts.append(wire[each.data : each.end])
        for part in parts:
            for high, low in zip(part, part[1:]):
                target = (high - POINTER) << 8 | low  # names point back, so not past their record
                if high >= POINTER and record.start < target < each.end:
                    return True
    return False


def _filled(option: Option, data: bytes) -> bytes:
    """Return an option's new data, or padding of the old size if the size has changed."""
    size = option.end - option.start
    if len(data) == size:
        return data
    return OPTION.pack(PADDING, size - OPTION.size) + bytes(size - OPTION.size)
