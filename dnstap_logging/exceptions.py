"""The errors of this library, each in one sentence.

They live in a module of their own, below all others, so that every room can raise and catch them
without import loops. None of them ever leaves a log call: there they are counted and reported.
"""

from __future__ import annotations

from typing import Any, Optional, Tuple, Type

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


def _restore(kind: Type[DnstapLoggingError], args: Tuple[Any, ...]) -> DnstapLoggingError:
    """Make an error again of its text, without its constructor, which takes other arguments."""
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class DnstapLoggingError(Exception):
    """The root of every error that this library defines.

    Every error can be copied and pickled, with its attributes: a pool's worker sends it back.
    """

    def __reduce__(self) -> Tuple[Any, ...]:
        return _restore, (type(self), self.args), self.__dict__ or None


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


class TransportError(DnstapLoggingError):
    """Bytes could not be moved to or from an address.

    Attributes:
        address: the address as text.
        reason: what went wrong there, without the address.
        taken: how many bytes of a failed send the kernel had taken.
    """

    def __init__(self, address: str, reason: str, taken: int = 0) -> None:
        super().__init__(f"{address}: {reason}")
        self.address = address
        self.reason = reason
        self.taken = taken


class TransportTimeout(TransportError):
    """An address did not answer, or took nothing, in time."""


class PeerClosed(TransportError):
    """The peer closed the connection in order, or the file was moved, deleted or emptied."""


class DiskFull(TransportError):
    """The file system, or a quota in it, has no room for the capture."""


class FileLocked(TransportError):
    """Another process, or another handler of this one, writes to the capture."""


class EncodeError(DnstapLoggingError):
    """A record could not be made into a dnstap message."""


class InvalidMessage(EncodeError):
    """A record has dns extras but lacks what every dnstap message must have."""


class MessageTooLarge(EncodeError):
    """A DNS message or an encoded frame is above its limit."""


class DecodeError(DnstapLoggingError):
    """Bytes are not a dnstap message, or a capture is damaged.

    Attributes:
        offset: where in the capture the frame begins that is at fault; None for a payload alone.
    """

    def __init__(self, text: str, offset: Optional[int] = None) -> None:
        super().__init__(text)
        self.offset = offset
