"""Connect to a collector (writer thread).

Whatever fails, the socket is closed and the error says which address, and why.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Callable, Iterator, List, Optional, Tuple

from ..exceptions import TransportError, TransportTimeout
from ..process.inherited import no_fork
from .owned import CLOSED, close_socket, is_ours, open_socket, own
from .reasons import explain, explain_unix_connect
from .resolve import AddressInfo, Resolver, SockAddr
from .stream import StreamTransport
from .tls import TlsOptions, check_host_name, is_tls_failure
from .waiting import WRITABLE, Deadline, Until, wait_for

if TYPE_CHECKING:
    from ..address import Address

__all__ = ["connect"]

# Seconds between tries while a unix socket's queue of waiting connections is full: connect fails
# with EAGAIN, and there is nothing to poll.
BACKLOG_RETRY_INTERVAL = 0.02

# Keepalive finds half-open connections: after 60 s of silence six probes, 10 s apart.
# (TCP_USER_TIMEOUT would also end a connection to a peer that is only stopped.)
KEEPALIVE_IDLE = 60
KEEPALIVE_INTERVAL = 10
KEEPALIVE_COUNT = 6

# How much more than its send buffer a TCP socket may hold: one offload segment, as measured.
SEGMENT_SIZE = 64 * 1024

# The kernel takes no smaller value.
SMALLEST_SEND_BUFFER = 4608

# Not EAGAIN, which for TCP means that no port is free.
_IN_PROGRESS = (errno.EINPROGRESS, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS))


def connect(
    address: Address,
    *,
    timeout: float,
    until: Until,
    resolver: Resolver,
    tls: Optional[TlsOptions] = None,
    resend_bytes: int = 0,
) -> StreamTransport:
    """Connect to a collector.

    Args:
        address: of scheme ``unix``, ``tcp`` or ``tls``.
        timeout: seconds for resolving and connecting together, and again for the TLS handshake;
            also the timeout of the transport that is returned.
        until: when to give up at the latest, here and in the transport.
        resolver: resolves the host.
        tls: how to speak TLS; None: the defaults of `TlsOptions`.
        resend_bytes: bytes that the kernel may hold which the peer has not taken; 0: the system's
            default.

    Raises:
        TransportTimeout: there was no connection, or no TLS handshake, in time.
        TransportError: no address of the host could be connected; a certificate was refused.
    """
    deadline = Deadline(timeout, until)
    if address.scheme == "unix":
        sock = _connect_unix(address, deadline, resend_bytes)
    elif address.scheme == "tcp":
        sock = _connect_host(address, deadline, resolver, resend_bytes)
    elif address.scheme == "tls":
        return _connect_tls(address, deadline, resolver, tls or TlsOptions(), resend_bytes)
    else:
        raise ValueError(f"{address} is not the address of a socket")
    return StreamTransport(sock, str(address), timeout, until)


@contextlib.contextmanager
def _opened(
    name: str, kind: Tuple[int, ...], resend_bytes: int, why: Callable[[OSError], str] = explain
) -> Iterator[socket.socket]:
    """Open a socket; if the block fails, close it and raise a TransportError that says why."""
    sock: Optional[socket.socket] = None
    try:
        sock = open_socket(*kind)
        _bound_send_buffer(sock, resend_bytes)
        sock.setblocking(False)
        yield sock
    except BaseException as error:
        if sock is not None:
            close_socket(sock)
        if isinstance(error, OSError) and not isinstance(error, TransportError):
            raise TransportError(name, why(error)) from error
        raise


def _connect_unix(address: Address, deadline: Deadline, resend_bytes: int) -> socket.socket:
    why = partial(explain_unix_connect, path=address.path)
    kind = (socket.AF_UNIX, socket.SOCK_STREAM)
    with _opened(str(address), kind, resend_bytes, why) as sock:
        while not _try_unix(sock, address.path):
            left = deadline.remaining()
            if not left:
                raise TransportTimeout(
                    str(address),
                    f"the collector accepted no connection {deadline.describe()}; "
                    "its queue of waiting connections is full (EAGAIN)",
                )
            sleep(min(left, BACKLOG_RETRY_INTERVAL))
            _require_ours(sock, str(address))
    return sock


def _try_unix(sock: socket.socket, path: str) -> bool:
    """Connect; False: the listener's queue of waiting connections is full."""
    try:
        sock.connect(path)
    except BlockingIOError:
        return False
    return True


def _connect_host(
    address: Address, deadline: Deadline, resolver: Resolver, resend_bytes: int
) -> socket.socket:
    """Connect to the first address of the host that answers.

    Each address gets an equal share of the time that is left, so that a silent one leaves time for
    those behind it.
    """
    until = deadline.until
    try:
        candidates = resolver.resolve(address.host, address.port, deadline.remaining(), until)
    except TransportError as error:
        raise type(error)(str(address), error.reason) from error.__cause__
    failures: List[TransportError] = []
    for index, candidate in enumerate(candidates):
        share = deadline.remaining() / (len(candidates) - index)
        try:
            return _connect_one(candidate, Deadline(share, until), resend_bytes)
        except TransportError as error:
            failures.append(error)
    raise _all_failed(address, failures)


