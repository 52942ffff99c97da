"""`QnameFilter`: records by the domain in their questions."""

from __future__ import annotations

import logging
from typing import FrozenSet, Iterable, List, Set, Union

from ..message.values import NameSource, as_domain_name
from .records import has_dns_keys, names_in, read_members, wires_of

__all__ = ["QnameFilter", "any_in", "as_domains", "is_in"]

_RIGHT = "a domain name (text, wire format, or an object with to_wire())"


class QnameFilter(logging.Filter):
    """Keep or refuse records by the names in their questions.

    A domain means itself and all names below it, in any case; "." means all names. The questions
    are read from the query message, or else from the response message; if there are several, as in
    multicast DNS, one is enough, for ``include`` and for ``exclude``. A record without a readable
    question is in no domain: ``include`` refuses it, ``exclude`` alone lets it pass. A record
    without dns extras passes.

    Args:
        include: one or several domains; only records with a name in one of them pass. Empty: all.
        exclude: one or several domains; no record with a name in one of them passes, even if it
            is included.

    Raises:
        TypeError, ValueError: one of them is not a domain name.
    """

    __module__ = "dnstap_logging.filters"

    def __init__(
        self,
        include: Union[NameSource, Iterable[NameSource]] = (),
        exclude: Union[NameSource, Iterable[NameSource]] = (),
    ) -> None:
        super().__init__()
        self._include = read_members("include", include, as_domains, _RIGHT)
        self._exclude = read_members("exclude", exclude, as_domains, _RIGHT)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the names in a record's questions are wanted."""
        if not has_dns_keys(record):
            return True
        names = next(filter(None, map(names_in, wires_of(record))), None)
        if names is None:
            return not self._include
        if self._include and not any_in(names, self._include):
            return False
        return not any_in(names, self._exclude)


def as_domains(value: object) -> List[bytes]:
    """Return a domain for `is_in`, in a list.

    Raises:
        TypeError, ValueError: it is not a domain name.
    """
    if isinstance(value, str) and value.startswith("*."):
        raise ValueError(f"write {value[2:]!r}, which stands for all names below it too")
    return [as_domain_name(value).lower()]


def is_in(name: bytes, domains: FrozenSet[bytes]) -> bool:
    """Return whether a name, in wire format and lower case, is one of these or below one."""
    if not domains:
        return False
    position = 0
    while name[position:] not in domains:
        if not name[position]:
            return False
        position += 1 + name[position]
    return True


def any_in(names: List[bytes], domains: FrozenSet[bytes]) -> bool:
    """Return whether any of these names, as for `is_in`, is in one of these domains.

    Each domain above the names is looked up once.
    """
    if len(names) == 1:
        return is_in(names[0], domains)
    if not domains:
        return False
    outside: Set[bytes] = set()
    for name in names:
        position = 0
        while name[position:] not in outside:
            above = name[position:]
            if above in domains:
                return True
            outside.add(above)
            if name[position]:
                position += 1 + name[position]
    return False
