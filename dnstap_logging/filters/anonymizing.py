"""`AnonymizingFilter`: records without their clients' addresses."""

from __future__ import annotations

import copy
import logging
import socket
from typing import Any, Callable, Dict, Optional, Tuple, Union

from ..arguments import DEFAULT, Default, integer
from ..message.enums import PolicyMatch, SocketFamily
from ..message.fields import FIELDS
from ..message.policy import Policy
from ..message.snapshot import Unusable
from ..message.values import MAPPED, MAX_WIRE_MESSAGE, Endpoint
from ..shorten import type_name
from ..text.lazy import Line
from .client_subnet import hide_client_subnets
from .cryptopan import KEY_SIZE, CryptoPan
from .records import Misplaced, has_dns_keys, read

__all__ = ["AnonymizingFilter"]

IPV4_BITS, IPV6_BITS = 32, 128
IPV4_PREFIX, IPV6_PREFIX = 24, 48  # bits that are kept by default: a network, not a host

HOLDS_IPV4 = (
    b"\x20\x02",  # 6to4 (RFC 3056)
    b"\0\x64\xff\x9b" + bytes(8),  # translated (RFC 6052)
)
"""Other prefixes of IPv6 addresses that hold the client's IPv4 address right after them."""

CLIENT_RULE = b"rpz-client-ip"  # the label of policy rules that are written as a client's address

UNREADABLE = "unreadable, removed by AnonymizingFilter"
"""Replaces a value that cannot be converted: the handler still counts and reports the mistake, but
shows this instead of what may be an address."""

TOO_LONG = bytes(MAX_WIRE_MESSAGE + 1)
"""Replaces a DNS message that is too long; the handler drops the record for it."""

MISPLACED = (
    "it is attached to a logger, or to a handler of another kind, where records would go on as they"
    " are: they are dropped there; attach it to the dnstap handler"
)


