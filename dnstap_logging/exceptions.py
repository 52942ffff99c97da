"""The errors of this library. Log calls raise none of them: they count and report them."""

from __future__ import annotations

import errno
import socket
import sys
from typing import Any, Optional, Tuple

__all__ = [
    "ContentTypeMismatch",
    "DecodeError",
    "DiskFull",
    "DnstapLoggingError",
    "EncodeError",
    "FileLocked",
    "FrameStreamError",
    "FrameTooLarge",
    "InvalidMessage",
    "LocalProtocolError",
    "MessageTooLarge",
    "PeerClosed",
    "RemoteProtocolError",
    "TransportError",
    "TransportTimeout",
]


class DnstapLoggingError(Exception):
    """The root of every error that this library defines.

    Errors can be copied and pickled with their attributes, as a pool's worker does.
    """

    __module__ = "dnstap_logging"

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self)._restore, (self.args,), self.__dict__ or None

    @classmethod
    def _restore(cls, args: Tuple[Any, ...]) -> DnstapLoggingError:
        """Make a pickled error without its constructor, which has other arguments."""
        error = cls.__new__(cls, *args)
        error.args = args
        return error


class FrameStreamError(DnstapLoggingError):
    """The rules of Frame Streams were broken, by us or by the peer."""


class LocalProtocolError(FrameStreamError):
    """This side was asked for something that Frame Streams does not allow here."""


class RemoteProtocolError(FrameStreamError):
    """The peer, or the file, sent something that Frame Streams does not allow here."""


class ContentTypeMismatch(RemoteProtocolError):
    """The peer does not speak our content type."""


class FrameTooLarge(RemoteProtocolError):
    """The peer announced a frame above the limit."""


class TransportError(DnstapLoggingError, OSError):
    """Bytes could not be moved to or from an address.

    Also an `OSError`, which programs expect of `logging.FileHandler` and of sockets.

    Args:
        address: the address as text.
        reason: what went wrong there, without the address.
        taken: how many bytes of a failed send the kernel had taken.
        errno: the system's number, if the cause is not an error of the system.
        filename: the path of the file or unix socket, if it is not in the address.

    Attributes:
        address: the address as text.
        reason: what went wrong there, without the address.
        taken: how many bytes of a failed send the kernel had taken.
    """

    __module__ = "dnstap_logging"

    _usual_errno = 0  # none

    def __init__(
        self,
        address: str,
        reason: str,
        taken: int = 0,
        *,
        errno: Optional[int] = None,
        filename: Optional[str] = None,
    ) -> None:
        # With a number, OSError would make its own text.
        super().__init__(f"{address}: {reason}")
        self.address = address
        self.reason = reason
        self.taken = taken
        self._errno = errno
        self._filename = filename

    def __reduce__(self) -> Tuple[Any, ...]:
        # The cause is not pickled, so keep what it says.
        facts = {"_errno": self._fact("errno"), "_filename": self._fact("filename")}
        return type(self)._restore, (self.args,), {**self.__dict__, **facts}

    @property
    def errno(self) -> Optional[int]:
        """The system's number, usually that of the ``__cause__``.

        None for other errors, such as those of TLS, and of names that cannot be resolved.
        """
        number: Optional[int] = self._fact("errno")
        return (self._usual_errno or None) if number is None else number

    @errno.setter
    def errno(self, number: Optional[int]) -> None:
        self._errno = number

    @property
    def strerror(self) -> str:  # type: ignore[override]
        """The reason."""
        return self.reason

    @property
    def filename(self) -> Any:
        """The path of a file or unix socket; None of other addresses."""
        if self.address.startswith(_WITH_PATH):
            return self.address.partition("://")[2]
        return self._fact("filename")

    @filename.setter
    def filename(self, path: Any) -> None:
        self._filename = path

    def _fact(self, name: str) -> Any:
        """Return an attribute as given, or that of the cause if it is an error of the system."""
        cause = self.__cause__
        value = self.__dict__[f"_{name}"]
        if value is None and isinstance(cause, OSError) and _is_system(cause):
            return getattr(cause, name)
        return value


_WITH_PATH = ("file:///", "unix:///")


def _is_system(error: OSError) -> bool:
    # The errors of OpenSSL and getaddrinfo are OSErrors with other numbers.
    ssl = sys.modules.get("ssl")
    foreign = (socket.gaierror, socket.herror, *((ssl.SSLError,) if ssl else ()))
    return not isinstance(error, foreign)


class TransportTimeout(TransportError):
    """An address did not answer, or took nothing, in time.

    Attributes:
        connected: whether it had taken the connection, and then did not answer the handshake.
    """

    connected = False
    _usual_errno = errno.ETIMEDOUT


class PeerClosed(TransportError):
    """The peer closed the connection in order, or the file was moved, deleted or emptied."""


class DiskFull(TransportError):
    """The file system, or a quota in it, has no room for the capture."""


class FileLocked(TransportError):
    """Another process, or another handler of this one, writes to the capture."""


class EncodeError(DnstapLoggingError):
    """A record could not be made into a dnstap message."""


class InvalidMessage(EncodeError):
    """A record has dns extras, but not what every dnstap message must have."""


class MessageTooLarge(EncodeError):
    """A DNS message or an encoded frame is above its limit."""


class DecodeError(DnstapLoggingError):
    """Bytes are not a dnstap message, or a capture is damaged.

    Attributes:
        offset: where in the capture the bad frame begins; None for a payload alone.
    """

    def __init__(self, text: str, offset: Optional[int] = None) -> None:
        super().__init__(text)
        self.offset = offset
