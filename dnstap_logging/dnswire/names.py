r"""Domain names between text and wire format (RFC 1035, sections 3.1 and 5.1).

Used by `message/values.py`, which reads `dns_query_zone`, and `text/`, which prints questions. Pure
functions; any thread may call them. In text, ``\DDD`` is an octet in decimal and ``\X`` the
character X without its meaning.
"""

from __future__ import annotations

from typing import List, Tuple

__all__ = ["MAX_LABEL", "MAX_NAME", "check_wire_name", "name_from_text", "read_name"]

MAX_LABEL = 63  # octets of a label (RFC 1035, 2.3.4)
MAX_NAME = 255  # octets of a name on the wire, with all length octets (RFC 1035, 2.3.4)
MAX_NAME_TEXT = 4 * MAX_NAME  # characters: every octet written as \DDD; longer is never parsed
_DOT, _BACKSLASH = ord("."), ord("\\")
_SPECIAL = b'."$();@\\'  # what means something in a master file (RFC 1035, 5.1)
_AS_TEXT = [
    f"\\{chr(octet)}" if octet in _SPECIAL else chr(octet) if 0x20 < octet < 0x7F
    else f"\\{octet:03d}"
    for octet in range(256)
]  # fmt: skip
_PLAIN = bytes(octet for octet, text in enumerate(_AS_TEXT) if text == chr(octet))


def name_from_text(text: str) -> bytes:
    r"""Return a name in wire format.

    Args:
        text: the name; its trailing dot may be left out, "." is the root. ``\.`` and ``\DDD``
            are read as RFC 1035 says. Internationalized names are taken as A-labels only.

    Raises:
        ValueError: it is no domain name; the text says what is right.
    """
    if text == ".":
        return b"\0"
    if len(text) > MAX_NAME_TEXT:
        raise ValueError(f"a domain name has at most {MAX_NAME} octets")
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        raise ValueError("write an internationalized name as A-labels (xn--...)") from None
    labels = _labels(raw)
    if not labels[-1]:
        labels.pop()  # what follows the trailing dot
    if not labels or not all(labels):
        raise ValueError("a domain name has no empty label; '.' is the root")
    if max(map(len, labels)) > MAX_LABEL:
        raise ValueError(f"a label has at most {MAX_LABEL} octets")
    wire = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    if len(wire) > MAX_NAME:
        raise ValueError(f"a domain name has at most {MAX_NAME} octets")
    return wire


def _labels(raw: bytes) -> List[bytes]:
    if _BACKSLASH not in raw:
        return raw.split(b".")
    labels, label, position = [], bytearray(), 0
    while position < len(raw):
        octet = raw[position]
        position += 1
        if octet == _DOT:
            labels.append(bytes(label))
            label.clear()
            continue
        if octet == _BACKSLASH:
            octet, position = _escaped(raw, position)
        label.append(octet)
    labels.append(bytes(label))
    return labels


def _escaped(raw: bytes, position: int) -> Tuple[int, int]:
    """Read what follows a backslash; returns the octet and the position after it."""
    first = raw[position : position + 1]
    if not first:
        raise ValueError("a domain name cannot end in a single backslash")
    if not first.isdigit():
        return first[0], position + 1
    digits = raw[position : position + 3]
    if len(digits) != 3 or not digits.isdigit() or int(digits) > 255:
        raise ValueError("a backslash and digits are \\DDD, an octet from \\000 to \\255")
    return int(digits), position + 3


def check_wire_name(wire: bytes) -> bytes:
    """Return a name in wire format if it is one: whole, uncompressed and nothing after it.

    Raises:
        ValueError: it is no such name; the text says what is right.
    """
    if len(wire) > MAX_NAME:
        raise ValueError(f"a domain name has at most {MAX_NAME} octets")
    position = 0
    while position < len(wire):
        length = wire[position]
        if length > MAX_LABEL:
            break  # a compression pointer (RFC 1035, 4.1.4), or text
        position += 1 + length
        if length == 0 and position == len(wire):
            return wire
        if length == 0:
            break
    raise ValueError("bytes must be a name in uncompressed wire format; write text as str")


def read_name(wire: bytes, position: int) -> Tuple[str, int]:
    """Read the uncompressed name at a position of a DNS message.

    Returns:
        The name as text, every unusual octet escaped, and the position after it.

    Raises:
        ValueError: there is no such name.
        IndexError: the message ends inside it.
    """
    labels: List[bytes] = []
    end = position + MAX_NAME
    while position < end:
        length = wire[position]
        position += 1
        if length == 0:
            return _text(labels), position
        if length > MAX_LABEL or position + length > len(wire):
            break
        labels.append(wire[position : position + length])
        position += length
    raise ValueError("no uncompressed name")


def _text(labels: List[bytes]) -> str:
    dotted = b".".join(labels)
    if len(dotted.translate(None, _PLAIN)) == len(labels) - 1:  # nothing but our dots
        return dotted.decode("ascii") + "."
    return "".join(["".join([_AS_TEXT[octet] for octet in label]) + "." for label in labels]) or "."
