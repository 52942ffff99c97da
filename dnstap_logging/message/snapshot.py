"""The snapshot that the calling thread takes of a record's dns extras.

Everything here runs in the thread that logs, so it is quick, takes no lock and raises nothing.
Values that cannot change and do not run the caller's code go into the snapshot as they are, and
`message_from_snapshot` converts them in the writer thread. All others could change, or belong to
the calling thread: they are converted here and now, by the same converters.
"""

from __future__ import annotations

import socket
import sys
import time
from datetime import datetime
from typing import Final, Mapping, NamedTuple, Optional, Set, Tuple, Union

from ..interrupts import pass_on
from ..shorten import shorten
from . import enums
from .fields import FIELDS, NO_KEYS, Field, KeySet, key_set, known_key_sets
from .policy import Policy
from .values import TooLong, ns_from_seconds, reason

__all__ = [
    "Converted",
    "NOT_PLAIN",
    "PAYLOAD",
    "SIZE",
    "Snapshot",
    "Unusable",
    "convert",
    "created_ns",
    "plain_size",
    "take_snapshot",
]

SHORT = 255  # characters; a longer text counts as payload, not as a name or an address
NOT_PLAIN = -1  # in place of a size: values that may not be kept as they are

# Types whose values never change and run no code of the caller's. Addresses join when they are
# first seen, so that nobody pays for importing ipaddress.
_PLAIN: Set[type] = {
    type(None), bytes, str, int, float, bool, datetime, Policy,
    enums.MessageType, enums.SocketFamily, enums.SocketProtocol, enums.HttpProtocol,
    socket.AddressFamily, socket.SocketKind,
}  # fmt: skip


class Converted(NamedTuple):
    """A value that the calling thread has converted already."""

    value: object


class Unusable(NamedTuple):
    """A value that the calling thread could not convert; `check.py` makes a problem of it.

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

A plain tuple, because making a named one takes as long as all the rest of `take_snapshot`:

* created: the record's creation; float seconds since the epoch, as logging has it, or int
  nanoseconds;
* keys: the `KeySet`, shared by all records that have the same keys;
* values: the values, in the order of ``keys.names``, without ``keys.fixed``;
* extra: what the handler's formatter rendered;
* size: bytes of the values that are bytes, characters of those that are long texts.
"""
SIZE: Final = 4  # the place of the size in a snapshot

PAYLOAD = KeySet(())
"""Marks a snapshot that holds an encoded payload, as its one value."""


def take_snapshot(
    record_dict: Mapping[str, object],
    created: float,
    extra: Union[str, bytes, Unusable, None] = None,
) -> Snapshot:
    """Take the dns extras out of a record's dict; never raises.

    Args:
        record_dict: the ``__dict__`` of a log record, or the extras alone.
        created: the record's creation, in seconds since the epoch.
        extra: what the handler's formatter rendered, or why it could not.
    """
    try:
        keys = known_key_sets.get(tuple(record_dict)) or key_set(record_dict) or NO_KEYS
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

    Never raises.
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
        keys = key_set(record_dict) or NO_KEYS
    except BaseException as error:  # noqa: BLE001 - keys that cannot be compared
        pass_on(error)
        keys = NO_KEYS
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
    """Convert a value, or return an `Unusable` that says why that cannot be done."""
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