class AnonymizingFilter(logging.Filter):
    """Cut, remove or pseudonymise the clients' addresses in the records of a dnstap handler.

    It changes the query address, in messages of every type; the response address if it is the
    same; a client's address in a policy; and in the query and response message:

    * the EDNS options 8 (Client Subnet, RFC 7871), 20730 (0x50fa, its code before) and 20292
      (Cisco Umbrella, OpenDNS): their addresses, and the device in the last;
    * the EDNS options 65001 and 65073 (MAC addresses, by dnsmasq), 65074 (the customer's
      equipment, too), 4 (owner, OpenDNS device) and 26946 (DeviceID): removed;
    * records of type 65422 (XPF, by dnsdist): the whole DNS message is removed.

    All other options, such as 10 (cookies, RFC 7873), other records, and all names stay.
    In ``RESOLVER_``, ``FORWARDER_``, ``STUB_`` and ``TOOL_`` messages the query address is this
    host's own. It is changed too, since a host may have only one client.

    It fails closed. A value that cannot be read is removed, and so is a DNS message that may hold
    one of these, but cannot be read to its end or has several OPT records (RFC 6891, 6.1.1). The
    handler sends a changed copy; other handlers see the original. Attached to a logger or to a
    handler of another kind, which could pass on the original, the filter refuses every record with
    dns extras and reports that.

    A DNS message that is changed no longer verifies under TSIG or SIG(0).

    Args:
        ipv4_prefix: how many leading bits of IPv4 addresses are kept; 0 or None removes them. By
            default 24; with a key 32, all bits of the pseudonym.
        ipv6_prefix: how many leading bits of IPv6 addresses are kept; 0 or None removes them. By
            default 48, with a key 128. An IPv4 address inside IPv6 counts as IPv4.
        key: 32 bytes, or 64 hexadecimal digits: addresses become pseudonyms by Crypto-PAn before
            they are cut, so that prefixes stay comparable. Needs the extra ``privacy``.

    Raises:
        TypeError, ValueError: naming the argument and what is right.
        ImportError: there is a key, and the package cryptography is not installed.
    """

    __module__ = "dnstap_logging.filters"

    def __init__(
        self,
        ipv4_prefix: Union[int, Default, None] = DEFAULT,
        ipv6_prefix: Union[int, Default, None] = DEFAULT,
        key: Union[bytes, str, None] = None,
    ) -> None:
        super().__init__()
        self._misplaced = Misplaced("AnonymizingFilter", MISPLACED)
        octets = _read_key(key)
        kept = (IPV4_PREFIX, IPV6_PREFIX) if octets is None else (IPV4_BITS, IPV6_BITS)
        self.ipv4_prefix = _read_prefix("ipv4_prefix", ipv4_prefix, kept[0], IPV4_BITS)
        self.ipv6_prefix = _read_prefix("ipv6_prefix", ipv6_prefix, kept[1], IPV6_BITS)
        self._pseudonyms = None if octets is None else CryptoPan(octets)
        self._leading = self._treatment()

    def _treatment(self) -> Callable[[bytes, int], bytes]:
        """Return the function that keeps the leading bits of an address."""
        return _cut if self._pseudonyms is None else self._pseudonyms.pseudonym

    def __getstate__(self) -> Dict[str, Any]:
        """Leave out the cache of pseudonyms: a copy makes them from the key."""
        return {name: value for name, value in self.__dict__.items() if name != "_leading"}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._leading = self._treatment()

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse every record with dns extras: only a dnstap handler accepts a changed copy."""
        if not has_dns_keys(record):
            return True
        self._misplaced.report()
        return False

    def dnstap_filter(self, record: logging.LogRecord) -> Union[bool, logging.LogRecord]:
        """Return a changed copy, for a dnstap handler."""
        if not has_dns_keys(record):
            return True
        changed = copy.copy(record)
        changed.__dict__.update(self._hidden_addresses(record))
        for name in ("query_message", "response_message"):
            changed.__dict__.update(self._hidden_message(record, name))
        changed.__dict__.update(_hidden_policy(record))
        said = changed.__dict__.get("msg")
        if not isinstance(said, str) or isinstance(said, Line):  # a formatter could show addresses
            changed.msg, changed.args = "", None
            changed.__dict__.pop("message", None)
        return changed

    # -- addresses -----------------------------------------------------------------------------

    def _hidden_addresses(self, record: logging.LogRecord) -> Dict[str, object]:
        query, response = read(record, "query_address"), read(record, "response_address")
        changes = _unreadable("query_address", query)
        changes.update(_unreadable("response_address", response))
        if not isinstance(query, Endpoint) or query.address is None:
            return changes
        address: Optional[bytes] = self._hide(query.address, 8 * len(query.address))[0]
        if not any(address or b""):
            address = None
        changes["dns_query_address"] = _as_extra(address, query.port)
        known = response.address if isinstance(response, Endpoint) else None
        if known == query.address and isinstance(response, Endpoint):
            changes["dns_response_address"] = _as_extra(address, response.port)
            known = address
        if address is None and known is None and read(record, "socket_family") is None:
            ipv4 = len(query.address) == 4
            changes["dns_socket_family"] = SocketFamily.INET if ipv4 else SocketFamily.INET6
        return changes

    def _hide(self, address: bytes, known: int) -> Tuple[bytes, int]:
        """Change an address of which some bits are known; return also how many are kept."""
        before = 8 * len(MAPPED)
        if address.startswith(MAPPED) and known >= before:
            inner, bits = self._hide(address[len(MAPPED) :], known - before)
            return MAPPED + inner, before + bits if bits else 0
        bits = min(known, self._kept(address))
        return self._leading(address, bits), bits

    def _kept(self, address: bytes) -> int:
        if 8 * len(address) == IPV4_BITS:
            return self.ipv4_prefix
        if self.ipv4_prefix < IPV4_BITS:
            for prefix in HOLDS_IPV4:
                if address.startswith(prefix):
                    return min(self.ipv6_prefix, 8 * len(prefix) + self.ipv4_prefix)
        return self.ipv6_prefix

    # -- DNS messages --------------------------------------------------------------------------

    def _hidden_message(self, record: logging.LogRecord, name: str) -> Dict[str, object]:
        wire = read(record, name)
        if isinstance(wire, bytes):
            return {FIELDS[name].key: hide_client_subnets(wire, self._hide)}
        if isinstance(wire, Unusable) and wire.too_large:
            return {FIELDS[name].key: TOO_LONG}
        return _unreadable(name, wire)


def _unreadable(name: str, value: object) -> Dict[str, object]:
    return {FIELDS[name].key: UNREADABLE} if isinstance(value, Unusable) else {}


def _as_extra(address: Optional[bytes], port: Optional[int]) -> object:
    """Return an address as text, which a formatter can show; with a port as a socket address."""
    text = ""
    if address is not None:
        family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
        text = socket.inet_ntop(family, address)
    return (text or None) if port is None else (text, port)


def _cut(address: bytes, bits: int) -> bytes:
    """Return an address with zeros after its first bits."""
    rest = 8 * len(address) - bits
    return (int.from_bytes(address, "big") >> rest << rest).to_bytes(len(address), "big")


def _hidden_policy(record: logging.LogRecord) -> Dict[str, object]:
    """Remove a rule and a matched value that may be a client's address from a policy."""
    policy = read(record, "policy")
    if not isinstance(policy, Policy):
        return _unreadable("policy", policy)
    by_client = policy.match is PolicyMatch.CLIENT_IP
    if by_client or policy.match is None:
        policy = policy._replace(value=None)
    if by_client or CLIENT_RULE in (policy.rule or b"").lower():
        policy = policy._replace(rule=None)
    return {"dns_policy": policy}


# -- arguments ---------------------------------------------------------------------------------


def _read_prefix(argument: str, value: object, default: int, longest: int) -> int:
    if value is None:
        return 0
    if isinstance(value, Default):
        return default
    return integer(argument, value, 0, longest, "; 0 or None removes the address")


def _read_key(key: object) -> Optional[bytes]:
    """Check a key; an error must not show it."""
    if key is None:
        return None
    right = f"{KEY_SIZE} bytes, or {2 * KEY_SIZE} hexadecimal digits"
    if isinstance(key, str):
        try:
            octets = bytes.fromhex(key)
        except ValueError:
            raise ValueError(f"key of {len(key)} characters: must be {right}") from None
    elif isinstance(key, (bytes, bytearray)):
        octets = bytes(key)
    else:
        raise TypeError(f"key: must be {right}, not {type_name(key)}")
    if len(octets) != KEY_SIZE:
        raise ValueError(f"key of {len(octets)} bytes: must be {right}")
    return octets
