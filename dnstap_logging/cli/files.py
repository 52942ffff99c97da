"""The files that commands make, with the permissions that captures have."""

from __future__ import annotations

import os

from ..arguments import DEFAULT_PERMISSIONS

__all__ = ["create"]


def create(path: str, flags: int) -> int:
    """Open a file as the ``opener`` of `open`; return its descriptor.

    A new file has the permissions of a new capture, before the umask: what is made of captures
    holds client addresses too. A file that exists keeps its own, whether it is overwritten or
    continued: somebody may have opened it to others on purpose.

    Raises:
        OSError: it cannot be opened.
    """
    return os.open(path, flags, DEFAULT_PERMISSIONS)
