"""What request handlers of servers have in common: whose message it is, and how it came.

Between the integrations for servers and `tap.py`. Runs in the threads that serve, and raises
nothing. A request handler is anything with socketserver's ``request`` and ``client_address``.
"""

from __future__ import annotations

import socket
import sys
import time
import weakref
from typing import Any, Callable, Dict, Optional, Tuple

from ..adapter.adapter import DnstapAdapter
from ..arguments import DEFAULT
from ..interrupts import pass_on
from ..message.enums import SocketProtocol
from ..message.fields import KeySet
from ..message.snapshot import plain_size
from ..message.values import as_wire_message
from .pending import remember, time_of
from .tap import Tap, as_protocol, report

__all__ = ["UNSPECIFIED", "ServerTap"]

UNSPECIFIED = ("0.0.0.0", "::", "")
"""What a socket that is bound to no address of its own has for one."""

MAX_SOCKETS = 4096
"""Sockets of datagrams of which it is remembered what they know, some 500 bytes each. A server has
one or two, or one for each address of its machine."""

Keys = Tuple[Optional[KeySet], Optional[KeySet]]
"""Those of a query and a response with client and query time."""

OWN_END = ("response_address", "response_port")
"""The keywords for what differs between sockets."""

_STREAM = "_dnstap_stream"
"""The attribute of a request handler that keeps what its connection knows."""

QUERY, RESPONSE = 0, 1
"""The places of both in a `Role`, and in what is known of a socket."""


class Known:
    """What is known of a socket as long as it lasts; never changed.

    Args:
        fields: keywords of the adapter that are the same in all its messages.
        sock: a weak reference to the socket.
        plans: the adapter's when the keys were made: once it has others, the keys are not right.
        keys: those of its messages.
        own: the values that the keys leave to the socket.
    """

    __slots__ = ("fields", "keys", "own", "plans", "sock")  # read faster than a tuple's names

    def __init__(
        self,
        fields: Dict[str, Any],
        sock: Callable[[], object] = lambda: None,
        plans: object = None,
        keys: Keys = (None, None),
        own: Tuple[object, ...] = (),
    ) -> None:
        self.fields = fields
        self.sock = sock
        self.plans = plans
        self.keys = keys
        self.own = own


