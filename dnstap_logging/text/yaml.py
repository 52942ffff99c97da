"""A message as the YAML document that ``dnstap -y`` prints, with what that leaves out.

What the tool does not show is added: extra, the version of HTTP and the policy. Pure functions; any
thread.
"""

from __future__ import annotations

import time
from typing import Iterator, Optional, Tuple

from ..message.message import DnstapMessage
from ..message.policy import Policy
from ..message.values import NS
from .dns import DnsText
from .line import address_text
from .octets import name_text, plain, quoted
from .policy import policy_fields

__all__ = ["format_yaml"]

INDENT = "  "
END = "---"  # of a document


def format_yaml(message: DnstapMessage, dns_text: DnsText) -> str:
    """Return a message as the lines of one YAML document, the last one without its end.

    Args:
        message: any.
        dns_text: renders a DNS message.
    """
    lines = ["type: MESSAGE"]
    head = (message.identity, message.version, message.extra)
    for name, octets in zip(("identity", "version", "extra"), head):
        if octets is not None:
            lines.append(f"{name}: {quoted(plain(octets))}")
    lines.append("message:")
    lines += [f"{INDENT}{name}: {text}" for name, text in _fields(message) if text is not None]
    lines += _zone(message.query_zone)
    lines += _dns("query_message", message.query_message, dns_text)
    lines += _dns("response_message", message.response_message, dns_text)
    if message.policy is not None:
        lines += _policy(message.policy)
    lines.append(END)
    return "\n".join(lines)


def _fields(message: DnstapMessage) -> Iterator[Tuple[str, Optional[str]]]:
    family, protocol = message.socket_family, message.socket_protocol
    yield "type", message.message_type.name
    yield "query_time", _time(message.query_time)
    yield "response_time", _time(message.response_time)
    yield "socket_family", None if family is None else family.name
    yield "socket_protocol", None if protocol is None else protocol.name
    http_protocol = message.http_protocol
    yield "http_protocol", None if http_protocol is None else http_protocol.name
    yield "query_address", _address(message.query_address)
    yield "response_address", _address(message.response_address)
    yield "query_port", None if message.query_port is None else str(message.query_port)
    yield "response_port", None if message.response_port is None else str(message.response_port)


def _time(stamp: Optional[int]) -> Optional[str]:
    if stamp is None:
        return None
    seconds, fraction = divmod(stamp, NS)
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    return "!!timestamp " + f"{text}.{fraction:09d}".rstrip("0").rstrip(".")


def _address(packed: Optional[bytes]) -> Optional[str]:
    # quoted: 1:2:3:4:5:6:7:8 alone is a number in YAML 1.1
    return None if packed is None else quoted(address_text(packed))


def _zone(wire: Optional[bytes]) -> Iterator[str]:
    if wire is None:
        return
    try:
        escaped = name_text(wire).replace("\\", "\\\\")
        yield f"{INDENT}query_zone: {quoted(escaped)}"
    except ValueError as error:
        yield f"{INDENT}# query_zone: parse failed: {error}"


def _policy(policy: Policy) -> Iterator[str]:
    fields = policy_fields(policy)
    yield f"{INDENT}policy:" if fields else f"{INDENT}policy: {{}}"
    for name, text in fields.items():
        yield f"{INDENT}{INDENT}{name}: {quoted(plain(text.encode()))}"


def _dns(name: str, wire: Optional[bytes], dns_text: DnsText) -> Iterator[str]:
    if wire is None:
        return
    try:
        text = dns_text(wire)
    except ValueError as error:
        yield f"{INDENT}# {name}: parse failed: {error}"
        return
    yield f"{INDENT}{name}: |"
    for line in text.strip().split("\n"):
        yield f"{INDENT}{INDENT}{line}"
