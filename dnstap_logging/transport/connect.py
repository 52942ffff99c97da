"""Connecting: an address becomes a `StreamTransport`, in one of three ways.

Called by the writer, in the writer thread. ``timeout`` bounds name resolution and all addresses of
the name together, and the TLS handshake once more; ``until`` can end both sooner. Whatever fails,
the socket is closed and the error says which address, and why.
"""

from __future__ import annotations

import errno
import os
import socket
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, List, Optional

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

# A unix socket whose queue of waiting connections is full answers EAGAIN and cannot be polled for
# room in it. Long enough to cost nothing, short enough for a collector that starts.
BACKLOG_RETRY_INTERVAL = 0.02

# Keepalive finds half-open connections, on which nothing of ours waits for an answer: after 60 s
# of silence six probes, 10 s apart. (TCP_USER_TIMEOUT would also fire on a peer that is merely
# stopped, and throw away what our kernel holds.)
KEEPALIVE_IDLE = 60
KEEPALIVE_INTERVAL = 10
KEEPALIVE_COUNT = 6

# By how much a TCP socket was seen to overshoot its send buffer, rounded up: one offload segment.
SEGMENT_SIZE = 64 * 1024

# Below this the system takes no number.
SMALLEST_SEND_BUFFER = 4608

# Not EAGAIN, which is EWOULDBLOCK elsewhere than on Windows: of TCP it means that ports ran out.
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
        resend_bytes: bytes that the kernel may hold which the peer has not taken; 0: as many as the
            system likes.

    Raises:
        TransportTimeout: there was no connection, or no TLS handshake, in time.
        TransportError: no address of the host could be connected; a certificate was refused.
    """
    deadline = Deadline(timeout, until)
    if address.scheme == "unix":
        sock = _connect_unix(address, deadline, resend_bytes)
        return StreamTransport(sock, str(address), timeout, until)
    if address.scheme == "tcp":
        sock = _connect_host(address, deadline, until, resolver, resend_bytes)
        return StreamTransport(sock, str(address), timeout, until)
    if address.scheme == "tls":
        tls = tls or TlsOptions()
        return _connect_tls(address, deadline, until, resolver, tls, resend_bytes)
    raise ValueError(f"{address} is not the address of a socket")


def _connect_unix(address: Address, deadline: Deadline, resend_bytes: int) -> socket.socket:
    sock: Optional[socket.socket] = None
    try:
        sock = open_socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _bound_send_buffer(sock, resend_bytes)
        sock.setblocking(False)
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
    except BaseException as error:
        if sock is not None:
            close_socket(sock)
        if isinstance(error, OSError) and not isinstance(error, TransportError):
            reason = explain_unix_connect(error, address.path)
            raise TransportError(str(address), reason) from error
        raise
    return sock


def _try_unix(sock: socket.socket, path: str) -> bool:
    """Connect; False: the listener's queue of waiting connections is full."""
    try:
        sock.connect(path)
    except BlockingIOError:
        return False
    return True


def _connect_host(
    address: Address, deadline: Deadline, until: Until, resolver: Resolver, resend_bytes: int
) -> socket.socket:
    """Connect to the first address of the host that answers.

    The time that is left is shared out evenly among the addresses that are left, so that a silent
    one cannot use up the time of those behind it.
    """
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
    host = str(socket_address[0])
    sock: Optional[socket.socket] = None
    try:
        sock = open_socket(family, kind, protocol)
        _set_options(sock)
        _bound_send_buffer(sock, resend_bytes)
        _finish_connect(sock, socket_address, deadline)
    except BaseException as error:
        if sock is not None:
            close_socket(sock)
        if isinstance(error, OSError) and not isinstance(error, TransportError):
            raise TransportError(host, explain(error)) from error
        raise
    return sock


def _finish_connect(sock: socket.socket, socket_address: SockAddr, deadline: Deadline) -> None:
    sock.setblocking(False)
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
    """Whether TCP joined the socket to itself (simultaneous open, RFC 9293, 3.5).

    This happens when a local port on which nothing listens is tried again and again until the
    kernel picks the same one to connect from. Left open, the collector could not bind it any more.
    """
    try:
        return bool(sock.getsockname() == sock.getpeername())
    except OSError:
        return False  # reset already; the first read will tell


def _set_options(sock: socket.socket) -> None:
    # Without Nagle's algorithm, by measurement. The writer sends a whole batch in one call, so
    # there is nothing for it to gather: throughput of batches and the time of a single frame after
    # idleness are the same with and without. But a small write behind another that is not
    # acknowledged yet (data after START, STOP after data) waits for the peer's delayed
    # acknowledgement, 40 ms and more, instead of a fraction of one, and each close with it.
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
    """Have what the kernel holds fit into what is kept to be sent again.

    The system doubles the number, for its own books, and may take one segment more than that.
    """
    if resend_bytes:
        size = max(SMALLEST_SEND_BUFFER, (resend_bytes - SEGMENT_SIZE) // 2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def _connect_tls(
    address: Address,
    deadline: Deadline,
    until: Until,
    resolver: Resolver,
    tls: TlsOptions,
    resend_bytes: int,
) -> StreamTransport:
    # Before connecting: no collector is to be kept waiting while files are read.
    name = tls.server_hostname or _certified_name(address.host)
    try:
        context = tls.make_context()
        check_host_name(name, context)
    except ValueError as error:
        raise TransportError(str(address), str(error)) from error
    sock = _connect_host(address, deadline, until, resolver, resend_bytes)
    try:
        with no_fork():
            _require_ours(sock, str(address))
            sock = own(
                context.wrap_socket(sock, do_handshake_on_connect=False, server_hostname=name)
            )
        transport = StreamTransport(sock, str(address), deadline.timeout, until)
        _shake_hands(transport)
    except BaseException as error:
        close_socket(sock)
        if isinstance(error, OSError) and not isinstance(
            error, TransportError
        ):  # of wrap_socket: reset in the meantime
            raise TransportError(str(address), explain(error)) from error
        raise
    return transport


def _shake_hands(transport: StreamTransport) -> None:
    """Shake hands for TLS; a peer that says nothing of TLS itself may not speak it."""
    try:
        transport.handshake()
    except TransportError as error:
        if error.reason == CLOSED or is_tls_failure(error.__cause__):
            raise
        reason = f"{error.reason}; if it does not speak TLS, use tcp://"
        raise type(error)(error.address, reason) from error.__cause__


def _certified_name(host: str) -> str:
    """Return the host as certificates have it: without an IPv6 scope, without a final dot."""
    return host.partition("%")[0].rstrip(".")
