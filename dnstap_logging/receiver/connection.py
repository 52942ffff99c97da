"""One sender's connection to a receiver: TLS, the handshake, the stream, and how it ended.

A connection owns its socket, its reader session and one daemon thread, which alone changes its
counters. Other threads touch the socket only in `give_way`, before START, and in `cut`, at the end.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import logging
import math
import os
import socket
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, NoReturn, Optional, Tuple, Union

from ..codec.decoding import decode
from ..copies import refuse_copy
from ..exceptions import DecodeError, FrameStreamError, TransportError, TransportTimeout
from ..framestream.frames import DNSTAP_CONTENT_TYPE
from ..framestream.incoming import IncomingStream
from ..framestream.session import ReaderSession
from ..framestream.state import State
from ..interrupts import ends_greenlet
from ..message.message import DnstapMessage
from ..process.inherited import no_fork
from ..shorten import place_of
from ..transport.owned import CLOSED, close_socket, is_ours, note, own
from ..transport.stream import StreamTransport
from ..transport.tls import is_tls_failure
from ..transport.waiting import READABLE, Deadline, never, wait_for
from .closing import Closing

if TYPE_CHECKING:
    import ssl

__all__ = ["End", "SenderConnection", "Settings"]

MAX_DRAINED = 64 * 1024 * 1024
"""Bytes still read from a connection while the receiver closes: more than the two kernels hold, but
a sender that never stops must not use up the whole time."""


class Settings(NamedTuple):
    """What all connections of one receiver have in common."""

    callback: Callable[[Any], object]
    before_finish: Optional[Callable[[], object]]
    decoded: bool  # whether the callback takes messages, or raw payloads
    max_frame_size: int
    handshake_timeout: float
    ssl_context: Optional[ssl.SSLContext]


class End(enum.Enum):
    """How a connection ended: the counter of `ReceiverStats`, which describes it."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    PROTOCOL_ERROR = "protocol_errors"


