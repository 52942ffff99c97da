"""A capture file: opened, checked and locked, then written to.

Made by the handler's constructor (as `logging.FileHandler` opens its file), by the writer thread
when it is reopened; used by the writer thread only.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Dict, Optional, Union

from ..exceptions import TransportError
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
# has O_TRUNC: a file is emptied only once it is locked.
_FLAGS = (
    os.O_WRONLY
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

_OPEN_REASONS: Dict[int, str] = {
    errno.ENOENT: "the directory does not exist ({code}); create it first",
    errno.ENOTDIR: "a part of this path is not a directory ({code})",
    errno.EISDIR: "is a directory ({code}); write the path of a file in it",
    errno.EEXIST: "exists already ({code}), and mode='x' never touches an existing file",
    errno.EACCES: (
        "permission denied ({code}): this process needs write permission on the file, or on its "
        "directory to create it"
    ),
    errno.ENXIO: "is not a regular file ({code})",
}


class FileTransport:
    """Bytes to a regular file, which no other process writes at the same time.

    Symbolic links are followed. An existing file keeps its permissions.

    Args:
        path: of the file.
        mode: "a" continues a file, "w" starts it anew, "x" refuses an existing one.
        permissions: of a new file, before the umask.

    Raises:
        ValueError: there is no such mode.
        TransportError: it cannot be opened, is not a regular file, or somebody else writes to it.
    """

    end = "the file was moved or deleted"

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
        # Bytes at the end of the file that belong to a send that has not been whole yet.
        self._torn = 0
        # Opening a fifo or a device can have effects of its own, so look first.
        self._refuse_other_kinds(self._stat_path())
        self._descriptor = self._open(_FLAGS | _MODE_FLAGS[mode], permissions)
        try:
            self._prepare(mode)
        except OSError as error:
            self.close()
            raise TransportError(self.name, explain(error)) from error
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, -1 once it is closed."""
        return self._descriptor

    def send(self, data: bytes) -> None:
        """Write all of it, or nothing.

        What was written before an error, such as the part that still fitted on a full disk, is
        cut off again: the file ends with the last whole send, and the same data can be sent again
        later.

        Raises:
            TransportError: not all could be written; none of it is in the file.
        """
        try:
            self._cut_off_torn_part()
            view = memoryview(data)
            while self._torn < len(view):
                self._torn += os.write(self._descriptor, view[self._torn :])
            self._torn = 0
        except OSError as error:
            try:
                self._cut_off_torn_part()
            except OSError:
                pass  # the next send tries again, before anything else
            raise TransportError(self.name, explain(error)) from error

    def _cut_off_torn_part(self) -> None:
        if self._torn:
            size = os.fstat(self._descriptor).st_size
            os.ftruncate(self._descriptor, max(0, size - self._torn))  # others may truncate too
            self._torn = 0

    def look(self) -> Optional[bytes]:
        """Look whether the path still names this file.

        Returns:
            None: it does. Empty bytes: the file was moved or deleted.
        """
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return b""
        except OSError:
            # Out of sight, as after a program gave up its privileges; what is open can be written.
            return None
        return None if os.path.samestat(found, os.fstat(self._descriptor)) else b""

    def receive(self, timeout: Optional[float] = None) -> bytes:
        """Return the end at once: a file answers nothing."""
        return b""

    def close(self) -> None:
        """Unlock and close the file; may be called again; never raises."""
        if self._descriptor >= 0 and fcntl is not None:
            try:
                # Closing would do, were there no forked child that holds the same open file.
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            except OSError:
                pass  # a file system without locks
        self.abandon()

    def abandon(self) -> None:
        """Close only the descriptor, in a forked child: unlocking would unlock the parent's."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            try:
                os.close(descriptor)
            except OSError:
                pass  # the descriptor is gone in any case

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
            code = errno.errorcode.get(error.errno or 0, "")
            reason = template.format(code=code) if template else explain(error)
            raise TransportError(self.name, reason) from error

    def _prepare(self, mode: str) -> None:
        """Check, lock and empty the open file, in this order."""
        self._refuse_other_kinds(os.fstat(self._descriptor))
        self._lock()
        if mode == "w":
            os.ftruncate(self._descriptor, 0)
        elif os.fstat(self._descriptor).st_size:
            raise TransportError(
                self.name,
                "is not empty; append to an existing capture is not supported yet: "
                "move it away or use mode='w'",
            )

    def _refuse_other_kinds(self, found: Optional[os.stat_result]) -> None:
        if found is None or stat.S_ISREG(found.st_mode):
            return
        if stat.S_ISDIR(found.st_mode):
            raise TransportError(self.name, "is a directory; write the path of a file in it")
        if stat.S_ISSOCK(found.st_mode):
            raise TransportError(self.name, f"is a socket; write unix://{self._path}")
        raise TransportError(self.name, "is not a regular file but a fifo or a device")

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransportError(
                self.name,
                "another process writes to this file, or another handler of this one; "
                "give each its own file",
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                raise TransportError(self.name, f"cannot be locked: {explain(error)}") from error
