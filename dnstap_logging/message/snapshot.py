"""The dns extras of a log record: their names, and the snapshot that the calling thread takes.

Everything here runs in the thread that logs (`KeySet.complaint` alone in the writer thread), so it
is quick, takes no lock and raises nothing. Values that cannot change and do not run the caller's
code go into the snapshot as they are, and `message.check` converts them in the writer thread. All
others could change, or belong to the calling thread: they are converted here and now, by the same
converters.
"""

from __future__ import annotations

import operator
import socket
import sys
import time
from datetime import datetime
from functools import lru_cache
from typing import Callable, Dict, Final, Mapping, NamedTuple, Optional, Set, Tuple, Union

from ..interrupts import pass_on
from ..shorten import shorten
from . import enums
from .policy import Policy, as_policy
from .values import (
    TooLong,
    as_domain_name,
    as_endpoint,
    as_http_protocol,
    as_message_type,
    as_port,
    as_socket_family,
    as_socket_protocol,
    as_text_octets,
    as_time_ns,
    as_wire_message,
    ns_from_seconds,
    reason,
)

__all__ = [
    "Converted",
    "FIELDS",
    "Field",
    "KeySet",
    "NOT_PLAIN",
    "PAYLOAD",
    "PREFIX",
    "SIZE",
    "Snapshot",
    "Unusable",
    "convert",
    "created_ns",
    "has_dns_keys",
    "key_set",
    "plain_size",
    "take_snapshot",
]

PREFIX = "dns_"
MAX_KEY_SETS = 1024  # remembered sets of keys: a program has a few, a hostile one ever new ones
MAX_COMPLAINTS = 64  # remembered texts about unknown keys, for the same reason
MAX_NAMED_KEYS = 3  # unknown keys named in one complaint
MAX_KEY = 64  # characters of a key for which a similar one is sought; that takes quadratic time
SIMILAR = 0.5  # difflib's ratio: "type" still finds "message_type"

Converter = Callable[[object], object]


class Field(NamedTuple):
    """A field of `DnstapMessage`: its name, its key in a record, and what converts its values."""

    name: str
    key: str
    convert: Converter


_CONVERTERS: Dict[str, Converter] = {
    "query_message": as_wire_message,
    "response_message": as_wire_message,
    "query_zone": as_domain_name,
    "extra": as_text_octets,
    "identity": as_text_octets,
    "version": as_text_octets,
    "message_type": as_message_type,
    "query_address": as_endpoint,
    "response_address": as_endpoint,
    "query_port": as_port,
    "response_port": as_port,
    "query_time": as_time_ns,
    "response_time": as_time_ns,
    "socket_family": as_socket_family,
    "socket_protocol": as_socket_protocol,
    "http_protocol": as_http_protocol,
    "policy": as_policy,
}
FIELDS = {name: Field(name, PREFIX + name, convert) for name, convert in _CONVERTERS.items()}

SHORT = 255  # characters of a text that does not count: a name, an address, no payload
NOT_PLAIN = -1  # in place of a size: values that may not be kept as they are

# Types whose values never change and run no code of the caller's. Addresses join when they are
# first seen, so that nobody pays for importing ipaddress.
_PLAIN: Set[type] = {
    type(None), bytes, str, int, float, bool, datetime, Policy,
    enums.MessageType, enums.SocketFamily, enums.SocketProtocol, enums.HttpProtocol,
    socket.AddressFamily, socket.SocketKind,
}  # fmt: skip

# -- keys --------------------------------------------------------------------------------------


class KeySet:
    """The dns keys of a record, worked out once for all records with the same keys.

    Never changed, and compared by identity, so that others can keep by it what they work out.

    Args:
        fields: the known fields, in the order of their values.
        unknown: keys that begin with ``dns_`` and are none of ours.
        fixed: the values of the first fields, where they are the same in all records: plain ones,
            `Converted` or `Unusable`.

    Attributes:
        names: the keys of `fields`.
        read: reads the values that are not fixed out of a record's dict, as a tuple.
        type_at: where the message type is among `fields`, or None.
        messages_at: where DNS messages are among the values that are not fixed.
    """

    __slots__ = ("fields", "fixed", "messages_at", "names", "read", "type_at", "unknown")

    def __init__(
        self,
        fields: Tuple[Field, ...],
        unknown: Tuple[str, ...] = (),
        fixed: Tuple[object, ...] = (),
    ) -> None:
        self.fields = fields
        self.unknown = unknown
        self.fixed = fixed
        self.names = tuple(field.key for field in fields)
        self.read = _reader(self.names[len(fixed) :])
        at = [number for number, field in enumerate(fields) if field.name == "message_type"]
        self.type_at = at[0] if at else None
        own = enumerate(fields[len(fixed) :])
        self.messages_at = tuple(at for at, field in own if field.convert is as_wire_message)

    def __repr__(self) -> str:
        return f"KeySet({', '.join((*self.names, *self.unknown))})"

    @property
    def complaint(self) -> Optional[str]:
        """What is to be said about the unknown keys, naming the nearest known ones."""
        return _complaint(self.unknown) if self.unknown else None


