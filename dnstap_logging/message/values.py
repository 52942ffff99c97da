"""One converter for each kind of value: from what users write to what dnstap.proto holds.

Each converter takes any object and returns the canonical, immutable value, or raises ValueError
or TypeError with a text that says what is right; the caller adds the field's name and the value.
`fields.py` has the table of them, one for each field; `policy.py` those of a policy. Pure
functions: the writer thread calls them for plain values, the calling thread for all others.
"""

from __future__ import annotations

import operator
import socket
from datetime import datetime, timezone
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    List,
    NamedTuple,
    Optional,
    Protocol,
    Tuple,
    Union,
)

from ..address import MAX_PORT
from ..dnswire.names import check_wire_name, name_from_text
from ..interrupts import pass_on
from ..shorten import describe_error, error_text, type_name
from .enums import HttpProtocol, MessageType, SocketFamily, SocketProtocol
from .spellings import enum_converter

if TYPE_CHECKING:
    import ipaddress

__all__ = [
    "MAPPED",
    "AddressSource",
    "Endpoint",
    "NameSource",
    "Octets",
    "TimeSource",
    "TooLong",
    "WireSource",
    "as_address",
    "as_domain_name",
    "as_endpoint",
    "as_http_protocol",
    "as_message_type",
    "as_octets",
    "as_port",
    "as_socket_family",
    "as_socket_protocol",
    "as_text_octets",
    "as_time_ns",
    "as_wire_message",
    "ns_from_seconds",
    "reason",
    "refusal",
    "unmapped",
]

MAX_WIRE_MESSAGE = 65535  # octets: the length field of DNS over TCP (RFC 1035, 4.2.2)
MAX_PORT_DIGITS = len(str(MAX_PORT))
_PORT_MARKS = "#@:"  # of dig and BIND, of Unbound and Knot, of URLs
NS = 10**9  # nanoseconds in a second
MIN_TIME_INT = 10**17  # nanoseconds, in 1973: an int below it is in a larger unit
MAX_SECONDS = 253402300800  # the year 10000, where datetime and most readers of dnstap end
# Larger units than nanoseconds, each with the first int that is not one, and its nanoseconds.
_UNITS = ((10**11, "seconds", NS), (10**14, "milliseconds", 10**6), (10**17, "microseconds", 10**3))
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
MAPPED = b"\0" * 10 + b"\xff\xff"  # an IPv4 address inside IPv6 (RFC 4291, 2.5.5.2)
_UNSPECIFIED = (b"\0" * 4, b"\0" * 16)

Octets = Union[bytes, bytearray, memoryview]


class SupportsToWire(Protocol):
    """What renders itself as dnspython's messages and names do."""

    def to_wire(self) -> Optional[bytes]:
        """Return the wire format."""


class SupportsPack(Protocol):
    """What renders itself as dnslib's records do."""

    def pack(self) -> Any:
        """Return the wire format."""


WireSource = Union[Octets, SupportsToWire, SupportsPack]
NameSource = Union[str, Octets, SupportsToWire]
AddressSource = Union[
    str, Octets, "ipaddress.IPv4Address", "ipaddress.IPv6Address", Tuple[Any, ...], List[Any]
]
TimeSource = Union[int, float, datetime]


class TooLong(ValueError):
    """A DNS message of more than 65,535 bytes; it costs the record, not only the field."""


def reason(error: BaseException) -> str:
    """Return the text of a converter's error.

    Any other error came out of the value's own methods, and is shown with its class.
    """
    if type(error) in (ValueError, TypeError, TooLong):
        return error_text(error) or describe_error(error)
    return describe_error(error)


