"""A capture file: opened, checked and locked, then written to.

Made by the handler's constructor (as `logging.FileHandler` opens its file), by the writer thread
when it is reopened; used by the writer thread only. What the bytes mean is not known here: where
an existing capture ends, `CaptureWriter` finds out and says by `keep`.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Dict, NoReturn, Optional, Union

from ..copies import refuse_copy
from ..exceptions import DiskFull, FileLocked, PeerClosed, TransportError
from ..process.inherited import close_in_child, no_fork
from .reasons import explain

try:
    import fcntl
except ImportError:  # Windows: no advisory locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["FileTransport"]

DEFAULT_PERMISSIONS = 0o640
"""Captures hold client addresses, which are personal data: not for everybody to read."""

# O_APPEND even for "w": should something else truncate the file, no hole of zeros follows.
# O_NONBLOCK: a fifo that takes the path's place in the last moment must not hang the open. Neither
# has O_TRUNC: a file is emptied only once it is locked. O_RDWR: to find the end of a capture.
_FLAGS = (
    os.O_RDWR
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_MODE_FLAGS: Dict[str, int] = {"a": 0, "w": 0, "x": os.O_EXCL}

# Some network file systems have no locks; captures must be possible there all the same.
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

_OPEN_REASONS: Dict[int, str] = {
    errno.ENOENT: "the directory does not exist ({code}); create it first",
    errno.ENOTDIR: "a part of this path is not a directory ({code})",
    errno.EISDIR: "is a directory ({code}); write the path of a file in it",
    errno.EEXIST: "exists already ({code}), and mode='x' never touches an existing file",
    errno.EACCES: (
        "permission denied ({code}): this process needs read and write permission on the file, or "
        "write permission on its directory to create it"
    ),
    errno.ENXIO: "is not a regular file ({code})",
}

MOVED = "the file was moved or deleted"
CLOSED = "the program closed the file's descriptor"
EMPTIED = "the file was emptied by another program"


class FileTransport:
    """Bytes to a regular file, which no other process writes at the same time.

    Symbolic links are followed. An existing file keeps its permissions, and its content unless
    the mode is "w"; `size` tells whether it has any.

    Args:
        path: of the file.
        mode: "a" continues a file, "w" starts it anew, "x" refuses an existing one.
        permissions: of a new file, before the umask.

    Attributes:
        name: the address as text.
        size: where the last whole send ends, in bytes from the beginning of the file.
        unlocked: why the file is not locked, where its file system has no locks; else empty.

    Raises:
        ValueError: there is no such mode.
        FileLocked: somebody else writes to it.
        TransportError: it cannot be opened, or is not a regular file.
    """

    end = MOVED

    def __init__(
        self,
        path: Union[str, os.PathLike[str]],
        mode: str = "a",
        permissions: int = DEFAULT_PERMISSIONS,
    ) -> None:
        if mode not in _MODE_FLAGS:
            raise ValueError(f"mode={mode!r}: must be 'a', 'w' or 'x'")
        self._path = os.fspath(path)
        if not os.path.isabs(self._path):
            self._path = os.path.abspath(self._path)
        self.name = f"file://{self._path}"
        self.size = 0
        # Whether there may be bytes behind `size`, which the next send cuts off before it writes:
        # the part of a send that failed, or a STOP that the stream goes on over.
        self._loose = False
        self._emptied = False
        self.unlocked = ""
        self._descriptor = -1
        self._identity = (0, 0)
        close_in_child(self, FileTransport.abandon)
        try:
            self._open_locked(_FLAGS | _MODE_FLAGS[mode], permissions)
            if mode == "w":
                os.ftruncate(self._descriptor, 0)
            self.size = os.fstat(self._descriptor).st_size
        except BaseException as error:
            self.close()
            if isinstance(error, OSError) and not isinstance(error, TransportError):
                raise self._error(error) from error
            raise

    def __reduce__(self) -> NoReturn:
        refuse_copy(self, "an open file", "open it once more")

    def fileno(self) -> int:
        """Return the descriptor, -1 once it is closed."""
        return self._descriptor

    def read_at(self, offset: int, length: int) -> bytes:
        """Return at most so many bytes from there on."""
        return os.pread(self._descriptor, length, offset)

    def keep(self, size: int) -> None:
        """Keep so many bytes: what is behind them is cut off by the next send."""
        self.size = size
        self._loose = True

    def cut(self) -> None:
        """Cut off what is behind `size` now.

        Raises:
            PeerClosed: the descriptor is not ours any more.
            TransportError: it could not be cut off; the next send tries again.
        """
        try:
            self._cut_off()
        except TransportError:
            raise
        except OSError as error:
            raise self._error(error) from error

    def send(self, data: bytes) -> None:
        """Write all of it, or nothing.

        What was written before an error, such as the part that still fitted on a full disk, is
        cut off again: the file ends with the last whole send, and the same data can be sent again
        later.

        Raises:
            PeerClosed: another program emptied the file, or this one closed the descriptor; none
                of the data is in it.
            DiskFull: there was no room for all of it.
            TransportError: not all could be written for another reason. In all three cases, none
                of it is in the file.
        """
        if self._fstat() is None:
            raise PeerClosed(self.name, CLOSED)
        try:
            if self._loose:
                self._cut_off()
            self._append(data)
        except PeerClosed:
            raise
        except OSError as error:
            try:
                self._cut_off()
            except OSError:
                pass  # the next send tries again, before anything else
            raise self._error(error) from error

    def _append(self, data: bytes) -> None:
        if self._emptied:
            raise PeerClosed(self.name, EMPTIED)
        self._loose = True
        written = os.write(self._descriptor, data)
        while written < len(data):
            written += os.write(self._descriptor, memoryview(data)[written:])
        # After a write with O_APPEND the descriptor stands at its end. This tells for certain, and
        # costs less than the write by far, that nobody truncated the file under us: the stream
        # would go on without its START.
        end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
        if end < self.size + written:
            os.ftruncate(self._descriptor, max(0, end - written))
            self._emptied = True
            raise PeerClosed(self.name, EMPTIED)
        self.size = end
        self._loose = False

    def _cut_off(self) -> None:
        if self._loose and not self._emptied:
            opened = self._fstat()
            if opened is None:
                raise PeerClosed(self.name, CLOSED)
            if opened.st_size > self.size:
                os.ftruncate(self._descriptor, self.size)
            self._loose = False

    def look(self) -> Optional[bytes]:
        """Look whether the path still names this file, and the file what was written to it.

        Returns:
            None: they do. Empty bytes: the file was moved, deleted or emptied; `end` tells which.
        """
        opened = self._fstat()
        if opened is None:
            return b""
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError:
            # Out of sight, as after a program gave up its privileges; what is open can be written,
            # but what is deleted is nobody's to read.
            return None if opened.st_nlink else b""
        if not os.path.samestat(found, opened):
            return b""
        if found.st_size < self.size:
            self._emptied = True
            self.end = EMPTIED
            return b""
        return None

    def _fstat(self) -> Optional[os.stat_result]:
        """Return the state of the open file; None: the descriptor is not ours any more.

        Some programs close all descriptors when they become daemons, and the number may be another
        file's by now: not one byte to that, and it is not ours to cut, unlock or close.
        """
        try:
            opened = os.fstat(self._descriptor)
        except OSError:
            pass
        else:
            if (opened.st_dev, opened.st_ino) == self._identity:
                return opened
        self._descriptor = -1
        self.end = CLOSED
        return None

    def unread(self) -> float:
        """Return 0: what is in the file is in the file."""
        return 0

    def receive(self, timeout: Optional[float] = None) -> bytes:
        """Return the end at once: a file answers nothing."""
        return b""

    def close(self) -> None:
        """Unlock and close the file; may be called again; never raises."""
        if self._fstat() is not None and fcntl is not None:
            try:
                # Closing would do, were there no forked child that holds the same open file.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            except OSError:
                pass  # a file system without locks
        self.abandon()

    def abandon(self) -> None:
        """Close only the descriptor, in a forked child: unlocking would unlock the parent's."""
        with no_fork():
            if self._fstat() is not None:
                descriptor, self._descriptor = self._descriptor, -1
                try:
                    os.close(descriptor)
                except OSError:
                    pass  # the descriptor is gone in any case

    # -- opening -------------------------------------------------------------------------------

    def _open_locked(self, flags: int, permissions: int) -> None:
        """Open and lock the file that the path names."""
        while True:
            # Opening a fifo or a device can have effects of its own, so look first.
            self._refuse_other_kinds(self._stat_path())
            with no_fork():
                self._descriptor = self._open(flags, permissions)
                opened = os.fstat(self._descriptor)
                self._identity = opened.st_dev, opened.st_ino
            self._refuse_other_kinds(opened)
            self._lock()
            found = self._stat_path()
            if found is None or os.path.samestat(found, opened):
                return
            self.close()  # its last writer moved it away before the lock was ours: once more

    def _stat_path(self) -> Optional[os.stat_result]:
        try:
            return os.stat(self._path)
        except OSError:
            return None  # open() will say what is wrong, if anything is

    def _open(self, flags: int, permissions: int) -> int:
        try:
            return os.open(self._path, flags, permissions)
        except OSError as error:
            template = _OPEN_REASONS.get(error.errno or 0)
            if template is None:
                raise
            code = errno.errorcode.get(error.errno or 0, "")
            raise TransportError(self.name, template.format(code=code)) from error

    def _refuse_other_kinds(self, found: Optional[os.stat_result]) -> None:
        if found is None or stat.S_ISREG(found.st_mode):
            return
        if stat.S_ISDIR(found.st_mode):
            reason, number = "is a directory; write the path of a file in it", errno.EISDIR
        elif stat.S_ISSOCK(found.st_mode):
            reason, number = f"is a socket; write unix://{self._path}", errno.ENXIO
        else:
            reason, number = "is not a regular file but a fifo or a device", errno.ENXIO
        raise TransportError(self.name, reason, errno=number)

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileLocked(
                self.name,
                "another process writes to this file, or another handler of this one; "
                "give each its own file",
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                raise TransportError(self.name, f"cannot be locked: {explain(error)}") from error
            self.unlocked = explain(error)

    def _error(self, error: OSError) -> TransportError:
        kind = DiskFull if error.errno in _NO_ROOM else TransportError
        return kind(self.name, explain(error))
