"""Transports: bytes to a file, or to and from a stream socket.

A transport belongs to one thread: the writer thread, or that of a receiver's connection. It knows
nothing of Frame Streams, and no call takes longer than its timeout. Unix, TCP and TLS differ only
in how they are connected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Protocol, Tuple, Type

if TYPE_CHECKING:
    from .file import FileTransport
    from .stream import StreamTransport

__all__ = ["Transport"]


class Transport(Protocol):
    """What files and streams have in common; `StreamTransport` says it in detail.

    Attributes:
        name: the address as text, for diagnostics.
        end: what it means that `look` or `receive` returned empty bytes, in words.
    """

    name: str
    end: str

    def send(self, data: bytes) -> None:
        """Hand all of it to the kernel."""

    def look(self) -> Optional[bytes]:
        """Return what the other end did, without waiting; None: nothing; empty: it ended."""

    def receive(self, timeout: Optional[float] = None) -> bytes:
        """Wait for bytes of the peer; empty bytes are its end."""

    def unread(self) -> float:
        """Return how many of the last bytes sent may not have been read; called before `close`."""

    def close(self) -> None:
        """Close it in order; may be called again; never raises."""

    def abandon(self) -> None:
        """Close only the descriptor, in a forked child."""


if TYPE_CHECKING:
    _THEY_ARE_TRANSPORTS: Tuple[Type[Transport], ...] = (StreamTransport, FileTransport)
