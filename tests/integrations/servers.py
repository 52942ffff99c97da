"""Real DNS servers on loopback, and raw clients whose sockets tell what the wire was."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import struct
import threading
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple, Type

import dns.message
import dns.query
import dns.rcode
import pytest
import trustme

DEADLINE = 20.0


class Seen(NamedTuple):
    """What a server received or sent: the client's socket address and the DNS message."""

    client: Tuple[Any, ...]
    wire: bytes


class Server:
    """A socketserver that runs in a thread, and what went through it."""

    def __init__(self, server: socketserver.BaseServer) -> None:
        self._server = server
        self.address: Tuple[Any, ...] = server.server_address  # type: ignore[assignment]
        self.host, self.port = str(self.address[0]), int(self.address[1])
        self.received: List[Seen] = []
        self.sent: List[Seen] = []


Answer = Callable[[bytes], List[bytes]]
"""What a server answers to a query: messages, or none at all."""


def echo(query: bytes) -> List[bytes]:
    """Answer NOERROR without any record."""
    return [dns.message.make_response(dns.message.from_wire(query)).to_wire()]


def reply(query: bytes, **flags: int) -> bytes:
    """Return a response with other flags or another rcode."""
    response = dns.message.make_response(dns.message.from_wire(query))
    response.flags |= flags.get("flags", 0)
    response.set_rcode(dns.rcode.Rcode(flags.get("rcode", 0)))
    return response.to_wire()


class DatagramHandler(socketserver.BaseRequestHandler):
    """Answer by UDP."""

    def handle(self) -> None:
        data, sock = self.request
        self.server.dns.received.append(Seen(self.client_address, data))  # type: ignore[attr-defined]
        for response in self.server.answer(data):  # type: ignore[attr-defined]
            self.server.dns.sent.append(Seen(self.client_address, response))  # type: ignore[attr-defined]
            sock.sendto(response, self.client_address)


class StreamHandler(socketserver.BaseRequestHandler):
    """Answer one query after the other on a TCP or TLS connection."""

    def handle(self) -> None:
        for data in read_messages(self.request):
            self.server.dns.received.append(Seen(self.client_address, data))  # type: ignore[attr-defined]
            for response in self.server.answer(data):  # type: ignore[attr-defined]
                self.server.dns.sent.append(Seen(self.client_address, response))  # type: ignore[attr-defined]
                self.request.sendall(framed(response))


class _Quiet:
    """Threads that end with the test, and no traceback for a client that went away."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 100

    def handle_error(self, request: Any, client_address: Any) -> None:
        return


class _UDP(_Quiet, socketserver.ThreadingUDPServer):
    pass


class _TCP(_Quiet, socketserver.ThreadingTCPServer):
    context: Optional[ssl.SSLContext] = None

    def get_request(self) -> Any:
        sock, client = super().get_request()
        if self.context is not None:
            sock.settimeout(DEADLINE)
            sock = self.context.wrap_socket(sock, server_side=True)
        return sock, client


@contextlib.contextmanager
def serving(
    handler: Type[socketserver.BaseRequestHandler],
    host: str = "127.0.0.1",
    *,
    answer: Answer = echo,
    port: int = 0,
    context: Optional[ssl.SSLContext] = None,
) -> Iterator[Server]:
    """Run a handler on a free port: by TCP if it reads a stream, and by TLS with a context."""
    datagrams = issubclass(handler, DatagramHandler)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    base = _UDP if datagrams else _TCP
    kind = type("BoundServer", (base,), {"address_family": family, "context": context})
    with kind((host, port), handler) as server:
        server.answer = answer
        server.dns = Server(server)
        with running(server):
            yield server.dns


@contextlib.contextmanager
def running(server: socketserver.BaseServer) -> Iterator[None]:
    """Serve in a thread while the context lasts."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(DEADLINE)


# -- TCP -------------------------------------------------------------------------------------------


def framed(wire: bytes) -> bytes:
    """Put the length before a message (RFC 1035, 4.2.2)."""
    return struct.pack("!H", len(wire)) + wire


def read_exactly(sock: Any, size: int) -> bytes:
    """Read that many bytes, or none at the end of the stream."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data


def read_messages(sock: Any) -> Iterator[bytes]:
    """Yield the messages of a connection until its end."""
    while True:
        length = read_exactly(sock, 2)
        if not length:
            return
        yield read_exactly(sock, struct.unpack("!H", length)[0])


# -- clients ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def connected(server: Server, kind: socket.SocketKind, host: str = "") -> Iterator[socket.socket]:
    """Connect to a server, so that getsockname is what the server sees."""
    host = host or server.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as sock:
        sock.settimeout(DEADLINE)
        sock.connect((host, server.port))
        yield sock


def question(name: str, kind: str = "A") -> bytes:
    """Return the wire of a query."""
    return dns.message.make_query(name, kind).to_wire()


def ask_udp(server: Server, query: bytes, host: str = "") -> Tuple[bytes, Tuple[Any, ...]]:
    """Ask by UDP; return the response and our own socket address."""
    with connected(server, socket.SOCK_DGRAM, host) as sock:
        sock.send(query)
        return sock.recv(65535), sock.getsockname()


def ask_tcp(
    server: Server, queries: List[bytes], host: str = ""
) -> Tuple[List[bytes], Tuple[Any, ...]]:
    """Send all queries at once on one connection; return the responses and our own address."""
    with connected(server, socket.SOCK_STREAM, host) as sock:
        sock.sendall(b"".join(map(framed, queries)))
        responses = read_messages(sock)
        return [next(responses) for _ in queries], sock.getsockname()


# -- TLS -------------------------------------------------------------------------------------------


class Certificates(NamedTuple):
    """A server's TLS context and the file with the authority to trust."""

    context: ssl.SSLContext
    cafile: str


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make a certificate for the loopback addresses."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "::1", "localhost").configure_cert(context)
    cafile = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(cafile))
    return Certificates(context, str(cafile))
