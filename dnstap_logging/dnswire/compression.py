"""The names inside a DNS message, decompressed (RFC 1035, section 4.1.4), in linear time.

A hostile message can have thousands of names that share a long tail, or a long chain of compression
pointers. So each place of a message is read only once, and the name found there is kept.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

from .names import MAX_LABEL, MAX_NAME

__all__ = ["POINTER", "MessageNames"]

POINTER = 0xC0  # the first bits of a compression pointer
MAX_POINTERS = 127
"""Pointers on the way to the end of a name: one after each label of the longest name."""

TOO_LONG = f"a domain name has at most {MAX_NAME} octets"


class MessageNames:
    """Read the names of one DNS message.

    Args:
        wire: the message.
    """

    __slots__ = ("_known", "_wire")

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._known: Dict[int, bytes] = {}  # names by where they begin, also those inside others

    def read(self, position: int) -> Tuple[bytes, int]:
        """Read the name at a position.

        Returns:
            The name in uncompressed wire format, and where it ends at this position.

        Raises:
            ValueError: the name is not allowed by RFC 1035.
            IndexError: the message ends inside it.
        """
        name = self._known.get(position) or self._follow(position)
        wire, end = self._wire, position
        while 0 < wire[end] < POINTER:
            end += 1 + wire[end]
        return name, end + (2 if wire[end] else 1)

    def _follow(self, start: int) -> bytes:
        """Read a name, and keep all names that it contains."""
        wire, known = self._wire, self._known
        way: List[Tuple[int, int]] = []  # where labels begin and end; of pointers, both the same
        position, before, pointers, room = start, start, MAX_POINTERS, MAX_NAME
        name = None
        while name is None:
            length = wire[position]
            if not length:
                name = b"\0"
                break
            if length >= POINTER:
                way.append((position, position))
                position = (length - POINTER) << 8 | wire[position + 1]
                pointers -= 1
                if position >= before or pointers < 0:
                    raise ValueError("a compression pointer that does not point back to a name")
                before = position
            elif length > MAX_LABEL:
                raise ValueError("neither a label nor a compression pointer")
            else:
                way.append((position, position + 1 + length))
                position += 1 + length
                room -= 1 + length
                if room <= 0:
                    raise ValueError(TOO_LONG)
            name = known.get(position)
        for begin, end in reversed(way):
            name = wire[begin:end] + name
            if len(name) > MAX_NAME:
                raise ValueError(TOO_LONG)
            known[begin] = name
        return name
