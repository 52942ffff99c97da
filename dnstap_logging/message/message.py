"""A dnstap message: the dns extras, checked once and made immutable.

`DnstapMessage` is what readers return, what the encoder takes, and what programs may build
themselves: its constructor is strict and raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable, Dict, NamedTuple, Optional, Tuple, Union

from ..interrupts import pass_on
from ..shorten import shorten
from .enums import HttpProtocol, MessageType, SocketFamily, SocketProtocol
from .fields import FIELDS
from .policy import Policy
from .values import AddressSource, Endpoint, NameSource, Octets, TimeSource, WireSource, refusal

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

__all__ = ["DnstapMessage", "reconcile"]

_SEQUENCE = re.compile(rb"(?:\A| )seq=([0-9a-f]{16})/([1-9][0-9]{0,18})/(0|[1-9][0-9]{0,18})\Z")


class _MessageFields(NamedTuple):
    message_type: MessageType
    socket_family: Optional[SocketFamily] = None
    socket_protocol: Optional[SocketProtocol] = None
    http_protocol: Optional[HttpProtocol] = None
    query_address: Optional[bytes] = None
    response_address: Optional[bytes] = None
    query_port: Optional[int] = None
    response_port: Optional[int] = None
    query_time: Optional[int] = None
    response_time: Optional[int] = None
    query_message: Optional[bytes] = None
    response_message: Optional[bytes] = None
    query_zone: Optional[bytes] = None
    policy: Optional[Policy] = None
    extra: Optional[bytes] = None
    identity: Optional[bytes] = None
    version: Optional[bytes] = None


class DnstapMessage(_MessageFields):
    """An immutable dnstap message; its attributes are named as in dnstap.proto.

    Attributes hold canonical values, or None where nothing is known: addresses in 4 or 16 bytes,
    times in nanoseconds since the epoch, DNS messages and names in wire format.

    Args:
        message_type: a `MessageType`, its name or number.
        socket_family: by default, that of the addresses; else a `SocketFamily`, its name or number;
            also `socket.AF_INET`, "IPv6".
        socket_protocol: a `SocketProtocol`, its name in any case, or its number; also "tls",
            "https", "quic", `socket.SOCK_DGRAM`.
        http_protocol: a `HttpProtocol`, its name or number; also "HTTP/1.1", "h2"; with DOH only.
        query_address: the initiator's address: text, `ipaddress` object, 4 or 16 bytes, a socket
            address (host, port, ...), or text with a port (192.0.2.1#53, [2001:db8::1]:53). An
            unspecified one (0.0.0.0, ::) means unknown.
        response_address: the responder's, in the same forms; both are of one family.
        query_port: 0 to 65535, also as text; wins over that of an address.
        response_port: the responder's, in the same forms.
        query_time: int nanoseconds since the epoch (at least 10**17), float seconds, or an aware
            datetime.
        response_time: of the response, in the same forms.
        query_message: the DNS message: bytes-like, or an object with to_wire() or pack().
        response_message: the response, in the same forms; at most 65,535 bytes (RFC 1035, 4.2.2).
        query_zone: the zone that the query was sent to: text, wire format, or with to_wire().
        policy: a `Policy`, or a mapping with its arguments.
        extra: bytes, or text; empty is the same as none.
        identity: the DNS server's, bytes or text; None: the handler's; empty: left out.
        version: its software's, bytes or text; None: the handler's; empty: left out.

    Raises:
        TypeError, ValueError: an argument is not one of these; the text names it, shows the value
            and says what is right.
    """

    __module__ = "dnstap_logging"

    __slots__ = ()

    def __new__(
        cls,
        message_type: Union[MessageType, str, int],
        *,
        socket_family: Union[SocketFamily, str, int, None] = None,
        socket_protocol: Union[SocketProtocol, str, int, None] = None,
        http_protocol: Union[HttpProtocol, str, bytes, int, None] = None,
        query_address: Optional[AddressSource] = None,
        response_address: Optional[AddressSource] = None,
        query_port: Union[int, str, None] = None,
        response_port: Union[int, str, None] = None,
        query_time: Optional[TimeSource] = None,
        response_time: Optional[TimeSource] = None,
        query_message: Optional[WireSource] = None,
        response_message: Optional[WireSource] = None,
        query_zone: Optional[NameSource] = None,
        policy: Union[Policy, Dict[str, Any], None] = None,
        extra: Union[str, Octets, None] = None,
        identity: Union[str, Octets, None] = None,
        version: Union[str, Octets, None] = None,
    ) -> DnstapMessage:
        """Check and convert the arguments; see the class."""
        given = locals()

        def refuse(name: str, why: str) -> None:
            raise ValueError(f"{name}={shorten(given[name])}: {why}")

        found: Dict[str, Any] = {}
        for name, field in FIELDS.items():
            if given[name] is None and name != "message_type":
                continue
            try:
                found[name] = field.convert(given[name])
            except BaseException as error:  # noqa: BLE001 - also what the value's own methods raise
                pass_on(error)
                raise refusal(f"{name}={shorten(given[name])}", error) from None
        reconcile(found, refuse)
        return cls._make(map(found.get, cls._fields))

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self)._make, (tuple(self),), getattr(self, "__dict__", None) or None

    def __repr__(self) -> str:
        parts = (
            f"{name}={shorten(value)}"
            for name, value in zip(self._fields[1:], self[1:])
            if value is not None
        )
        return f"DnstapMessage({', '.join((self.message_type.name, *parts))})"

    @property
    def sequence(self) -> Optional[Tuple[str, int, int]]:
        """What a handler with ``sequence=True`` has put at the end of `extra`, or None.

        The run, 16 hexadecimal digits, which no other handler or process has; the number of the
        record in it, from 1; and how many records the handler had dropped by then.
        """
        found = None if self.extra is None else _SEQUENCE.search(self.extra)
        return None if found is None else (found[1].decode(), int(found[2]), int(found[3]))

    @property
    def query_ip(self) -> Union[IPv4Address, IPv6Address, None]:
        """The initiator's address as an object of `ipaddress`, or None."""
        return _ip_address(self.query_address)

    @property
    def response_ip(self) -> Union[IPv4Address, IPv6Address, None]:
        """The responder's address as an object of `ipaddress`, or None."""
        return _ip_address(self.response_address)


def _ip_address(packed: Optional[bytes]) -> Union[IPv4Address, IPv6Address, None]:
    import ipaddress  # here, for logging needs it never

    return None if packed is None else ipaddress.ip_address(packed)


# -- what fields say about each other ----------------------------------------------------------


def reconcile(found: Dict[str, Any], refuse: Callable[[str, str], None]) -> None:
    """Make the fields of one message agree; call `refuse` for each that is left out, with why."""
    found["extra"] = found.get("extra") or None
    _reconcile_addresses(found, refuse)
    if found.get("http_protocol") and found.get("socket_protocol") is not SocketProtocol.DOH:
        found["http_protocol"] = None
        refuse("http_protocol", "has a meaning with socket protocol DOH only")


def _reconcile_addresses(found: Dict[str, Any], refuse: Callable[[str, str], None]) -> None:
    """Take endpoints apart; both are the ends of one socket and so of one family."""
    query: Optional[Endpoint] = found.get("query_address")
    response: Optional[Endpoint] = found.get("response_address")
    if _families_differ(query, response):
        response = None
        refuse("response_address", "of another family than the query address")
    _take_apart(found, "query_address", "query_port", query)
    _take_apart(found, "response_address", "response_port", response)
    address = found["query_address"] or found["response_address"]
    if address is not None:
        family = SocketFamily.INET if len(address) == 4 else SocketFamily.INET6
        given = found.get("socket_family")
        found["socket_family"] = family
        if given not in (None, family):
            refuse("socket_family", f"the addresses are {family.name}")


def _families_differ(query: Optional[Endpoint], response: Optional[Endpoint]) -> bool:
    if not query or not response or not query.address or not response.address:
        return False
    return len(query.address) != len(response.address)


def _take_apart(
    found: Dict[str, Any], address: str, port: str, endpoint: Optional[Endpoint]
) -> None:
    """Set an address and, unless its field was given, the port."""
    found[address] = endpoint.address if endpoint else None
    if endpoint is not None and endpoint.port is not None:
        found.setdefault(port, endpoint.port)
