"""Where a reader's bytes come from: a file, or a socket. `follow.py` has the growing file.

The thread that reads owns the source; only the reader's `close` may be called by another one.
"""

from __future__ import annotations

import math
import os
import socket
from typing import Any, BinaryIO, Callable, Union

from ..exceptions import TransportTimeout
from ..transport.stream import StreamTransport

__all__ = ["READ_SIZE", "FileSource", "ReaderSource", "SocketSource"]

READ_SIZE = 65536
"""Bytes read at once: some hundred frames, so that system calls cost little."""

ReaderSource = Union[str, os.PathLike[str], BinaryIO, socket.socket]
"""What a reader reads: a path, a binary file object, or a connected stream socket."""


class FileSource:
    """A file, read from its current position: opened from a path, or passed in open.

    Args:
        source: a path, or a binary file object, which is never closed here.

    Attributes:
        name: for error texts.
        noun: what it is, for error texts.
        waits: whether a read may wait for somebody else, and so for a close by another thread.
    """

    noun = "file"
    waits = False

    def __init__(self, source: Union[str, os.PathLike[str], BinaryIO]) -> None:
        if isinstance(source, (str, os.PathLike)):
            self._file, self._owned = _open(source), True
            self.name = os.fspath(source)
        else:
            self._file, self._owned = source, False
            self.name = str(getattr(source, "name", source))
        # read1 hands on what is there: a pipe's messages come out as they arrive.
        self._read_some = getattr(self._file, "read1", self._file.read)

    def read(self) -> bytes:
        """Return the next bytes; none at the end."""
        block: bytes = self._read_some(READ_SIZE)
        if not isinstance(block, bytes):
            raise TypeError(
                f"{self.name}: must be a blocking file object opened in binary mode; "
                f"its read returned {type(block).__name__}"
            )
        return block

    def close(self) -> None:
        """Close the file, unless it was handed in open."""
        if self._owned:
            self._file.close()


def _open(path: Union[str, os.PathLike[str]]) -> BinaryIO:
    # Unbuffered: the blocks are our own, a second buffer would only copy.
    return open(path, "rb", buffering=0)


class SocketSource:
    """A connected stream socket, which is answered and never closed here.

    Args:
        sock: a socket's own timeout, if it has one, bounds each wait for bytes.
        is_closed: asked ten times a second while waiting: whether to give up.

    Attributes:
        name, noun, waits: as of `FileSource`.

    Raises:
        ValueError: it is no stream socket, or not connected.
    """

    noun = "connection"
    waits = True

    def __init__(self, sock: socket.socket, is_closed: Callable[[], bool]) -> None:
        try:
            peer = sock.getpeername()
        except OSError as error:
            raise ValueError(f"source={sock!r}: must be connected: {error}") from error
        if sock.type != socket.SOCK_STREAM:
            raise ValueError(f"source={sock!r}: must be a stream socket")
        self.name = _peer_name(peer)
        self._sock = sock
        self._timeout = sock.gettimeout()
        self._is_closed = is_closed
        # A non-blocking socket (0) is waited for like any other: an iteration cannot come back.
        timeout = self._timeout or math.inf
        self._transport = StreamTransport(sock, self.name, timeout, until=self._until)

    def read(self) -> bytes:
        """Wait for the next bytes; none at the end, and after a close.

        Raises:
            TransportTimeout: the socket has a timeout, and nothing came in it.
            TransportError: the connection broke.
        """
        try:
            return self._transport.receive()
        except TransportTimeout:
            if self._is_closed():
                return b""
            raise

    def send(self, data: bytes) -> None:
        """Answer the writer.

        Raises:
            TransportError: the connection broke.
        """
        self._transport.send(data)

    def _until(self) -> float:
        """Return when every wait must give up."""
        return 0.0 if self._is_closed() else math.inf

    def close(self) -> None:
        """Give the socket back as it was."""
        if self._transport.is_ours():
            self._sock.settimeout(self._timeout)


def _peer_name(peer: Any) -> str:
    if isinstance(peer, tuple):
        host, port = peer[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"unix socket {os.fsdecode(peer)}".rstrip()
