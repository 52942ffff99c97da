"""Explain OSErrors in words; each text follows the address in a TransportError."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import Dict, Mapping

from .tls import explain_tls

__all__ = ["explain", "explain_unix_connect"]

_REASONS: Dict[int, str] = {
    errno.ECONNREFUSED: "connection refused; nothing listens on this port",
    errno.ECONNRESET: "the peer reset the connection",
    errno.ECONNABORTED: "the connection was aborted",
    errno.EPIPE: "the peer closed the connection",
    errno.ETIMEDOUT: "the peer does not answer; it or the way to it is down",
    errno.EHOSTUNREACH: "no route to this host",
    errno.ENETUNREACH: "no route to this network",
    errno.EAFNOSUPPORT: "this system does not speak this address family",
    errno.EADDRNOTAVAIL: "this system has no address, or no free port, to connect from",
    errno.EMFILE: "this process has too many open files",
    errno.ENFILE: "this system has too many open files",
    errno.EACCES: "permission denied",
    errno.ENOSPC: "no space left on the device",
    errno.EDQUOT: "disk quota exceeded",
    errno.EFBIG: "the file reached the largest size that this process may write",
    errno.EROFS: "the file system is read-only",
    errno.EIO: "input/output error of the device",
}

_UNIX_CONNECT_REASONS: Dict[int, str] = {
    errno.ENOENT: "no such socket ({code}): the collector creates it; nothing listens there yet",
    errno.ENOTDIR: "a part of this path is not a directory ({code})",
    errno.ELOOP: "too many symbolic links in this path ({code})",
    errno.EPROTOTYPE: "a socket of another type than stream ({code}); dnstap needs a stream socket",
    errno.EACCES: (
        "permission denied ({code}): this process needs write permission on the socket and search "
        "permission on the directories above it"
    ),
}


def explain(error: OSError, special: Mapping[int, str] = {}) -> str:
    """Return what an error of the system, or of TLS, means for a connection or a file.

    Args:
        error: what the system raised.
        special: what some numbers mean here, with ``{code}`` for their names.
    """
    # Errors of TLS are OSErrors whose numbers are not errnos.
    if "ssl" in sys.modules:
        text = explain_tls(error)
        if text is not None:
            return text
    if error.errno is None:
        return str(error) or type(error).__name__
    code = errno.errorcode.get(error.errno, str(error.errno))
    if error.errno in special:
        return special[error.errno].format(code=code)
    return f"{_REASONS.get(error.errno) or os.strerror(error.errno)} ({code})"


def explain_unix_connect(error: OSError, path: str) -> str:
    """Return why a unix socket cannot be connected.

    Args:
        error: what connect raised.
        path: the socket's path, or an abstract name with its NUL.
    """
    if error.errno == errno.ECONNREFUSED:
        return _explain_refused(path)
    return explain(error, _UNIX_CONNECT_REASONS)


def _explain_refused(path: str) -> str:
    if path.startswith("\0"):
        return (
            "no such abstract name (ECONNREFUSED): the collector creates it; "
            "nothing listens there yet"
        )
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        is_socket = True  # gone in the meantime
    if not is_socket:
        return "not a socket (ECONNREFUSED): something else has this path"
    return (
        "connection refused (ECONNREFUSED): the socket is there but no collector listens on it "
        "any more; the collector makes a new one when it starts"
    )
