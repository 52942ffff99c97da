"""The destination of a stream: a collector behind a socket."""

from __future__ import annotations

import errno
from typing import Optional

from ..exceptions import PeerClosed, TransportError
from ..process.threads import import_ahead
from ..transport.connect import connect
from ..transport.resolve import Resolver
from ..transport.waiting import Until
from .destination import Destination
from .options import Options
from .stream_writer import TRY_TLS, StreamWriter

__all__ = ["StreamDestination"]

RESET = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE)
"""What the system says of a connection that the collector has ended."""


class StreamDestination(Destination):
    """A collector behind a unix, TCP or TLS socket.

    Args:
        options: the handler's arguments.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(str(options.address), options.max_reconnect_interval)
        self._options = options
        self._address = options.address
        self._resolver = Resolver()
        self.answers = options.bidirectional

    def prepare(self) -> Optional[TransportError]:
        """Import what connecting needs, before there is a thread that a fork could interrupt."""
        if self._address.host:
            import_ahead()
        return None

    def open(self, until: Until) -> StreamWriter:
        """Connect; return a writer that has not begun its stream yet."""
        options = self._options
        transport = connect(
            self._address,
            timeout=options.timeout,
            until=until,
            resolver=self._resolver,
            tls=options.tls,
            resend_bytes=options.resend_bytes,
        )
        return StreamWriter(transport, options.bidirectional, options.timeout, options.resend_bytes)

    def hint(self, error: Exception, early: bool) -> str:
        """Say what to try if the collector ended the session before it showed what it speaks."""
        if self.answers or not early or self._address.scheme != "tcp":
            return ""
        is_close = isinstance(error, PeerClosed) or getattr(error, "errno", None) in RESET
        return TRY_TLS if is_close else ""

    def for_child(self, pid: int) -> StreamDestination:
        """Return the child's destination: the same collector."""
        return StreamDestination(self._options)
