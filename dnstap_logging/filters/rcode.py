"""`RcodeFilter`: records by the response code in their response."""

from __future__ import annotations

import logging
import operator
from typing import Iterable, List, Optional, Union

from ..dnswire.message import RCODES, read_rcode
from .records import has_dns_keys, read, read_members

__all__ = ["RcodeFilter", "as_rcodes"]

MAX_RCODE = 0xFFF  # with the eight bits that EDNS adds (RFC 6891, 6.1.3)
_NUMBERS = {name: number for number, name in RCODES.items()}
_RIGHT = f"a response code: its name ('NXDOMAIN') or number (0 to {MAX_RCODE})"


class RcodeFilter(logging.Filter):
    """Keep or refuse records by the response code in their response message.

    The code is the header's, with the extension of EDNS (BADVERS, BADCOOKIE). A record without a
    readable response message, such as that of a query, has no response code: ``include`` refuses
    it, ``exclude`` alone lets it pass. A record without dns extras passes.

    Args:
        include: one or several response codes, names in any case or numbers; only records with
            one of them pass. Empty: all records.
        exclude: one or several response codes; no record with one of them passes, even if it is
            included.

    Raises:
        TypeError, ValueError: one of them is not a response code.
    """

    __module__ = "dnstap_logging.filters"

    def __init__(
        self,
        include: Union[str, int, Iterable[Union[str, int]]] = (),
        exclude: Union[str, int, Iterable[Union[str, int]]] = (),
    ) -> None:
        super().__init__()
        self._include = read_members("include", include, as_rcodes, _RIGHT)
        self._exclude = read_members("exclude", exclude, as_rcodes, _RIGHT)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record's response code is wanted."""
        if not has_dns_keys(record):
            return True
        code = _rcode_of(record)
        if code is None:
            return not self._include
        return (not self._include or code in self._include) and code not in self._exclude


def _rcode_of(record: logging.LogRecord) -> Optional[int]:
    wire = read(record, "response_message")
    try:
        return read_rcode(wire) if isinstance(wire, bytes) else None
    except ValueError:
        return None


def as_rcodes(value: object) -> List[int]:
    """Return the number of a response code, given by name or number, in a list.

    Raises:
        TypeError, ValueError: it is not a response code.
    """
    if isinstance(value, str):
        number = _NUMBERS.get(value.upper())
        if number is None:
            raise ValueError(f"must be {_RIGHT}; the names are {', '.join(_NUMBERS)}")
        return [number]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"must be {_RIGHT}")
    number = operator.index(value)
    if not 0 <= number <= MAX_RCODE:
        raise ValueError(f"must be {_RIGHT}")
    return [number]