class SenderConnection:
    """Serve one sender until its stream ends.

    Args:
        sock: from accept; owned by the connection from now on.
        name: for diagnostics.
        peer: its host or process: diagnostics of one kind are limited for each.
        settings: what all connections have in common.
        closing: the receiver's close.
        report: called with each diagnostic: its kind, level and text.
        on_end: called last in the connection's thread, with the connection.
    """

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        peer: str,
        settings: Settings,
        closing: Closing,
        report: Callable[[str, int, str], None],
        on_end: Callable[[SenderConnection], None],
    ) -> None:
        self.name = name
        self.peer = peer
        self.messages = 0
        self.undecodable = 0
        self.callback_errors = 0
        self.end = End.INTERRUPTED
        self._sock = sock
        self._settings = settings
        self._closing = closing
        self._report = report
        self._on_end = on_end
        self._draining = False
        self._drained = 0
        self._start_deadline = time.monotonic() + settings.handshake_timeout
        # Of START, the end and `give_way`, the first decides. While this is held, the descriptor
        # does not change.
        self._deciding = threading.Lock()
        self._settled = self._ended = False
        self._gave_way = False
        self._ended_by_us = False
        self._session = ReaderSession(DNSTAP_CONTENT_TYPE, settings.max_frame_size)
        self.thread = threading.Thread(target=self._run, name=f"dnstap-{name}", daemon=True)

    def __reduce__(self) -> NoReturn:
        refuse_copy(self, "a thread and a socket", "hand on its messages")

    @property
    def rank(self) -> Tuple[bool, float]:
        """The order of giving way: those that sent nothing first, then the oldest."""
        return self._session.state is not State.IDLE, self._start_deadline

    def give_way(self) -> bool:
        """End a connection that has not sent START, because its place is needed.

        Called by another thread.

        Returns:
            False: it has sent START, or something that is not read yet, or it has ended.
        """
        with self._deciding:
            if self._settled or not is_ours(self._sock):  # not ours: wrapping it in TLS failed
                return False
            if wait_for(self._sock.fileno(), READABLE, Deadline(0, never)):
                return False
            self._settled = self._gave_way = True
            self.end = End.PROTOCOL_ERROR
            with contextlib.suppress(OSError):  # the sender may have been faster
                # Wakes the thread, which then closes. Not SSLSocket.shutdown, which removes TLS.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
            return True

    def _settle(self, ended: bool = False) -> bool:
        """Let it no longer give way or, once it has ended, be cut; return False if it gave way."""
        with self._deciding:
            self._settled = True
            self._ended = ended
            return not self._gave_way

    def cut(self) -> None:
        """Close the socket of a thread that is still in its callback after the deadline.

        Another file takes the descriptor's place, so that its number is not reused. Unlike after a
        shutdown, the kernel resets the connection if something is unread, so the sender knows.
        """
        with self._deciding, no_fork():
            if self._ended or not is_ours(self._sock):  # not ours: wrapping it in TLS failed
                return
            try:
                spare = os.open(os.devnull, os.O_RDONLY)
            except OSError:
                return  # too many open files: the sender must wait for the callback
            try:
                os.dup2(spare, self._sock.fileno(), inheritable=False)
                note(self._sock)
            finally:
                os.close(spare)

    def _run(self) -> None:
        try:
            self._serve()
        except FrameStreamError as error:
            self.end = End.PROTOCOL_ERROR
            self.note("protocol", logging.WARNING, str(error))
        except TransportError as error:
            self._broke_down(error)
        except BaseException as error:
            if ends_greenlet(error):
                raise
            self.end = End.PROTOCOL_ERROR
            self.note("internal", logging.ERROR, f"unexpected {place_of(error)}")
        finally:
            self._on_end(self)

    def _serve(self) -> None:
        transport = self._make_transport()
        try:
            transport.handshake()
            self._stream(transport)
        finally:
            self._settle(ended=True)
            if self.end is End.FINISHED:
                transport.close()
            else:
                # Not close, which would discard unread input: the kernel must reset the connection
                # if something is unread, so that the sender knows that it must send it again.
                transport.abandon()

    def _make_transport(self) -> StreamTransport:
        settings = self._settings
        try:
            if settings.ssl_context is not None:
                with self._deciding, no_fork():
                    if not is_ours(self._sock):
                        raise OSError(errno.EBADF, CLOSED)
                    self._sock = own(
                        settings.ssl_context.wrap_socket(
                            self._sock, server_side=True, do_handshake_on_connect=False
                        )
                    )
            return StreamTransport(
                self._sock, self.name, settings.handshake_timeout, until=self._until
            )
        except BaseException as error:
            self._settle(ended=True)
            close_socket(self._sock)
            if isinstance(error, OSError):
                raise TransportError(
                    self.name, f"the connection closed before it was served: {error}"
                ) from error
            raise

    def _stream(self, transport: StreamTransport) -> None:
        """Read the stream to its end, and pass on its payloads."""
        read = partial(self._next_bytes, transport)
        stream = IncomingStream(self._session, read, transport.send)
        call = self._decode_and_call if self._settings.decoded else self._call
        for payload in stream.payloads():
            call(payload)
        if not self._session.finished:
            self._ended_without_stop()
        elif self._secure():
            with contextlib.suppress(TransportError):  # some senders do not wait for FINISH
                stream.finish()
            self.end = End.FINISHED

    def _next_bytes(self, transport: StreamTransport) -> bytes:
        """Wait for bytes; once the receiver is being closed, return only what has arrived.

        Returns:
            Empty bytes at the sender's end, or if we end the stream.
        """
        if self._session.streaming and not self._streaming:
            if not self._settle():
                return b""
            # A stream may be idle for any time.
            transport.timeout = self._start_deadline = math.inf
        if not self._closing.begun:
            try:
                return transport.receive()
            except TransportTimeout:
                if not self._closing.begun:
                    raise
        data = None
        if time.monotonic() < self._closing.deadline:
            self._draining = True
            data = transport.look() if self._drained < MAX_DRAINED else None
        if data is None:
            self._ended_by_us = True
            return b""
        self._drained += len(data)
        return data

    def _decode_and_call(self, payload: bytes) -> None:
        """Decode a payload and pass it on; one that is not a dnstap message is counted."""
        try:
            message = decode(payload)
        except DecodeError as error:
            self.undecodable += 1
            self.note("undecodable", logging.WARNING, f"payload left out: {error}")
            return
        self._call(message)

    def _call(self, item: Union[bytes, DnstapMessage]) -> None:
        """Call the callback; what it raises is counted, and does not end the stream."""
        try:
            self._settings.callback(item)
        except BaseException as error:
            if ends_greenlet(error):
                raise
            self.callback_errors += 1
            self.note("callback", logging.ERROR, f"the callback raised {place_of(error)}")
        self.messages += 1

    def _secure(self) -> bool:
        """Call before_finish, if there is one; return whether FINISH may be sent."""
        before_finish = self._settings.before_finish
        if before_finish is None:
            return True
        try:
            before_finish()
        except BaseException as error:
            if ends_greenlet(error):
                raise
            self.callback_errors += 1
            self.note("callback", logging.ERROR, f"before_finish raised {place_of(error)}")
            return False
        return True

    @property
    def _streaming(self) -> bool:
        """Return whether START has been seen."""
        return self._start_deadline == math.inf

    def _until(self) -> float:
        """Return when every wait of this connection's transport must give up."""
        if self._draining:
            return self._closing.deadline
        return min(self._start_deadline, self._closing.began)

    def _ended_without_stop(self) -> None:
        """Report an end without STOP."""
        session = self._session
        if self._ended_by_us or self._gave_way:
            return
        if session.buffered:
            text = f"closed inside a frame, after {session.buffered} bytes of it"
            self.note("interrupted", logging.WARNING, text)
        elif session.state is not State.IDLE:
            self.note("interrupted", logging.INFO, "closed without STOP")
        # else it sent nothing, as a health check or a port scan

    def _broke_down(self, error: TransportError) -> None:
        if self._closing.begun or self._gave_way:
            return
        if isinstance(error, TransportTimeout) and not self._streaming:
            self.end = End.PROTOCOL_ERROR
            text = f"closed: no START within {self._settings.handshake_timeout:g} s"
            self.note("handshake", logging.WARNING, text)
        elif is_tls_failure(error.__cause__):
            self.end = End.PROTOCOL_ERROR
            self.note("tls", logging.WARNING, error.reason)
        else:
            self.note("interrupted", logging.WARNING, error.reason)

    def note(self, kind: str, level: int, text: str) -> None:
        """Report something about this connection."""
        self._report(kind, level, f"{self.name}: {text}")
