"""`DnstapMixin`: dnstap for DNS servers on the standard library's socketserver.

A request handler that mixes it in calls `dnstap_query` with what it received and
`dnstap_response` with what it sends. Runs in the server's threads; see `serving.py`.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, ClassVar, Dict, Optional

from ..interrupts import pass_on
from ..message.fields import FIELDS
from .serving import ServerTap
from .tap import LoggerLike, ProtocolLike, as_adapter, as_protocol, as_role, report

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..adapter.keywords import AllKeywords
    from ..message.values import WireSource

__all__ = ["DnstapMixin"]

OUR_FRAMES = 2
"""Frames between the server's code and `ServerTap`: `dnstap_query` and `_log`."""

_KEYWORDS = (frozenset(FIELDS) - {"message_type"}) | {
    "dns_extra", "extra", "exc_info", "stack_info", "stacklevel",
}  # fmt: skip

_ATTRIBUTES = {
    "dnstap_logger": as_adapter,
    "dnstap_role": as_role,
    "dnstap_protocol": as_protocol,
}
_METHODS = ("dnstap_query", "dnstap_response")
_NAMES = {name: name.replace("_", "") for name in (*_ATTRIBUTES, *_METHODS)}
_BEGINNINGS = ("dnst", "dsnt", "dnta", "dntsa", "dnsat", "nstap", "dstap", "dnsap")
"""How a name begins that may have been meant for one of ours, without underscores."""

SIMILAR = 0.8
"""difflib's ratio: ``dnstap_log`` still finds ``dnstap_logger``, ``dnstap_counter`` nothing."""

LONGER = 3
"""Characters behind one of our names that make it another one."""


@lru_cache(maxsize=256)  # a program has a few loggers
def _make_tap(logger: object, role: object, protocol: object) -> ServerTap:
    names = "dnstap_logger", "dnstap_role", "dnstap_protocol"
    return ServerTap(logger, role, protocol, names, OUR_FRAMES)


class DnstapMixin:
    """Log the queries and responses of a request handler of socketserver.

    For the handlers of UDPServer, TCPServer, their threading and forking kin and servers whose
    sockets TLS wraps. Addresses, ports, family and protocol are those of the handler's socket;
    a response carries the time of the query with the same ID and question on its connection.
    Of a UDP socket that is bound to no address of its own, the server's address is unknown and
    left out.

    Nothing raises while serving, except for a keyword that does not exist: that is a TypeError at
    its own line.

    Attributes:
        dnstap_logger: a logger, a logger's name, or a `DnstapAdapter` with constants. While it
            is None nothing is logged, and a diagnostic says so.
        dnstap_role: AUTH, RESOLVER, CLIENT (default), FORWARDER, STUB, TOOL or UPDATE: the first
            half of the message types.
        dnstap_protocol: a `SocketProtocol` or its name, where the socket does not tell (DOH);
            None (default): UDP, TCP or DOT by the socket.

    Raises:
        TypeError, ValueError: an attribute in the body of a subclass cannot be used, or its name is
            misspelt; or the subclass is a server, and not a request handler.
    """

    dnstap_logger: ClassVar[Optional[LoggerLike]] = None
    dnstap_role: ClassVar[str] = "CLIENT"
    dnstap_protocol: ClassVar[ProtocolLike] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _refuse_server(cls)
        _refuse_misspelt(cls)
        for name, check in _ATTRIBUTES.items():
            value = vars(cls).get(name)
            if value is not None:
                check(f"{cls.__name__}.{name}", value)

    def dnstap_query(self, wire: Optional[WireSource], **keywords: Unpack[AllKeywords]) -> None:
        """Log a query that was received just now.

        Args:
            wire: the DNS message as received, without the length of TCP; None: without it.
            keywords: those of `DnstapAdapter`'s methods; they win over what the socket tells.

        Raises:
            TypeError: there is no such keyword.
        """
        _log(self, ServerTap.received, wire, keywords)

    def dnstap_response(self, wire: Optional[WireSource], **keywords: Unpack[AllKeywords]) -> None:
        """Log a response that is sent just now.

        Args:
            wire: the DNS message as sent, without the length of TCP; None: without it.
            keywords: those of `DnstapAdapter`'s methods; they win over what the socket tells.

        Raises:
            TypeError: there is no such keyword.
        """
        _log(self, ServerTap.sent, wire, keywords)


def _refuse_server(cls: type) -> None:
    """Raise if a class is a server, whose methods never see a query."""
    socketserver = sys.modules.get("socketserver")  # a program without it has no such server
    kinds = () if socketserver is None else (
        socketserver.BaseServer, socketserver.ThreadingMixIn,
        *filter(None, (getattr(socketserver, "ForkingMixIn", None),)),
    )  # fmt: skip
    if issubclass(cls, kinds):
        raise TypeError(
            f"{cls.__name__}: DnstapMixin is for request handlers, and this is a server; write "
            f"class Handler(DnstapMixin, BaseRequestHandler) and give that to the server"
        )


def _refuse_misspelt(cls: type) -> None:
    """Raise if an attribute in a class's body is nearly one of ours: it would have no effect."""
    for name in vars(cls):
        plain = name.lower().replace("_", "")
        if name in _NAMES or name.startswith("_") or not plain.startswith(_BEGINNINGS):
            continue
        if any(
            plain.startswith(each) and len(plain) >= len(each) + LONGER for each in _NAMES.values()
        ):
            continue  # dnstap_logger_name is a name of its own
        import difflib  # here, for it is slow to import

        near = difflib.get_close_matches(plain, _NAMES.values(), n=1, cutoff=SIMILAR)
        if near:
            meant = next(right for right, each in _NAMES.items() if each == near[0])
            raise TypeError(f"{cls.__name__}.{name}: unknown attribute, did you mean {meant!r}?")


def _log(
    handler: DnstapMixin,
    log: Callable[[ServerTap, Any, Any, Dict[str, Any]], None],
    wire: object,
    keywords: Any,
) -> None:
    if keywords and not _KEYWORDS.issuperset(keywords):
        unknown = ", ".join(sorted(map(repr, set(keywords) - _KEYWORDS)))
        raise TypeError(f"unknown keyword {unknown}: must be one of DnstapAdapter's")
    try:
        tap = _make_tap(handler.dnstap_logger, handler.dnstap_role, handler.dnstap_protocol)
    except BaseException as error:  # noqa: BLE001 - set after the class was made, while serving
        pass_on(error)
        report(error)
        return
    log(tap, handler, wire, keywords)
