"""What a call of an adapter becomes: the keys of a snapshot, the extras of a record.

Runs in the threads that log.
"""

from __future__ import annotations

import logging
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

from ..interrupts import pass_on
from ..message.enums import MessageType
from ..message.fields import FIELDS, PREFIX, KeySet, key_set
from ..message.snapshot import NOT_PLAIN, Unusable, convert, plain_size
from ..message.values import as_message_type

__all__ = ["KEYS", "Plan", "checked_constants", "make_extras", "make_plan"]

_FIELDS = {field.key: field for field in FIELDS.values()}
# The keywords of the methods and the keys of records that they become. Dnstap.extra keeps its
# prefix, because extra= is logging's own.
KEYS = {field.name: field.key for field in FIELDS.values() if field.name != "message_type"}
KEYS["dns_extra"] = KEYS.pop("extra")
_RECORD_KEYS = frozenset((*logging.makeLogRecord({}).__dict__, "message", "asctime"))
_NEED_RECORD = frozenset(("extra", "exc_info", "stack_info"))  # for other handlers to see
_LOGGING_KEYWORDS = _NEED_RECORD | {"stacklevel"}

# The extras of a message type's own side, by whether it is a query: its message, its time.
_OWN_SIDE = {
    True: ("dns_query_message", "dns_query_time"),
    False: ("dns_response_message", "dns_response_time"),
}


class Plan(NamedTuple):
    """What a call of one type with one set of keywords becomes.

    Attributes:
        keys: of a snapshot with the message and the keywords' values, if these are plain; None:
            the snapshot has to be made from the extras.
        direct: whether the call itself can do without a LogRecord.
    """

    keys: Optional[KeySet]
    direct: bool


def checked_constants(extra: Optional[Mapping[str, object]]) -> Dict[str, object]:
    """Return the constants of an adapter as a dict of its own, or raise what is wrong."""
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise TypeError(f"extra={extra!r}: must be a mapping, such as a dict")
    keys = key_set(extra)
    if keys is not None and keys.unknown:
        raise ValueError(f"extra: {keys.complaint}")
    for key, value in extra.items():
        if not isinstance(key, str):
            raise TypeError(f"extra: {key!r} must be the name of an attribute, a str")
        if key in _RECORD_KEYS:
            raise ValueError(f"extra: {key!r} is an attribute of every record; use another name")
        field = FIELDS.get(key[len(PREFIX) :]) if key.startswith(PREFIX) else None
        found = None if field is None or value is None else convert(field, value)
        if isinstance(found, Unusable):
            raise ValueError(f"extra: {key}={found.shown}: {found.reason}")
    return dict(extra)


def make_plan(
    constants: Mapping[str, object], message_type: object, keywords: Tuple[str, ...]
) -> Plan:
    """Work out what a call becomes, whatever its values are.

    Args:
        constants: of the adapter, by their keys.
        message_type: a `MessageType`, or anything else.
        keywords: their names, in the order of the call.

    Raises:
        TypeError: a keyword is unknown.
    """
    for keyword in keywords:
        if keyword not in KEYS and keyword not in _LOGGING_KEYWORDS:
            raise TypeError(f"unknown keyword {keyword!r}{_did_you_mean(keyword)}")
    # Constants for other handlers' formatters need a LogRecord to carry them.
    direct = _NEED_RECORD.isdisjoint(keywords) and all(map(_FIELDS.__contains__, constants))
    if type(message_type) is not MessageType or not message_type.is_known:
        return Plan(None, direct)
    if not direct or "stacklevel" in keywords:
        return Plan(None, direct)
    return Plan(_keys(constants, message_type, keywords), direct)


def _keys(
    constants: Mapping[str, object], message_type: MessageType, keywords: Tuple[str, ...]
) -> Optional[KeySet]:
    """Return the keys of a snapshot of the message and the keywords' values: the rest is fixed."""
    own_message, own_time = _OWN_SIDE[message_type.is_query]
    given = [own_message, *[KEYS[keyword] for keyword in keywords]]
    fixed = {key: value for key, value in constants.items() if key not in given}
    fixed["dns_message_type"] = message_type
    if len(set(given)) < len(given) or own_time in fixed:
        return None
    if plain_size(tuple(fixed.values())) == NOT_PLAIN:
        return None
    return KeySet(tuple([_FIELDS[key] for key in [*fixed, *given]]), fixed=tuple(fixed.values()))


def make_extras(
    constants: Mapping[str, object],
    message_type: object,
    message: object,
    keywords: Mapping[str, Any],
    now: int,
) -> Dict[str, object]:
    """Return all of a call as dns extras.

    Args:
        constants: of the adapter, by their keys.
        message_type: in whatever form.
        message: of the type's own side; wins over everything.
        keywords: win over the constants.
        now: the time of the own side, unless it is given, in nanoseconds.
    """
    extras = {**constants, "dns_message_type": message_type}
    for keyword, value in keywords.items():
        if keyword in KEYS:
            extras[KEYS[keyword]] = value
    known = message_type if isinstance(message_type, MessageType) else _known_type(message_type)
    own_message, own_time = _OWN_SIDE[known is None or known.is_query]
    extras[own_message] = message
    if extras.get(own_time) is None:
        extras[own_time] = now
    return extras


def _known_type(message_type: object) -> Optional[MessageType]:
    """Return a message type, or None if the value is not one, which the handler counts."""
    try:
        return as_message_type(message_type)
    except BaseException as error:  # noqa: BLE001 - whatever a value's own methods raise
        pass_on(error)
        return None


def _did_you_mean(keyword: str) -> str:
    import difflib  # here, for it is slow to import

    near = difflib.get_close_matches(keyword, [*KEYS, *_LOGGING_KEYWORDS], n=1)
    return f", did you mean {near[0]!r}?" if near else ""
