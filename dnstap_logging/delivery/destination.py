"""Where the stream goes: opens writers, one after the other, for one address.

Belongs to the writer thread, but for `prepare`, which the handler's constructor calls before
there is a thread.
"""

from __future__ import annotations

import os
from typing import Optional

from ..capture.rotation import Rotation
from ..exceptions import FileLocked, PeerClosed, TransportError
from ..transport import FileTransport, Resolver, Until, connect
from .capture_writer import CaptureWriter, find_capture_end
from .options import Options
from .writer import Writer

__all__ = ["Destination"]


class Destination:
    """Open writers for the address of the options.

    Args:
        options: the handler's arguments.
        rotation: of a file, when to roll over and how; None: never.
    """

    def __init__(self, options: Options, rotation: Optional[Rotation] = None) -> None:
        self._options = options
        self.rotation = rotation
        self._resolver = Resolver()
        self._prepared: Optional[CaptureWriter] = None
        self.unlocked = ""  # why the last file that was opened is not locked
        # Of the next file to be opened. Only the first may be emptied, or must be new: what is
        # found at the path later was put there by a rotation of somebody's.
        self._mode = options.mode
        self.address = options.address  # of a forked child's file, its own

    @property
    def is_file(self) -> bool:
        """Whether the address is a file."""
        return self._options.address.is_file

    @property
    def prepared(self) -> bool:
        """Whether a file is open whose stream has not begun yet."""
        return self._prepared is not None

    def prepare(self) -> Optional[FileLocked]:
        """Open, check and lock a file at construction, as FileHandler does.

        Returns:
            None, or that somebody else has it locked. That is no error yet: it may be an earlier
            process, or handler, that has its last records still to write.

        Raises:
            TransportError: the file cannot be used, and why.
        """
        if self.is_file and not self._options.delay:
            try:
                self._prepared = self._open_capture()
            except FileLocked as error:
                return error
            except TransportError as error:
                argument = f"address={self._options.address.path!r}"
                raise TransportError(argument, error.reason) from error
        return None

    def open(self, until: Until) -> Writer:
        """Connect, or open the file; return a writer that has not begun its stream yet.

        Raises:
            FileLocked: somebody else writes to the file.
            TransportError: what went wrong.
        """
        options = self._options
        if self.is_file:
            writer, self._prepared = self._prepared or self._open_capture(), None
            return writer
        transport = connect(
            options.address,
            timeout=options.timeout,
            until=until,
            resolver=self._resolver,
            tls=options.tls,
            resend_bytes=options.resend_bytes,
        )
        return Writer(transport, options.bidirectional, options.timeout)

    def release(self) -> None:
        """Close a file whose stream has not begun."""
        if self._prepared is not None:
            self._prepared.close()
            self._prepared = None

    def release_if_moved(self) -> None:
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
            except TransportError:  # no room for START: an empty file is none's loss
                writer.close()
            else:
                writer.stop()

    def for_child(self, pid: int) -> Destination:
        """Let go of the parent's file; return the destination of a forked child.

        A child never writes into its parent's capture: two streams in one file are none. It
        writes to ``<name>.<pid><suffix>``.
        """
        if self._prepared is not None:
            self._prepared.abandon()
            self._prepared = None
        child = Destination(self._options, self.rotation)
        if self.is_file:
            stem, suffix = os.path.splitext(self._options.address.path)
            path = f"{stem}.{pid}{suffix}"
            child.address = self._options.address._replace(path=path)
            # In a container the pid, and so the file, may be that of an earlier child.
            child._mode = "a"
            if self.rotation is not None:
                child.rotation = self.rotation.for_child(path)
        return child

    def _open_capture(self) -> CaptureWriter:
        options = self._options
        transport = FileTransport(self.address.path, self._mode, options.permissions)
        try:
            end = find_capture_end(transport, options.max_frame_size)
        except BaseException:
            transport.close()
            raise
        self._mode = "a"
        self.unlocked = transport.unlocked
        return CaptureWriter(transport, end, self.rotation)
