r"""Octets and names of a message as text that is safe on a terminal. Pure functions; any thread.

What came from the network is shown with the escapes of C and YAML: ``\n``, ``\x1b``, ``\"``.
"""

from __future__ import annotations

import re

from ..dnswire.names import read_name

__all__ = ["clean", "name_text", "plain", "quoted", "replaced"]

_NAMED = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r"}
_RAW = 0xDC00  # where surrogateescape puts the octets that are no UTF-8
_UNCLEAN = re.compile(r"[^\t\x20-\x7e]")


def _escape(char: str) -> str:
    code = ord(char)
    if code in _NAMED:
        return _NAMED[code]
    if _RAW <= code < _RAW + 256:
        return f"\\x{code - _RAW:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain(octets: bytes) -> str:
    """Return octets as text; what is not printable UTF-8 is escaped."""
    text = octets.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        char if char.isprintable() and char != "\\" else "\\\\" if char == "\\" else _escape(char)
        for char in text
    )


def quoted(text: str) -> str:
    """Put what `plain` returns into double quotes, as YAML and C want it."""
    return '"' + text.replace('"', '\\"') + '"'


def replaced(octets: bytes) -> str:
    """Return octets as text, with U+FFFD for each that is not UTF-8; control characters stay."""
    text = octets.decode("utf-8", "surrogateescape")
    if text.isascii():
        return text
    return "".join("\ufffd" if _RAW <= ord(char) < _RAW + 256 else char for char in text)


def clean(text: str) -> str:
    """Return a line with all escaped but printable characters and tabs."""
    return _UNCLEAN.sub(
        lambda match: match[0] if match[0].isprintable() else _escape(match[0]), text
    )


def name_text(wire: bytes) -> str:
    """Return a domain name as text.

    Raises:
        ValueError: it is none.
    """
    try:
        return read_name(wire, 0)[0]
    except IndexError:
        raise ValueError("the name is cut") from None
