"""`MessageTypeFilter`: records of some message types."""

from __future__ import annotations

import logging
from fnmatch import fnmatchcase
from typing import Iterable, List, Union

from ..message.enums import MessageType
from ..message.values import as_message_type
from .records import has_dns_keys, read, read_members

__all__ = ["MessageTypeFilter", "matching_types"]

_WILDCARDS = frozenset("*?[")
_RIGHT = "a MessageType, its name or number, or a pattern such as 'CLIENT_*'"

TypeSource = Union[MessageType, str, int]


class MessageTypeFilter(logging.Filter):
    """Keep the records of some message types.

    A record without dns extras passes. One whose message type is missing or unknown passes too:
    the handler cannot send it, and counts and reports the mistake.

    Args:
        types: one or several of `MessageType`, their names in any case or numbers, or patterns of
            names with ``*``, ``?`` and ``[]``: ``"CLIENT_*"``, ``"*_RESPONSE"``.

    Raises:
        TypeError, ValueError: the list is empty, a type is unknown, or a pattern matches no type.
    """

    __module__ = "dnstap_logging.filters"

    def __init__(self, types: Union[TypeSource, Iterable[TypeSource]]) -> None:
        super().__init__()
        self.types = read_members("types", types, matching_types, _RIGHT)
        if not self.types:
            raise ValueError(f"types={types!r}: must be {_RIGHT}, at least one")

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is of one of the types."""
        if not has_dns_keys(record):
            return True
        found = read(record, "message_type")
        return not isinstance(found, MessageType) or found in self.types


def matching_types(value: object) -> List[MessageType]:
    """Return the types for a type, its name or number, or a pattern of names.

    Raises:
        TypeError, ValueError: it is not one of these, or matches no type.
    """
    if not isinstance(value, str) or _WILDCARDS.isdisjoint(value):
        return [as_message_type(value)]
    found = [each for each in MessageType if fnmatchcase(each.name, value.upper())]
    if not found:
        raise ValueError(f"matches no message type; their names are {_names()}")
    return found


def _names() -> str:
    return ", ".join(each.name for each in MessageType)
