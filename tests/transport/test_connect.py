"""Connecting unix and TCP sockets, and the errors when that fails."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any, Callable

import pytest

from dnstap_logging.address import Address, parse_address
from dnstap_logging.exceptions import TransportTimeout
from dnstap_logging.transport import connect as connect_module
from tests.transport.peers import (
    DEADLINE,
    Peer,
    accept,
    echo,
    error_of,
    in_child,
    linux_only,
    listen_tcp,
    listen_unix,
    open_transport,
    read_all,
    resolver_to,
    says_echo,
    unused_port,
)


# The folder exports the function of the same name.
def test_unix(tmp_path: Path) -> None:
    """A unix socket is reached by its path."""
    with Peer(listen_unix(tmp_path / "socket"), echo) as address:
        assert says_echo(address) == b"ECHO"


@pytest.mark.skipif(not linux_only, reason="only Linux has abstract names")
def test_abstract_unix() -> None:
    """An abstract name is reached by the text that the user writes."""
    name = f"dnstap-logging-test-{os.getpid()}"
    with Peer(listen_unix("\0" + name), echo):
        assert says_echo(parse_address(f"unix://@{name}")) == b"ECHO"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tcp(host: str) -> None:
    """IPv4 and IPv6 are reached by their numeric addresses."""
    with Peer(listen_tcp(host), echo) as address:
        assert says_echo(address) == b"ECHO"


def test_tcp_by_name() -> None:
    """A name is resolved by the system."""
    with Peer(listen_tcp(), echo) as address:
        assert says_echo(address._replace(host="localhost")) == b"ECHO"


def test_no_such_socket(tmp_path: Path) -> None:
    """The error names the missing unix socket, and says that the collector creates it."""
    error = error_of(Address("unix", path=str(tmp_path / "absent.sock")))

    assert "no such socket (ENOENT): the collector creates it" in error.reason
    assert isinstance(error.__cause__, FileNotFoundError)


def test_missing_directory_of_a_socket(tmp_path: Path) -> None:
    """A path through a file says that a part of it is not a directory."""
    (tmp_path / "file").touch()
    error = error_of(Address("unix", path=str(tmp_path / "file" / "socket")))

    assert "not a directory (ENOTDIR)" in error.reason


def test_stale_socket(tmp_path: Path) -> None:
    """The error says that a socket file was left by a collector that ended."""
    listen_unix(tmp_path / "socket").close()
    error = error_of(Address("unix", path=str(tmp_path / "socket")))

    assert "(ECONNREFUSED)" in error.reason
    assert "no collector listens" in error.reason


@pytest.mark.skipif(not linux_only, reason="the errno is Linux's")
def test_path_of_something_else(tmp_path: Path) -> None:
    """A regular file in the socket's place is called by its name."""
    (tmp_path / "file").touch()

    assert "not a socket" in error_of(Address("unix", path=str(tmp_path / "file"))).reason


@pytest.mark.skipif(not linux_only, reason="only Linux has abstract names")
def test_absent_abstract_name() -> None:
    """An abstract name that nobody bound says who has to."""
    address = Address("unix", path=f"\0dnstap-logging-absent-{os.getpid()}")

    assert "no such abstract name (ECONNREFUSED)" in error_of(address).reason


@pytest.mark.skipif(not linux_only, reason="the errno is Linux's")
def test_socket_of_another_type(tmp_path: Path) -> None:
    """A datagram socket, such as /dev/log, cannot carry a stream: the error says what can."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        error = error_of(Address("unix", path=str(tmp_path / "log")))

    assert "EPROTOTYPE" in error.reason
    assert "stream" in error.reason


def test_permission_denied(tmp_path: Path) -> None:
    """A socket that this process may not write to says what permission is missing."""
    with listen_unix(tmp_path / "socket"):
        os.chmod(tmp_path / "socket", 0)
        address = Address("unix", path=str(tmp_path / "socket"))
        told = in_child(lambda: str(error_of(address)), unprivileged=True)

    assert told.startswith(f"{address}: permission denied (EACCES)"), told
    assert "write permission" in told


def test_nothing_listens_on_the_port() -> None:
    """A refused TCP connection says that nothing listens there."""
    error = error_of(Address("tcp", host="127.0.0.1", port=unused_port()))

    assert error.reason == "connection refused; nothing listens on this port (ECONNREFUSED)"
    assert not isinstance(error, TransportTimeout)


def test_the_next_address_is_tried() -> None:
    """If one of a name's addresses refuses, the next one is tried."""
    with Peer(listen_tcp(), echo) as address:
        resolver = resolver_to(("127.0.0.1", unused_port()), (address.host, address.port))
        named = address._replace(host="collector.example")

        assert says_echo(named, resolver=resolver) == b"ECHO"


