"""A small threaded collector, for tests, demonstrations and small tools.

One thread accepts; each connection has a daemon thread, which also runs the callback. Any thread
may call the receiver's methods.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Collection, Dict, NoReturn, Optional, Set, Union

from ..address import Address, parse_address
from ..arguments import callback, integer, seconds
from ..copies import refuse_copy
from ..diagnostics import Reporter
from ..framestream.frames import DEFAULT_MAX_FRAME_SIZE, MAX_FRAME_SIZE
from ..message.message import DnstapMessage
from ..transport.owned import CLOSED, close_socket
from ..transport.reasons import explain
from .closing import Closing
from .connection import End, SenderConnection, Settings
from .listener import Listener
from .reports import PeerReports
from .stats import ReceiverStats

if TYPE_CHECKING:
    import ssl

__all__ = ["DnstapReceiver"]

ACCEPT_PAUSE = 0.1
"""Seconds until the next try when accept fails, as with EMFILE."""

ALL = ""
"""The peer of lines about what is true for all of them: that there is no room. Otherwise a crowd of
processes that have to wait would make a line each."""

LEAVING_TIME = 1.0
"""Seconds for the end of a connection that gives way: only a busy machine needs them."""


class DnstapReceiver:
    """Receive dnstap over Frame Streams on a unix, TCP or TLS socket.

    Each connection's first frame decides its direction: READY is answered with ACCEPT, and STOP
    with FINISH once the callback has had everything before it. After START a connection may be idle
    for any time. Errors are counted (`stats`) and logged on the logger ``dnstap_logging``.

    The callback runs in the threads of the connections: for one connection in its order, for
    several at the same time. While it runs, its sender waits. What it raises is counted and
    reported; the stream goes on. Coroutine and generator functions, and functions that do not take
    one argument, are refused.

    Args:
        address: ``unix:///path``, ``unix://@name``, ``tcp://host:port`` or ``tls://host:port``.
            An empty host is 127.0.0.1, port 0 any free port. A stale socket file is replaced; the
            umask decides who may connect.
        on_message: called with each `DnstapMessage`.
        on_frame: instead of on_message: called with each payload as bytes, not decoded.
        before_finish: called at STOP, before FINISH confirms that everything was received: a
            callback that only passes things on can wait here until they are stored. If it raises,
            FINISH is not sent, so the sender knows that something may be lost.
        max_frame_size: the largest payload to accept, in bytes (default 1 MiB); a larger one ends
            its connection.
        max_connections: connections served at the same time (default 64). A further one takes
            the place of one that has not sent START: of those that have sent nothing at all, the
            oldest first. If there is none, the new one is closed at once.
        handshake_timeout: seconds (default 5.0) from a connection's arrival until its START,
            TLS included.
        ssl_context: for ``tls://``, a server's context with its certificate.
        report_interval: seconds between two diagnostics of one kind (default 10.0).

    Raises:
        TypeError, ValueError: an argument cannot be used; the text names it and what is right.
    """

    __module__ = "dnstap_logging"

    def __init__(
        self,
        address: Union[str, os.PathLike[str]],
        on_message: Optional[Callable[[DnstapMessage], object]] = None,
        *,
        on_frame: Optional[Callable[[bytes], object]] = None,
        before_finish: Optional[Callable[[], object]] = None,
        max_frame_size: int = DEFAULT_MAX_FRAME_SIZE,
        max_connections: int = 64,
        handshake_timeout: float = 5.0,
        ssl_context: Optional[ssl.SSLContext] = None,
        report_interval: float = 10.0,
    ) -> None:
        self._address = parse_address(address, listen=True)
        _check_context(self._address, ssl_context)
        self._max_connections = integer("max_connections", max_connections, 1)
        report_interval = seconds("report_interval", report_interval, zero=True)
        self._reporter = Reporter(f"receiver {self._address}", report_interval, counts=True)
        self._reports = PeerReports(self._reporter, report_interval)
        self._settings = Settings(
            _taker(on_message, on_frame),
            before_finish if before_finish is None else callback("before_finish", before_finish),
            on_message is not None,
            integer("max_frame_size", max_frame_size, 1, MAX_FRAME_SIZE),
            seconds("handshake_timeout", handshake_timeout),
            ssl_context,
        )
        self._closing = Closing()
        self._listener: Optional[Listener] = None
        self._accept_thread: Optional[threading.Thread] = None
        self._begin_here()
        self._books = ReceiverStats(0, 0, 0, 0, 0, 0, 0, 0, 0, None)
        self._last_error: Optional[str] = None

    def _begin_here(self) -> None:
        """Begin in this process, a forked child too, without connections."""
        self._pid = os.getpid()
        # Guards the counters and connections. Reentrant, because a signal handler may call close
        # or stats in the thread that holds it. A child may inherit it held by a thread that it
        # does not have, so it gets another one.
        self._lock = threading.RLock()
        self._room = threading.Condition(self._lock)  # notified when a connection has ended
        self._connections: Set[SenderConnection] = set()

    @property
    def address(self) -> Address:
        """The address; after `start` with the real port."""
        return self._address

    def __repr__(self) -> str:
        return f"<DnstapReceiver {self._address}>"

    def __reduce__(self) -> NoReturn:
        owns = "threads and sockets"
        refuse_copy(self, owns, "make a receiver in the other process, or send the messages there")

    def start(self) -> DnstapReceiver:
        """Bind the address and begin to accept; return self.

        Raises:
            TransportError: listening failed, and why: the address is in use, permission is denied,
                a file that is not a socket is there.
            RuntimeError: it was started or closed before.
        """
        if self._listener is not None or self._closing.begun:
            raise RuntimeError(f"{self!r} can be started only once")
        # It may have been made before a fork. Its process is the one that has its threads.
        self._begin_here()
        self._listener = Listener(self._address)
        self._address = self._listener.address
        self._reporter.name = f"receiver {self._address}"
        thread = threading.Thread(
            target=self._accept_loop,
            args=(self._listener,),
            name=f"dnstap-receiver {self._address}",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:
            self._listener.stop()
            self._listener.close()
            raise
        self._accept_thread = thread
        return self

    def __enter__(self) -> DnstapReceiver:
        return self if self._listener is not None else self.start()

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self, timeout: float = 5.0) -> None:
        """Stop accepting, pass on what has arrived, and close all connections.

        May be called again, from any thread, and from the callback.

        Args:
            timeout: seconds (default 5.0) that it takes at most. A connection whose callback has
                not returned by then is cut off.
        """
        self._closing.begin(seconds("timeout", timeout, zero=True))
        if self._listener is None:
            return
        if os.getpid() != self._pid:
            self._begin_here()
        self._listener.stop()
        if self._accept_thread is not None:
            self._accept_thread.join(self._remaining())
        with self._lock:
            connections = list(self._connections)
        others = [c for c in connections if c.thread is not threading.current_thread()]
        for connection in others:
            connection.thread.join(self._remaining())
        for connection in others:
            if connection.thread.is_alive():
                connection.cut()
        self._reporter.drain(self._remaining(), self._reporter.pending())

    def stats(self) -> ReceiverStats:
        """Return a snapshot of the counters."""
        if os.getpid() != self._pid:
            self._begin_here()
        with self._lock:
            books = self._books_with(self._connections)
            return books._replace(active=len(self._connections), last_error=self._last_error)

    def _books_with(self, connections: Collection[SenderConnection]) -> ReceiverStats:
        """Return the books with what these connections have counted."""
        counted: Dict[str, Any] = {
            name: getattr(self._books, name) + sum(getattr(each, name) for each in connections)
            for name in ("messages", "undecodable", "callback_errors")
        }
        return self._books._replace(**counted)

    def _remaining(self) -> float:
        return max(0.0, self._closing.deadline - time.monotonic())

    def _accept_loop(self, listener: Listener) -> None:
        """Accept until the receiver is closed, also after errors."""
        try:
            while not self._closing.begun:
                try:
                    accepted = listener.accept()
                except OSError as error:
                    if self._closing.begun:
                        return
                    lost = listener.is_lost
                    reason = CLOSED if lost else explain(error)
                    self._report("accept", logging.ERROR, f"cannot accept: {reason}")
                    if lost:
                        return
                    time.sleep(ACCEPT_PAUSE)
                    continue
                if accepted is not None:
                    self._admit(*accepted)
        finally:
            listener.close()

    def _admit(self, sock: socket.socket, peer: str) -> None:
        """Serve a new connection in its own thread, if there is room for it."""
        with self._lock:
            if not self._make_room():
                self._refuse(sock, peer, f"max_connections={self._max_connections} are open")
                return
            number = self._books.connections + 1
            name = f"connection {number} from {peer}" if peer else f"connection {number}"
            host = _host(peer)
            report = partial(self._report_peer, peer=host, name=name)
            connection = SenderConnection(
                sock, name, host, self._settings, self._closing, report, self._account
            )
            try:
                connection.thread.start()
            except RuntimeError as error:  # no more threads, or the interpreter shuts down
                self._refuse(sock, peer, str(error))
                return
            self._connections.add(connection)
            self._books = self._books._replace(connections=number)
        self._reports.report("connected", logging.INFO, f"{name}: connected", host, name)

    def _make_room(self) -> bool:
        """Return whether a place is free; if necessary, end a connection without START.

        Otherwise a few silent connections would keep out everybody else.
        """
        if not self._has_room():
            by_rank = sorted(self._connections, key=lambda connection: connection.rank)
            silent = next((each for each in by_rank if each.give_way()), None)
            if silent is not None:
                text = f"closed: no START yet, and max_connections={self._max_connections} are open"
                self._report_peer(
                    "silent", logging.WARNING, f"{silent.name}: {text}", ALL, silent.name
                )
                self._room.wait_for(self._has_room, LEAVING_TIME)
        return self._has_room()

    def _has_room(self) -> bool:
        return len(self._connections) < self._max_connections

    def _refuse(self, sock: socket.socket, peer: str, why: str) -> None:
        close_socket(sock)
        self._books = self._books._replace(refused=self._books.refused + 1)
        whose = f"connection from {peer}" if peer else "connection"
        self._report_peer("refused", logging.WARNING, f"{whose} refused: {why}", ALL, whose)

    def _account(self, connection: SenderConnection) -> None:
        """Count a connection that has ended; called last in its own thread."""
        with self._lock:
            self._connections.discard(connection)
            self._room.notify_all()
            books, end = self._books_with([connection]), connection.end.value
            step: Dict[str, Any] = {end: getattr(books, end) + 1}
            self._books = books._replace(**step)
        name, count = connection.name, connection.messages
        how = "with STOP" if connection.end is End.FINISHED else "without STOP"
        text = f"{name}: ended {how}, {count} message{'' if count == 1 else 's'}"
        self._reports.report("ended", logging.INFO, text, connection.peer, name)

    def _report_peer(self, kind: str, level: int, text: str, peer: str, name: str) -> None:
        self._last_error = text
        self._reports.report(kind, level, text, peer, name)

    def _report(self, kind: str, level: int, text: str) -> None:
        self._last_error = text
        self._reporter.report(kind, level, text)


def _host(peer: str) -> str:
    """Return the host or process: lines of one kind are limited for each."""
    return peer.rpartition(":")[0] or peer


def _taker(on_message: object, on_frame: object) -> Callable[[Any], object]:
    if (on_message is None) == (on_frame is None):
        raise TypeError("exactly one of on_message and on_frame must be given")
    name, value = ("on_message", on_message) if on_frame is None else ("on_frame", on_frame)
    taker: Callable[[Any], object] = callback(name, value, "what was received")
    return taker


def _check_context(address: Address, context: Optional[ssl.SSLContext]) -> None:
    if address.scheme != "tls":
        if context is not None:
            raise ValueError(f"ssl_context: must be left out: {address} is not a tls:// address")
        return
    import ssl

    if not isinstance(context, ssl.SSLContext):
        raise TypeError(
            f"ssl_context={context!r}: {address} needs an ssl.SSLContext with a certificate"
        )
    # Host names are for clients to check; older Pythons' client contexts have no other mark.
    if context.protocol == ssl.PROTOCOL_TLS_CLIENT or context.check_hostname:
        raise ValueError("ssl_context: must be one for servers (ssl.PROTOCOL_TLS_SERVER)")
