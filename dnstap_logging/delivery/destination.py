"""The seam between the delivery and the place that its frames go to.

Above it are the connection, the outbox and the delivery, which know no scheme, no file and no
socket. Below it, each kind of destination brings its `Destination`, which states what is special
about it, and its `Writer`. Everything here belongs to whoever drives the delivery, which is the
writer thread, except `Destination.prepare` and `Destination.for_child`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, List, Mapping, NamedTuple, Optional, Tuple

from ..exceptions import TransportError
from .backoff import Backoff

if TYPE_CHECKING:
    from ..capture.rotation import Rotation
    from ..transport.waiting import Until
    from .options import Options

__all__ = [
    "Better",
    "Destination",
    "Held",
    "NOTHING",
    "RolloverFailed",
    "Unread",
    "WriteError",
    "Writer",
]


NOTHING: Mapping[str, int] = MappingProxyType({})
"""Of frames that will never be taken: there are none."""


class WriteError(TransportError):
    """A write failed on the way.

    Attributes:
        cause: what went wrong.
        frames: how many frames were handed over whole before that.
        size: their bytes.
    """

    def __init__(self, cause: TransportError, frames: int, size: int) -> None:
        super().__init__(cause.address, cause.reason, cause.taken)
        self.cause = cause
        self.frames = frames
        self.size = size


class RolloverFailed(TransportError):
    """What was written could not be moved aside; the stream goes on. Its reason is a whole line."""


class Held(NamedTuple):
    """What became of a write that had not ended, whose frames are the first of the outbox.

    Attributes:
        frames: how many they are. What is in none of the others was acknowledged.
        refused: how many will never be taken, by the cause under which they are dropped.
        under_way: those that were sent, and may have arrived.
        unsent: those that were not sent.
    """

    frames: int
    refused: Mapping[str, int]
    under_way: List[bytes]
    unsent: List[bytes]


class Unread(NamedTuple):
    """What of a session's records may not have been read.

    Attributes:
        frames: the payloads to send again on the next session, in order.
        lost_sight: how many more records that may be, which are not sent again.
    """

    frames: List[bytes]
    lost_sight: int


class Writer(ABC):
    """Write one stream; used once, from `start` to `close`.

    A writer whose destination is not `lasting` is closed after any error.

    Attributes:
        confirmed: how many records have certainly been read; known once it is closed.
        unread: what may not have been read; known once it is closed.
        held: of a write that had not ended; None: there was none. Known once it is closed.
        finished: whether the stream was ended in order, and nothing says that it broke, although
            nobody may have confirmed it; known once it is closed.
        refused: how many frames of the last write will never be taken, by the cause under which
            they are dropped; `refusal` says why.
        patient: whether `stop` waits until its end is confirmed; false afterwards if it did not,
            or did so until its time was over.
    """

    confirmed = 0
    unread = Unread([], 0)
    held: Optional[Held] = None
    finished = False
    patient = True
    refused = NOTHING
    refusal = ""

    @abstractmethod
    def start(self) -> None:
        """Begin the stream; afterwards frames can be written.

        Raises:
            TransportError, FrameStreamError: it cannot begin; the writer is then closed.
        """

    def fitting(self, payloads: List[bytes]) -> int:
        """Return how many of the payloads may be written now; 0: it has to roll over first."""
        return len(payloads)

    @abstractmethod
    def write(self, payloads: List[bytes]) -> int:
        """Write a frame for each payload; return their bytes, with what frames add.

        Args:
            payloads: not changed afterwards; frames add the same number of bytes to each.

        Raises:
            WriteError: with the number of frames that were taken whole.
            TransportError, FrameStreamError: none was.
        """

    @abstractmethod
    def look(self) -> None:
        """See without waiting whether the stream has ended.

        Raises:
            PeerClosed: it has, in order.
            TransportError, FrameStreamError: it broke, and why.
        """

    def is_current(self) -> bool:
        """Return whether a reopen() goes on with this stream; by default it begins another."""
        return False

    @property
    def can_roll_over(self) -> bool:
        """Whether a rollover that is asked for has anything to move aside."""
        return False

    def roll_over(self) -> Optional[str]:
        """End the stream and close, because no more fits; return None, or a complaint.

        Raises:
            RolloverFailed: the stream goes on.
            TransportError, FrameStreamError: as of `look` and `write`.
        """
        return self.stop()

    @abstractmethod
    def stop(self) -> Optional[str]:
        """End the stream in order and close; return None, or why its end was not confirmed."""

    @abstractmethod
    def close(self) -> None:
        """Close as it is; may be called again; never raises."""

    @abstractmethod
    def abandon(self) -> None:
        """Let go of everything inherited across a fork; the parent's stream goes on untouched."""


