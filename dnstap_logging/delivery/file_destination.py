"""The destination that is a capture file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Optional

from ..exceptions import DiskFull, FileLocked, PeerClosed, TransportError
from ..transport.file import FileTransport
from ..transport.waiting import Until
from .capture_writer import CaptureWriter, find_capture_end
from .destination import Destination
from .options import Options

if TYPE_CHECKING:
    from ..capture.rotation import Rotation

__all__ = ["FileDestination"]

RELOADER = (
    "; a reloader, as of Django, Flask or uvicorn, starts the program twice, and the first process "
    "holds the file although it never logs: with delay=True, only who logs opens it"
)


class FileDestination(Destination):
    """A capture file.

    Args:
        options: the handler's arguments.
        rotation: when to roll over and how; None: never.
    """

    lasting = True
    opened = "opened"
    end = "STOP"

    def __init__(self, options: Options, rotation: Optional[Rotation] = None) -> None:
        super().__init__(str(options.address), options.max_reconnect_interval)
        self._options = options
        self._path = options.address.path
        self.rotation = rotation
        self.lock_hint = "" if options.delay else RELOADER
        self._prepared: Optional[CaptureWriter] = None
        # Of the next file to be opened. Only the first may be emptied, or must be new: what is
        # found at the path later was put there by a rotation of somebody's.
        self._mode = options.mode

    @property
    def prepared(self) -> bool:
        """Whether a file is open whose stream has not begun yet."""
        return self._prepared is not None

    def prepare(self) -> Optional[TransportError]:
        """Open, check and lock the file, as FileHandler does."""
        if not self._options.delay:
            try:
                self._prepared = self._open_capture()
            except FileLocked as error:
                return error
            except TransportError as error:
                argument = f"address={self._path!r}"
                raise TransportError(argument, error.reason) from error
        return None

    def open(self, until: Until) -> CaptureWriter:
        """Open the file, unless it is; return a writer that has not begun its stream yet."""
        writer, self._prepared = self._prepared or self._open_capture(), None
        return writer

    def _open_capture(self) -> CaptureWriter:
        options = self._options
        transport = FileTransport(self._path, self._mode, options.permissions)
        try:
            end = find_capture_end(transport, options.max_frame_size)
        except BaseException:
            transport.close()
            raise
        self._mode = "a"
        self.unlocked = transport.unlocked and (
            f"the file cannot be locked, its file system has no locks: {transport.unlocked}; a "
            "second writer of it would not be noticed, and nobody can read what two have written"
        )
        return CaptureWriter(transport, end, self.rotation)

    def is_locked(self, error: Exception) -> bool:
        """Return whether another process, or handler, writes to the file."""
        return isinstance(error, FileLocked)

    def cause_of(self, error: Exception) -> Optional[str]:
        """Return "disk_full" for a disk without room."""
        return "disk_full" if isinstance(error, DiskFull) else None

    def renew(self) -> None:
        """End the stream of a file that was moved away before a record came; close it."""
        writer = self._prepared
        if writer is None:
            return
        try:
            writer.look()
        except PeerClosed:
            self._prepared = None
            try:
                writer.start()
            except TransportError:  # no room for START: nothing is lost with an empty file
                writer.close()
            else:
                writer.stop()

    def for_child(self, pid: int) -> FileDestination:
        """Let go of the parent's file; return the child's: ``<name>.<pid><suffix>``.

        A child never writes into its parent's capture: two interleaved streams cannot be read.
        """
        if self._prepared is not None:
            self._prepared.abandon()
            self._prepared = None
        stem, suffix = os.path.splitext(self._options.address.path)
        path = f"{stem}.{pid}{suffix}"
        rotation = None if self.rotation is None else self.rotation.for_child(path)
        child = FileDestination(self._options, rotation)
        child._path = path
        child.name = str(self._options.address._replace(path=path))
        # In a container the pid, and so the file, may be that of an earlier child.
        child._mode = "a"
        return child
