"""What an operator's policy did to an answer: `Policy`, and the converter of `dns_policy`.

Policies are immutable: any thread may use them.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

from ..interrupts import pass_on
from ..shorten import shorten, type_name
from .enums import PolicyAction, PolicyMatch
from .spellings import enum_converter
from .values import NameSource, Octets, as_domain_name, as_octets, refusal

__all__ = ["Policy", "as_policy"]


class _PolicyFields(NamedTuple):
    type: Optional[str] = None
    rule: Optional[bytes] = None
    action: Optional[PolicyAction] = None
    match: Optional[PolicyMatch] = None
    value: Optional[bytes] = None


class Policy(_PolicyFields):
    """A policy that was applied to a query or a response (dnstap.proto, Policy).

    Args:
        type: the kind of policy, such as "RPZ".
        rule: the name of the rule that matched: text, wire format, or an object with to_wire().
        action: what was done: a `PolicyAction`, its name or number.
        match: what the rule looked at: a `PolicyMatch`, its name or number.
        value: what matched, as bytes: an address in 4 or 16 bytes, or a name in wire format.

    Raises:
        TypeError, ValueError: an argument is not one of these; the text names it.
    """

    __module__ = "dnstap_logging"

    __slots__ = ()

    def __new__(
        cls,
        type: Optional[str] = None,
        rule: Optional[NameSource] = None,
        action: Union[PolicyAction, str, int, None] = None,
        match: Union[PolicyMatch, str, int, None] = None,
        value: Optional[Octets] = None,
    ) -> Policy:
        """Check and convert the arguments; see the class."""
        given = (type, rule, action, match, value)
        return cls._make(map(_convert, cls._fields, given))

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self)._make, (tuple(self),), getattr(self, "__dict__", None) or None


def _as_text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"must be str, not {type_name(value)}")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be text that has a UTF-8 form") from None
    return str.__str__(value)


_CONVERTERS: Dict[str, Callable[[object], object]] = {
    "type": _as_text,
    "rule": as_domain_name,
    "action": enum_converter(PolicyAction),
    "match": enum_converter(PolicyMatch),
    "value": as_octets,
}


def _convert(name: str, value: object) -> object:
    if value is None:
        return None
    try:
        return _CONVERTERS[name](value)
    except BaseException as error:  # noqa: BLE001 - also what the value's own methods raise
        pass_on(error)
        raise refusal(f"{name}={shorten(value)}", error) from None


def as_policy(value: object) -> Policy:
    """Convert a `Policy`, or a mapping with its arguments as keys."""
    if isinstance(value, Policy):
        return value
    if not isinstance(value, Mapping):
        raise TypeError(f"must be a Policy or a mapping, not {type_name(value)}")
    keys = list(islice(value, len(_CONVERTERS) + 1))  # one too many is an unknown one
    for key in keys:
        if key not in _CONVERTERS:
            known = ", ".join(_CONVERTERS)
            raise ValueError(f"{shorten(key)} is no key of a policy, which are {known}")
    return Policy(**{key: value[key] for key in keys})