class Better(NamedTuple):
    """What a search for a better writer has found.

    Attributes:
        writer: has begun its stream and is the caller's now; None: there is none.
        failures: the addresses that failed, and why.
    """

    writer: Optional[Writer]
    failures: List[Tuple[str, str]]


class Destination(ABC):
    """Open writers, one after the other, and state what is special about this destination.

    Args:
        name: the address, as users see it.
        max_reconnect_interval: seconds that no wait between two attempts exceeds.

    Attributes:
        rotation: when captures roll over and how; None: never.
        unlocked: the line that says why the last writer's place is not locked, although it should
            be; or "".
        lock_hint: what to add to the line about a lock that somebody else keeps.
        answers: whether an opened writer shows that somebody listens. Otherwise only a session
            that lasts does.
        lasting: whether a stream outlasts errors: what was written stays whole, a failed write is
            tried again on the same writer. Such a stream ends only when somebody moved it away,
            and the next one begins at once.
        acknowledges: whether a write ends only when all of it is acknowledged: then it confirms,
            and where it fails nobody is there.
        batch_records: most records written in one go.
        batch_bytes: no further record goes into a write once it has so many bytes of payload.
        opened: the word for a session that began.
        end: the word for what an orderly session ends with.
    """

    rotation: Optional[Rotation] = None
    unlocked = ""
    lock_hint = ""
    answers = True
    lasting = False
    acknowledges = False
    # A third of a millisecond of encoding, two where values have to be converted. That is below
    # the interpreter's switch interval, so that a server's threads are not held up.
    batch_records = 256
    batch_bytes = 64 * 1024  # what a socket's buffer usually takes whole
    opened = "connected"
    end = "FINISH"

    def __init__(self, name: str, max_reconnect_interval: float) -> None:
        self.name = name
        self.max_reconnect_interval = max_reconnect_interval

    @property
    def current(self) -> str:
        """The address that the last attempt, or the open writer, is about."""
        return self.name

    @property
    def names(self) -> Tuple[str, ...]:
        """All addresses, in the order of preference."""
        return (self.name,)

    def make_backoff(self, options: Options) -> Backoff:
        """Return what says when the next attempt is due."""
        return Backoff(
            options.reconnect_interval, self.max_reconnect_interval, options.max_reconnect_attempts
        )

    @property
    def prepared(self) -> bool:
        """Whether a stream waits to be begun, which even without records is worth its end."""
        return False

    def prepare(self) -> Optional[TransportError]:
        """Do at the handler's construction what can be done then.

        Returns:
            None, or an error for which `is_locked` is true.

        Raises:
            TransportError: the destination cannot be used, and why.
        """
        return None

    @abstractmethod
    def open(self, until: Until) -> Writer:
        """Connect; return a writer that has not begun its stream yet.

        Raises:
            TransportError: what went wrong.
        """

    def better(self, until: Until, meanwhile: Until) -> Optional[Better]:
        """Return what a search for a better writer than the open one has found; None: nothing new.

        Does not wait. The caller ends the open writer, calls `change` and goes on with the better
        one, or closes it.

        Args:
            until: when the waits of the search must give up; called in its own thread.
            meanwhile: the same for the writer that is returned; called in the thread that uses it.
        """
        return None

    def change(self) -> None:  # noqa: B027 - most have nothing to do
        """Note that the better writer is the open one now."""

    def stop_looking(self, until: Until) -> None:  # noqa: B027 - most have nothing to do
        """Stop looking for a better writer: none will be opened any more."""

    def release(self) -> None:  # noqa: B027 - most keep nothing
        """Let go of what is kept from session to session: there is none any more."""

    def is_locked(self, error: Exception) -> bool:
        """Return whether an attempt failed because somebody else writes there.

        That is no failure yet: it may be an earlier process, or handler, that has its last records
        still to write.
        """
        return False

    def cause_of(self, error: Exception) -> Optional[str]:
        """Return why records are lost that find no room while an error lasts (`stats.CAUSES`).

        None: because there is no session, and because the queue is full.
        """
        return None

    def hint(self, error: Exception, early: bool) -> str:
        """Return what to add to the line about a session that broke; "" for nothing.

        Args:
            error: what ended it.
            early: soon after its beginning.
        """
        return ""

    def renew(self) -> None:  # noqa: B027 - most have nothing to do
        """Make sure that the next writer begins another stream, because of a reopen()."""

    @abstractmethod
    def for_child(self, pid: int) -> Destination:
        """Let go of everything inherited across a fork; return the child's destination."""
