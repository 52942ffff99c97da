"""The enumerations of dnstap.proto, with its names and numbers.

`values.py` reads what users write into them, `codec/` puts their numbers on the wire. Any
thread may use them.

Other programs may know a later dnstap.proto. What they send, and this one does not know, is read
as a pseudo-member (`read_member`): it has a name (``TYPE255``) and its number, but it is not among
the members, and cannot be logged.
"""

from __future__ import annotations

import enum
from typing import Any, Dict, Tuple, Type, TypeVar

__all__ = [
    "HttpProtocol",
    "MessageType",
    "PolicyAction",
    "PolicyMatch",
    "SocketFamily",
    "SocketProtocol",
    "read_member",
]

MOST_KEPT = 1024
"""How many pseudo-members are kept, so that equal ones are the same object: some hundred kilobytes.
If a sender makes up more, all are forgotten; those read before and after that are only equal."""


class _WireEnum(enum.IntEnum):
    """An enumeration whose numbers come from other programs too."""

    @property
    def is_known(self) -> bool:
        """Whether it is a member; False for a number that this library has no name for."""
        return self._value_ in type(self)._value2member_map_

    # A pseudo-member is copied as itself, even if it is not kept now, and pickled by its number.

    def __copy__(self: E) -> E:
        return self

    def __deepcopy__(self: E, memo: object) -> E:
        return self

    def __reduce_ex__(self, protocol: object) -> Tuple[Any, ...]:
        if self.is_known:
            return type(self), (self._value_,)
        return read_member, (type(self), self._value_)


E = TypeVar("E", bound=_WireEnum)

_kept: Dict[Tuple[Type[_WireEnum], int], Any] = {}  # the pseudo-members


def read_member(kind: Type[E], number: int) -> E:
    """Return the member with a number that was read, or a pseudo-member.

    For numbers that users write, call the enumeration, which refuses unknown ones.
    """
    member: Any = kind._value2member_map_.get(number) or _kept.get((kind, number))
    if member is None:
        member = int.__new__(kind, number)
        member._name_ = f"{_PREFIXES[kind]}{number}"
        member._value_ = number
        if len(_kept) >= MOST_KEPT:
            _kept.clear()
        member = _kept.setdefault((kind, number), member)
    found: E = member
    return found


class MessageType(_WireEnum):
    """What a dnstap message says: who asked or answered whom (dnstap.proto, Message.Type).

    A type of a later dnstap.proto that was read has its number (``.value == 255``) and a name made
    of it (``.name == "TYPE255"``); it is not among the members, and cannot be logged. The other
    enumerations do the same.
    """

    __module__ = "dnstap_logging"

    AUTH_QUERY = 1
    AUTH_RESPONSE = 2
    RESOLVER_QUERY = 3
    RESOLVER_RESPONSE = 4
    CLIENT_QUERY = 5
    CLIENT_RESPONSE = 6
    FORWARDER_QUERY = 7
    FORWARDER_RESPONSE = 8
    STUB_QUERY = 9
    STUB_RESPONSE = 10
    TOOL_QUERY = 11
    TOOL_RESPONSE = 12
    UPDATE_QUERY = 13
    UPDATE_RESPONSE = 14

    @property
    def is_query(self) -> bool:
        """Whether it is a query; queries have the odd numbers."""
        return bool(self & 1)


class SocketFamily(_WireEnum):
    """The family of both addresses: INET has 4 bytes, INET6 has 16."""

    __module__ = "dnstap_logging"

    INET = 1
    INET6 = 2


class SocketProtocol(_WireEnum):
    """How the DNS message travelled."""

    __module__ = "dnstap_logging"

    UDP = 1
    TCP = 2
    DOT = 3
    DOH = 4
    DNSCryptUDP = 5
    DNSCryptTCP = 6
    DOQ = 7


class HttpProtocol(_WireEnum):
    """The version of HTTP under DNS over HTTPS."""

    __module__ = "dnstap_logging"

    HTTP1 = 1
    HTTP2 = 2
    HTTP3 = 3


class PolicyAction(_WireEnum):
    """What an operator's policy did to the answer."""

    __module__ = "dnstap_logging"

    NXDOMAIN = 1
    NODATA = 2
    PASS = 3
    DROP = 4
    TRUNCATE = 5
    LOCAL_DATA = 6


class PolicyMatch(_WireEnum):
    """What the rule of a policy matched."""

    __module__ = "dnstap_logging"

    QNAME = 1
    CLIENT_IP = 2
    RESPONSE_IP = 3
    NS_NAME = 4
    NS_IP = 5


_PREFIXES: Dict[Type[_WireEnum], str] = {
    MessageType: "TYPE",
    SocketFamily: "FAMILY",
    SocketProtocol: "PROTOCOL",
    HttpProtocol: "HTTP_PROTOCOL",
    PolicyAction: "ACTION",
    PolicyMatch: "MATCH",
}
"""What the names of pseudo-members begin with; the number follows, as in RFC 3597's TYPE65280."""
