"""The connection to the destination: one writer after the other, and the backoff between them.

Belongs to whoever drives the delivery, which is the writer thread. Writes what the outbox holds,
puts back into it what has to go out again, and says and books what happens.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, List, Mapping, Optional

from ..diagnostics import Reporter
from ..exceptions import FrameStreamError, PeerClosed, TransportError
from .attempts import AttemptLog
from .destination import NOTHING, Destination, RolloverFailed, WriteError, Writer
from .losses import what_waits
from .options import Options
from .outbox import Outbox
from .queue import RecordQueue

if TYPE_CHECKING:
    from ..transport.waiting import Until

__all__ = ["Connection"]

STABLE_SESSION = 5.0
"""Seconds after which a session without a handshake counts as a good one: a collector that takes
and drops connections is called less and less often."""

LOCK_GRACE = 0.5
"""Seconds in which another writer ends at a usual restart: that is worth no warning."""

LOCK_PATIENCE = 10.0
"""Seconds for which another writer may be about to end: twice the default close_timeout."""


class Connection:
    """Keep a writer open as well as the destination allows.

    Args:
        queue: the books.
        outbox: the frames to write.
        destination: opens the writers.
        options: the handler's arguments.
        reporter: says what happens.

    Attributes:
        backoff: when the next attempt is due.
        outbox: as above; another one may take its place between two sessions.
        sent: bytes of all frames that were taken.
    """

    def __init__(
        self,
        queue: RecordQueue,
        outbox: Outbox,
        destination: Destination,
        options: Options,
        reporter: Reporter,
    ) -> None:
        self._queue = queue
        self.outbox = outbox
        self.sent = 0
        self._destination = destination
        self._log = AttemptLog(queue, destination, reporter)
        self.backoff = destination.make_backoff(options)
        self._writer: Optional[Writer] = None
        self._locked_since: Optional[float] = None
        self._warned = False
        self._began = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a writer is open."""
        return self._writer is not None

    # -- its beginning -------------------------------------------------------------------------

    def prepare(self) -> None:
        """Prepare the destination at construction.

        Raises:
            TransportError: it cannot be used, and why.
        """
        locked = self._destination.prepare()
        if locked is not None:
            self._wait_for_lock(locked.reason)
        self._warn()

    def open(self, until: Until) -> bool:
        """Open a writer and shake hands; return whether frames can be written."""
        writer = None
        try:
            writer = self._destination.open(until)
            writer.start()
        except (TransportError, FrameStreamError) as error:
            self._attempt_failed(error)
            return False
        else:
            self._opened(writer)
        finally:
            if self._writer is None and writer is not None:
                writer.close()
        return True

    def _opened(self, writer: Writer) -> None:
        """Go on with a writer that has begun its stream."""
        self._writer = writer
        self.backoff.succeeded(self._destination.answers)
        self._locked_since = None
        self._began = time.monotonic()
        self._log.succeeded()
        self._log.report("connected", logging.INFO, self._destination.opened)
        self._warn()

    def change_for_better(self, until: Until, meanwhile: Until) -> None:
        """Go on with a better writer, if there is one: end the open one in order, between frames.

        Without its FINISH, what it may not have read goes out again on the better one.

        Args:
            until: of waits in another thread, which looks for it.
            meanwhile: of waits here.
        """
        found = self._destination.better(until, meanwhile)
        if found is None:
            return
        for name, text in found.failures:
            self._log.missed(text, name)
        writer = found.writer
        if writer is None:
            return
        try:
            self.end()
            self._destination.change()
            self._opened(writer)
        finally:
            if self._writer is not writer:
                writer.close()

    def _warn(self) -> None:
        """Say once that the destination cannot be locked."""
        if self._destination.unlocked and not self._warned:
            self._warned = True
            self._log.report("no lock", logging.WARNING, self._destination.unlocked)

    def _attempt_failed(self, error: Exception) -> None:
        text = _describe(error)
        self.backoff.failed(time.monotonic(), getattr(error, "connected", False))
        self._queue.full_because = self._destination.cause_of(error)
        if self._destination.is_locked(error):
            self._log.error(text)
            self._wait_for_lock(text)
        else:
            self._log.failed(text)
            self._say_waiting(f"attempt: {type(error).__name__}", text)

    def _wait_for_lock(self, text: str) -> None:
        """Say that somebody else writes there: at once, soon as a warning, and then if it stays."""
        now = time.monotonic()
        if self._locked_since is None:
            self._locked_since = now
            self._log.error(text)
            self._log.report("locked", logging.INFO, f"waiting, because {text}")
            text += self._destination.lock_hint
            self._say_waiting("kept waiting", f"still waiting, because {text}", LOCK_GRACE)
        elif now - self._locked_since >= LOCK_PATIENCE:
            self._say_waiting("still locked", f"still locked after {LOCK_PATIENCE:.0f} s: {text}")

    def _say_waiting(self, kind: str, text: str, after: float = 0.0) -> None:
        """Report what failed, and how many records are waiting when the line is logged.

        With ``after``, seconds, the line is left out if the lock is there by then.
        """

        def line() -> str:
            if after and self._locked_since is None:
                return ""
            return f"{text} ({what_waits(self._queue.snapshot())})"

        self._log.report(kind, logging.WARNING, line, after)

    # -- while it lasts ------------------------------------------------------------------------

    def write(self) -> None:
        """Write what the outbox holds; what was not taken whole stays there."""
        writer = self._writer
        if writer is None or self._queue.given_up:
            return  # the look before has ended the session, or close() has counted them as lost
        fitting = writer.fitting(self.outbox.payloads)
        if not fitting:
            self.roll_over()
            return
        payloads = self.outbox.payloads[:fitting]
        try:
            size = writer.write(payloads)
        except WriteError as error:
            if error.frames:
                self._wrote(payloads[: error.frames], error.size)
            self.lost(error.cause)
        except (TransportError, FrameStreamError) as error:
            self.lost(error)
        else:
            self._wrote(payloads, size, writer.refused)
            self._log.refused(writer.refused, writer.refusal)

    def _wrote(
        self, payloads: List[bytes], size: int, refused: Mapping[str, int] = NOTHING
    ) -> None:
        """Book frames that were taken whole; and of these the ones that were refused for good."""
        if self._destination.lasting and (self.backoff.failures or self._queue.full_because):
            self.backoff.reset()  # there is room again
            self._log.worked()
            self._queue.full_because = None
        if self._destination.acknowledges:
            confirmed = len(payloads) - sum(refused.values())
            self._queue.book(confirmed=confirmed, connected=True)
        self.sent += size
        self.outbox.wrote(payloads, size, refused)

    def look(self) -> None:
        """Notice that the stream has ended."""
        if self._writer is not None:
            try:
                self._writer.look()
            except (TransportError, FrameStreamError) as error:
                self.lost(error)

    def roll_over(self, asked: bool = False) -> None:
        """Have the writer move aside what it wrote: it is time to, or the user has asked for it."""
        writer = self._writer
        if writer is None or (asked and not writer.can_roll_over):
            return
        try:
            complaint = writer.roll_over()
        except RolloverFailed as error:
            text = error.reason
        except (TransportError, FrameStreamError) as error:
            self.lost(error)
            return
        else:
            self._forget_writer(disconnects=0)
            text = f"rolled over, but: {complaint}" if complaint else ""
        if text:
            self._log.error(text)
            self._log.report("rollover", logging.WARNING, text)

    # -- its end -------------------------------------------------------------------------------

    def lost(self, error: Exception) -> None:
        """Account for a session that broke, and decide when the next one may begin."""
        orderly = isinstance(error, PeerClosed)
        text = _describe(error)
        early = time.monotonic() - self._began < STABLE_SESSION
        text += self._destination.hint(error, early)
        self._log.failed(text)
        if self._destination.lasting and not orderly:
            # The stream is whole up to its last frame: keep it, and try again after a while.
            self._queue.full_because = self._destination.cause_of(error)
            self.backoff.failed(time.monotonic())
            if self._destination.acknowledges:
                self._queue.book(connected=False)
            self._log.cannot_write(text)
        else:
            level = logging.INFO if orderly else logging.WARNING
            self._log.report(f"lost: {type(error).__name__}", level, f"session ended: {text}")
            self._leave_session()

    def _leave_session(self) -> None:
        """Close a session that is over, and decide when the next one may begin."""
        was_open = self._writer is not None  # or an attempt broke in a way that nobody expected
        if self._writer is not None:
            if self._destination.lasting:
                self._writer.stop()  # what was moved away gets its end
            self._forget_writer(disconnects=1)
        now = time.monotonic()
        if self._destination.lasting:
            self.backoff.reset()
        elif was_open and (self._destination.answers or now - self._began >= STABLE_SESSION):
            self.backoff.lost(now)
        else:
            self.backoff.failed(now)

    def _forget_writer(self, disconnects: int) -> None:
        """Close the writer, book the end of its session, and put back what was not read."""
        writer = self._writer
        assert writer is not None
        writer.close()
        self._writer = None
        if writer.held is not None:
            self.outbox.part(writer.held)
        unconfirmed = self.outbox.left(writer.unread, writer.finished)
        self._queue.book(
            connected=False,
            address=self._destination.name,
            disconnects=disconnects,
            confirmed=writer.confirmed,
            unconfirmed=unconfirmed,
        )
        if self.outbox.passed_by:
            self._log.passed_by(self.outbox.passed_by)

    def end(self, patient: bool = True) -> bool:
        """End the stream in order, if one is open: STOP, FINISH and close.

        Args:
            patient: whether to wait for FINISH.

        Returns:
            Whether to wait the next time: not for a collector that lets the time pass.
        """
        writer = self._writer
        if writer is None:
            return patient
        writer.patient = patient
        problem = writer.stop()
        self._forget_writer(disconnects=0)
        text = "stream ended"
        if problem is not None:
            text += f" without {self._destination.end}: {problem}"
        self._log.report("ended", logging.INFO, text)
        return writer.patient

    def renew(self) -> None:
        """Begin a new session with the next attempt, which is due at once."""
        self.backoff.reset()
        self._destination.renew()
        if self._writer is not None and not self._writer.is_current():
            self.end()

    def finish(self, until: Until) -> None:
        """End the stream for good."""
        if self._writer is None and self._destination.prepared:
            self.open(until)  # a capture without records is an empty stream, not an empty file
        self._destination.stop_looking(until)
        self.end()
        self._destination.release()
        self._locked_since = None

    def abandon(self, pid: int) -> Destination:
        """Let go of everything inherited across a fork; return the child's destination."""
        if self._writer is not None:
            self._writer.abandon()
        return self._destination.for_child(pid)


def _describe(error: Exception) -> str:
    """Return an error's text without the address, which the reporter puts before it."""
    return error.reason if isinstance(error, TransportError) else str(error)
