"""Enumerators as users write them: dnstap's names, and those of the programs around.

`socket`, ASGI, ALPN, URLs and other DNS servers have names of their own for the same things. A
number that dnstap has means what it means there: 2 is INET6, although it is `socket.AF_INET`'s too.
Pure functions; any thread.
"""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Callable, Dict, Mapping, Tuple, Type, TypeVar

from .enums import (
    HttpProtocol,
    MessageType,
    PolicyAction,
    PolicyMatch,
    SocketFamily,
    SocketProtocol,
)

__all__ = ["enum_converter"]

E = TypeVar("E", bound=enum.IntEnum)

MAX_NAME = 64  # characters of the longest text that can be a name
MAX_SUGGESTIONS = 64  # remembered, for difflib takes long, and the same mistake comes again

# More names of a member. Case, spaces, "-", "_", "/" and "." make no difference.
_OTHER_NAMES: Mapping[Type[enum.IntEnum], Mapping[str, Tuple[str, ...]]] = {
    MessageType: {  # those of the listings of dnstap and dnstap-read
        each.name: (each.name[0] + each.name.partition("_")[2][0],) for each in MessageType
    },
    SocketFamily: {
        "INET": ("AF_INET", "INET4", "IPv4", "IP4", "v4", "4"),
        "INET6": ("AF_INET6", "IPv6", "IP6", "v6", "6"),
    },
    SocketProtocol: {  # "DoUDP", "DoTCP" and "DoH3" are dnsdist's, "tcp-tls" is of Go's dns library
        "UDP": ("SOCK_DGRAM", "UDP4", "UDP6", "DoUDP"),
        "TCP": ("SOCK_STREAM", "TCP4", "TCP6", "DoTCP"),
        "DOT": ("TLS", "SSL", "tcp-tls", "DNS over TLS"),
        "DOH": ("HTTPS", "HTTP", "DoH2", "DoH3", "DNS over HTTPS", "DNS over HTTP/3"),
        "DOQ": ("QUIC", "DNS over QUIC"),
    },
    HttpProtocol: {
        "HTTP1": ("HTTP/1.1", "HTTP/1.0", "1.1", "1.0", "1", "H1"),
        "HTTP2": ("HTTP/2.0", "2.0", "2", "H2", "H2C"),
        "HTTP3": ("HTTP/3.0", "3.0", "3", "H3"),
    },
    PolicyAction: {"PASS": ("PASSTHRU",), "TRUNCATE": ("TCP-ONLY",)},  # BIND's and Unbound's
    PolicyMatch: {"RESPONSE_IP": ("IP",), "NS_NAME": ("NSDNAME",)},
}
_OTHER_NUMBERS: Mapping[Type[enum.IntEnum], Mapping[int, str]] = {
    SocketFamily: {4: "INET", 6: "INET6"},  # `version` of an ipaddress object
}
_MARKS = str.maketrans("", "", " -_/.")


def enum_converter(kind: Type[E]) -> Callable[[object], E]:
    """Make the converter of an enumeration: its members, their names, their numbers.

    A member of another enumeration counts by its name alone: ``socket.AF_INET`` has the number
    of INET6 here.
    """
    by_name = _names_of(kind)
    own_numbers = {member.value: member for member in kind}
    others = {number: kind[name] for number, name in _OTHER_NUMBERS.get(kind, {}).items()}
    by_number = {**own_numbers, **others}
    article = "an" if kind.__name__[0] in "AEIOU" else "a"
    example, last = next(iter(kind)).name, max(own_numbers)
    right = f"must be {article} {kind.__name__}, its name ({example!r}) or number (1 to {last})"

    def convert(value: object) -> E:
        if type(value) is kind and value._value_ in own_numbers:  # not read from others
            return value
        if isinstance(value, (str, enum.Enum)):
            name = str(value.name) if isinstance(value, enum.Enum) else str.__str__(value)
            found = by_name.get(name) or by_name.get(_plain(name))
            if found is None:
                raise ValueError(f"{right}{_did_you_mean(kind, name[: MAX_NAME + 1])}")
            return found
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(right)
        found = by_number.get(int.__int__(value))
        if found is None:
            raise ValueError(right)
        return found

    return convert


def _names_of(kind: Type[E]) -> Dict[str, E]:
    """Return the members by all their names: as they are written most, and without marks."""
    by_name: Dict[str, E] = {}
    for member in kind:
        for name in (member.name, *_OTHER_NAMES.get(kind, {}).get(member.name, ())):
            for spelling in (name, name.upper(), name.lower(), _plain(name)):
                by_name[spelling] = member
    return by_name


def _plain(name: str) -> str:
    return name.lower().translate(_MARKS) if len(name) <= MAX_NAME else ""


@lru_cache(maxsize=MAX_SUGGESTIONS)
def _did_you_mean(kind: Type[enum.IntEnum], name: str) -> str:
    import difflib  # here, for it is seldom needed and slow to import

    names = {_plain(member.name): member.name for member in kind}
    near = difflib.get_close_matches(_plain(name), names, n=1)
    return f", did you mean {names[near[0]]}?" if near else ""
