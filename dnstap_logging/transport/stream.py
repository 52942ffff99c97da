"""A stream socket: the one class for unix, TCP and TLS connections.

The socket is non-blocking; every wait is bounded by ``timeout`` and by ``until``. One thread uses
a transport at a time, except that a forked child calls `abandon`.
"""

from __future__ import annotations

import errno
import math
import os
import socket
import sys
from functools import partial
from typing import Callable, NoReturn, Optional, TypeVar

from ..copies import refuse_copy
from ..exceptions import TransportError, TransportTimeout
from .owned import CLOSED, close_socket, cookie_of, identity_of, is_still
from .reasons import explain
from .tcp_state import was_reset
from .tls_errors import alert_behind, send_tls, wanted_by_tls
from .unread import outstanding, outstanding_on_unix
from .waiting import BROKEN, READABLE, WRITABLE, Deadline, Until, never, wait_for

__all__ = ["StreamTransport"]

_Result = TypeVar("_Result")

# A peer's control frame has at most 520 bytes; a whole negotiation comes in one call.
RECEIVE_SIZE = 64 * 1024

# The largest TLS record (RFC 8446, 5.1). OpenSSL returns only when all records of a write are out;
# with one record for each write we know how many bytes the kernel took, and see progress.
TLS_RECORD_SIZE = 16 * 1024

# Bytes of unread input that close() discards. Closing a TCP socket with unread input resets the
# connection, and the peer may lose what it has not read yet. TLS 1.3 peers always send something
# (session tickets).
MAX_DISCARDED = 256 * 1024

# Seconds for that: a peer that keeps sending, byte by byte, must not delay a close.
DISCARD_PATIENCE = 0.25

# Seconds to wait, once, for a reset that may follow an end of the stream in the next packet.
RESET_PATIENCE = 0.05

# Bytes that a unix socket takes beyond its send buffer: the last send may exceed it.
ONE_SEND = 64 * 1024

# A program may have reset SIGPIPE, which would end the process when a collector goes.
SEND_FLAGS: int = getattr(socket, "MSG_NOSIGNAL", 0)


