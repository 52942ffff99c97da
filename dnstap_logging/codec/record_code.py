"""Compile a function that encodes the records of one set of keys, made for just these keys.

As `collections.namedtuple` did, `compile_encode` writes Python source and compiles it, once for
each set of dns keys, of which a program has a few. One function for all keys takes 1.6 times as
long, because it has to ask for each field whether the record has it. The source consists of the
snippets below; no value and no name of a user's is part of it.

A snippet reads the variable that is named as the field, and sets the field's piece, which has an
underscore behind its name. Snippets of fixed fields run once. For a value that is not usual a
snippet may raise anything: `message_from_snapshot` then takes the record. Used by writer threads.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from textwrap import indent
from typing import AbstractSet, Any, Callable, Dict, FrozenSet, Iterator, List, Tuple

from ..message.fields import KeySet
from ..message.policy import as_policy
from ..message.snapshot import Converted, Snapshot
from ..message.values import NS, as_http_protocol, as_port, as_socket_family
from . import pieces as wire_pieces
from .pieces import Unusual
from .table import MESSAGE, TYPE_IS_MESSAGE

__all__ = ["Encode", "compile_encode"]

Encode = Callable[[Snapshot], bytes]
"""Returns the payload of a record, or raises: then `message_from_snapshot` has to take it."""

MAX_COMPILED = 1024
"""Compiled sources that are kept, of some 5 kB each. To compile one takes a millisecond, in which
the writer thread could encode a thousand records."""

SIDES = ("query", "response")

KIND = """
is_query, is_doh, beginnings = BEGINNINGS[message_type, {protocol}]
"""
QUERY_ADDRESS = """
if type(query_address) is tuple:
    query_family, query_address_ = QUERY_HOSTS[query_address[0]]
    port = query_address[1]
    query_port_ = PORT_LOW[port & 127] + PORT_HIGH[port >> 7] if port > 127 else SMALL_PORTS[port]
else:
    query_family, query_address_, query_port_ = QUERY_ENDPOINTS[query_address]
"""
RESPONSE_ADDRESS = """
response_family, response_address_, response_port_ = RESPONSE_ENDPOINTS[response_address]
"""
PORT = """
{side}_port_ = {side}_port_piece(as_port({side}_port))
"""
FAMILY_OF_BOTH = """
family = query_family or response_family
if response_family and response_family != family:
    raise Unusual
"""
FAMILY_OF_ONE = """
family = {side}_family
"""
SOCKET_FAMILY = """
given_family = as_socket_family(socket_family)
if {known_family} and {known_family} != given_family:
    raise Unusual
"""
TIME = """
if type({time}) is int:
    second, nsec = divmod({time}, NS)
elif type({time}) is float:
    second = int({time})
    nsec = int(({time} - second) * NS + 0.5)
else:
    raise Unusual
{side}_time_ = {SIDE}_SECONDS[second] + octets_of_nsec(nsec)
"""
OWN_TIME = """
if is_query is {is_query}:
{time}
else:
    {side}_time_ = b""
"""
DNS_MESSAGE = """
if type({side}_message) is not bytes:
    {side}_message = octets_of({side}_message)
{side}_length = {SIDE}_LENGTHS[len({side}_message)]
"""
ZONE = """
query_zone_ = ZONES[query_zone]
"""
POLICY = """
policy_ = policy_piece(as_policy(policy))
"""
HTTP_PROTOCOL = """
if not is_doh:
    raise Unusual
http_protocol_ = http_protocol_piece(as_http_protocol(http_protocol))
"""
FUNCTIONS = """
def make(fixed, heads, head_of):
    {fixed}
    {outer}

    def encode(snapshot):
        created, _, {own}, formatted, _ = snapshot
        {inner}
        body = b"".join(({pieces},))
        return {head} + body + TYPE_IS_MESSAGE

    return encode
