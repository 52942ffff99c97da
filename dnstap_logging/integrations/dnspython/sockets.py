"""How `DnstapClient` sees what dns.query's udp, tcp and tls do: by the sockets that they are given.

dnspython takes a socket of the caller's, or a TLS context; those made here report to an
`Exchange` what goes through them.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
from typing import Any, Callable, ContextManager, Dict, Optional, Tuple

import dns.inet
import dns.query

from ...message.enums import SocketProtocol
from ..exchange import Exchange
from ..recorded_sockets import RecordedDatagrams, RecordedStream
from ..tap import Tap
from .patch import Ask, original

__all__ = ["Arguments", "Prepare", "Prepared", "through_datagrams", "through_stream", "through_tls"]

Arguments = Dict[str, Any]
"""Those of one of dns.query's functions, by name, without defaults."""

Prepared = Tuple[Callable[[], Any], Exchange, ContextManager[object]]
"""What to call instead of dns.query's function, its exchange, and what to close afterwards."""

Prepare = Callable[[Tap, Ask, Arguments], Prepared]


def through_datagrams(tap: Tap, function: Ask, given: Arguments) -> Prepared:
    """Prepare a call of dns.query.udp."""
    exchange = Exchange(tap, SocketProtocol.UDP)
    sock, resource = given.get("sock"), _nothing()
    if not sock:
        sock = resource = _new_socket(given, socket.SOCK_DGRAM)
    given["sock"] = RecordedDatagrams(sock, exchange)
    return functools.partial(function, **given), exchange, resource


def through_stream(tap: Tap, function: Ask, given: Arguments) -> Prepared:
    """Prepare a call of dns.query.tcp."""
    sock, resource, destination = given.get("sock"), _nothing(), None
    is_tls = isinstance(sock, ssl.SSLSocket)
    exchange = Exchange(tap, SocketProtocol.DOT if is_tls else SocketProtocol.TCP)
    if not sock:
        where = given["where"], given.get("port", 53)
        destination = dns.inet.low_level_address_tuple(where, dns.inet.af_for_address(where[0]))
        sock = resource = _new_socket(given, socket.SOCK_STREAM)
    given["sock"] = RecordedStream(sock, exchange, destination)
    return functools.partial(function, **given), exchange, resource


def through_tls(tap: Tap, function: Ask, given: Arguments) -> Prepared:
    """Prepare a call of dns.query.tls."""
    if given.get("sock"):
        for name in ("ssl_context", "server_hostname", "verify"):
            given.pop(name, None)  # has no meaning where a socket is given
        return through_stream(tap, original("tcp"), given)
    exchange = Exchange(tap, SocketProtocol.DOT)
    context = given.get("ssl_context")
    if context is None:
        context = _default_context(given.get("server_hostname"), given.get("verify", True))
    given["ssl_context"] = _RecordingContext(context, exchange)
    return functools.partial(function, **given), exchange, _nothing()


class _RecordingContext:
    """As much of a TLS context as dns.query.tls asks for; its sockets tell."""

    def __init__(self, context: ssl.SSLContext, exchange: Exchange) -> None:
        self._context = context
        self._exchange = exchange

    def wrap_socket(self, *args: Any, **kwargs: Any) -> RecordedStream:
        return RecordedStream(self._context.wrap_socket(*args, **kwargs), self._exchange)


def _default_context(server_hostname: Optional[str], verify: Any) -> Any:
    """Return the context that dns.query.tls would make."""
    make = getattr(dns.query, "make_ssl_context", None)  # public since dnspython 2.8
    if make is not None:
        return make(verify, server_hostname is not None, ["dot"])
    return dns.query._make_dot_ssl_context(server_hostname, verify)


def _new_socket(given: Arguments, kind: socket.SocketKind) -> socket.socket:
    """Return a socket as dns.query would make it, by its documented factory."""
    family = dns.inet.af_for_address(given["where"])
    source, port = given.get("source"), given.get("source_port", 0)
    if source and dns.inet.af_for_address(source) != family:
        raise ValueError("source and destination are of different families")
    sock: socket.socket = dns.query.socket_factory(family, kind, 0)
    try:
        sock.setblocking(False)
        if source or port:
            own = source or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port
            sock.bind(dns.inet.low_level_address_tuple(own, family))
    except BaseException:
        sock.close()
        raise
    return sock


def _nothing() -> Any:
    return contextlib.nullcontext()
