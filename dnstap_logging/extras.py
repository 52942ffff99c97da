"""The dns extras of a log record: their names, and the snapshot that the calling thread takes.

Everything here runs in the thread that logs (`KeySet.complaint` alone in the writer thread), so it
is quick, takes no lock and raises nothing. Values that cannot change and do not run the caller's
code go into the snapshot as they are, and `message.check` converts them in the writer thread. All
others could change, or belong to the calling thread: they are converted here and now, by the same
converters.
"""

from __future__ import annotations

import operator
import sys
import time
from datetime import datetime
from functools import lru_cache
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Set, Tuple, Union

from . import enums
from .policy import Policy, as_policy
from .shorten import shorten
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
    "Snapshot",
    "Unusable",
    "convert",
    "has_dns_keys",
    "key_set",
    "take_snapshot",
]

PREFIX = "dns_"
MAX_KEY_SETS = 1024  # remembered sets of keys: a program has a few, a hostile one ever new ones
MAX_COMPLAINTS = 64  # remembered texts about unknown keys, for the same reason
MAX_NAMED_KEYS = 3  # unknown keys named in one complaint
MAX_KEY = 64  # characters of a key for which a similar one is sought; that takes quadratic time
SIMILAR = 0.5  # difflib's ratio: "type" still finds "message_type"
MAX_SHORT = 255  # no good value of a short field is longer; longer ones are not kept in the queue

Converter = Callable[[object], object]


class Field(NamedTuple):
    """A field of `DnstapMessage`: its name, its key in a record, and what converts its values."""

    name: str
    key: str
    convert: Converter


