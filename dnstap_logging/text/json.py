"""A message as the JSON object that ``dnstap -j`` prints, and one that says more. Pure functions.

All that is not printable ASCII is escaped, as JSON allows: for any terminal, encoding and parser.
Nothing is escaped before, so text in a message is read from it as it was. Octets that are not UTF-8
are U+FFFD each.
"""

from __future__ import annotations

import enum
import json
import time
from typing import Any, Dict, Optional

from ..message.message import DnstapMessage
from ..message.values import NS
from .dns import DnsText
from .line import address_text
from .octets import name_text, replaced
from .policy import policy_fields

__all__ = ["format_json", "json_fields", "json_text", "time_text"]

NOTHING = "<nil>"
"""What the tool says where the family or the protocol is unknown, and leaves out elsewhere."""

_to_json = json.JSONEncoder().encode
_to_compact_json = json.JSONEncoder(separators=(",", ":")).encode
_DELETE, _ESCAPED_DELETE = "\x7f", "\\u007f"

Fields = Dict[str, Any]


def json_text(value: Any, *, compact: bool = False) -> str:
    """Return a value as JSON in printable ASCII; compact: without spaces."""
    # The only control character that JSON lets stand, and only within strings.
    text = (_to_compact_json if compact else _to_json)(value)
    return text.replace(_DELETE, _ESCAPED_DELETE)


def format_json(message: DnstapMessage, dns_text: DnsText, full: bool = False) -> str:
    """Return a message as one line of JSON.

    Args:
        message: any.
        dns_text: renders a DNS message.
        full: also extra, policy and http_protocol; unknown fields are left out.
    """
    return json_text(json_fields(message, dns_text, full), compact=True)


def json_fields(message: DnstapMessage, dns_text: DnsText, full: bool = False) -> Fields:
    """Return the fields as `format_json` writes them, in the tool's order."""
    fields = {
        "type": "MESSAGE",
        "identity": replaced(message.identity or b""),
        "version": replaced(message.version or b""),
        "extra": replaced(message.extra or b"") if full else "",
    }
    body = _body(message, dns_text)
    if full:
        body["http_protocol"] = _member(message.http_protocol)
        body["policy"] = message.policy and policy_fields(message.policy)
    else:
        body["socket_family"] = body["socket_family"] or NOTHING
        body["socket_protocol"] = body["socket_protocol"] or NOTHING
    return {**_present(fields), "message": _present(body)}


def _present(fields: Fields) -> Fields:
    """Leave out what is empty, as the tool does: port 0 too."""
    return {name: value for name, value in fields.items() if value}


def _body(message: DnstapMessage, dns_text: DnsText) -> Fields:
    return {
        "type": message.message_type.name,
        "query_time": time_text(message.query_time),
        "response_time": time_text(message.response_time),
        "socket_family": _member(message.socket_family),
        "socket_protocol": _member(message.socket_protocol),
        "query_address": _address(message.query_address),
        "response_address": _address(message.response_address),
        "query_port": message.query_port,
        "response_port": message.response_port,
        "query_zone": _read(name_text, message.query_zone),
        "query_message": _read(dns_text, message.query_message),
        "response_message": _read(dns_text, message.response_message),
    }


def _read(render: DnsText, octets: Optional[bytes]) -> Optional[str]:
    if octets is None:
        return None
    try:
        return render(octets)
    except ValueError as error:
        return f"parse failed: {error}"


def time_text(stamp: Optional[int]) -> Optional[str]:
    """Return a time in UTC as RFC 3339 has it, without zeros at the end of its fraction."""
    if stamp is None:
        return None
    seconds, fraction = divmod(stamp, NS)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{fraction:09d}".rstrip("0").rstrip(".") + "Z"


def _member(member: Optional[enum.Enum]) -> Optional[str]:
    return None if member is None else member.name


def _address(packed: Optional[bytes]) -> Optional[str]:
    return None if packed is None else address_text(packed)
