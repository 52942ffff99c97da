"""Where the stream goes: opens writers, one after the other, for one address.

Belongs to the writer thread, but for `prepare`, which the handler's constructor calls before
there is a thread.
"""

from __future__ import annotations

import os
from typing import Optional

from .exceptions import TransportError
from .options import Options
from .transport import FileTransport, Resolver, Transport, Until, connect
from .writer import Writer

__all__ = ["Destination"]


class Destination:
    """Open writers for the address of the options."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._resolver = Resolver()
        self._prepared: Optional[FileTransport] = None
        self.address = options.address  # of a forked child's file, its own

    @property
    def is_file(self) -> bool:
        """Whether the address is a file."""
        return self._options.address.is_file

    @property
    def prepared(self) -> bool:
        """Whether a file is open that no writer has taken over yet."""
        return self._prepared is not None

    def prepare(self) -> None:
        """Open, check and lock a file at construction, as FileHandler does.

        Raises:
            TransportError: the file cannot be used, and why.
        """
        if self.is_file and not self._options.delay:
            try:
                self._prepared = self._open_file()
            except TransportError as error:
                argument = f"address={self._options.address.path!r}"
                raise TransportError(argument, error.reason) from error

    def open(self, until: Until) -> Writer:
        """Connect, or open the file; return a writer that has not shaken hands yet.

        Raises:
            TransportError: what went wrong.
        """
        options = self._options
        transport: Transport
        if self.is_file:
            transport, self._prepared = self._prepared or self._open_file(), None
        else:
            transport = connect(
                options.address,
                timeout=options.timeout,
                until=until,
                resolver=self._resolver,
                tls=options.tls,
            )
        return Writer(transport, options.bidirectional, options.timeout)

    def release(self) -> None:
        """Close a file that no writer has taken over."""
        if self._prepared is not None:
            self._prepared.close()
            self._prepared = None

    def release_if_moved(self) -> None:
        """Close a file that was moved away before any writer has taken it over."""
        if self._prepared is not None and self._prepared.look() == b"":
            self.release()

    def for_child(self, pid: int) -> Destination:
        """Let go of the parent's file; return the destination of a forked child.

        A child never writes into its parent's capture: two streams in one file are none. It
        writes to ``<name>.<pid><suffix>``.
        """
        if self._prepared is not None:
            self._prepared.abandon()
            self._prepared = None
        child = Destination(self._options)
        if self.is_file:
            stem, suffix = os.path.splitext(self._options.address.path)
            child.address = self._options.address._replace(path=f"{stem}.{pid}{suffix}")
        return child

    def _open_file(self) -> FileTransport:
        return FileTransport(
            self.address.path, mode=self._options.mode, permissions=self._options.permissions
        )
