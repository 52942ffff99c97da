"""The listening socket of a receiver, and its socket file.

When a program is killed, the file of its unix socket remains. Such a stale file is replaced, but
not one that still answers. `accept` and `close` are called in the receiver's accept thread, the
rest in the threads that start and close the receiver.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from typing import Dict, List, Optional, Tuple

from ..address import Address
from ..exceptions import TransportError
from ..process.inherited import no_fork
from ..transport.owned import CLOSED, close_socket, is_ours, open_socket, own
from ..transport.waiting import READABLE, Deadline, never, wait_for

__all__ = ["Listener"]

BACKLOG = 128
"""Connections that the kernel completes before we accept them, as when many senders restart."""

ACCEPT_SLICE = 0.1
"""Seconds of one wait for a connection: how late a close is noticed at worst."""

KEEPALIVE_IDLE = 60
"""Seconds of silence before the kernel checks whether a sender is still there."""

PROBE_TIMEOUT = 1.0
"""Seconds to find out whether somebody listens on a socket file; normally it takes no time."""

_BIND_REASONS: Dict[int, str] = {  # for unix sockets; as said of capture files
    errno.ENOENT: "the directory does not exist (ENOENT); create it first",
    errno.ENOTDIR: "a part of this path is not a directory (ENOTDIR)",
}

_CREDENTIALS = struct.Struct("=3i")  # struct ucred: process, user, group


class Listener:
    """Listen on an address, from construction on.

    Args:
        address: a unix, tcp or tls address; port 0 lets the system choose.

    Attributes:
        address: as bound, with the real port.

    Raises:
        TransportError: it cannot be listened on, and why.
    """

    def __init__(self, address: Address) -> None:
        self._pid = os.getpid()
        self._file: Optional[Tuple[int, int]] = None
        try:
            self._sock = _bind_unix(address) if address.scheme == "unix" else _bind_tcp(address)
        except TransportError:
            raise
        except (OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA refuses
            reasons = _BIND_REASONS if address.scheme == "unix" else {}
            reason = reasons.get(getattr(error, "errno", None) or 0, str(error))
            raise TransportError(str(address), f"cannot listen here: {reason}") from error
        if address.scheme == "unix":
            self.address = address
            if not address.path.startswith("\0"):
                self._file = _identify(address.path)
        else:
            self.address = address._replace(port=self._sock.getsockname()[1])
        self._sock.setblocking(False)

    @property
    def is_lost(self) -> bool:
        """Whether the program closed the descriptor, so that nothing more can be accepted."""
        return not is_ours(self._sock)

    def accept(self) -> Optional[Tuple[socket.socket, str]]:
        """Return the next connection and its peer ("" if unknown), or None if none came.

        Raises:
            OSError: it could not be accepted (such as EMFILE), or the listener was closed.
        """
        wait_for(self._sock.fileno(), READABLE, Deadline(ACCEPT_SLICE, never))
        if self.is_lost:
            raise OSError(errno.EBADF, CLOSED)
        try:
            with no_fork():
                sock, peer = self._sock.accept()
                own(sock).setblocking(False)
        except BlockingIOError:
            return None
        if not isinstance(peer, tuple):
            return sock, _process_of(sock)
        host = f"[{peer[0]}]" if ":" in peer[0] else peer[0]
        return sock, f"{host}:{peer[1]}"

    def stop(self) -> None:
        """Accept no more connections, and remove the socket file if it is still ours.

        The descriptor stays open, because a thread may be waiting for it.
        """
        if os.getpid() != self._pid:
            return  # a forked child: the parent still listens
        try:
            # Before the descriptor is closed: until then, no other file can get the inode.
            if self._file is not None and _identify(self.address.path) == self._file:
                os.unlink(self.address.path)
            self._file = None
            if not self.is_lost:
                self._sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept
        except OSError:
            pass  # the file must not be removed, or stop was called before

    def close(self) -> None:
        """Close the descriptor, at the end of the accept thread."""
        close_socket(self._sock)


def _process_of(sock: socket.socket) -> str:
    """Return which process connected to a unix socket, on Linux; "" if unknown."""
    if not hasattr(socket, "SO_PEERCRED"):
        return ""
    try:
        pid, _, _ = _CREDENTIALS.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
    except OSError:
        return ""
    return f"process {pid}" if pid else ""  # 0: of another container


def _bind_tcp(address: Address) -> socket.socket:
    """Bind the first of the host's addresses that can be bound."""
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    errors: List[OSError] = []
    for family, kind, protocol, _, where in found:
        sock = open_socket(family, kind, protocol)
        try:
            # So that a restarted receiver need not wait for old connections.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _find_dead_peers(sock)
            sock.bind(where)
            sock.listen(BACKLOG)
            return sock
        except OSError as error:
            close_socket(sock)
            errors.append(error)
    raise errors[0]


def _find_dead_peers(sock: socket.socket) -> None:
    """Enable keepalive, which connections inherit from the listener.

    Streams may be idle for ever; nothing else would notice that a sender's machine is gone.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)


def _bind_unix(address: Address) -> socket.socket:
    """Bind a unix socket, and replace a stale file if there is one; the umask is not changed."""
    if not address.path.startswith("\0"):
        _remove_stale(address)
    sock = open_socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.path)
        sock.listen(BACKLOG)
        return sock
    except BaseException:
        close_socket(sock)
        raise


def _remove_stale(address: Address) -> None:
    """Remove a socket file on which nobody listens.

    Raises:
        TransportError: it is not a socket, or somebody listens there.
    """
    found = _identify(address.path)
    if found is None:
        return
    if not stat.S_ISSOCK(os.lstat(address.path).st_mode):
        reason = "a file that is not a socket is there; move it away"
        raise TransportError(str(address), reason, errno=errno.EADDRINUSE)
    probe = open_socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(PROBE_TIMEOUT)
        answer = probe.connect_ex(address.path)
    finally:
        close_socket(probe)
    if answer == errno.ECONNREFUSED:
        if _identify(address.path) == found:
            os.unlink(address.path)
    elif answer != errno.ENOENT:
        text = "another program listens there" if not answer else os.strerror(answer)
        number = answer or errno.EADDRINUSE
        raise TransportError(str(address), f"the socket is in use: {text}", errno=number)


def _identify(path: str) -> Optional[Tuple[int, int]]:
    """Return device and inode of the file at a path, or None if there is no file."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
