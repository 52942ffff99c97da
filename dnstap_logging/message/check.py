"""A dnstap message out of a log record's snapshot; runs in the writer thread.

`message_from_snapshot` is lenient, unlike the constructor of `DnstapMessage`: it leaves out what
cannot be used and collects the reasons. Both use the converters of `FIELDS` and `reconcile`.
"""

from __future__ import annotations

from typing import Any, Dict, List, Tuple, cast

from ..exceptions import InvalidMessage, MessageTooLarge
from ..shorten import printable, shorten
from .enums import MessageType
from .fields import FIELDS, Field, KeySet
from .message import DnstapMessage, reconcile
from .snapshot import Converted, Snapshot, Unusable, convert, created_ns

__all__ = ["Problem", "message_from_snapshot"]

Problem = Tuple[str, str]
"""Why a field was left out: a kind that is stable for each field, and the text."""

MAX_PROBLEM = 400  # characters of one problem: key, value and reason of any converter fit
UNKNOWN_KEY = "unknown key"  # the kind of problem of all unknown keys


def message_from_snapshot(snapshot: Snapshot, problems: List[Problem]) -> DnstapMessage:
    """Make a dnstap message of a record's snapshot; runs in the writer thread.

    Args:
        snapshot: what `take_snapshot` returned.
        problems: gets one problem for each optional field that is left out.

    Raises:
        InvalidMessage: there is no message type, or an unknown one.
        MessageTooLarge: a DNS message is longer than 65,535 bytes.
    """
    created, keys, own_values, extra, _ = snapshot
    values = keys.fixed + own_values

    def refuse(name: str, why: str) -> None:
        field = FIELDS[name]
        value = values[keys.names.index(field.key)]
        _leave_out(field, Unusable(why, _shown(value)), problems)

    message_type = _message_type(keys, values)
    found: Dict[str, Any] = {}
    for field, value in zip(keys.fields, values):
        if value is not None:
            found[field.name] = _canonical(field, value, problems)
    found["message_type"] = message_type
    # A field that was given and is unusable is in `found` as None, and nothing takes its place; but
    # the time of the message's own side is known as it is where none was given.
    own_time = "query_time" if message_type.is_query else "response_time"
    if found.get(own_time) is None:
        found[own_time] = created_ns(created)
    if extra is not None and "extra" not in found:
        found["extra"] = _canonical(FIELDS["extra"], extra, problems)
    if keys.unknown:
        problems.extend([(UNKNOWN_KEY, keys.complaint or "")] * len(keys.unknown))
    reconcile(found, refuse)
    return DnstapMessage._make(map(found.get, DnstapMessage._fields))


def _message_type(keys: KeySet, values: Tuple[object, ...]) -> MessageType:
    value = None if keys.type_at is None else values[keys.type_at]
    if value is None:
        about = f" ({keys.complaint})" if keys.unknown else ""
        raise InvalidMessage(f"dns_message_type is missing; every dnstap message has one{about}")
    outcome = _outcome(FIELDS["message_type"], value)
    if isinstance(outcome, Unusable):
        raise InvalidMessage(f"dns_message_type={outcome.shown}: {outcome.reason}")
    return cast(MessageType, outcome)


def _canonical(field: Field, value: object, problems: List[Problem]) -> object:
    """Return the canonical value, or None and a problem."""
    outcome = _outcome(field, value)
    if isinstance(outcome, Unusable):
        _leave_out(field, outcome, problems)
        return None
    return outcome


def _outcome(field: Field, value: object) -> object:
    """Return what a value of a snapshot is converted to, or an `Unusable`."""
    if type(value) is Converted:
        return value.value
    return value if type(value) is Unusable else convert(field, value)


def _leave_out(field: Field, unusable: Unusable, problems: List[Problem]) -> None:
    about = field.key if unusable.shown is None else f"{field.key}={unusable.shown}"
    if unusable.too_large:
        raise MessageTooLarge(f"{about}: {unusable.reason}")
    # the reason may have come from a user's formatter
    problems.append((field.key, printable(f"{about} left out: {unusable.reason}", MAX_PROBLEM)))


def _shown(value: object) -> str:
    return shorten(value.value if type(value) is Converted else value)
