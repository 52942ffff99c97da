"""Cisco Umbrella's EDNS option, which tells an OpenDNS resolver who asks. Any thread.

dnsmasq adds it (``--umbrella``), and so do many routers. It has four octets ``ODNS``, a version,
flags, and then fields: a type, and a value whose size depends on the type.
"""

from __future__ import annotations

import struct
from typing import Callable, List, Tuple

__all__ = ["UMBRELLA", "hide_umbrella"]

UMBRELLA = 20292  # option code (IANA: Umbrella Ident)

_START = b"ODNS\x01"  # and one octet of flags
_START_SIZE = len(_START) + 1
_TYPE = struct.Struct("!H")
_ASSET, _ORGANIZATION, _IPV4, _IPV6, _DEVICE = 0x04, 0x08, 0x10, 0x20, 0x40
_SIZES = {_ASSET: 4, _ORGANIZATION: 4, _IPV4: 4, _IPV6: 16, _DEVICE: 8}


def hide_umbrella(data: bytes, hide: Callable[[bytes, int], Tuple[bytes, int]]) -> bytes:
    """Return the option without what identifies a client: only its organization and networks.

    Addresses have zeros after the bits that are kept; devices and assets are removed.

    Args:
        data: what the option holds.
        hide: what to do with an address; see `client_subnet.Hide`.

    Returns:
        The new data; empty if nothing is left, or it cannot be read.
    """
    if not data.startswith(_START) or len(data) < _START_SIZE:
        return b""
    kept: List[bytes] = []
    seen = set()
    position = _START_SIZE
    while position < len(data):
        if position + _TYPE.size > len(data):
            return b""
        (kind,) = _TYPE.unpack_from(data, position)
        position += _TYPE.size
        value = data[position : position + _SIZES.get(kind, 0)]
        position += len(value)
        if kind in seen or not value or len(value) != _SIZES[kind]:
            return b""  # a field again, an unknown one, or a cut one
        seen.add(kind)
        if kind in (_IPV4, _IPV6):
            value, bits = hide(value, 8 * len(value))
            if not bits:
                continue
        elif kind != _ORGANIZATION:
            continue
        kept.append(_TYPE.pack(kind) + value)
    return data[:_START_SIZE] + b"".join(kept) if kept else b""
