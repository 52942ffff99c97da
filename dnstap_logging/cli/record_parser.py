"""The records of one DNS message, read by dnspython in time that a hostile message cannot extend.

dnspython follows each name to its end, however far that is: before 2.9 through thousands of
compression pointers, each time again. Here each name is read by `MessageNames` first, once, and
given to dnspython only if it is short. Imports dnspython; `dns_content.py` imports this where it
is installed.
"""

from __future__ import annotations

from typing import Any, Dict

import dns.rdata
import dns.wire

from ..dnswire.compression import MessageNames
from ..dnswire.message import Record
from ..dnswire.names import read_name

__all__ = ["MessageRecords"]

MAX_NAMES = 2_500_000
"""Octets of all names of a message, decompressed: as many records as fit into it may have two names
of 255 octets each. Some types have lists of names, which could be ten times as much."""


class MessageRecords:
    """Read owner names and data of the records of one DNS message.

    Args:
        wire: the message.
    """

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._names = MessageNames(wire)
        self._texts: Dict[bytes, str] = {}
        self._room = MAX_NAMES

    def owner(self, record: Record) -> str:
        """Return the owner name of a record as text.

        Raises:
            ValueError: it cannot be read, or the message has too much of names.
            IndexError: the message ends inside it.
        """
        name = self.check_name(record.start)
        text = self._texts.get(name)
        if text is None:
            text = self._texts[name] = read_name(name, 0)[0]
        return text

    def check_name(self, position: int) -> bytes:
        """Return the name at a position; raises as `owner` does."""
        name = self._names.read(position)[0]
        self._room -= len(name)
        if self._room < 0:
            raise ValueError(f"more than {MAX_NAMES} octets of names")
        return name

    def data(self, network: Any, kind: Any, record: Record) -> Any:
        """Return the data of a record, whose class and type dnspython knows, as it has them.

        Raises:
            dns.exception.DNSException: it cannot be read.
        """
        parser = _Parser(self, self._wire, record.data)
        with parser.restrict_to(record.end - record.data):
            return dns.rdata.from_wire_parser(network, kind, parser)


_Base: Any = dns.wire.Parser  # typed or not, as dnspython is installed or not


class _Parser(_Base):  # type: ignore[misc]
    """A parser that reads no name which is too long or too far away."""

    def __init__(self, records: MessageRecords, wire: bytes, position: int) -> None:
        super().__init__(wire, position)
        self._records = records

    def get_name(self, *args: Any, **kwargs: Any) -> Any:
        """Read a name as dnspython does, if it is one."""
        self._records.check_name(self.current)
        return super().get_name(*args, **kwargs)
