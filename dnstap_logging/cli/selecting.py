"""Choose messages: the filter arguments that several commands share.

Each argument may be given more than once, or list several values with commas: one of them is
enough. Different arguments must all be met. A value means what it means to the logging filters.
"""

from __future__ import annotations

import argparse
import re
import time
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, Callable, FrozenSet, List, Optional, Tuple, Union

from ..dnswire.message import read_rcode
from ..filters.message_type import matching_types
from ..filters.qname import any_in, as_domains
from ..filters.rcode import as_rcodes
from ..filters.records import names_in
from ..message.enums import MessageType, read_member
from ..message.message import DnstapMessage
from ..message.values import MAX_SECONDS, NS, unmapped
from ..text.line import mnemonic, own_time, own_wire
from .common import did_you_mean

__all__ = ["Selector", "add_arguments", "make_selector"]

Selector = Callable[[DnstapMessage], bool]
"""Returns whether a message is wanted."""

IPV4_BITS = 32

_MNEMONICS = {mnemonic(each): each for each in MessageType}
_WILDCARDS = frozenset("*?[")
_UNKNOWN_TYPE = re.compile(r"TYPE(-?\d{1,10})")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGO = re.compile(r"(\d{1,9})([smhd])")
_EPOCH = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?")
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?"
)
_RIGHT_TIME = (
    "a time is 2026-01-31, 2026-01-31T12:00:00 (local), with Z or +01:00 at its end, "
    "seconds since the epoch, or 30s, 10m, 2h, 1d ago"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the filters to a command's arguments."""
    group = parser.add_argument_group(
        "filters", "All that are given must be met; of the values of one filter, one is enough."
    )
    lists: Tuple[Tuple[str, str, Callable[[object], List[Any]], str], ...] = (
        ("type", "TYPE", _as_types, "message types: CLIENT_QUERY, CQ, 'CLIENT_*', '*_RESPONSE'"),
        ("name", "DOMAIN", as_domains, "names in a question: a domain, with all names below it"),
        (
            "client",
            "ADDRESS",
            _as_networks,
            "who asked (the query address): addresses or networks (192.0.2.0/24)",
        ),
        ("rcode", "RCODE", _as_rcodes, "response codes: NXDOMAIN, 3; only responses have one"),
    )
    for name, metavar, read, text in lists:
        group.add_argument(
            f"--{name}",
            dest=f"{name}s",
            metavar=metavar,
            type=_listed(read),
            action="append",
            help=text,
        )
    group.add_argument(
        "--since",
        metavar="TIME",
        type=_as_time,
        help="from this time on: 2026-01-31T12:00:00 (local; Z: UTC), or 10m for ten minutes ago",
    )
    group.add_argument("--until", metavar="TIME", type=_as_time, help="before this time")


def make_selector(options: argparse.Namespace) -> Optional[Selector]:
    """Return a function that says whether a message meets all filters; None: there are none.

    Args:
        options: parsed by a parser that `add_arguments` was called with.
    """
    tests: List[Selector] = []
    if options.types:
        tests.append(_type_test(frozenset(chain.from_iterable(options.types))))
    if options.since is not None or options.until is not None:
        tests.append(_time_test(options.since, options.until))
    if options.clients:
        tests.append(_client_test(list(chain.from_iterable(options.clients))))
    if options.names:
        tests.append(_name_test(frozenset(chain.from_iterable(options.names))))
    if options.rcodes:
        tests.append(_rcode_test(frozenset(chain.from_iterable(options.rcodes))))
    if len(tests) < 2:
        return tests[0] if tests else None
    return lambda message: all(test(message) for test in tests)


# -- the tests ---------------------------------------------------------------------------------


def _type_test(types: FrozenSet[Union[MessageType, str]]) -> Selector:
    patterns = [each for each in types if isinstance(each, str)]

    def test(message: DnstapMessage) -> bool:
        kind = message.message_type
        if kind in types:
            return True
        return not kind.is_known and any(fnmatchcase(kind.name, each) for each in patterns)

    return test


def _time_test(since: Optional[int], until: Optional[int]) -> Selector:
    def test(message: DnstapMessage) -> bool:
        stamp = own_time(message)
        if stamp is None:
            return False
        return (since is None or since <= stamp) and (until is None or stamp < until)

    return test


def _client_test(networks: List[Tuple[int, int, int]]) -> Selector:
    def test(message: DnstapMessage) -> bool:
        packed = message.query_address
        if packed is None:
            return False
        return _is_within(unmapped(packed), networks) or _is_within(packed, networks)

    return test


def _is_within(packed: bytes, networks: List[Tuple[int, int, int]]) -> bool:
    size, number = len(packed), int.from_bytes(packed, "big")
    return any(size == each and number & mask == base for each, base, mask in networks)


def _name_test(domains: FrozenSet[bytes]) -> Selector:
    def test(message: DnstapMessage) -> bool:
        names = names_in(own_wire(message) or b"")
        return bool(names) and any_in(names, domains)

    return test


def _rcode_test(codes: FrozenSet[int]) -> Selector:
    def test(message: DnstapMessage) -> bool:
        try:
            return read_rcode(message.response_message or b"") in codes
        except ValueError:
            return False

    return test


# -- the values --------------------------------------------------------------------------------


def _listed(convert: Callable[[object], List[Any]]) -> Callable[[str], List[Any]]:
    """Make the reader of an argument whose values are listed with commas."""

    def read(text: str) -> List[Any]:
        found: List[Any] = []
        for part in text.split(","):
            try:
                found.extend(convert(part.strip()))
            except (TypeError, ValueError) as error:
                raise argparse.ArgumentTypeError(f"{part!r}: {error}") from None
        return found

    return read


def _as_types(value: object) -> List[Union[MessageType, str]]:
    """Return the types that are meant, and a pattern itself too: unknown types may match it."""
    text = str(value).upper()
    short, unknown = _MNEMONICS.get(text), _UNKNOWN_TYPE.fullmatch(text)
    if short is not None:
        return [short]
    if unknown:
        return [read_member(MessageType, int(unknown[1]))]
    is_pattern = not _WILDCARDS.isdisjoint(text)
    try:
        return [*matching_types(value), *([text] if is_pattern else [])]
    except ValueError:
        if is_pattern and text.startswith("TYPE"):
            return [text]
        near = did_you_mean(text, [each.name for each in MessageType])
        right = "no message type: such as CLIENT_QUERY, CQ or 'CLIENT_*'"
        raise ValueError(right + near) from None


def _as_rcodes(value: object) -> List[int]:
    text = str(value)
    return as_rcodes(int(text) if text.isdecimal() else text)


def _as_networks(value: object) -> List[Tuple[int, int, int]]:
    """Return the size of the addresses, the network as a number, and its mask.

    A network of IPv4 addresses inside IPv6 is one of IPv4: they are the same clients.
    """
    import ipaddress

    try:
        network = ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError("must be an IP address, or a network such as 192.0.2.0/24") from None
    base, mask = network.network_address.packed, network.netmask.packed
    if network.max_prefixlen - network.prefixlen <= IPV4_BITS:
        base = unmapped(base)
    size = len(base)
    return [(size, int.from_bytes(base, "big"), int.from_bytes(mask[-size:], "big"))]


def _as_time(text: str) -> int:
    """Read a point in time; returns nanoseconds since the epoch."""
    try:
        return _read_time(text.strip())
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r}: {_RIGHT_TIME}") from None


def _read_time(text: str) -> int:
    ago, epoch, iso = _AGO.fullmatch(text), _EPOCH.fullmatch(text), _ISO.fullmatch(text)
    if ago:
        return max(0, time.time_ns() - int(ago[1]) * _UNITS[ago[2]] * NS)
    if epoch:
        seconds, fraction = int(epoch[1]), epoch[2]
    elif iso:
        day, clock, fraction, zone = iso.groups()
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}")
        since = _in_zone(moment, zone) - datetime(1970, 1, 1, tzinfo=timezone.utc)
        seconds = since // timedelta(seconds=1)
    else:
        raise ValueError
    if not 0 <= seconds < MAX_SECONDS:
        raise ValueError
    return seconds * NS + int((fraction or "").ljust(9, "0"))


def _in_zone(moment: datetime, zone: Optional[str]) -> datetime:
    if zone is None:
        return moment.astimezone()
    return datetime.fromisoformat(moment.isoformat() + zone.replace("Z", "+00:00"))