def test_all_addresses_refuse() -> None:
    """When no address of a name answers, the error names each of them."""
    resolver = resolver_to(("127.0.0.1", unused_port()), ("::1", unused_port(), 0, 0))
    error = error_of(Address("tcp", host="collector.example", port=6000), resolver=resolver)

    assert error.reason.count("ECONNREFUSED") == 2
    assert "127.0.0.1: " in error.reason
    assert "::1: " in error.reason


def test_a_peer_that_closes_at_once(tmp_path: Path) -> None:
    """A peer that accepts and closes is an end, not an error of connecting."""
    with Peer(listen_unix(tmp_path / "socket"), lambda at: accept(at).close()) as address:
        transport = open_transport(address)

        assert transport.receive() == b""
        transport.close()


def option_of(transport: Any, level: int, option: int) -> int:
    """Return a socket option of a transport."""
    with socket.socket(fileno=os.dup(transport.fileno())) as same:
        value: int = same.getsockopt(level, option)
        return value


@pytest.mark.parametrize(
    ("level", "name", "is_right"),
    [
        (socket.IPPROTO_TCP, "TCP_NODELAY", bool),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", bool),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", connect_module.KEEPALIVE_IDLE.__eq__),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", connect_module.KEEPALIVE_INTERVAL.__eq__),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", connect_module.KEEPALIVE_COUNT.__eq__),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", (0).__eq__),
    ],
)
def test_tcp_options(level: int, name: str, is_right: Callable[[int], bool]) -> None:
    """Keepalive is on, small frames are not held back, and no user timeout is set."""
    if not hasattr(socket, name):
        pytest.skip(f"there is no {name} here")
    with Peer(listen_tcp(), lambda at: read_and_close(at)) as address:
        transport = open_transport(address)
        value = option_of(transport, level, getattr(socket, name))
        transport.close()

    assert is_right(value), f"{name} is {value}"


def read_and_close(listener: socket.socket) -> None:
    """Accept one connection and wait for its end."""
    with accept(listener) as connection:
        read_all(connection)


@pytest.mark.skipif(not linux_only, reason="a bound socket may not be able to do this elsewhere")
def test_a_connection_to_itself_is_known() -> None:
    """A socket that TCP joined to itself is told from a real connection."""
    with socket.socket() as own, listen_tcp() as listener, socket.socket() as other:
        own.bind(("127.0.0.1", 0))
        own.connect(own.getsockname())
        other.connect(listener.getsockname())

        assert connect_module.is_connected_to_itself(own)
        assert not connect_module.is_connected_to_itself(other)


@pytest.mark.skipif(not linux_only, reason="a bound socket may not be able to do this elsewhere")
def test_a_connection_to_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that the kernel gave to our own side counts as one on which nothing listens."""
    port = unused_port()

    def bind_first(sock: socket.socket) -> None:
        # What the kernel does now and then when a port in its own range is tried again and again.
        sock.bind(("127.0.0.1", port))

    monkeypatch.setattr(connect_module, "_set_options", bind_first)
    error = error_of(Address("tcp", host="127.0.0.1", port=port))

    assert "ECONNREFUSED" in error.reason


def test_too_many_open_files(tmp_path: Path) -> None:
    """The error says that no descriptor is free, for every kind of socket."""
    resource = pytest.importorskip("resource")
    addresses = [
        Address("unix", path=str(tmp_path / "socket")),
        Address("tcp", host="127.0.0.1", port=unused_port()),
    ]

    def child() -> str:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors_limit(), 4096))
        return "\n".join(str(failure_of(address)) for address in addresses)

    assert in_child(child).count("too many open files (EMFILE)") == len(addresses)


def open_descriptors_limit() -> int:
    """Return the number of the next free descriptor, as a limit that forbids any further one."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def failure_of(address: Address) -> BaseException:
    """Return what connect raises."""
    try:
        open_transport(address)
    except BaseException as error:  # noqa: BLE001 - the error is what the test is about
        return error
    return AssertionError("it connected")


def test_a_file_is_not_connected() -> None:
    """Connecting to a file is a mistake of the caller's."""
    with pytest.raises(ValueError, match="not the address of a socket"):
        open_transport(Address("file", path="/x"), timeout=DEADLINE)