_key_sets: Dict[Tuple[object, ...], Optional[KeySet]] = {}


def _reader(names: Tuple[str, ...]) -> Callable[[Mapping[str, object]], Tuple[object, ...]]:
    if len(names) > 1:
        return operator.itemgetter(*names)  # returns a tuple for two and more only
    return lambda record_dict: tuple([record_dict[name] for name in names])


def key_set(record_dict: Mapping[str, object]) -> Optional[KeySet]:
    """Return the dns keys of a record's dict, or None if it has none at all."""
    shape = tuple(record_dict)
    try:
        return _key_sets[shape]
    except KeyError:
        pass
    except BaseException as error:  # noqa: BLE001 - a key whose __eq__ raises
        pass_on(error)
        return _read_keys(shape)
    keys = _read_keys(shape)
    if len(_key_sets) >= MAX_KEY_SETS:
        _key_sets.clear()
    _key_sets[shape] = keys
    return keys


def has_dns_keys(record_dict: Mapping[str, object]) -> bool:
    """Tell whether a record is meant for dnstap: whether any of its keys begins with ``dns_``."""
    try:
        return "dns_message_type" in record_dict or key_set(record_dict) is not None
    except BaseException as error:  # noqa: BLE001 - a key whose __hash__ or __eq__ raises
        pass_on(error)
        return False


def _read_keys(shape: Tuple[object, ...]) -> Optional[KeySet]:
    seen = {str.__str__(key) for key in shape if issubclass(type(key), str)}
    fields = tuple(field for field in FIELDS.values() if field.key in seen)
    known = {field.key for field in fields}
    unknown = tuple(sorted(key for key in seen - known if key.startswith(PREFIX)))
    if not fields and not unknown:
        return None
    return KeySet(fields, unknown)


@lru_cache(maxsize=MAX_COMPLAINTS)
def _complaint(unknown: Tuple[str, ...]) -> str:
    named = "; ".join(_complain(key) for key in unknown[:MAX_NAMED_KEYS])
    more = len(unknown) - MAX_NAMED_KEYS
    return f"{named}; and {more} more" if more > 0 else named


def _complain(key: str) -> str:
    import difflib  # here, for it is seldom needed and slow to import

    near = []
    if len(key) <= MAX_KEY:
        near = difflib.get_close_matches(key[len(PREFIX) :], FIELDS, n=1, cutoff=SIMILAR)
    shown = shorten(key)[1:-1]
    if not near:
        return f"{shown} left out: unknown key, no dns extra has a similar name"
    return f"{shown} left out: unknown key, did you mean {PREFIX}{near[0]}?"


# -- snapshots ---------------------------------------------------------------------------------


class Converted(NamedTuple):
    """A value that the calling thread has converted already."""

    value: object


class Unusable(NamedTuple):
    """A value that the calling thread could not convert; `message.check` makes a problem of it.

    Attributes:
        reason: what went wrong, or what would be right.
        shown: the value as short text, if there is one.
        too_large: whether it is a DNS message above the limit, which costs the record.
    """

    reason: str
    shown: Optional[str] = None
    too_large: bool = False


Snapshot = Tuple[
    Union[int, float], KeySet, Tuple[object, ...], Union[str, bytes, Unusable, None], int
]
"""What the calling thread puts on the queue: a record's dns extras, immutable and unchecked.

A bare tuple, since to make one of named fields costs as much as all the rest of putting it there:

* created: the record's creation; float seconds since the epoch, as logging has it, or int
  nanoseconds;
* keys: the `KeySet`, shared by all records that have the same keys;
* values: the values, in the order of ``keys.names``, without ``keys.fixed``;
* extra: what the handler's formatter rendered;
* size: bytes of the values that are bytes, characters of those that are long texts.
"""
SIZE: Final = 4  # the place of the size in a snapshot

_NO_KEYS = KeySet(())
PAYLOAD = KeySet(())
"""The keys of what is no record, but a ready dnstap payload, its one value: it is only framed."""