def refusal(about: str, error: BaseException) -> Exception:
    """Return the error for an argument, its name and value, of what a converter raised."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{about}: {reason(error)}")


class Endpoint(NamedTuple):
    """What an address extra says: packed address and port, each None if unknown."""

    address: Optional[bytes]
    port: Optional[int]


# -- enumerations ------------------------------------------------------------------------------


as_message_type = enum_converter(MessageType)
as_socket_family = enum_converter(SocketFamily)
as_socket_protocol = enum_converter(SocketProtocol)
_as_http_protocol = enum_converter(HttpProtocol)


def as_http_protocol(value: object) -> HttpProtocol:
    """Convert a version of HTTP; its name may be bytes, as Twisted and ALPN have it."""
    name = bytes.decode(value, "latin-1") if isinstance(value, bytes) else value
    return _as_http_protocol(name)


# -- octets ------------------------------------------------------------------------------------


def as_wire_message(value: object) -> bytes:
    """Convert a DNS message: bytes-like, or an object that renders itself as bytes."""
    wire = value if type(value) is bytes else _rendered(value, ("to_wire", "pack"), "message")
    if len(wire) > MAX_WIRE_MESSAGE:
        raise TooLong(f"{len(wire):,} bytes, a DNS message has at most {MAX_WIRE_MESSAGE:,}")
    return wire


def as_domain_name(value: object) -> bytes:
    """Convert a domain name: text, wire format, or an object that renders itself."""
    if isinstance(value, str):
        return name_from_text(str.__str__(value))
    return check_wire_name(_rendered(value, ("to_wire",), "name"))


def as_octets(value: object) -> bytes:
    """Convert bytes-like values, and nothing else."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"must be bytes, not {type_name(value)}")


def as_text_octets(value: object) -> bytes:
    """Convert bytes, or text to UTF-8, in which a lone surrogate is escaped."""
    if isinstance(value, str):
        return str.__str__(value).encode("utf-8", "backslashreplace")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"must be bytes or str, not {type_name(value)}")


def _rendered(value: object, methods: Tuple[str, ...], what: str) -> bytes:
    """Return the bytes of a bytes-like value, or those that one of the methods renders."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    for method in () if isinstance(value, str) else methods:
        render = getattr(value, method, None)
        if callable(render):
            return _render(render, method)
    calls = " or ".join(f"{method}()" for method in methods)
    raise TypeError(f"must be bytes, or a DNS {what} with {calls}, not {type_name(value)}")


def _render(render: Callable[[], object], method: str) -> bytes:
    try:
        wire = render()
    except BaseException as error:
        pass_on(error)
        raise ValueError(f"its {method}() raised {describe_error(error)}") from error
    if isinstance(wire, (bytes, bytearray, memoryview)):
        return bytes(wire)
    raise TypeError(f"its {method}() returned {type_name(wire)}, not bytes")


# -- addresses and ports -----------------------------------------------------------------------


def as_endpoint(value: object) -> Endpoint:
    """Convert an address, text with a port, or a socket address as sockets return it."""
    if isinstance(value, str):
        text, port = _split_port(str.__str__(value))
        return Endpoint(as_address(text), None if port is None else _port_of(port))
    if not isinstance(value, (tuple, list)):
        return Endpoint(as_address(value), None)
    if len(value) < 2:
        raise ValueError("a socket address is a tuple (host, port, ...)")
    host = value[0]
    anywhere = isinstance(host, str) and not host  # what sockets bind to for "any address"
    return Endpoint(None if anywhere else as_address(host), _port_of(value[1]))


def _port_of(value: object) -> int:
    try:
        return as_port(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"its port {error}") from None


def as_address(value: object) -> Optional[bytes]:
    """Convert an address to its 4 or 16 bytes, or to None if it is the unspecified one."""
    if isinstance(value, str):
        packed = _packed_text(str.__str__(value))
    elif isinstance(value, (bytes, bytearray, memoryview)):
        packed = bytes(value)
    else:
        packed = getattr(value, "packed", b"")
        if not isinstance(packed, bytes) or not packed:
            raise TypeError("must be an IP address: str, ipaddress object, packed bytes or tuple")
        packed = bytes(packed)
    if len(packed) not in (4, 16):
        raise ValueError("a packed IP address has 4 or 16 bytes")
    packed = unmapped(packed)
    return None if packed in _UNSPECIFIED else packed


def unmapped(packed: bytes) -> bytes:
    """Return the IPv4 address that is inside an IPv6 one, other addresses as they are."""
    return packed[12:] if len(packed) == 16 and packed.startswith(MAPPED) else packed


def _packed_text(text: str) -> bytes:
    try:
        if text.startswith("[") and text.endswith("]"):
            text = text[1:-1]
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text.partition("%")[0])
        return socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        pass
    raise ValueError("an IP address is needed, names are not looked up")


def _split_port(text: str) -> Tuple[str, Optional[str]]:
    """Split the port off ``ip#port``, ``ip@port``, ``[ip]:port`` and, of IPv4, ``ip:port``."""
    host, mark, rest = text.rpartition("]")
    if mark:
        return (host + mark, rest[1:]) if rest[:1] in tuple(_PORT_MARKS) else (text, None)
    for mark in _PORT_MARKS:
        if mark in text and (mark != ":" or text.count(":") == 1):
            host, _, port = text.rpartition(mark)
            return host, port
    return text, None


