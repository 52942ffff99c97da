"""A capture file: open, checked and locked.

Opened by the handler's constructor, reopened and used by the writer thread only. The content of the
file is not known here: `CaptureWriter` finds out where a capture ends, and calls `keep`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Dict, Mapping, NoReturn, Optional, Union

from ..arguments import DEFAULT_PERMISSIONS
from ..copies import refuse_copy
from ..exceptions import DiskFull, FileLocked, PeerClosed, TransportError
from ..process.inherited import close_in_child, no_fork
from .reasons import explain

try:
    import fcntl
except ImportError:  # Windows: no advisory locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["NO_ROOM", "FileTransport"]

# O_APPEND even for "w": if something else truncates the file, no hole of zeros follows. O_NONBLOCK:
# opening must not hang if the path has just become a fifo. No O_TRUNC: a file is emptied only once
# it is locked. O_RDWR: to find the end of a capture.
_FLAGS = (
    os.O_RDWR
    | os.O_APPEND
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_MODE_FLAGS: Dict[str, int] = {
    "a": os.O_CREAT,
    "w": os.O_CREAT,
    "x": os.O_CREAT | os.O_EXCL,
    "r+": 0,
}

# Some network file systems have no locks; there the capture is written without one.
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a full file system, or of a quota."""

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

    Symbolic links are followed. An existing file keeps its permissions.

    Args:
        path: of the file.
        mode: "a" continues a file, "w" empties it, "x" refuses an existing one, "r+" makes none.
        permissions: of a new file, before the umask.

    Attributes:
        name: the address as text.
        size: where the last whole send ends, in bytes from the beginning of the file.
        unlocked: why the file is not locked, if its file system has no locks; else empty.

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
            raise ValueError(f"mode={mode!r}: must be 'a', 'w', 'x' or 'r+'")
        self._path = os.fspath(path)
        if not os.path.isabs(self._path):
            self._path = os.path.abspath(self._path)
        self.name = f"file://{self._path}"
        self.size = 0
        # Whether the next send has to cut off bytes behind `size`: of a send that failed, or a
        # STOP.
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
                raise self._error(error, _OPEN_REASONS) from error
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
        """Have the next send cut off what is behind the first ``size`` bytes."""
        self.size = size
        self._loose = True

    def cut(self) -> None:
        """Cut off what is behind `size` now.

        Raises:
            PeerClosed: the descriptor is not ours any more.
            TransportError: it failed; the next send tries again.
        """
        try:
            self._cut_off()
        except TransportError:
            raise
        except OSError as error:
            raise self._error(error) from error

    def send(self, data: bytes) -> None:
        """Write all of it, or nothing: what was written before an error is cut off again.

        Raises:
            PeerClosed: another program emptied the file, or this one closed the descriptor.
            DiskFull: there was no room for all of it.
            TransportError: it failed for another reason.
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
            with contextlib.suppress(OSError):  # the next send tries again, before anything else
                self._cut_off()
            raise self._error(error) from error

    def _append(self, data: bytes) -> None:
        if self._emptied:
            raise PeerClosed(self.name, EMPTIED)
        self._loose = True
        written = os.write(self._descriptor, data)
        while written < len(data):
            written += os.write(self._descriptor, memoryview(data)[written:])
        # After a write with O_APPEND the offset is the end of what was written. If it is less than
        # expected, somebody has truncated the file, and the stream would go on without its START.
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
        """Check that the path still names this file, and that it was not emptied.

        Returns:
            None: so it is. Empty bytes: it was moved, deleted or emptied; `end` says which.
        """
        opened = self._fstat()
        if opened is None:
            return b""
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError:
            # The path cannot be seen, as after a program gave up its privileges. The open file can
            # still be written, unless it is deleted.
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

        As with sockets (`owned`), the number may belong to another file by now.
        """
        try:
            opened = os.fstat(self._descriptor)
            if (opened.st_dev, opened.st_ino) == self._identity:
                return opened
        except OSError:
            pass
        self._descriptor = -1
        self.end = CLOSED
        return None

    def move(self, path: str) -> None:
        """Rename the file, which stays open and locked.

        Args:
            path: absolute, on the same file system.

        Raises:
            TransportError: it failed; the file has its old name.
        """
        try:
            os.rename(self._path, path)
        except OSError as error:
            raise self._error(error) from error
        self._path, self.name = path, f"file://{path}"

    def remove(self) -> None:
        """Delete the file while it is locked, unless the path names another by now; close it.

        Raises:
            TransportError: the directory does not allow that. The file is emptied instead.
        """
        try:
            opened = self._fstat()
            if opened is not None and os.path.samestat(os.stat(self._path), opened):
                os.unlink(self._path)
        except FileNotFoundError:
            pass  # somebody was faster
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            raise self._error(error) from error
        finally:
            self.close()

    def close(self) -> None:
        """Unlock and close the file; may be called again; never raises."""
        if self._fstat() is not None and fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks
                # A forked child may hold the same open file, so closing is not enough.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self.abandon()

    def abandon(self) -> None:
        """Close only the descriptor, in a forked child: unlocking would unlock the parent's."""
        with no_fork():
            if self._fstat() is not None:
                descriptor, self._descriptor = self._descriptor, -1
                with contextlib.suppress(OSError):  # it is closed even so
                    os.close(descriptor)

    # -- opening -------------------------------------------------------------------------------

    def _open_locked(self, flags: int, permissions: int) -> None:
        """Open and lock the file that the path names."""
        while True:
            # First, because opening a fifo or a device can have effects.
            self._refuse_other_kinds(self._stat_path())
            with no_fork():
                self._descriptor = os.open(self._path, flags, permissions)
                opened = os.fstat(self._descriptor)
                self._identity = opened.st_dev, opened.st_ino
            self._refuse_other_kinds(opened)
            self._lock()
            found = self._stat_path()
            if found is None or os.path.samestat(found, opened):
                return
            self.close()  # its last writer moved it away before we had the lock: try again

    def _stat_path(self) -> Optional[os.stat_result]:
        try:
            return os.stat(self._path)
        except OSError:
            return None  # open() raises, if anything is wrong

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

    def _error(self, error: OSError, special: Mapping[int, str] = {}) -> TransportError:
        kind = DiskFull if error.errno in NO_ROOM else TransportError
        return kind(self.name, explain(error, special))
