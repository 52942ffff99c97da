"""dnstap for dnslib: `DnstapLogger` for its servers, `DnstapUpstream` for what forwarders ask.

`DNSServer(resolver, logger=DnstapLogger("dns"))` is the whole change. Runs in the threads of
dnslib's server. See `serving.py` for what is logged of a request, `exchange.py` for upstreams.
"""

from __future__ import annotations

import socket
import time
from typing import Any, Optional

from ..address import MAX_PORT
from ..arguments import flag, integer, seconds
from ..dnswire.message import TCP_LENGTH, read_body
from ..message.enums import SocketProtocol
from ..message.values import MAX_WIRE_MESSAGE
from .exchange import Exchange, ends_of
from .serving import ServerTap
from .tap import LoggerLike, ProtocolLike, Tap, missing

try:
    from dnslib import DNSError
    from dnslib.proxy import ProxyResolver
    from dnslib.server import DNSLogger
except ImportError as error:
    raise missing(__name__, "dnslib", "dnslib") from error

__all__ = ["DnstapLogger", "DnstapProxyResolver", "DnstapUpstream"]


class DnstapLogger(DNSLogger):  # type: ignore[misc]  # dnslib has no types
    """Log the requests of a dnslib server as dnstap: its DNSLogger interface.

    A query is logged when it was received, also one that dnslib cannot parse; its response just
    before it is sent, with the same query time. Both are the bytes of the network, without the
    length of TCP. Of several queries that a TCP client sent at once, dnslib answers the first,
    and that alone is logged.

    Args:
        logger: a logger, a logger's name, or a `DnstapAdapter` with constants.
        role: AUTH, RESOLVER, CLIENT (default), FORWARDER, STUB, TOOL or UPDATE: the first half
            of the message types.
        protocol: where the socket does not tell; None (default): UDP, TCP or DOT by the socket.
        text: a DNSLogger of dnslib that goes on printing; None (default): nothing is printed.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """

    def __init__(
        self,
        logger: LoggerLike,
        role: str = "CLIENT",
        *,
        protocol: ProtocolLike = None,
        text: Optional[DNSLogger] = None,
    ) -> None:
        # Not DNSLogger's own constructor: it replaces the methods of those hooks that print
        # nothing, and ours among them.
        self._tap = ServerTap(logger, role, protocol)
        hook = None if isinstance(text, type) else getattr(text, "log_recv", None)
        if text is not None and not callable(hook):
            raise TypeError(f"text={text!r}: must be a DNSLogger of dnslib, or None")
        self._text = text
        self.prefix = False
        self.logf = getattr(text, "logf", _say_nothing)

    def log_recv(self, handler: Any, data: bytes) -> None:
        """Log a query, as bytes."""
        stream = getattr(handler, "protocol", None) == "tcp"
        self._tap.received(handler, _first_message(data) if stream else data)
        if self._text is not None:
            self._text.log_recv(handler, data)

    def log_send(self, handler: Any, data: bytes) -> None:
        """Log a response, as bytes."""
        self._tap.sent(handler, data)
        if self._text is not None:
            self._text.log_send(handler, data)

    def log_request(self, handler: Any, request: Any) -> None:
        """Hand a parsed query to the text logger; dnstap has it already."""
        if self._text is not None:
            self._text.log_request(handler, request)

    def log_reply(self, handler: Any, reply: Any) -> None:
        """Hand a response to the text logger; dnstap gets it from `log_send`."""
        if self._text is not None:
            self._text.log_reply(handler, reply)

    def log_truncated(self, handler: Any, reply: Any) -> None:
        """Hand a truncated response to the text logger."""
        if self._text is not None:
            self._text.log_truncated(handler, reply)

    def log_error(self, handler: Any, e: Any) -> None:
        """Hand an error to the text logger."""
        if self._text is not None:
            self._text.log_error(handler, e)

    def log_data(self, dnsobj: Any) -> None:
        """Hand a message to the text logger."""
        if self._text is not None:
            self._text.log_data(dnsobj)


