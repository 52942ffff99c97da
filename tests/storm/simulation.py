"""A collector goes away and comes back, and all its senders want to shake hands at once.

Real are the backoff (`Backoff`, and `Backoffs` where there are two collectors), and the arithmetic
of the queue and the spool, which test_simulation.py compares with the real ones. Simulated are the
clock and the collector. It shakes hands with one sender after the other, so many a second, and the
others wait in its accept queue. A sender that has waited for `timeout` closes its connection, but
that stays in the accept queue: the collector shakes hands with nobody. So the more senders have
given up, the longer all others wait, until nobody is served in time. That is the storm.

Where the accept queue is full, the kernel drops what would begin a connection, and the sender's
kernel tries again after one and three seconds, as Linux does.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from typing import Callable, Deque, List, NamedTuple, Optional, Tuple, Type

from dnstap_logging.delivery.backoff import Backoff
from dnstap_logging.delivery.failover import Backoffs

RECONNECT_INTERVAL = 0.1
MAX_RECONNECT_INTERVAL = 10.0
TIMEOUT = 5.0
"""The handler's defaults for tcp:// and tls://."""

KNOCKS = (0.0, 1.0, 3.0, 7.0, 15.0, 31.0)
"""Seconds at which a kernel tries to begin a connection, while its program waits for it."""

PATIENCE = 300.0
"""Seconds after the collector's return in which a sender that is not back never comes back."""


class Scene(NamedTuple):
    """What is simulated.

    Attributes:
        senders: how many there are; all lose their collector at the time 0.
        hands: handshakes a second of each collector; None: without a limit.
        outage: seconds until it is back.
        waiting: connections that fit into its accept queue.
        timeout: the argument of the handlers.
        failover: whether there is a second collector, which is there all the time.
        policy: the backoff.
        seed: of chance.
    """

    senders: int
    hands: Optional[float]
    outage: float
    waiting: int = 4096
    timeout: float = TIMEOUT
    failover: bool = False
    policy: Type[Backoff] = Backoff
    seed: int = 1


class Result(NamedTuple):
    """What came of it.

    Attributes:
        attempts: to connect, of all senders.
        away: for each sender the seconds without a session; None: it has not come back.
    """

    attempts: int
    away: List[Optional[float]]

    def all_back(self, since: float) -> Optional[float]:
        """Return after how many seconds from then on all were back; None: not all of them."""
        back = [each for each in self.away if each is not None]
        return max(0.0, max(back) - since) if len(back) == len(self.away) else None


def least(scene: Scene) -> float:
    """Return the seconds that no policy can undercut: each sender needs a handshake."""
    return scene.senders / scene.hands if scene.hands else 0.0


class Clock:
    """Simulated time, and what is going to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._coming: List[Tuple[float, int, Callable[..., None], Tuple[object, ...]]] = []

    def at(self, when: float, call: Callable[..., None], *arguments: object) -> None:
        """Have something called at this time."""
        heapq.heappush(self._coming, (when, next(self._order), call, arguments))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._coming and self._coming[0][0] <= until:
            self.now, _, call, arguments = heapq.heappop(self._coming)
            call(*arguments)


class Attempt:
    """A connection in the accept queue, and whether somebody is still at its other end."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender
        self.given_up = False


class Collector:
    """Shake hands with those in the accept queue, one after the other."""

    def __init__(self, clock: Clock, hands: Optional[float], waiting: int, up_at: float) -> None:
        self._clock = clock
        self._time = 1.0 / hands if hands else 0.0
        self._most = waiting
        self._up_at = up_at
        self._waiting: Deque[Attempt] = deque()
        self._busy = False

    @property
    def is_up(self) -> bool:
        """Whether it listens: otherwise connections are refused at once."""
        return self._clock.now >= self._up_at

    @property
    def has_room(self) -> bool:
        """Whether another connection fits into the accept queue."""
        return len(self._waiting) < self._most

    def take(self, attempt: Attempt) -> None:
        """Put a connection into the accept queue."""
        self._waiting.append(attempt)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._clock.at(self._clock.now + self._time, self._shaken, self._waiting.popleft())

    def _shaken(self, attempt: Attempt) -> None:
        self._busy = False
        if not attempt.given_up:
            attempt.sender.succeeded()
        self._go_on()


