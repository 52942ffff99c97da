"""The destination that is several collectors, of which one is used at a time.

Belongs to whoever drives the delivery, but for what runs in the thread of a `Search`.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

from ..exceptions import FrameStreamError, TransportError
from ..interrupts import ends_greenlet
from ..process.threads import become_writer
from ..shorten import describe_error
from .backoff import Backoff
from .destination import Better, Destination, Writer
from .stream_destination import StreamDestination
from .stream_writer import StreamWriter

if TYPE_CHECKING:
    from ..transport.waiting import Until
    from .options import Options

__all__ = ["Backoffs", "Failover", "Search"]

CANCEL_PATIENCE = 0.5
"""Seconds in which a thread notices that its search was cancelled: its waits last at most 0.1 s."""


class Backoffs(Backoff):
    """One backoff for each address, and which address is tried next.

    After a failure that is the next one in the list, and after the last the first, as long as its
    own backoff allows it.

    Args:
        each: of the addresses, in the order of preference.

    Attributes:
        current: the index of the address that was tried last.
        used: of the one whose session began last.
        changed_at: the monotonic time when that was another one than before.
    """

    def __init__(self, each: Sequence[Backoff]) -> None:
        self._each = each
        self._next = 0
        self.current = 0
        self.used = 0
        self.changed_at = -math.inf

    @property
    def due(self) -> float:
        """When the first of them is due."""
        return min((one.due for one in self._each if not one.exhausted), default=0.0)

    @property
    def failures(self) -> int:
        """How often each of them has failed at least."""
        return min(one.failures for one in self._each)

    @property
    def exhausted(self) -> bool:
        """Whether no address has an attempt left."""
        return all(one.exhausted for one in self._each)

    def choose(self, now: float) -> int:
        """Return the index of the address to try at the monotonic time ``now``."""
        number = len(self._each)
        order = [(self._next + step) % number for step in range(number)]
        left = [index for index in order if not self._each[index].exhausted] or order
        due = [index for index in left if self._each[index].due <= now]
        self.current = due[0] if due else min(left, key=lambda index: self._each[index].due)
        return self.current

    def change(self, index: int) -> None:
        """Note that another address has shaken hands, which is the current one now."""
        self.current = index
        self._each[index].reset()

    def hurry(self) -> None:
        """Have the next attempt of each address due now."""
        for one in self._each:
            one.hurry()

    def succeeded(self, answered: bool) -> None:
        """Note that the current address has made a connection."""
        self._each[self.current].succeeded(answered)
        self._next = self.current
        if self.used != self.current:
            self.used = self.current
            self.changed_at = time.monotonic()

    def failed(self, now: float, unanswered: bool = False) -> None:
        """Note that an attempt at the current address has failed."""
        self._each[self.current].failed(now, unanswered)
        self._next = self.current + 1

    def lost(self, now: float) -> None:
        """Note the end of a good connection to the current address."""
        self._each[self.current].lost(now)
        self._next = self.current + 1

    def reset(self) -> None:
        """Begin again with the first address, on request."""
        for one in self._each:
            one.reset()
        self._next = 0


class Search:
    """Try addresses in a thread of its own, until one shakes hands.

    Whose the writer is: its thread's, until that puts it into ``_found``; then whose `pop` takes it
    out, which is one atomic call. That is the driver of the delivery, when it goes on with it or
    cancels the search; or the thread, if it was cancelled meanwhile. So it is always used or closed
    by one thread alone.

    Args:
        destinations: to try, in this order; used by this search alone while it runs.
        until: when the writer's waits must give up at the latest.

    Attributes:
        done: whether the thread has finished.
        index: of the destination that was found.
        failures: name and error of those that were not.
    """

    def __init__(self, destinations: Sequence[StreamDestination], until: Until) -> None:
        self._destinations = destinations
        self._until = until
        self._found: List[StreamWriter] = []
        self._cancelled = False
        self._thread: Optional[threading.Thread] = None
        self.done = False
        self.index = 0
        self.failures: List[Tuple[str, str]] = []

    def start(self) -> bool:
        """Start the thread; return whether one can be started here."""
        if sys.is_finalizing():
            return False  # before Python 3.12, Thread.start would hang
        self._thread = threading.Thread(
            target=self._run, args=(threading.get_native_id(),), name="dnstap-search", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # interpreter shutdown, a limit of the system
            return False
        return True

    # -- its thread ----------------------------------------------------------------------------

    def _run(self, starter: int) -> None:
        try:
            become_writer(starter)
            for index, destination in enumerate(self._destinations):
                if self._cancelled or self._try(index, destination):
                    break
        finally:
            self.done = True

    def _try(self, index: int, destination: StreamDestination) -> bool:
        """Shake hands with one of them; return whether that worked."""
        writer: Optional[StreamWriter] = None
        try:
            writer = destination.open(self._limit)
            writer.start()
        except BaseException as error:
            if writer is not None:
                writer.close()
            if ends_greenlet(error):
                raise
            self.failures.append((destination.name, _describe(error)))
            return False
        self.index = index
        self._found.append(writer)
        if self._cancelled:
            self._discard()
        return True

    def _limit(self) -> float:
        return -math.inf if self._cancelled else self._until()

    # -- whoever drives the delivery -----------------------------------------------------------

    def take(self, until: Until) -> Optional[StreamWriter]:
        """Return the writer that was found, which is the caller's now; None: there is none.

        Args:
            until: when its waits must give up from now on.
        """
        self._until = until
        return self._pop()

    def cancel(self, patience: float = 0.0) -> None:
        """Have the thread end soon, and close what it has opened.

        Args:
            patience: seconds to wait for its end.
        """
        self._cancelled = True
        self._discard()
        if patience > 0 and self._thread is not None:
            self._thread.join(patience)

    def abandon(self) -> None:
        """Let go of what it opened, in a forked child, which has no such thread."""
        writer = self._pop()
        if writer is not None:
            writer.abandon()

    def _pop(self) -> Optional[StreamWriter]:
        try:
            return self._found.pop()
        except IndexError:
            return None

    def _discard(self) -> None:
        """End a session that nobody wants; without a wait, because the limit has passed."""
        writer = self._pop()
        if writer is not None:
            with suppress(Exception):
                writer.stop()


class Failover(Destination):
    """Several collectors behind sockets: the first that shakes hands, and when it fails, the next.

    Args:
        options: the handler's arguments, with `Options.each`.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(str(options.address), options.max_reconnect_interval)
        self._options = options
        self._places = [StreamDestination(each) for each in options.each]
        # For the thread of a search: a resolver belongs to one thread.
        self._scouts = [StreamDestination(each) for each in options.each[:-1]]
        places = zip(self._places, options.each)
        self._backoffs = Backoffs([place.make_backoff(each) for place, each in places])
        self._search: Optional[Search] = None
        self._found = 0
        self._looked_at = -math.inf
        self.answers = options.bidirectional

    @property
    def names(self) -> Tuple[str, ...]:
        """All addresses, in the order of preference."""
        return tuple(place.name for place in self._places)

    @property
    def current(self) -> str:
        """The address that the last attempt, or the open writer, is about."""
        return self._places[self._backoffs.current].name

    def make_backoff(self, options: Options) -> Backoffs:
        """Return what says when the next attempt is due; it chooses the address."""
        return self._backoffs

    def prepare(self) -> Optional[TransportError]:
        """Prepare each of them."""
        for place in self._places:
            place.prepare()
        return None

    def open(self, until: Until) -> Writer:
        """Connect to the address whose turn it is."""
        used = self._backoffs.used
        index = self._backoffs.choose(time.monotonic())
        if index != used:
            self._cancel()
        self._say_opened(index, used)
        return self._places[index].open(until)

    def _say_opened(self, index: int, used: int) -> None:
        """Choose the words for a session that begins now."""
        self.opened = "connected"
        if index != used:
            how = "instead of" if index > used else "back from"
            self.opened = f"connected, {how} {self._places[used].name}"

    def hint(self, error: Exception, early: bool) -> str:
        """Say what to try, as the current address does."""
        return self._places[self._backoffs.current].hint(error, early)

    def renew(self) -> None:
        """Begin with the first address."""
        self._cancel()

    # -- the way back --------------------------------------------------------------------------

    def better(self, until: Until, meanwhile: Until) -> Optional[Better]:
        """Have an earlier address tried when it is time; return what came of it, once it did."""
        used = self._backoffs.used
        wait = self._options.prefer_after
        if not used or wait is None:
            return None
        now = time.monotonic()
        search = self._search
        if search is None:
            if now >= max(self._backoffs.changed_at, self._looked_at) + wait:
                self._looked_at = now
                search = Search(self._scouts[:used], until)
                self._search = search if search.start() else None
            return None
        if not search.done:
            return None
        self._search = None
        self._looked_at = now
        self._found = search.index
        return Better(search.take(meanwhile), search.failures)

    def change(self) -> None:
        """Note that the writer of the earlier address is the open one now."""
        self._say_opened(self._found, self._backoffs.used)
        self._backoffs.change(self._found)

    def _cancel(self, patience: float = 0.0) -> None:
        search, self._search = self._search, None
        if search is not None:
            search.cancel(patience)

    # -- its end -------------------------------------------------------------------------------

    def stop_looking(self, until: Until) -> None:
        """End a search; wait a moment for its thread, so that its socket is closed."""
        self._cancel(min(CANCEL_PATIENCE, until() - time.monotonic()))

    def for_child(self, pid: int) -> Failover:
        """Return the child's destination: the same collectors, from the first on."""
        if self._search is not None:
            self._search.abandon()
        return Failover(self._options)


def _describe(error: BaseException) -> str:
    """Return an error's text without the address."""
    if isinstance(error, TransportError):
        return error.reason
    if isinstance(error, FrameStreamError):
        return str(error)
    return f"internal error: {describe_error(error)}"
