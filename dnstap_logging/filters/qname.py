"""`QnameFilter`: records by the domain in their question."""

from __future__ import annotations

import logging
from typing import FrozenSet, Iterable, List, Union

from ..values import NameSource, as_domain_name
from .records import has_dns_keys, question_in, read_members, wires_of

__all__ = ["QnameFilter", "as_domains", "is_in"]

_RIGHT = "a domain name (text, wire format, or an object with to_wire())"


class QnameFilter(logging.Filter):
    """Keep or refuse records by the name in their question.

    A domain stands for itself and for all names below it, whatever their case; "." for all names.
    The question is read from the query message, else from the response message. A record whose
    question cannot be read, because there is no message or no question in it, is in no domain:
    ``include`` refuses it, ``exclude`` alone lets it pass. A record without dns extras passes.

    Args:
        include: one or several domains; only names in one of them pass. Empty: all names.
        exclude: likewise; no name in one of them passes, also where it is included.

    Raises:
        TypeError, ValueError: one of them is no domain name.
    """

    def __init__(
        self,
        include: Union[NameSource, Iterable[NameSource]] = (),
        exclude: Union[NameSource, Iterable[NameSource]] = (),
    ) -> None:
        super().__init__()
        self._include = read_members("include", include, as_domains, _RIGHT)
        self._exclude = read_members("exclude", exclude, as_domains, _RIGHT)

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether the name in a record's question is wanted."""
        if not has_dns_keys(record):
            return True
        questions = filter(None, map(question_in, wires_of(record)))
        question = next(questions, None)
        if question is None:
            return not self._include
        name = question.name.lower()  # length octets are below "A"
        if self._include and not is_in(name, self._include):
            return False
        return not is_in(name, self._exclude)


def as_domains(value: object) -> List[bytes]:
    """Return a domain as `is_in` wants it, in a list.

    Raises:
        TypeError, ValueError: it is no domain name.
    """
    if isinstance(value, str) and value.startswith("*."):
        raise ValueError(f"write {value[2:]!r}, which stands for all names below it too")
    return [as_domain_name(value).lower()]


def is_in(name: bytes, domains: FrozenSet[bytes]) -> bool:
    """Tell whether a name, in wire format and lower case, is one of these or below one."""
    if not domains:
        return False
    position = 0
    while name[position:] not in domains:
        if not name[position]:
            return False
        position += 1 + name[position]
    return True
