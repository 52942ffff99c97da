"""How `DnstapClient.https` sees what dns.query.https does inside its HTTP library.

dnspython speaks HTTP by httpx or its successor httpx2. Without a session of the caller's it makes
a connection for each query: then the TLS socket tells when it has shaken hands. With one, a copy
of it that shares all connections tells by httpx's event hooks.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import ssl
import time
import urllib.parse
from typing import Any

import dns.inet
import dns.query

from ...interrupts import pass_on
from ...message.enums import HttpProtocol, SocketProtocol
from ..exchange import Ends, Exchange, ends_of
from ..tap import Tap, report
from .patch import Ask
from .sockets import Arguments, Prepared

__all__ = ["through_https"]

HTTPS_PORT = 443  # dns.query.https's default


def through_https(tap: Tap, function: Ask, given: Arguments) -> Prepared:
    """Prepare a call of dns.query.https."""
    exchange = Exchange(tap, SocketProtocol.DOH)
    library = getattr(dns.query, "httpx2", None) or getattr(dns.query, "httpx", None)
    query = _Query(exchange, given, library)
    verify = given.get("verify", True)
    if library is not None and given.get("http_version") != dns.query.HTTPVersion.H3:
        if isinstance(given.get("session"), library.Client):
            given["session"] = _copy_of(given["session"], query)
        elif not given.get("session") and not isinstance(verify, ssl.SSLContext):
            if isinstance(verify, os.PathLike):
                verify = os.fsdecode(verify)
            context = library.create_ssl_context(verify=verify)
            context.sslsocket_class = _TellingSocket
            context.dnstap_query = query
            given["verify"] = context
            query.sees_socket = True
    return functools.partial(query.ask, function), exchange, contextlib.nullcontext()


class _Query:
    """One call of dns.query.https."""

    def __init__(self, exchange: Exchange, given: Arguments, library: Any) -> None:
        self._exchange = exchange
        self._given = given
        self._message = given["q"]
        self._library = library
        self._started = 0
        self.sees_socket = False

    def ask(self, function: Ask) -> Any:
        """Call dns.query.https, and then log what was not logged on the way."""
        before = self._message.wire
        self._started = time.time_ns()
        try:
            answer = function(**self._given)
        except Exception as error:
            # What dnspython has not rendered, it has not sent.
            if self._message.wire is not before and not self._is_unsent(error):
                self.sent(_ends_by_arguments(self._given))
            raise
        self.sent(_ends_by_arguments(self._given))
        self._exchange.response(answer.wire, time.time_ns())
        return answer

    def _is_unsent(self, error: Exception) -> bool:
        library = self._library
        return self.sees_socket or (
            library is not None
            and isinstance(
                error, (library.ConnectError, library.ConnectTimeout, library.PoolTimeout)
            )
        )

    def sent(self, ends: Ends, http_protocol: Any = None) -> None:
        """Log the query, unless it is logged already."""
        self._exchange.query(self._message.wire, self._started, ends, http_protocol)

    def connected(self, sock: ssl.SSLSocket) -> None:
        """Take note that the connection is there: the query follows at once."""
        self._started = time.time_ns()
        is_2 = sock.selected_alpn_protocol() == "h2"
        self.sent(ends_of(sock), HttpProtocol.HTTP2 if is_2 else HttpProtocol.HTTP1)

    def requested(self, request: Any) -> None:
        """Take note that a session sends a request (httpx's event hook)."""
        self._started = time.time_ns()

    def responded(self, response: Any) -> None:
        """Take note of the connection that a response came by (httpx's event hook)."""
        try:
            stream = response.extensions["network_stream"]
            ends = stream.get_extra_info("client_addr"), stream.get_extra_info("server_addr")
            is_2 = response.http_version == "HTTP/2"
            self.sent(ends, HttpProtocol.HTTP2 if is_2 else HttpProtocol.HTTP1)
        except BaseException as error:  # noqa: BLE001 - nothing is raised into the HTTP library
            pass_on(error)
            report(error)


class _TellingSocket(ssl.SSLSocket):
    """A TLS socket that tells the query of its context when it has shaken hands."""

    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        try:
            self.context.dnstap_query.connected(self)  # type: ignore[attr-defined]
        except BaseException as error:  # noqa: BLE001 - nothing is raised into the HTTP library
            pass_on(error)
            report(error)


def _copy_of(session: Any, query: _Query) -> Any:
    """Return a copy of a client that shares its connections and has hooks of its own."""
    telling = copy.copy(session)
    hooks = session.event_hooks
    telling.event_hooks = {
        "request": [*hooks.get("request", ()), query.requested],
        "response": [*hooks.get("response", ()), query.responded],
    }
    return telling


def _ends_by_arguments(given: Arguments) -> Ends:
    """Return the server's end as the arguments have it, if they have an address."""
    where, port = given["where"], given.get("port", HTTPS_PORT)
    host = given.get("bootstrap_address")
    if not dns.inet.is_address(where):
        url = urllib.parse.urlparse(where)
        where, port = url.hostname, url.port or port
    host = host or where
    return None, (host, port) if host and dns.inet.is_address(host) else None