def _all_failed(address: Address, failures: List[TransportError]) -> TransportError:
    """Make one error of those of all addresses; it is a timeout if the last one was."""
    last = failures[-1]
    if len(failures) == 1 and last.address == address.host:
        reason = last.reason
    else:
        reason = "; ".join(str(failure) for failure in failures)
    combined = type(last)(str(address), reason)
    combined.__cause__ = last.__cause__ or last
    return combined


def _connect_one(candidate: AddressInfo, deadline: Deadline, resend_bytes: int) -> socket.socket:
    family, kind, protocol, _, socket_address = candidate
    with _opened(str(socket_address[0]), (family, kind, protocol), resend_bytes) as sock:
        _set_options(sock)
        _finish_connect(sock, socket_address, deadline)
    return sock


def _finish_connect(sock: socket.socket, socket_address: SockAddr, deadline: Deadline) -> None:
    code = sock.connect_ex(socket_address)
    if code in _IN_PROGRESS:
        answered = wait_for(sock.fileno(), WRITABLE, deadline, partial(is_ours, sock))
        _require_ours(sock, str(socket_address[0]))
        if not answered:
            raise TransportTimeout(
                str(socket_address[0]),
                f"no answer {deadline.describe()}; the host is down, or something on the way drops "
                "the packets",
            )
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code == 0 and is_connected_to_itself(sock):
        code = errno.ECONNREFUSED
    if code:
        raise OSError(code, os.strerror(code))


def _require_ours(sock: socket.socket, name: str) -> None:
    if not is_ours(sock):
        raise TransportError(name, CLOSED)


def is_connected_to_itself(sock: socket.socket) -> bool:
    """Return whether TCP connected the socket to itself (simultaneous open, RFC 9293, 3.5).

    This happens when a local port on which nothing listens is tried again and again, until the
    kernel picks the same port to connect from. The collector could then not bind it.
    """
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:
        return False  # reset already; the first read fails


def _set_options(sock: socket.socket) -> None:
    # Nagle's algorithm gains nothing, as the writer sends whole batches. But with it a small write
    # after an unacknowledged one (data after START, STOP after data) waits 40 ms or more for the
    # peer's delayed acknowledgement, and so does each close. Both were measured.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for names, value in (
        (("TCP_KEEPIDLE", "TCP_KEEPALIVE"), KEEPALIVE_IDLE),
        (("TCP_KEEPINTVL",), KEEPALIVE_INTERVAL),
        (("TCP_KEEPCNT",), KEEPALIVE_COUNT),
    ):
        option = next((getattr(socket, name) for name in names if hasattr(socket, name)), None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _bound_send_buffer(sock: socket.socket, resend_bytes: int) -> None:
    """Have the kernel hold no more than is kept to be sent again.

    The system doubles the number, and may take one segment more than that.
    """
    if resend_bytes:
        size = max(SMALLEST_SEND_BUFFER, (resend_bytes - SEGMENT_SIZE) // 2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def _connect_tls(
    address: Address, deadline: Deadline, resolver: Resolver, tls: TlsOptions, resend_bytes: int
) -> StreamTransport:
    # Before connecting: the collector must not wait while files are read.
    # Certificates have host names without an IPv6 scope or a final dot.
    name = tls.server_hostname or address.host.partition("%")[0].rstrip(".")
    try:
        context = tls.make_context()
        check_host_name(name, context)
    except ValueError as error:
        raise TransportError(str(address), str(error)) from error
    sock = _connect_host(address, deadline, resolver, resend_bytes)
    try:
        with no_fork():
            _require_ours(sock, str(address))
            sock = own(
                context.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=name)
            )
        transport = StreamTransport(sock, str(address), deadline.timeout, deadline.until)
        _shake_hands(transport)
    except BaseException as error:
        close_socket(sock)
        # wrap_socket raises if the connection was reset meanwhile.
        if isinstance(error, OSError) and not isinstance(error, TransportError):
            raise TransportError(str(address), explain(error)) from error
        raise
    return transport


def _shake_hands(transport: StreamTransport) -> None:
    """Do the TLS handshake; if it fails otherwise than in TLS, the peer may not speak it."""
    try:
        transport.handshake()
    except TransportError as error:
        if error.reason == CLOSED or is_tls_failure(error.__cause__):
            raise
        reason = f"{error.reason}; if it does not speak TLS, use tcp://"
        explained = type(error)(error.address, reason)
        if isinstance(explained, TransportTimeout):
            explained.connected = True
        raise explained from error.__cause__