"""
CREATED = "created"

HEAD = "(heads[len(body)] if formatted is None else head_of(None, None, formatted, len(body)))"
OWN_HEAD = "head_of({identity}, {version}, {extra}, len(body))"


def _octets_of(value: object) -> bytes:
    """Return a DNS message that the calling thread has converted."""
    if type(value) is Converted and type(value.value) is bytes:
        return value.value
    raise Unusual


NAMES: Dict[str, Any] = {
    **{name: getattr(wire_pieces, name) for name in wire_pieces.__all__},
    **{f"{name}_piece": MESSAGE[name].piece for name in MESSAGE},
    "NS": NS,
    "TYPE_IS_MESSAGE": TYPE_IS_MESSAGE,
    "as_http_protocol": as_http_protocol,
    "as_policy": as_policy,
    "as_port": as_port,
    "as_socket_family": as_socket_family,
    "octets_of": _octets_of,
    "octets_of_nsec": struct.Struct("<I").pack,
}


def compile_encode(
    keys: KeySet, full: bool, heads: Dict[int, bytes], head_of: Callable[..., bytes]
) -> Encode:
    """Return what encodes the records that have these keys.

    Args:
        keys: of the records.
        full: whether the DNS messages themselves are sent.
        heads: what stands before a body, by its length.
        head_of: returns the same for an identity, version and extra, None for the usual ones.
    """
    names = [field.name for field in keys.fields]
    given = {name: value for name, value in zip(names, keys.fixed) if value is not None}
    own = tuple(names[len(keys.fixed) :])
    if keys.unknown or "message_type" not in (*given, *own):
        return _leave_to_check
    try:
        make = _compile(tuple(given), own, full)
        encode: Encode = make(tuple(given.values()), heads, head_of)
    except Exception:  # noqa: BLE001 - a fixed value that is not usual
        return _leave_to_check
    return encode


def _leave_to_check(snapshot: Snapshot) -> bytes:
    raise Unusual


@lru_cache(maxsize=MAX_COMPILED)
def _compile(fixed: Tuple[str, ...], own: Tuple[str, ...], full: bool) -> Callable[..., Encode]:
    namespace = dict(NAMES)
    # Compiled first: exec() of a text makes the interpreter forget that Ctrl-C is ending it.
    exec(compile(source(fixed, own, full), "<record>", "exec"), namespace)
    make: Callable[..., Encode] = namespace["make"]
    return make


def source(fixed: Tuple[str, ...], own: Tuple[str, ...], full: bool) -> str:
    """Return the source of a function that makes the function.

    Args:
        fixed: the fields that have the same value in all records.
        own: the others.
        full: whether the DNS messages themselves are sent.
    """
    names = frozenset((*fixed, *own))
    outer: List[str] = []
    inner: List[str] = []
    differ = {*own, CREATED}
    for snippet, reads in _snippets(names):
        (outer if reads.isdisjoint(differ) else inner).append(snippet.strip("\n"))
    head = HEAD
    if not names.isdisjoint(("identity", "version", "extra")):
        known = {name: name if name in names else None for name in ("identity", "version")}
        extra = "formatted if extra is None else extra" if "extra" in names else "formatted"
        head = OWN_HEAD.format(extra=extra, **known)
    return FUNCTIONS.format(
        fixed=f"{_unpacked(fixed)} = fixed",
        own=_unpacked(own),
        outer=indent("\n".join(outer), " " * 4).strip(),
        inner=indent("\n".join(inner), " " * 8).strip(),
        pieces=", ".join(_pieces(names, full)),
        head=head,
    )


def _snippets(names: FrozenSet[str]) -> Iterator[Tuple[str, AbstractSet[str]]]:
    """Yield the snippets for some fields in the order in which they run, and what each reads."""

    def reads(*fields: str) -> FrozenSet[str]:
        return names.intersection(fields)

    kind = reads("message_type", "socket_protocol")
    ends = reads("query_address", "response_address")
    yield KIND.format(protocol="socket_protocol" if "socket_protocol" in names else None), kind
    for side, snippet in zip(SIDES, (QUERY_ADDRESS, RESPONSE_ADDRESS)):
        if f"{side}_address" in names:
            yield snippet, reads(f"{side}_address")
        if f"{side}_port" in names:  # wins over the address's
            yield PORT.format(side=side), reads(f"{side}_address", f"{side}_port")
    if len(ends) == 2:
        yield FAMILY_OF_BOTH, ends
    elif ends:
        yield FAMILY_OF_ONE.format(side=min(ends).partition("_")[0]), ends
    if "socket_family" in names:
        yield SOCKET_FAMILY.format(known_family="family" if ends else 0), ends | {"socket_family"}
    for side in SIDES:
        yield _time(side, names), reads(f"{side}_time") or {*kind, CREATED}
        if f"{side}_message" in names:
            yield DNS_MESSAGE.format(side=side, SIDE=side.upper()), reads(f"{side}_message")
    if "query_zone" in names:
        yield ZONE, reads("query_zone")
    if "policy" in names:
        yield POLICY, reads("policy")
    if "http_protocol" in names:
        yield HTTP_PROTOCOL, kind | {"http_protocol"}


def _time(side: str, names: FrozenSet[str]) -> str:
    """Return what makes a side's time: that given, or of the own side the record's creation."""
    given = f"{side}_time"
    time = TIME.format(
        time=given if given in names else CREATED, side=side, SIDE=side.upper()
    ).strip()
    if given in names:
        return time
    is_query = side == "query"
    return OWN_TIME.format(is_query=is_query, time=indent(time, " " * 4), side=side)


def _pieces(names: FrozenSet[str], full: bool) -> Iterator[str]:
    """Yield the names of the pieces of the message, in the order of the fields' numbers."""
    family = "given_family" if "socket_family" in names else "family"
    ends = names.intersection(("query_address", "response_address", "socket_family"))
    yield f"beginnings[{family if ends else 0}]"
    for side in SIDES:
        if f"{side}_address" in names:
            yield f"{side}_address_"
    for side in SIDES:
        if not names.isdisjoint((f"{side}_address", f"{side}_port")):
            yield f"{side}_port_"
    for side in SIDES:
        yield f"{side}_time_"
        if full and f"{side}_message" in names:
            yield f"{side}_length"
            yield f"{side}_message"
        if side == "query" and "query_zone" in names:
            yield "query_zone_"
    for name in ("policy", "http_protocol"):
        if name in names:
            yield f"{name}_"


def _unpacked(names: Tuple[str, ...]) -> str:
    """Return the target of an assignment from a tuple of values."""
    return f"({''.join(f'{name}, ' for name in names)})"