def take_snapshot(
    record_dict: Mapping[str, object],
    created: float,
    extra: Union[str, bytes, Unusable, None] = None,
) -> Snapshot:
    """Take the dns extras out of a record's dict; raises for no value whatever.

    Args:
        record_dict: the ``__dict__`` of a log record, or the extras alone.
        created: the record's creation, in seconds since the epoch.
        extra: what the handler's formatter rendered, or why it could not.
    """
    try:
        keys = _key_sets.get(tuple(record_dict)) or key_set(record_dict) or _NO_KEYS
        values = keys.read(record_dict)
        size = plain_size(values)
        if size != NOT_PLAIN and type(created) is float:
            if extra is None:
                return created, keys, values, None, size
            if type(extra) in (str, bytes):
                return created, keys, values, extra, size + _length(extra)
    except BaseException as error:  # noqa: BLE001 - the careful way finds out what it was
        pass_on(error)
    return _take_carefully(record_dict, created, extra)


def plain_size(values: Tuple[object, ...]) -> int:
    """Return the size of a snapshot of these values; NOT_PLAIN if one may not be kept as it is.

    Raises for no value whatever.
    """
    # Types are compared one by one, the usual ones first: cheaper than looking each up in a set.
    size = 0
    try:
        for value in values:
            kind = type(value)
            if kind is bytes:
                size += len(value)  # type: ignore[arg-type]
            elif kind is str:
                if len(value) > SHORT:  # type: ignore[arg-type]
                    size += len(value)  # type: ignore[arg-type]
            elif kind is tuple:
                host = value[0] if value else None  # type: ignore[index]
                if type(host) is not str and type(host) is not bytes:
                    return NOT_PLAIN
                # (host, port) of IPv4 is the usual one
                if not (len(value) == 2 and type(value[1]) is int) and not _are_numbers(value[1:]):  # type: ignore[arg-type, index]
                    return NOT_PLAIN
                if len(host) > SHORT:
                    size += len(host)
            elif kind not in _PLAIN:
                return NOT_PLAIN
    except BaseException as error:  # noqa: BLE001 - a type that cannot be hashed, or the like
        pass_on(error)
        return NOT_PLAIN
    return size


def _are_numbers(values: Tuple[object, ...]) -> bool:
    return all(type(value) is int for value in values)


def _take_carefully(record_dict: Mapping[str, object], created: float, extra: object) -> Snapshot:
    """Take a snapshot value by value, converting those that are not plain."""
    try:
        keys = key_set(record_dict) or _NO_KEYS
    except BaseException as error:  # noqa: BLE001 - keys that cannot be compared
        pass_on(error)
        keys = _NO_KEYS
    values = tuple([_freeze(field, record_dict) for field in keys.fields])
    if extra is not None and type(extra) not in (str, bytes, Unusable):
        extra = convert(FIELDS["extra"], extra)
    size = sum(map(_length, (extra, *values)))
    return _time_of(created), keys, values, extra, size  # type: ignore[return-value]


def created_ns(created: Union[int, float]) -> int:
    """Return a snapshot's creation in nanoseconds since the epoch."""
    return created if type(created) is int else _time_of(created)


def _time_of(seconds: object) -> int:
    """Return a record's creation in nanoseconds: now, where it is no time."""
    try:
        return ns_from_seconds(seconds)  # type: ignore[arg-type]
    except BaseException as error:  # noqa: BLE001 - made by hand, or before the epoch
        pass_on(error)
        return time.time_ns()


def _freeze(field: Field, record_dict: Mapping[str, object]) -> object:
    """Read one value: as it is if it is plain, else `Converted` or `Unusable`."""
    value: object = None
    try:
        value = record_dict[field.key]
        if plain_size((value,)) != NOT_PLAIN:
            return value
        _learn(type(value))
    except BaseException as error:  # noqa: BLE001 - its type cannot be hashed, or the like
        pass_on(error)
    value = convert(field, value)
    return value if type(value) is Unusable else Converted(value)


def convert(field: Field, value: object) -> object:
    """Convert a value, or tell in an `Unusable` why that cannot be done."""
    try:
        return field.convert(value)
    except BaseException as error:  # noqa: BLE001 - also what the value's own methods raise
        pass_on(error)
        return Unusable(reason(error), shorten(value), isinstance(error, TooLong))


def _learn(kind: type) -> None:
    """Count the standard library's addresses as plain from now on."""
    ipaddress = sys.modules.get("ipaddress")
    if ipaddress is not None and kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        _PLAIN.add(kind)


def _length(value: object) -> int:
    value = value.value if type(value) is Converted else value
    if isinstance(value, str) and len(value) <= SHORT:
        return 0
    return len(value) if isinstance(value, (bytes, str)) else 0
