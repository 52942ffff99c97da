"""What filters share: a record's dns extras, lists as arguments, the line about a wrong place.

Values are converted as by the handler. Runs in the threads that log, and raises for no value.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Mapping
from typing import Callable, FrozenSet, Iterable, Iterator, List, Optional, TypeVar

from ..diagnostics import Reporter
from ..dnswire.message import Question, read_question, read_questions
from ..interrupts import pass_on
from ..message.fields import FIELDS
from ..message.fields import has_dns_keys as _has_dns_keys
from ..message.nested import nested_extras
from ..message.snapshot import convert
from ..message.values import refusal
from ..shorten import shorten

__all__ = [
    "Misplaced",
    "has_dns_keys",
    "names_in",
    "question_in",
    "read",
    "read_members",
    "wires_of",
]

T = TypeVar("T")

_WIRES = ("query_message", "response_message")
_SINGLE = (str, bytes, bytearray, memoryview, int, enum.Enum)  # never meant as a list


def has_dns_keys(record: logging.LogRecord) -> bool:
    """Return whether a record is meant for dnstap."""
    return _has_dns_keys(record.__dict__) or nested_extras(record.__dict__) is not None


def read(record: logging.LogRecord, name: str) -> object:
    """Return a field's canonical value; None: not given; `Unusable`: bad."""
    field = FIELDS[name]
    values = record.__dict__
    value = values.get(field.key)
    if value is None and "dns_message_type" not in values:
        value = (nested_extras(values) or {}).get(field.key)
    return None if value is None else convert(field, value)


def wires_of(record: logging.LogRecord) -> Iterator[bytes]:
    """Yield the DNS messages that a record has, the query first."""
    for name in _WIRES:
        wire = read(record, name)
        if isinstance(wire, bytes):
            yield wire


def question_in(wire: bytes) -> Optional[Question]:
    """Return the first question of a DNS message; None if it cannot be read."""
    try:
        return read_question(wire)
    except ValueError:
        return None


def names_in(wire: bytes) -> List[bytes]:
    """Return the names of all questions of a DNS message that can be read, in lower case."""
    names: List[bytes] = []
    try:
        for question in read_questions(wire):
            names.append(question.name.lower())  # length octets are below "A"
    except ValueError:
        pass
    return names


# -- arguments ---------------------------------------------------------------------------------


def read_members(
    argument: str, value: object, convert_member: Callable[[object], Iterable[T]], right: str
) -> FrozenSet[T]:
    """Convert an argument that is one value or a list of them.

    Args:
        argument: its name.
        value: what the user wrote.
        convert_member: converts one member to one or more values, or raises.
        right: what a member must be, for the error.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """
    found: List[T] = []
    for member in _members(argument, value, right):
        try:
            found.extend(convert_member(member))
        except BaseException as error:  # noqa: BLE001 - also what the value's own methods raise
            pass_on(error)
            about = f"{argument}={shorten(value)}"
            if member is not value:
                about += f": {shorten(member)}"
            raise refusal(about, error) from None
    return frozenset(found)


def _members(argument: str, value: object, right: str) -> List[object]:
    if isinstance(value, _SINGLE) or hasattr(value, "to_wire"):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, Mapping):
        return list(value)
    raise TypeError(f"{argument}={shorten(value)}: must be {right}, or a list of them")


# -- filters in the wrong place ----------------------------------------------------------------


class Misplaced:
    """The diagnostic of a filter that works only on dnstap handlers, and is attached elsewhere.

    There logging could pass on the original record (before Python 3.12 it ignores a changed copy),
    or other handlers would get the copy.

    Args:
        name: the kind of filter, the beginning of the line.
        text: what is wrong, and what happens.
    """

    def __init__(self, name: str, text: str) -> None:
        self._reporter = Reporter(name)
        self._text = text

    def report(self) -> None:
        """Post the diagnostic; never block, never raise."""
        self._reporter.report("misplaced", logging.WARNING, self._text)