class DnstapUpstream:
    """Ask other servers, and log what is asked and answered.

    For resolvers that forward: ``upstream.send(request, "192.0.2.1")`` instead of dnslib's
    ``request.send("192.0.2.1")``. A query that is never answered is logged alone.

    Args:
        logger: a logger, a logger's name, or a `DnstapAdapter` with constants.
        role: the first half of the message types, by default FORWARDER.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """

    def __init__(self, logger: LoggerLike, role: str = "FORWARDER") -> None:
        self._tap = Tap(logger, role)

    def send(
        self,
        record: Any,
        dest: str,
        port: int = 53,
        tcp: bool = False,
        timeout: Optional[float] = None,
        ipv6: bool = False,
    ) -> bytes:
        """Send a DNSRecord and return the response, as DNSRecord.send does with its arguments.

        Raises:
            OSError: as DNSRecord.send; a timeout is ``socket.timeout``.
            DNSError: the server closed the TCP connection before the end of its response.
        """
        return self.send_wire(record.pack(), dest, port, tcp, timeout, ipv6)

    def send_wire(
        self,
        wire: bytes,
        dest: str,
        port: int = 53,
        tcp: bool = False,
        timeout: Optional[float] = None,
        ipv6: bool = False,
    ) -> bytes:
        """Send a query that is bytes already, without a length, and return the response's.

        Raises:
            ValueError: it is too long for DNS.
            OSError, DNSError: as `send`.
        """
        if len(wire) > MAX_WIRE_MESSAGE:
            raise ValueError(f"a DNS message has at most {MAX_WIRE_MESSAGE} bytes, not {len(wire)}")
        wire = bytes(wire)
        protocol = SocketProtocol.TCP if tcp else SocketProtocol.UDP
        exchange = Exchange(self._tap, protocol)
        family = socket.AF_INET6 if ipv6 else socket.AF_INET
        kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
        server = socket.getaddrinfo(dest, port, family, kind)[0][4]
        ask = _ask_stream if tcp else _ask_datagram
        with socket.socket(family, kind) as sock:
            sock.settimeout(timeout)
            try:
                return ask(sock, wire, server, exchange)
            finally:
                exchange.finish()


class DnstapProxyResolver(ProxyResolver):  # type: ignore[misc]  # dnslib has no types
    """dnslib's ProxyResolver, with its upstream traffic logged.

    Args:
        address: of the upstream server.
        port: of the upstream server.
        timeout: seconds; 0 and None wait for ever.
        strip_aaaa: answer NXDOMAIN to questions for AAAA, as ProxyResolver does.
        logger: a logger, a logger's name, or a `DnstapAdapter` with constants.
        role: the first half of the message types, by default FORWARDER.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """

    def __init__(
        self,
        address: str,
        port: int = 53,
        timeout: Optional[float] = 0,
        strip_aaaa: bool = False,
        *,
        logger: LoggerLike,
        role: str = "FORWARDER",
    ) -> None:
        self._upstream = DnstapUpstream(logger, role)
        if not isinstance(address, str) or not address:
            raise TypeError(f"address={address!r}: must be an address or a name, a str")
        integer("port", port, 1, MAX_PORT)
        # dnslib's default of 0 would make its socket non-blocking, and every query fail.
        patience = None if timeout is None else seconds("timeout", timeout, zero=True) or None
        super().__init__(address, port, patience, flag("strip_aaaa", strip_aaaa))

    def resolve(self, request: Any, handler: Any) -> Any:
        """Ask the upstream server, by the protocol of the request."""
        return super().resolve(_Request(request, self._upstream), handler)


class _Request:
    """A DNSRecord whose `send` is logged."""

    def __init__(self, record: Any, upstream: DnstapUpstream) -> None:
        self._record = record
        self._upstream = upstream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._record, name)

    def send(self, *args: Any, **kwargs: Any) -> bytes:
        return self._upstream.send(self._record, *args, **kwargs)


def _first_message(data: bytes) -> bytes:
    """Return the first DNS message of what may be several, or all if that cannot be known."""
    try:
        return data[: read_body(data)[1]]
    except ValueError:
        return data


def _say_nothing(line: str) -> None:
    """Print no text."""


def _ask_datagram(sock: socket.socket, wire: bytes, server: Any, exchange: Exchange) -> bytes:
    started = time.time_ns()
    sock.sendto(wire, server)
    exchange.query(wire, started, ends_of(sock, server))
    response, source = sock.recvfrom(MAX_WIRE_MESSAGE)
    exchange.response(response, time.time_ns(), source)
    return response


def _ask_stream(sock: socket.socket, wire: bytes, server: Any, exchange: Exchange) -> bytes:
    sock.connect(server)
    ends, started = ends_of(sock), time.time_ns()
    sock.sendall(TCP_LENGTH.pack(len(wire)) + wire)
    exchange.query(wire, started, ends)
    (length,) = TCP_LENGTH.unpack(_receive(sock, TCP_LENGTH.size))
    response = _receive(sock, length)
    exchange.response(response, time.time_ns())
    return response


def _receive(sock: socket.socket, size: int) -> bytes:
    data = bytearray()  # bytes would be copied for each piece, and a piece may be one octet
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise DNSError("the server closed the connection before the end of its response")
        data += more
    return bytes(data)
