"""``--format``: the user's own line, a template like those of `str.format`.

Templates come from the user, but their fields' values from the network. So a template can only name
fields and lay them out, and the values have no control characters.
"""

from __future__ import annotations

import re
import string
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..dnswire.message import RCODES, read_rcode
from ..message.message import DnstapMessage
from ..text.json import json_fields, json_text, time_text
from ..text.line import UNKNOWN, address_text, own_wire
from ..text.octets import plain
from ..text.quiet import quiet_columns

__all__ = ["VALUES", "Template"]

_TOO_WIDE = re.compile(r"\d{5}")  # a slip of the finger, and gigabytes for each message
_PREFIX = "dns_"  # of the extras; fields may be written with it or without


def _enum(name: str) -> Callable[[DnstapMessage], Optional[str]]:
    def get(message: DnstapMessage) -> Optional[str]:
        value = getattr(message, name)
        return None if value is None else str(value.name)

    return get


def _octets(name: str, show: Callable[[bytes], str]) -> Callable[[DnstapMessage], Optional[str]]:
    def get(message: DnstapMessage) -> Optional[str]:
        value = getattr(message, name)
        return None if value is None else show(value)

    return get


def _number(name: str) -> Callable[[DnstapMessage], Optional[str]]:
    def get(message: DnstapMessage) -> Optional[str]:
        value = getattr(message, name)
        return None if value is None else str(value)

    return get


def _column(name: str) -> Callable[[DnstapMessage], Optional[str]]:
    def get(message: DnstapMessage) -> Optional[str]:
        value = getattr(quiet_columns(message), name)
        return str(value) if value is not None and value != "" else None

    return get


def _from_json(name: str) -> Callable[[DnstapMessage], Optional[str]]:
    def get(message: DnstapMessage) -> Optional[str]:
        value = json_fields(message, bytes.hex, full=True)["message"].get(name)
        return json_text(value) if isinstance(value, dict) else value

    return get


def _rcode(message: DnstapMessage) -> Optional[str]:
    try:
        code = read_rcode(message.response_message or b"")
    except ValueError:
        return None
    return RCODES.get(code, f"RCODE{code}")


def _id(message: DnstapMessage) -> Optional[str]:
    wire = own_wire(message) or b""
    return str(int.from_bytes(wire[:2], "big")) if len(wire) > 1 else None


VALUES: Dict[str, Callable[[DnstapMessage], Optional[str]]] = {
    **{name: _enum(name) for name in ("message_type", "socket_family", "socket_protocol")},
    "http_protocol": _enum("http_protocol"),
    "query_address": _octets("query_address", address_text),
    "response_address": _octets("response_address", address_text),
    "query_port": _number("query_port"),
    "response_port": _number("response_port"),
    "query_time": lambda message: time_text(message.query_time),
    "response_time": lambda message: time_text(message.response_time),
    "query_message": _octets("query_message", bytes.hex),
    "response_message": _octets("response_message", bytes.hex),
    "query_zone": _from_json("query_zone"),
    "policy": _from_json("policy"),
    "extra": _octets("extra", plain),
    "identity": _octets("identity", plain),
    "version": _octets("version", plain),
    # what the default line has, and what is most often asked for besides it
    "time": _column("time"),
    "mnemonic": _column("mnemonic"),
    "address": _column("address"),
    "size": _column("size"),
    "qname": _column("name"),
    "qclass": _column("network"),
    "qtype": _column("kind"),
    "rcode": _rcode,
    "id": _id,
}
"""What a template may name: the dns extras, and some that are read out of the DNS message."""


class Template:
    """A template, checked once and filled for each message.

    Args:
        text: such as ``"{query_time} {qname:<30} {rcode}"``. A field that a message does not have
            is ``-``.

    Raises:
        ValueError: it is not a template, names an unknown field, or asks for what fields cannot do.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._fields = sorted(set(map(_checked, _replacements(text))))
        self._fill(dict.fromkeys(self._fields, UNKNOWN))

    def format(self, message: DnstapMessage) -> str:
        """Return the template, filled with the fields of a message."""
        values = {}
        for name in self._fields:
            value = VALUES[name[len(_PREFIX) :] if name.startswith(_PREFIX) else name](message)
            values[name] = UNKNOWN if value is None else value
        return self._fill(values)

    def _fill(self, values: Dict[str, Any]) -> str:
        return self._text.format_map(values)


def _replacements(text: str) -> List[Tuple[str, str]]:
    """Return name and layout of each replacement field."""
    parsed = string.Formatter().parse(text)
    return [(name, spec or "") for _, name, spec, _ in parsed if name is not None]


def _checked(replacement: Tuple[str, str]) -> str:
    name, spec = replacement
    if name not in VALUES and (not name.startswith(_PREFIX) or name[len(_PREFIX) :] not in VALUES):
        raise ValueError(f"{{{name}}} is no field; the fields are {', '.join(VALUES)}")
    if _TOO_WIDE.search(spec):
        raise ValueError(f"{{{name}:{spec}}}: a field has at most 9999 columns")
    if "{" in spec:
        raise ValueError(f"{{{name}:{spec}}}: a layout is written out, such as :<30")
    return name