# Their lengths make the size of a snapshot.
_SIZED: Dict[str, Converter] = {
    "query_message": as_wire_message,
    "response_message": as_wire_message,
    "query_zone": as_domain_name,
    "extra": as_text_octets,
    "identity": as_text_octets,
    "version": as_text_octets,
}
_SHORT: Dict[str, Converter] = {
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
FIELDS = {
    name: Field(name, PREFIX + name, convert) for name, convert in {**_SIZED, **_SHORT}.items()
}

# Types whose values never change and run no code of the caller's. Addresses join when they are
# first seen, so that nobody pays for importing ipaddress.
_PLAIN: Set[type] = {
    type(None), bytes, str, int, float, bool, datetime, Policy,
    enums.MessageType, enums.SocketFamily, enums.SocketProtocol, enums.HttpProtocol,
}  # fmt: skip


_NUMBERS = frozenset((int,))

# -- keys --------------------------------------------------------------------------------------


class KeySet(NamedTuple):
    """The dns keys of a record, worked out once for all records with the same keys.

    Attributes:
        names: the known keys, in the order of `FIELDS`.
        unknown: keys that begin with ``dns_`` and are none of ours.
        fields: the fields of `names`.
        read: reads the values of `names` out of a record's dict, as a tuple.
        sized: how many of them, from the first, count into the size of a snapshot.
        type_at: where the message type is among them, or None.
    """

    names: Tuple[str, ...]
    unknown: Tuple[str, ...]
    fields: Tuple[Field, ...]
    read: Callable[[Mapping[str, object]], Tuple[object, ...]]
    sized: int
    type_at: Optional[int]

    @property
    def complaint(self) -> Optional[str]:
        """What is to be said about the unknown keys, naming the nearest known ones."""
        return _complaint(self.unknown) if self.unknown else None


_key_sets: Dict[Tuple[object, ...], Optional[KeySet]] = {}


def key_set(record_dict: Mapping[str, object]) -> Optional[KeySet]:
    """Return the dns keys of a record's dict, or None if it has none at all."""
    shape = tuple(record_dict)
    try:
        return _key_sets[shape]
    except KeyError:
        pass
    except Exception:  # noqa: BLE001 - a key whose __eq__ raises
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
    except Exception:  # noqa: BLE001 - a key whose __hash__ or __eq__ raises
        return False


def _read_keys(shape: Tuple[object, ...]) -> Optional[KeySet]:
    seen = {str.__str__(key) for key in shape if issubclass(type(key), str)}
    fields = tuple(field for field in FIELDS.values() if field.key in seen)
    names = tuple(field.key for field in fields)
    unknown = tuple(sorted(key for key in seen.difference(names) if key.startswith(PREFIX)))
    if not names and not unknown:
        return None
    type_at = names.index("dns_message_type") if "dns_message_type" in names else None
    sized = sum(field.name in _SIZED for field in fields)
    return KeySet(names, unknown, fields, _reader(names), sized, type_at)


def _reader(names: Tuple[str, ...]) -> Callable[[Mapping[str, object]], Tuple[object, ...]]:
    if len(names) > 1:
        return operator.itemgetter(*names)  # returns a tuple for two and more only
    return lambda record_dict: tuple([record_dict[name] for name in names])


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


class Snapshot(NamedTuple):
    """What the calling thread puts on the queue: a record's dns extras, immutable and unchecked.

    Attributes:
        created: the record's creation in nanoseconds since the epoch.
        keys: the keys, shared by all records that have the same.
        values: their values, in the order of ``keys.names``.
        extra: what the handler's formatter rendered.
        size: bytes (of text: characters) of the wire messages, zone, extra, identity and version.
    """

    created: int
    keys: KeySet
    values: Tuple[object, ...]
    extra: Union[str, bytes, Unusable, None]
    size: int


_NO_KEYS = KeySet((), (), (), _reader(()), 0, None)


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
        keys = key_set(record_dict) or _NO_KEYS
        values = keys.read(record_dict)
        if _is_plain(values, keys.sized) and (extra is None or type(extra) in (str, bytes)):
            size = len(extra) if extra else 0
            for value in values[: keys.sized]:
                if value is not None:
                    size += len(value)  # type: ignore[arg-type]
            return Snapshot(ns_from_seconds(created), keys, values, extra, size)
    except Exception:  # noqa: BLE001 - the careful way finds out what it was
        pass
    return _take_carefully(record_dict, created, extra)


def _is_plain(values: Tuple[object, ...], sized: int) -> bool:
    """Tell whether all values may be kept as they are and the first ones have a length."""
    for value in values[:sized]:
        if type(value) is not bytes and type(value) is not str and value is not None:
            return False
    for value in values[sized:]:
        kind = type(value)
        if kind is str or kind is bytes:
            if len(value) > MAX_SHORT:  # type: ignore[arg-type]
                return False
        elif kind not in _PLAIN and not (kind is tuple and _is_socket_address(value)):  # type: ignore[arg-type]
            return False
    return True


def _is_socket_address(value: Tuple[object, ...]) -> bool:
    """Tell whether a tuple is one as sockets return it: a short host, then numbers."""
    if not value or not _NUMBERS.issuperset(map(type, value[1:])):
        return False
    host = value[0]
    return (type(host) is str or type(host) is bytes) and len(host) <= MAX_SHORT


def _take_carefully(record_dict: Mapping[str, object], created: float, extra: object) -> Snapshot:
    """Take a snapshot value by value, converting those that are not plain."""
    try:
        keys = key_set(record_dict) or _NO_KEYS
    except Exception:  # noqa: BLE001 - keys that cannot be compared: nothing can be read
        keys = _NO_KEYS
    values = tuple([_freeze(field, record_dict) for field in keys.fields])
    if extra is not None and type(extra) not in (str, bytes, Unusable):
        extra = convert(FIELDS["extra"], extra)
    try:
        created_ns = ns_from_seconds(created)
    except Exception:  # noqa: BLE001 - a record made by hand, or a clock before the epoch
        created_ns = time.time_ns()
    size = sum(map(_length, (extra, *values[: keys.sized])))
    return Snapshot(created_ns, keys, values, extra, size)  # type: ignore[arg-type]


def _freeze(field: Field, record_dict: Mapping[str, object]) -> object:
    """Read one value: as it is if it is plain, else `Converted` or `Unusable`."""
    value: object = None
    try:
        value = record_dict[field.key]
        if _is_plain((value,), field.name in _SIZED):
            return value
        _learn(type(value))
    except Exception:  # noqa: BLE001 - its type cannot be hashed, or the like
        pass
    value = convert(field, value)
    return value if type(value) is Unusable else Converted(value)


def convert(field: Field, value: object) -> object:
    """Convert a value, or tell in an `Unusable` why that cannot be done."""
    try:
        return field.convert(value)
    except Exception as error:  # noqa: BLE001 - also what the value's own methods raise
        return Unusable(reason(error), shorten(value), isinstance(error, TooLong))


def _learn(kind: type) -> None:
    """Count the standard library's addresses as plain from now on."""
    ipaddress = sys.modules.get("ipaddress")
    if ipaddress is not None and kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        _PLAIN.add(kind)


def _length(value: object) -> int:
    value = value.value if type(value) is Converted else value
    return len(value) if isinstance(value, (bytes, str)) else 0
