"""A message as the JSON object that ``dnstap -j`` prints, and one that says more. Pure functions.

All that is not printable ASCII is escaped, as JSON allows: for any terminal, encoding and parser.
Nothing is escaped before, so text in a message is read from it as it was. Octets that are not UTF-8
are U+FFFD each.
"""

from __future__ import annotations

import enum
import json
import time
from typing import Any, Dict, Optional, Union

from .enums import PolicyMatch
from .message import DnstapMessage, Policy
from .names import read_name
from .text import address_text
from .text_dns import DnsText
from .text_octets import name_text, replaced
from .values import NS

__all__ = ["format_json", "json_fields", "json_text", "time_text"]

NOTHING = "<nil>"
"""What the tool says where the family or the protocol is unknown, and leaves out elsewhere."""

_BY_NAME = (PolicyMatch.QNAME, PolicyMatch.NS_NAME)
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
        full: also extra, policy and http_protocol; and nothing stands for what is unknown.
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
        body["policy"] = None if message.policy is None else _policy(message.policy)
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


def _policy(policy: Policy) -> Dict[str, Union[str, None]]:
    return _present(
        {
            "type": policy.type,
            "rule": _name_or_text(policy.rule),
            "action": _member(policy.action),
            "match": _member(policy.match),
            "value": _policy_value(policy),
        }
    )


def _name_or_text(octets: Optional[bytes]) -> Optional[str]:
    """Return a name; some programs write text where a name in wire format is meant."""
    if octets is None:
        return None
    try:
        text, end = read_name(octets, 0)
    except (ValueError, IndexError):
        end = -1
    return text if end == len(octets) else replaced(octets)


def _policy_value(policy: Policy) -> Optional[str]:
    value = policy.value
    if value is None or policy.match in _BY_NAME:
        return _name_or_text(value)
    return address_text(value) if len(value) in (4, 16) else replaced(value)
