"""Transports: bytes to a file, or to and from a stream socket.

The writer (above) owns one transport at a time and is the only one that touches it, in the writer
thread; the receiver uses the same stream class for the sockets that it accepts, each in that
connection's thread. Nothing here knows Frame Streams: a transport moves bytes, says how many the
kernel took, and never waits longer than it was allowed to.

Unix, TCP and TLS differ only in how they are connected (``connect.py``); a file is the other class
(``file.py``). This is the face of the folder: other rooms import these names from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Protocol, Tuple, Type

from .connect import connect
from .file import DEFAULT_PERMISSIONS, FileTransport
from .resolve import Resolver
from .stream import StreamTransport
from .tls import TlsOptions, check_tls
from .waiting import Until, never

__all__ = [
    "DEFAULT_PERMISSIONS",
    "FileTransport",
    "Resolver",
    "StreamTransport",
    "TlsOptions",
    "Transport",
    "Until",
    "check_tls",
    "connect",
    "never",
]


class Transport(Protocol):
    """What the writer asks of every transport.

    Attributes:
        name: the address as text, for diagnostics.
        end: what it means when `look` or `receive` returns empty bytes, in words.
    """

    name: str
    end: str

    def send(self, data: bytes) -> None:
        """Hand all of it to the kernel.

        Raises:
            TransportTimeout: nothing was taken for the transport's timeout.
            TransportError: anything else; in both, ``taken`` says how many bytes were taken.
        """

    def look(self) -> Optional[bytes]:
        """Look at the other end without waiting.

        Returns:
            None: it is there and sent nothing. Empty bytes: it closed (a file: it was moved or
            deleted). Other bytes: what it sent.

        Raises:
            TransportError: the connection is broken.
        """

    def receive(self, timeout: Optional[float] = None) -> bytes:
        """Wait for bytes of the peer; empty bytes are its end. Files have none to wait for.

        Args:
            timeout: seconds; None: the transport's own.

        Raises:
            TransportTimeout: nothing came in time.
            TransportError: the connection is broken.
        """

    def unread(self) -> float:
        """Return how many of the last bytes sent may not have been read; asked before `close`."""

    def close(self) -> None:
        """Close it in order; may be called again; never raises."""

    def abandon(self) -> None:
        """Let go of the descriptor in a forked child; the parent's stream goes on untouched."""


if TYPE_CHECKING:
    _THEY_ARE_TRANSPORTS: Tuple[Type[Transport], ...] = (StreamTransport, FileTransport)
