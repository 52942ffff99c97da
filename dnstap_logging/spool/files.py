"""How files come into the folder, and how they are taken over: locked, and never half made."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import List, Optional, Set

from ..exceptions import FileLocked, TransportError
from ..process.inherited import no_fork
from ..transport.file import FileTransport
from .names import NEW_SUFFIX

__all__ = ["list_names", "lock_existing", "make_new", "put", "read_lines", "remove"]

MOST_READ = 1024 * 1024
"""Characters of a text file in the folder; what is more is not ours."""


def make_new(path: str) -> Optional[FileTransport]:
    """Return an empty file, locked, under this path and `NEW_SUFFIX`; None: the name is taken.

    Raises:
        DiskFull: there is no room for it.
        TransportError: it cannot be made, or not be locked.
    """
    try:
        transport = FileTransport(path + NEW_SUFFIX, "x")
    except FileLocked:
        return None  # another process clears it away, as what a killed one left
    except TransportError as error:
        if error.errno == errno.EEXIST:
            return None
        raise
    if transport.unlocked:
        remove(transport)
        reason = "this file system has no locks, so nobody could say whose segments lie here"
        raise TransportError(transport.name, f"{reason}: {transport.unlocked}")
    return transport


def put(transport: FileTransport, content: bytes, path: str, *, replace: bool = False) -> bool:
    """Write a new file and give it its path; it stays locked.

    Returns:
        False: another process cleared it away, or the path is taken. It is removed.

    Raises:
        DiskFull: there is no room for the content. It is removed.
        TransportError: it failed for another reason. It is removed.
    """
    moved = False
    try:
        transport.send(content)
        if transport.look() is None and (replace or not os.path.lexists(path)):
            transport.move(path)
            moved = True
    finally:
        if not moved:
            remove(transport)
    return moved


def lock_existing(path: str) -> Optional[FileTransport]:
    """Return a file that is there, locked; None: somebody else has it, it is gone, or no file."""
    if os.path.islink(path):
        return None
    try:
        transport = FileTransport(path, "r+")
    except TransportError:
        return None
    if transport.unlocked or transport.look() is not None:
        transport.close()
        return None
    return transport


def remove(transport: FileTransport) -> None:
    """Delete a file that this process has locked, and close it, whatever happens."""
    with contextlib.suppress(TransportError):
        transport.remove()


def list_names(folder: str) -> List[str]:
    """Return the names of all that is in a folder; no forked child has its descriptor.

    Raises:
        OSError: it cannot be listed.
    """
    with no_fork():
        return os.listdir(folder)


def read_lines(path: str) -> Optional[Set[str]]:
    """Return the lines of a text file, in no order; None: there is no such file.

    Raises:
        OSError: it cannot be read.
    """
    try:
        with (
            no_fork(),
            open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file,
        ):
            return set(file.read(MOST_READ).split("\n")[:-1])
    except FileNotFoundError:
        return None
