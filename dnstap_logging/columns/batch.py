"""Some messages field by field, which is how columns are read from them. Any thread."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

from ..codec.pieces import Memo
from ..message.message import DnstapMessage
from ..message.policy import Policy
from ..text.line import address_text, own_time, own_wire
from ..text.octets import replaced
from ..text.policy import policy_fields
from .content import NO_CONTENT, Content, ShortMemo, read_content

__all__ = ["Batch"]

MOST_INT64, LEAST_INT64 = 2**63 - 1, -(2**63)
"""Nanoseconds that a column can hold: until the year 2262."""

POLICY_PARTS = ("type", "rule", "action", "match", "value")

Values = Sequence[Any]


class Batch:
    """Some messages, at least one.

    Args:
        messages: in the order of the rows.
    """

    def __init__(self, messages: Sequence[DnstapMessage]) -> None:
        self._messages = messages
        self._fields = dict(zip(DnstapMessage._fields, zip(*messages)))
        self._wires = [own_wire(each) for each in messages]
        contents = [NO_CONTENT if wire is None else read_content(wire) for wire in self._wires]
        self._contents = dict(zip(Content._fields, zip(*contents)))

    def content(self, name: str) -> Values:
        """Return a field of the DNS messages of the own sides, or of the only ones."""
        return self._contents[name]

    def times(self) -> List[Optional[int]]:
        """Return the times of the own sides, or else the only ones."""
        return [_int64(own_time(each)) for each in self._messages]

    def numbers(self, name: str) -> Values:
        """Return a field of numbers."""
        return self._fields[name]

    def members(self, name: str) -> List[Optional[str]]:
        """Return a field of enumerators, by their names."""
        return [None if each is None else each._name_ for each in self._fields[name]]

    def texts(self, name: str) -> List[Optional[str]]:
        """Return a field of octets as text; an empty one is none."""
        return [_texts[each] if each else None for each in self._fields[name]]

    def addresses(self, name: str) -> List[Optional[str]]:
        """Return a field of addresses as text."""
        return [None if each is None else _addresses[each] for each in self._fields[name]]

    def sizes(self) -> List[Optional[int]]:
        """Return the octets of the DNS messages."""
        return [None if wire is None else len(wire) for wire in self._wires]

    def rcodes(self) -> List[Optional[str]]:
        """Return the response codes of the responses."""
        found = []
        for each, code in zip(self._messages, self._contents["rcode"]):
            response = each.response_message
            if response is None:
                code = None
            elif each.message_type & 1 and each.query_message is not None:
                code = read_content(response).rcode  # a query that has its response too
            found.append(code)
        return found

    def latencies(self) -> List[Optional[int]]:
        """Return the times from query to response, of responses that have both."""
        fields = self._fields
        return [
            None if asked is None or answered is None or kind & 1 else _int64(answered - asked)
            for kind, asked, answered in zip(
                fields["message_type"], fields["query_time"], fields["response_time"]
            )
        ]

    def policies(self) -> List[Optional[Tuple[Optional[str], ...]]]:
        """Return the policies in their parts."""
        return [None if each is None else _policy(each) for each in self._fields["policy"]]

    def sequences(self) -> List[Optional[Tuple[str, int, int]]]:
        """Return run, number and dropped of the messages that are numbered."""
        return [None if each.extra is None else each.sequence for each in self._messages]


def _int64(number: Optional[int]) -> Optional[int]:
    if number is None or LEAST_INT64 <= number <= MOST_INT64:
        return number
    return None


def _policy(policy: Policy) -> Optional[Tuple[Optional[str], ...]]:
    fields = policy_fields(policy)
    return tuple(map(fields.get, POLICY_PARTS)) if fields else None


_texts = ShortMemo(replaced)
_addresses = Memo(address_text)
