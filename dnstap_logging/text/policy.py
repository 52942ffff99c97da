"""A policy as text, field by field. Pure functions; any thread."""

from __future__ import annotations

from typing import Dict, Optional

from ..dnswire.names import read_name
from ..message.enums import PolicyMatch
from ..message.policy import Policy
from .line import address_text
from .octets import replaced

__all__ = ["policy_fields"]

_BY_NAME = (PolicyMatch.QNAME, PolicyMatch.NS_NAME)


def policy_fields(policy: Policy) -> Dict[str, str]:
    """Return the fields that a policy has as text, in the order of dnstap.proto."""
    fields = {
        "type": policy.type,
        "rule": _name_or_text(policy.rule),
        "action": None if policy.action is None else policy.action.name,
        "match": None if policy.match is None else policy.match.name,
        "value": _value(policy),
    }
    return {name: text for name, text in fields.items() if text}


def _name_or_text(octets: Optional[bytes]) -> Optional[str]:
    """Return a name; some programs write text where a name in wire format is meant."""
    if octets is None:
        return None
    try:
        text, end = read_name(octets, 0)
    except (ValueError, IndexError):
        end = -1
    return text if end == len(octets) else replaced(octets)


def _value(policy: Policy) -> Optional[str]:
    value = policy.value
    if value is None or policy.match in _BY_NAME:
        return _name_or_text(value)
    return address_text(value) if len(value) in (4, 16) else replaced(value)