def as_port(value: object) -> int:
    """Convert a port: any integer from 0 to 65535 but a bool, or its digits."""
    right = f"must be an integer from 0 to {MAX_PORT}"
    if isinstance(value, str):
        digits = str.__str__(value)
        # isdigit() alone takes the digits of all scripts
        if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_PORT_DIGITS):
            raise ValueError(right)
        value = int(digits)
    port = value if type(value) is int else _integer(value, right)
    if not 0 <= port <= MAX_PORT:
        raise ValueError(right)
    return port


def _integer(value: object, right: str) -> int:
    """Return an integer of any type as an exact int; refuse a bool."""
    if isinstance(value, bool) or not hasattr(type(value), "__index__"):
        raise TypeError(right)
    return int.__int__(operator.index(value))  # type: ignore[arg-type]


# -- times -------------------------------------------------------------------------------------


def as_time_ns(value: object) -> int:
    """Convert a time: int nanoseconds, float seconds, or an aware datetime."""
    if isinstance(value, float):
        return ns_from_seconds(float.__float__(value))
    if isinstance(value, datetime):
        return _ns_from_datetime(value)
    time = _integer(value, "must be int nanoseconds, float seconds or an aware datetime")
    if time < 0:
        raise ValueError("before the epoch")
    if time < MIN_TIME_INT:
        raise ValueError(f"{_unit_of(time)}, or use time.time_ns()")
    return _checked_time(time)


def _unit_of(time: int) -> str:
    """Return what an int looks like that is too small for nanoseconds, and how to make them."""
    _, unit, factor = next(each for each in _UNITS if time < each[0])
    or_float = ", or give a float" if factor == NS else ""
    return f"looks like {unit}: multiply by {factor}{or_float}"


def _unit_of_float(seconds: float) -> str:
    """Return what a float looks like that is too large for seconds, and how to make them."""
    for end, unit, factor in (*_UNITS, (10**20, "nanoseconds", 1)):
        if seconds < end:
            return f"; looks like {unit}: divide by {NS // factor}, since a float is seconds"
    return ""


def ns_from_seconds(seconds: float) -> int:
    """Convert seconds since the epoch to nanoseconds, without losing precision on the way."""
    if not 0.0 <= seconds < MAX_SECONDS:
        if seconds < 0.0:
            raise ValueError("before the epoch")
        raise ValueError(f"must end before the year 10000{_unit_of_float(seconds)}")
    whole = int(seconds)
    return whole * NS + int((seconds - whole) * NS + 0.5)


def _ns_from_datetime(value: datetime) -> int:
    if value.utcoffset() is None:
        raise ValueError("has no time zone; use an aware datetime: datetime.now(timezone.utc)")
    since = value - _EPOCH
    time = (since.days * 86400 + since.seconds) * NS + since.microseconds * 1000
    if time < 0:
        raise ValueError("before the epoch")
    return _checked_time(time)


def _checked_time(time: int) -> int:
    if time >= MAX_SECONDS * NS:
        raise ValueError("must end before the year 10000")
    return time