class ServerTap(Tap):
    """Log what request handlers receive and send, now; raise nothing.

    Args:
        logger: as of `Tap`.
        role: as of `Tap`.
        protocol: how the messages travel; None: the socket tells.
        names: what the three are called where the user gives them.
        frames: those between the server's code and a call of `received` or `sent`, which other
            handlers leave out when they name the caller.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """

    __slots__ = ("_frames", "_keys", "_protocol", "_sockets")

    def __init__(
        self,
        logger: object,
        role: object,
        protocol: object = None,
        names: Tuple[str, str, str] = ("logger", "role", "protocol"),
        frames: int = 1,
    ) -> None:
        super().__init__(logger, role, *names[:2])
        self._protocol = as_protocol(names[2], protocol)
        self._frames = frames + 1  # `received` or `sent`
        self._sockets: Dict[int, Known] = {}
        # Of all sockets with the same protocol, and the same names of what is their own.
        self._keys: Dict[Tuple[object, ...], Tuple[object, Keys]] = {}

    def __reduce__(self) -> Tuple[Any, ...]:
        kind, (adapter, role) = super().__reduce__()
        names = "logger", "role", "protocol"
        return kind, (adapter, role, self._protocol, names, self._frames - 1)

    def received(self, handler: Any, wire: Any, fields: Optional[Dict[str, Any]] = None) -> None:
        """Log a query that a request handler received.

        Args:
            handler: the request handler.
            wire: the DNS message, without the length of TCP.
            fields: keywords of the adapter, which win.
        """
        now = time.time_ns()
        try:
            adapter = self._adapter
            if adapter.logger.isEnabledFor(adapter.level) or self.enabled:
                if type(wire) is not bytes:
                    wire = _rendered(wire)
                asked = fields.get("query_time", now) if fields else now
                if isinstance(wire, bytes):
                    remember(handler.__dict__, wire, asked)
                self._log_of(handler, QUERY, wire, asked, fields)
        except BaseException as error:  # noqa: BLE001 - nothing is raised into the DNS server
            pass_on(error)
            report(error)

    def sent(self, handler: Any, wire: Any, fields: Optional[Dict[str, Any]] = None) -> None:
        """Log a response that a request handler sends, with the time of its query.

        Args:
            handler: the request handler.
            wire: the DNS message, without the length of TCP.
            fields: keywords of the adapter, which win.
        """
        try:
            adapter = self._adapter
            if adapter.logger.isEnabledFor(adapter.level) or self.enabled:
                if type(wire) is bytearray:  # as dnslib has it
                    wire = bytes(wire)
                elif type(wire) is not bytes:
                    wire = _rendered(wire)
                asked = time_of(handler.__dict__, wire) if isinstance(wire, bytes) else None
                self._log_of(handler, RESPONSE, wire, asked, fields)
        except BaseException as error:  # noqa: BLE001 - nothing is raised into the DNS server
            pass_on(error)
            report(error)

    def _log_of(
        self, handler: Any, side: int, wire: Any, asked: Any, fields: Optional[Dict[str, Any]]
    ) -> None:
        adapter, request, client = self._adapter, handler.request, handler.client_address
        if isinstance(request, tuple):  # (data, socket), as socketserver.UDPServer has it
            sock = request[1]
            known = self._sockets.get(id(sock))
            if known is None or known.sock() is not sock or known.plans is not adapter.plans:
                known = self._look_at(sock)
        else:
            known = handler.__dict__.get(_STREAM)
            if known is None:
                known = handler.__dict__[_STREAM] = Known(self._fields_of(request, False))
        has_address = isinstance(client, tuple)  # a unix socket's is text
        if not fields and type(adapter) is DnstapAdapter:
            address = client if has_address else DEFAULT
            kind, keys = self._role[side], known.keys[side]
            adapter._log_dns(kind, wire, address, asked, known.fields, keys, known.own)
            return
        # A subclass knows what it does with a call.
        ends = {"query_address": client} if has_address else {}
        given = {**known.fields, **ends, "query_time": asked, **(fields or {})}
        given["stacklevel"] = known.fields["stacklevel"] + (fields or {}).get("stacklevel", 1)
        adapter.log_message(self._role[side], wire, **given)

    def _look_at(self, sock: Any) -> Known:
        """Find out what a socket of datagrams knows, and remember it.

        To ask it each time costs more than the rest: during getsockname() Python lets another
        thread run, which may take long to come back.
        """
        adapter = self._adapter
        plans = adapter.plans  # first: they are other ones once something has changed
        fields = self._fields_of(sock, True)
        try:
            reference = weakref.ref(sock)
        except TypeError:  # no socket of Python's
            return Known(fields)
        names = tuple([name for name in OWN_END if name in fields])
        own = tuple([fields[name] for name in names])
        # Not plain: the address of a class of its own.
        keys = self._keys_with(fields, names, plans) if plain_size(own) == 0 else (None, None)
        if len(self._sockets) >= MAX_SOCKETS:
            self._sockets.clear()
        known = Known(fields, reference, plans, keys, own)
        self._sockets[id(sock)] = known
        return known

    def _keys_with(self, fields: Dict[str, Any], names: Tuple[str, ...], plans: object) -> Keys:
        """Return the keys of a socket's messages, shared with other sockets.

        With keys for each socket the handlers would compile functions for each.
        """
        protocol = fields["socket_protocol"]
        shape = (protocol, *names)
        made, keys = self._keys.get(shape, (None, (None, None)))
        if made is not plans:
            fixed = {"socket_protocol": protocol}
            query, response = [self._adapter.keys_with(each, fixed, names) for each in self._role]
            keys = query, response
            self._keys[shape] = plans, keys
        return keys

    def _fields_of(self, sock: Any, datagram: bool) -> Dict[str, Any]:
        fields = _own_end(sock, datagram)
        if self._protocol is not None:
            fields["socket_protocol"] = self._protocol
        fields["stacklevel"] = 1 + self._frames
        return fields


def _rendered(wire: Any) -> Any:
    """Return a DNS message as bytes, or anything else unchanged: the handler will report it."""
    try:
        return as_wire_message(wire)
    except BaseException as error:  # noqa: BLE001 - whatever rendering raises
        pass_on(error)
        return wire


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
