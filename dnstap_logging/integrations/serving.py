"""What request handlers of servers have in common: whose message it is, and how it came.

Between the integrations for servers and `tap.py`. Runs in the threads that serve, and raises
nothing. A request handler is anything with socketserver's ``request`` and ``client_address``.
"""

from __future__ import annotations

import socket
import sys
import time
import weakref
from typing import Any, Dict, Optional

from ..interrupts import pass_on
from ..message.enums import SocketProtocol
from ..message.values import as_wire_message
from .pending import PendingQueries
from .tap import Constants, Tap, report

__all__ = ["UNSPECIFIED", "log_query", "log_response"]

UNSPECIFIED = ("0.0.0.0", "::", "")
"""What a socket that is bound to no address of its own has for one."""

_CONVERSATION = "_dnstap_conversation"
"""The attribute of a request handler that keeps its `Conversation`."""


class Conversation(PendingQueries):
    """What is known of a request handler's conversation as long as it lasts: its queries, too.

    Attributes:
        fields: the ends and the protocol, as far as the socket knows them.
        constants: those of them that are the same for all queries of the socket, if any are.
    """

    __slots__ = ("constants", "fields")

    def __init__(self, handler: Any, protocol: Optional[SocketProtocol]) -> None:
        super().__init__()
        request = handler.request
        self.constants: Optional[Constants] = None
        self.fields: Dict[str, Any] = {}
        if isinstance(request, tuple):  # (data, socket), as socketserver.UDPServer has it
            self.constants = _own_end_of_datagrams(request[1])
        else:
            self.fields = _own_end(request, datagram=False)
        if protocol is not None:
            self.fields["socket_protocol"] = protocol
        if isinstance(handler.client_address, tuple):  # a unix socket's is text
            self.fields["query_address"] = handler.client_address


def log_query(
    tap: Tap, handler: Any, wire: Any, protocol: Optional[SocketProtocol], fields: Dict[str, Any]
) -> None:
    """Log a query that a request handler received, now.

    Args:
        tap: who logs.
        handler: the request handler.
        wire: the DNS message, without the length of TCP.
        protocol: how it came; None: the socket tells.
        fields: keywords of the adapter, which win.
    """
    now = time.time_ns()
    try:
        if tap.enabled:
            if type(wire) is not bytes:
                wire = _rendered(wire)
            conversation = _conversation(handler, protocol)
            fields = {**conversation.fields, "query_time": now, **fields}
            if isinstance(wire, bytes):
                conversation.add(wire, fields["query_time"])
            tap.query(wire, fields, conversation.constants)
    except BaseException as error:  # noqa: BLE001 - nothing is raised into the DNS server
        pass_on(error)
        report(error)


def log_response(
    tap: Tap, handler: Any, wire: Any, protocol: Optional[SocketProtocol], fields: Dict[str, Any]
) -> None:
    """Log a response that a request handler sends, now, with the time of its query."""
    try:
        if tap.enabled:
            if type(wire) is not bytes:
                wire = _rendered(wire)
            conversation = _conversation(handler, protocol)
            fields = {**conversation.fields, **fields}
            if "query_time" not in fields and isinstance(wire, bytes):
                fields["query_time"] = conversation.time_of(wire)
            tap.response(wire, fields, conversation.constants)
    except BaseException as error:  # noqa: BLE001 - nothing is raised into the DNS server
        pass_on(error)
        report(error)


def _rendered(wire: Any) -> Any:
    """Return a DNS message as bytes, or anything else unchanged: the handler will report it."""
    try:
        return as_wire_message(wire)
    except BaseException as error:  # noqa: BLE001 - whatever rendering raises
        pass_on(error)
        return wire


def _conversation(handler: Any, protocol: Optional[SocketProtocol]) -> Conversation:
    attributes: Dict[str, Conversation] = handler.__dict__
    found = attributes.get(_CONVERSATION)
    if found is None:
        # Of two threads that come first at once, both go on with the same.
        found = attributes.setdefault(_CONVERSATION, Conversation(handler, protocol))
    return found


_datagram_sockets: weakref.WeakKeyDictionary[Any, Constants] = weakref.WeakKeyDictionary()
"""What is known of the sockets that all queries of a server come through. To ask them each time
costs more than the rest: during getsockname() Python lets another thread run, which may take long
to come back."""


def _own_end_of_datagrams(sock: Any) -> Constants:
    try:
        known = _datagram_sockets.get(sock)
        if known is None:
            known = _datagram_sockets[sock] = Constants(_own_end(sock, datagram=True))
        return known
    except TypeError:  # no socket of Python's: nothing can refer to it weakly
        return Constants(_own_end(sock, datagram=True))


def _own_end(sock: Any, datagram: bool) -> Dict[str, Any]:
    """Return this end of the conversation and its protocol, as far as the socket knows them."""
    fields: Dict[str, Any] = {"socket_protocol": _protocol_of(sock, datagram)}
    try:
        local = sock.getsockname()
    except OSError:  # closed meanwhile
        return fields
    if isinstance(local, tuple):
        # Without the address of an unbound socket, so that one among the adapter's constants
        # stands; the port is right in any case.
        own = "response_port" if local[0] in UNSPECIFIED else "response_address"
        fields[own] = local[1] if local[0] in UNSPECIFIED else local
    return fields


def _protocol_of(sock: Any, datagram: bool) -> Optional[SocketProtocol]:
    ssl = sys.modules.get("ssl")  # a program without it has no TLS socket
    if ssl is not None and isinstance(sock, ssl.SSLSocket):
        return SocketProtocol.DOT
    if getattr(sock, "family", None) not in (socket.AF_INET, socket.AF_INET6):
        return None
    return SocketProtocol.UDP if datagram else SocketProtocol.TCP
