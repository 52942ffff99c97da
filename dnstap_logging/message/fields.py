"""The dns extras of a log record: their names, and the sets of them that records have.

All this runs in the thread that logs, except `KeySet.complaint`, which the writer thread asks for.
It takes no lock and raises nothing.
"""

from __future__ import annotations

import operator
from functools import lru_cache
from typing import Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from ..interrupts import pass_on
from ..shorten import shorten
from .policy import as_policy
from .values import (
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
)

__all__ = [
    "FIELDS",
    "NO_KEYS",
    "PREFIX",
    "Field",
    "KeySet",
    "has_dns_keys",
    "key_set",
    "known_key_sets",
]

PREFIX = "dns_"
MAX_KEY_SETS = (
    1024  # remembered sets: a program has a few, a hostile one makes new ones all the time
)
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


class KeySet:
    """The dns keys of a record, worked out once for all records with the same keys.

    Never changed, and compared by identity, so that it can be the key of a cache.

    Args:
        fields: the known fields, in the order of their values.
        unknown: other keys that begin with ``dns_``.
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
        """The text about the unknown keys, which names the nearest known ones."""
        return _complaint(self.unknown) if self.unknown else None


def _reader(names: Tuple[str, ...]) -> Callable[[Mapping[str, object]], Tuple[object, ...]]:
    if len(names) > 1:
        return operator.itemgetter(*names)  # returns a tuple for two and more only
    return lambda record_dict: tuple([record_dict[name] for name in names])


known_key_sets: Dict[Tuple[object, ...], Optional[KeySet]] = {}
"""The results of `key_set`, by all keys of a record in their order; a look here is cheaper."""

NO_KEYS = KeySet(())


def key_set(record_dict: Mapping[str, object]) -> Optional[KeySet]:
    """Return the dns keys of a record's dict, or None if it has none at all."""
    shape = tuple(record_dict)
    try:
        return known_key_sets[shape]
    except KeyError:
        pass
    except BaseException as error:  # noqa: BLE001 - a key whose __eq__ raises
        pass_on(error)
        return _read_keys(shape)
    keys = _read_keys(shape)
    if len(known_key_sets) >= MAX_KEY_SETS:
        known_key_sets.clear()
    known_key_sets[shape] = keys
    return keys


def has_dns_keys(record_dict: Mapping[str, object]) -> bool:
    """Return whether a record is meant for dnstap: whether any key begins with ``dns_``."""
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