class Sender:
    """A handler that has lost its session at the time 0, as its writer thread acts."""

    def __init__(self, scene: Scene, clock: Clock, collectors: List[Collector], chance: Chance):
        self._clock = clock
        self._collectors = collectors
        self._timeout = scene.timeout
        each = [
            scene.policy(RECONNECT_INTERVAL, MAX_RECONNECT_INTERVAL, chance=chance)
            for _ in collectors
        ]
        self._backoff = Backoffs(each) if len(each) > 1 else each[0]
        self.attempts = 0
        self.back_at: Optional[float] = None
        self._backoff.lost(0.0)
        if len(each) == 1:
            self._be_refused(scene.outage)
        clock.at(self._backoff.due, self._connect)

    def _be_refused(self, until: float) -> None:
        """Try again and again while nobody listens, all at once: that takes no simulated time."""
        while self._backoff.due < until:
            self.attempts += 1
            self._backoff.failed(self._backoff.due)

    def _connect(self) -> None:
        self.attempts += 1
        backoff, now = self._backoff, self._clock.now
        collector = self._collectors[backoff.choose(now) if isinstance(backoff, Backoffs) else 0]
        if collector.is_up:
            self._knock(collector, now, 0)
        else:
            self._failed(unanswered=False)

    def _knock(self, collector: Collector, began: float, knocks: int) -> None:
        clock = self._clock
        if collector.has_room:
            attempt = Attempt(self)
            # Before the collector: an attempt that is answered in no time has not been given up.
            clock.at(clock.now + self._patience(), self._give_up, attempt)
            collector.take(attempt)
        elif knocks + 1 < len(KNOCKS) and KNOCKS[knocks + 1] < self._timeout:
            clock.at(began + KNOCKS[knocks + 1], self._knock, collector, began, knocks + 1)
        else:
            clock.at(began + self._timeout, self._failed, False)

    def _patience(self) -> float:
        return self._timeout * float(getattr(self._backoff, "patience", 1.0))

    def _give_up(self, attempt: Attempt) -> None:
        if self.back_at is None:
            attempt.given_up = True
            self._failed(unanswered=True)

    def _failed(self, unanswered: bool) -> None:
        self._backoff.failed(self._clock.now, unanswered)
        self._clock.at(max(self._clock.now, self._backoff.due), self._connect)

    def succeeded(self) -> None:
        """Have a session again."""
        self.back_at = self._clock.now


Chance = Callable[[], float]


def run(scene: Scene) -> Result:
    """Simulate a scene."""
    clock = Clock()
    collectors = [Collector(clock, scene.hands, scene.waiting, scene.outage)]
    if scene.failover:
        collectors.append(Collector(clock, scene.hands, scene.waiting, 0.0))
    chance = random.Random(scene.seed).random
    senders = [Sender(scene, clock, collectors, chance) for _ in range(scene.senders)]
    clock.run(scene.outage + PATIENCE)
    return Result(sum(each.attempts for each in senders), [each.back_at for each in senders])


class Store(NamedTuple):
    """What a handler keeps while it has no session; records of one size.

    Attributes:
        queue_size: the argument of the handler.
        queue_bytes: the argument of the handler.
        spool_bytes: the argument of the handler; 0: no spool.
        record_size: bytes of a payload.
    """

    queue_size: int = 10_000
    queue_bytes: int = 64 * 1024 * 1024
    spool_bytes: int = 0
    record_size: int = 150

    @property
    def room(self) -> int:
        """How many records fit: on the queue, and as frames with their length in the spool."""
        queued = min(self.queue_size, self.queue_bytes // self.record_size)
        return queued + self.spool_bytes // (self.record_size + 4)

    def dropped(self, rate: float, away: float) -> int:
        """Return how many records of so many a second find no room in so many seconds."""
        return max(0, int(rate * away) - self.room)


def share_dropped(result: Result, store: Store, rate: float) -> float:
    """Return the share of the records logged while the senders were away that were dropped."""
    away = [PATIENCE if each is None else each for each in result.away]
    logged = sum(int(rate * each) for each in away)
    return sum(store.dropped(rate, each) for each in away) / max(1, logged)
