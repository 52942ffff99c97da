"""Scripted peers for the transport tests: each is a function of its listening socket."""

from __future__ import annotations

import contextlib
import math
import os
import socket
import ssl
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple

import pytest
import trustme

from dnstap_logging.address import Address
from dnstap_logging.exceptions import TransportError
from dnstap_logging.transport.connect import connect
from dnstap_logging.transport.resolve import Resolver
from dnstap_logging.transport.stream import StreamTransport
from dnstap_logging.transport.tls import TlsOptions
from dnstap_logging.transport.waiting import Until, never

# Generous: only a test that fails waits so long.
DEADLINE = 20.0
NOBODY = 65534

linux_only = sys.platform.startswith("linux")

Script = Callable[[socket.socket], None]


class Peer:
    """Runs a script with a listening socket in a thread; a script that raises fails the test."""

    def __init__(self, listener: socket.socket, script: Script) -> None:
        self._listener = listener
        self._script = script
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._script(self._listener)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._error = error

    def __enter__(self) -> Address:
        self._listener.settimeout(DEADLINE)
        self._thread.start()
        return address_of(self._listener)

    def __exit__(self, *exc_info: object) -> None:
        if exc_info[0] is not None:
            # The test failed: whom would the script accept now?
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(DEADLINE)
        self._listener.close()
        assert not self._thread.is_alive(), "the peer's script did not end"
        if self._error is not None and exc_info[0] is None:
            raise self._error


def listen_unix(path: object, backlog: int = 5) -> socket.socket:
    """Listen on a unix socket; an abstract name begins with a NUL."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(backlog)
    return listener


def listen_tcp(host: str = "127.0.0.1", port: int = 0, backlog: int = 5) -> socket.socket:
    """Listen on a free port of the loopback interface."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.bind((host, port))
    listener.listen(backlog)
    return listener


def address_of(listener: socket.socket, scheme: str = "tcp") -> Address:
    """Return the address that a listening socket is reached at."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return Address("unix", path=os.fsdecode(name))
    return Address(scheme, host=name[0], port=name[1])


def unused_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with listen_tcp() as listener:
        return int(listener.getsockname()[1])


def accept(listener: socket.socket) -> socket.socket:
    """Accept one connection, with a generous timeout on all that follows."""
    connection, _ = listener.accept()
    connection.settimeout(DEADLINE)
    return connection


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side's end."""
    parts: List[bytes] = []
    while True:
        part = connection.recv(65536)
        if not part:
            return b"".join(parts)
        parts.append(part)


def reset(connection: socket.socket) -> None:
    """Close a TCP connection so that the other side gets a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def open_transport(
    address: Address,
    timeout: float = DEADLINE,
    until: Until = never,
    resolver: Optional[Resolver] = None,
    tls: Optional[TlsOptions] = None,
) -> StreamTransport:
    """Connect with defaults for a test."""
    return connect(address, timeout=timeout, until=until, resolver=resolver or Resolver(), tls=tls)


def resolver_to(*socket_addresses: Tuple[Any, ...]) -> Resolver:
    """Return a resolver that finds these socket addresses for every name."""

    def getaddrinfo(host: str, *args: object) -> List[Any]:
        return [
            (
                socket.AF_INET6 if ":" in found[0] else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                found,
            )
            for found in socket_addresses
        ]

    return Resolver(getaddrinfo)


class BroughtForward:
    """An Until that answers "never" until it was asked a number of times, then "long ago"."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.asked = 0

    def __call__(self) -> float:
        """Answer one question."""
        self.asked += 1
        return math.inf if self.asked <= self.after else 0.0


class Authority:
    """A certificate authority of the tests, with its files."""

    def __init__(self, directory: object) -> None:
        self._directory = str(directory)
        self.ca = trustme.CA()
        self.cafile = os.path.join(self._directory, "ca.pem")
        self.ca.cert_pem.write_to_path(self.cafile)

    def server_context(self, certificate: Optional[trustme.LeafCert] = None) -> ssl.SSLContext:
        """Return a server's context; by default its certificate is for localhost and loopback."""
        certificate = certificate or self.ca.issue_cert("localhost", "127.0.0.1", "::1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    def client_files(self, name: str = "writer") -> Tuple[str, str]:
        """Issue a client's certificate; return the files of it and of its key."""
        certificate = self.ca.issue_cert(f"{name}@example.net")
        paths = tuple(os.path.join(self._directory, f"{name}.{end}") for end in ("pem", "key"))
        for blob in certificate.cert_chain_pems:
            blob.write_to_path(paths[0])
        certificate.private_key_pem.write_to_path(paths[1])
        return paths[0], paths[1]


def accept_tls(listener: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Accept one connection and shake hands for TLS."""
    return context.wrap_socket(accept(listener), server_side=True)


@contextlib.contextmanager
def full_backlog(listener: socket.socket) -> Iterator[None]:
    """Fill the queue of waiting connections of a listener that accepts nothing."""
    waiting: List[socket.socket] = []
    try:
        while True:
            client = socket.socket(listener.family, socket.SOCK_STREAM)
            waiting.append(client)
            # TCP does not answer when its queue is full; a unix socket says so at once.
            client.settimeout(0 if listener.family == socket.AF_UNIX else 0.3)
            try:
                client.connect(listener.getsockname())
            except (BlockingIOError, socket.timeout):
                break
        yield
    finally:
        for client in waiting:
            client.close()


def in_child(function: Callable[[], str], unprivileged: bool = False) -> str:
    """Run a function in a forked child and return what it returned, or the error it raised.

    Args:
        function: called in the child.
        unprivileged: run it as nobody, if the tests run as root, whom no permission stops.
    """
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 and newer warn of a fork while other threads run; the child starts none.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            if unprivileged and os.getuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            try:
                text = function()
            except BaseException as error:  # noqa: BLE001 - told to the parent
                text = f"{type(error).__name__}: {error}"
            os.write(write_end, text.encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as stream:
        text = stream.read().decode()
    os.waitpid(pid, 0)
    return text


def echo(listener: socket.socket) -> None:
    """Accept one connection and send back what came, in capitals."""
    with accept(listener) as connection:
        connection.sendall(connection.recv(100).upper())


def says_echo(address: Address, **options: Any) -> bytes:
    """Connect, send a word and return the answer."""
    transport = open_transport(address, **options)
    assert transport.name == str(address)
    transport.send(b"echo")
    answer = transport.receive()
    transport.close()
    return answer


def open_descriptors() -> int:
    """Count this process's descriptors, where the system lists them."""
    directory = Path("/proc/self/fd")
    return len(list(directory.iterdir())) if directory.is_dir() else 0


def error_of(address: Address, **options: Any) -> TransportError:
    """Return the error of a connect that must fail, and check that it left nothing open."""
    before = open_descriptors()
    with pytest.raises(TransportError) as caught:
        open_transport(address, **options)
    assert open_descriptors() == before, "a failed connect left a descriptor open"
    assert str(caught.value).startswith(f"{address}: ")
    return caught.value


def repeat(times: int, call: Callable[..., object], *args: object) -> None:
    """Call again and again: what the peer did may need a moment to arrive."""
    for _ in range(times):
        call(*args)


class Link(NamedTuple):
    """A transport of ours and its peer's socket."""

    kind: str
    transport: StreamTransport
    peer: socket.socket