class StreamTransport:
    """Bytes to and from a connected stream socket.

    Args:
        sock: the connected socket, now owned by the transport; an ``ssl.SSLSocket`` needs
            `handshake` first.
        name: the address as text, for diagnostics.
        timeout: seconds that each wait may take without any progress.
        until: when every wait must give up at the latest.

    Attributes:
        name: the address as text.
        timeout: may be changed between calls; ``math.inf`` waits for ever.
    """

    end = "closed by the other side"

    def __init__(
        self, sock: socket.socket, name: str, timeout: float, until: Until = never
    ) -> None:
        self.name = name
        self.timeout = timeout
        self._until = until
        self._sock = sock
        # No isinstance: a plain socket must not import ssl.
        self._is_tls = hasattr(sock, "do_handshake")
        self._send_size = TLS_RECORD_SIZE if self._is_tls else sys.maxsize
        self._send_flags = 0 if self._is_tls else SEND_FLAGS
        self._has_shaken_hands = not self._is_tls
        self._broken = False
        self._is_unix = sock.family == getattr(socket, "AF_UNIX", None)
        # How the peer ended; kept, because the system reports each error only once.
        self._eof = False
        self._failed = False
        # Of unix sockets: what the peer had not read when it was last seen alive, what was sent
        # since, and whether the last send was cut short, which may hide the error of a reset. Once
        # the peer is gone, the kernel does not know what it had not read.
        self._seen_unread = 0
        self._sent_since = 0
        self._cut_short = False
        self._identity = identity_of(sock)
        self._cookie: Optional[bytes] = None
        if self.is_ours():
            self._cookie = cookie_of(sock)
        if sock.gettimeout() != 0 and self.is_ours():
            sock.setblocking(False)

    def __reduce__(self) -> NoReturn:
        refuse_copy(self, "a socket", "connect another one")

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 once it is closed."""
        return self._sock.fileno()

    def is_ours(self) -> bool:
        """Return whether the descriptor is open, and still this connection's."""
        if self._cookie is not None:
            return cookie_of(self._sock) == self._cookie
        return is_still(self._sock.fileno(), self._identity)

    def handshake(self) -> None:
        """Do the TLS handshake, as either side; nothing on a plain socket.

        Raises:
            TransportTimeout: the peer did not finish it in time.
            TransportError: a certificate was refused, or the peer speaks something else.
        """
        if self._is_tls:
            self._require_ours()
            shake: Callable[[], None] = self._sock.do_handshake  # type: ignore[attr-defined]
            self._repeat(shake, READABLE, "did not finish the TLS handshake")
            self._has_shaken_hands = True

    def send(self, data: bytes) -> None:
        """Hand all of it to the kernel.

        After an error it has to be closed: the peer may have a part of a frame.

        Raises:
            TransportTimeout: the kernel took nothing for the timeout; the peer does not read.
            TransportError: the connection is broken. In both, ``taken`` is the number of bytes
                that the kernel took; with TLS, in whole records.
        """
        self._require_ours()
        view = memoryview(data)
        send = partial(send_tls, self._sock) if self._is_tls else self._sock.send
        flags = self._send_flags
        taken = 0
        while taken < len(view):
            portion = view[taken : taken + self._send_size]
            # Each portion has its own deadline: what counts is time without progress.
            size = self._repeat(partial(send, portion, flags), WRITABLE, "took nothing", taken)
            taken += size
            self._sent_since += size
            self._cut_short = size < len(portion)

    def look(self) -> Optional[bytes]:
        """Check what the peer did, without waiting.

        Returns:
            None: nothing, it is there. Empty bytes: it closed. Other bytes: what it sent.

        Raises:
            TransportError: the connection is broken.
        """
        self._require_ours()
        seen = None
        if self._is_unix and (self._sent_since or self._seen_unread):
            # First, because the number counts only if the peer is alive even after it.
            seen = outstanding_on_unix(self._sock)
        try:
            data = self._read_now()
        except OSError as error:
            if not self._wanted(error, READABLE):
                raise self._failure(error) from error
        else:
            return data
        self._cut_short = False
        if seen is not None:
            self._seen_unread, self._sent_since = seen, 0
        return None

    def unread(self) -> float:
        """Return how many of the last bytes sent the peer's program may not have read.

        Call it once, when the connection is over and before it is closed. docs/reliability.md has
        a table of what the system knows.

        Returns:
            An upper bound; math.inf if the system does not know.
        """
        if not self.is_ours():
            return self._seen_unread + self._sent_since if self._is_unix else math.inf
        if self._is_unix:
            return self._unread_of_unix()
        if self._is_tls or self._failed or not self._eof:
            return math.inf
        # After an end of the stream the peer had read all that its kernel acknowledged, unless it
        # had shut down the connection before: then a reset follows in the next packet.
        if wait_for(self._sock.fileno(), BROKEN, Deadline(RESET_PATIENCE, self._until)):
            return math.inf
        return _or_unknown(outstanding(self._sock.fileno()))

    def _unread_of_unix(self) -> float:
        unread = outstanding(self._sock.fileno())
        at_end = False
        try:
            # After a failed send, the reason comes behind what the peer sent.
            at_end = self._discard_input()
        except BlockingIOError:
            return _or_unknown(unread)  # it is alive: we end the connection
        except OSError:
            self._failed = True
        if at_end and not self._failed and not self._cut_short:
            return _or_unknown(unread)  # 0, unless the peer is alive and has only shut down
        most = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) + ONE_SEND
        return min(self._seen_unread + self._sent_since, most)

    def receive(self, timeout: Optional[float] = None) -> bytes:
        """Wait for bytes of the peer; empty bytes are its end.

        Args:
            timeout: seconds; None: the transport's own.

        Raises:
            TransportTimeout: nothing came in time.
            TransportError: the connection is broken.
        """
        self._require_ours()
        return self._repeat(self._read_now, READABLE, "sent nothing", timeout=timeout)

    def _read_now(self) -> bytes:
        data = self._sock.recv(RECEIVE_SIZE)
        if not data and self._is_tls and was_reset(self._sock):
            # Python 3.10 to 3.12 return a reset as an end of TLS.
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        self._eof = not data
        return data

    def close(self) -> None:
        """Close the connection; end TLS first, unless the connection is broken."""
        # Not before the handshake: reading would begin it.
        if self._has_shaken_hands and self.is_ours():
            _quietly(self._discard_input)
            if self._is_tls and not self._broken:
                # Sends our end and does not wait for the peer's.
                _quietly(self._sock.unwrap)  # type: ignore[attr-defined]
        self.abandon()

    def abandon(self) -> None:
        """Close only the descriptor, in a forked child: the parent goes on with the connection."""
        _quietly(partial(close_socket, self._sock))

    def _discard_input(self) -> bool:
        """Discard what the peer has sent, up to a limit of bytes and of time.

        Returns:
            Whether its end was there.

        Raises:
            OSError: as recv does, if there is nothing more.
        """
        deadline = Deadline(DISCARD_PATIENCE, self._until)
        discarded = 0
        while True:
            portion = self._sock.recv(RECEIVE_SIZE)
            discarded += len(portion)
            if not portion or discarded >= MAX_DISCARDED or not deadline.remaining():
                return not portion

    def _repeat(
        self,
        call: Callable[[], _Result],
        event: int,
        complaint: str,
        taken: int = 0,
        timeout: Optional[float] = None,
    ) -> _Result:
        """Repeat a call until it need not wait.

        Args:
            call: a non-blocking call on the socket.
            event: what a plain socket waits for if it would block.
            complaint: what the timeout's text says of the peer.
            taken: for the error, the bytes of a send that were taken.
            timeout: seconds; None: the transport's own.
        """
        deadline = Deadline(self.timeout if timeout is None else timeout, self._until)
        while True:
            try:
                return call()
            except OSError as error:
                wanted = self._wanted(error, event)
                if not wanted:
                    raise self._failure(error, taken) from error
                self._cut_short = False
            ready = wait_for(self._sock.fileno(), wanted, deadline, self.is_ours)
            self._require_ours(taken)
            if not ready:
                self._broken = True
                reason = f"the peer {complaint} {deadline.describe()}"
                raise TransportTimeout(self.name, reason, taken)

    def _require_ours(self, taken: int = 0) -> None:
        if not self.is_ours():
            self._broken = self._failed = True
            self.end = CLOSED
            raise TransportError(self.name, CLOSED, taken)

    def _wanted(self, error: OSError, event: int) -> int:
        """Return the event to wait for before the failed call is repeated; 0: it cannot be."""
        if isinstance(error, BlockingIOError):
            return event
        return wanted_by_tls(error) if self._is_tls else 0

    def _failure(self, error: OSError, taken: int = 0) -> TransportError:
        self._broken = True
        # On a unix socket, a send fails with EPIPE if the peer is gone; only a receive shows how.
        self._failed = not (self._is_unix and isinstance(error, BrokenPipeError))
        if self._is_tls:
            error = alert_behind(error, self._sock) or error
        return TransportError(self.name, explain(error), taken)


def _or_unknown(number: Optional[int]) -> float:
    return math.inf if number is None else number


def _quietly(call: Callable[[], object]) -> None:
    try:
        call()
    except (OSError, ValueError):
        pass  # closing: the peer was faster, or its end has not come yet
