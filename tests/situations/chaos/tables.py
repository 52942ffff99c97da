"""What a plan chooses from.

A new destination, fault, option or step is one entry here, and one function of its name where it is
carried out.
"""

from __future__ import annotations

from random import Random
from typing import Any, Callable, Dict, List, NamedTuple, Tuple

__all__ = [
    "DESTINATIONS",
    "FAULTS",
    "FILES",
    "HOWS",
    "KAFKA",
    "OPTIONS",
    "SOCKETS",
    "STEPS",
    "Fault",
]

Choose = Callable[[Random], Any]


class Destination(NamedTuple):
    """Where records go.

    Attributes:
        handler: the class, of dnstap_logging.
        kind: "socket", "file" or "kafka".
        choose: the arguments that only this destination has.
    """

    handler: str
    kind: str
    choose: Choose

    @property
    def has_collector(self) -> bool:
        """Whether a process of ours has to listen."""
        return self.kind == "socket"


def _nothing(rng: Random) -> Dict[str, Any]:
    return {}


MOST_BACKUPS = 2000
"""More than the seconds of a scenario are enough for: each rollover renames all that are there, and
what is pushed out at the end would look like a loss."""


def _size(rng: Random) -> Dict[str, Any]:
    rotator = rng.choice(("", "", "", "slow", "raising", "late"))
    return {
        "maxBytes": rng.choice([30_000, 100_000]),
        "backupCount": MOST_BACKUPS,
        "rotator": rotator,
        # What waits at the end makes some dozen files more, and not hundreds.
        "queue_bytes": 1_000_000,
    }


def _time(rng: Random) -> Dict[str, Any]:
    return {"when": "S", "interval": 1, "utc": rng.random() < 0.5}


DESTINATIONS: Dict[str, Destination] = {
    "unix": Destination("DnstapHandler", "socket", _nothing),
    "abstract": Destination("DnstapHandler", "socket", _nothing),
    "tcp": Destination("DnstapHandler", "socket", _nothing),
    "tls": Destination("DnstapHandler", "socket", _nothing),
    "file": Destination("DnstapHandler", "file", _nothing),
    "rotating": Destination("RotatingDnstapHandler", "file", _size),
    "timed": Destination("TimedRotatingDnstapHandler", "file", _time),
    "kafka": Destination("DnstapHandler", "kafka", _nothing),
}


def _kind(kind: str) -> Tuple[str, ...]:
    return tuple(name for name, each in DESTINATIONS.items() if each.kind == kind)


SOCKETS, FILES, KAFKA = _kind("socket"), _kind("file"), _kind("kafka")


class Fault(NamedTuple):
    """What can go wrong at the other end.

    Attributes:
        by: who does it: a "session" of the collector (`peers`), the "process" of the collector
            (`moments`), somebody who meddles with the "file" (`meddling`), or Kafka's "brokers"
            (`brokers`).
        where: the destinations that can have it.
        hides_loss: the destinations where records can be lost by it that nothing can count:
            docs/reliability.md says which, and why.
        needs_namespace: whether the program needs a disk of its own.
    """

    by: str
    where: Tuple[str, ...] = SOCKETS
    hides_loss: Tuple[str, ...] = ()
    needs_namespace: bool = False


FAULTS: Dict[str, Fault] = {
    # what a session of the collector does
    "well": Fault("session"),
    "silent": Fault("session"),  # accepts, and says nothing
    "closes_after_ready": Fault("session"),
    "wrong_content_type": Fault("session"),
    "accepts_then_closes": Fault("session"),
    "garbage": Fault("session"),  # instead of ACCEPT
    "resets": Fault("session"),  # SO_LINGER 0, in the middle
    "closes_in_a_frame": Fault("session"),  # with more of it unread
    "reads_slowly": Fault("session"),
    "stalls": Fault("session"),  # stops reading, then goes on
    "stalls_then_closes": Fault("session"),
    "never_finishes": Fault("session"),
    "finishes_late": Fault("session"),
    "finishes_early": Fault("session"),  # FINISH before STOP
    "chatters": Fault("session"),  # control frames that a reader must not send
    "half_closes": Fault("session", hides_loss=("tcp",)),
    "wrong_certificate": Fault("session", ("tls",)),
    "speaks_plain": Fault("session", ("tls",)),
    "tls_without_end": Fault("session", ("tls",)),  # no close_notify
    # what happens to the collector's process
    "killed": Fault("process"),  # SIGKILL, started again
    "killed_behind": Fault("process"),  # SIGSTOP first, so that data is unread
    "paused": Fault("process"),
    "absent": Fault("process"),  # starts late
    "ended": Fault("process"),  # closes everything in order, and returns
    "unlinked": Fault("process", ("unix",)),  # its socket's path vanishes
    "replaced_by_file": Fault("process", ("unix",)),
    # what happens to files
    "moved": Fault("file", FILES),
    "deleted": Fault("file", FILES),
    "truncated": Fault("file", FILES, hides_loss=FILES),
    "locked": Fault("file", FILES),  # by another writer
    "folder_away": Fault("file", FILES),
    "disk_full": Fault("file", FILES, needs_namespace=True),
    # what happens to Kafka's brokers
    "brokers_down": Fault("brokers", KAFKA),  # no connections, then there are some again
    "brokers_absent": Fault("brokers", KAFKA),  # the same, from the beginning
    "one_broker_down": Fault("brokers", KAFKA),
    "slow_brokers": Fault("brokers", KAFKA),
    "passing_errors": Fault("brokers", KAFKA),
    "no_metadata": Fault("brokers", KAFKA),
    "leaders_move": Fault("brokers", KAFKA),
    "topic_gone": Fault("brokers", KAFKA),
}


class Option(NamedTuple):
    """An argument of the handler that some plans set.

    Attributes:
        choose: its value.
        chance: that a plan has it; otherwise the default holds.
        where: the destinations that have it.
    """

    choose: Choose
    chance: float = 0.4
    where: Tuple[str, ...] = SOCKETS + FILES + KAFKA


def _of(*values: Any) -> Choose:
    return lambda rng: rng.choice(values)


# Times are short, or a scenario would do little but wait. The first four are in every plan.
OPTIONS: Dict[str, Option] = {
    "timeout": Option(_of(0.2, 0.5, 1.0, 2.0), 1.0),
    "close_timeout": Option(_of(0.3, 1.0, 3.0), 1.0),
    "reconnect_interval": Option(_of(0.01, 0.05, 0.1), 1.0),
    "max_reconnect_interval": Option(_of(0.1, 0.3), 1.0, SOCKETS + FILES),
    "overflow": Option(_of("drop", "block"), 0.8),
    "queue_size": Option(_of(1, 10, 100, 1000), 0.5),
    "queue_bytes": Option(_of(70_000, 1_000_000), 0.3),
    "resend_bytes": Option(_of(0, 1, 5_000, 70_000, 1_000_000), 0.5, SOCKETS),
    "bidirectional": Option(_of(True, False, False), 0.3, SOCKETS),
    "max_reconnect_attempts": Option(_of(0, 1, 5), 0.1, SOCKETS + FILES),
    # With it the collector has two addresses (see `tapped.two_of`).
    "prefer_after": Option(_of(0.02, 0.2, 1.0, None), 0.3, SOCKETS),
    "max_frame_size": Option(_of(4096, 20_000), 0.2),
    "report_interval": Option(_of(0, 0.1), 0.5),
    "spool": Option(_of(True), 0.5, SOCKETS + KAFKA),  # the scenario has a folder for it
    "spool_bytes": Option(_of(1 << 20, 1 << 21), 0.5, SOCKETS + KAFKA),
    "sequence": Option(_of(True), 0.4, SOCKETS + KAFKA),
    "delay": Option(_of(True), 0.3, FILES),
    "mode": Option(_of("a", "w"), 0.3, ("file",)),
    "kafka_key": Option(_of("identity", "client", None), 0.5, KAFKA),
}


class Step(NamedTuple):
    """What a thread of the program can do; `steps` has a function of this name.

    Attributes:
        weight: how often it is chosen.
        choose: its arguments.
        where: the destinations that have it.
    """

    weight: float
    choose: Choose
    where: Tuple[str, ...] = SOCKETS + FILES + KAFKA


HOWS = ("info", "adapter", "payload", "invalid", "oversize")
"""The ways to log a record; the last two cannot be written."""


def _log(rng: Random) -> List[Any]:
    how = rng.choices(HOWS, (4, 8, 3, 0.3, 0.1))[0]
    most = rng.choices((60, 2_000, 50_000), (8, 2, 0.3))[0]
    count = rng.choice((1, 10, 100, 500)) if most <= 2_000 else rng.choice((1, 5, 20))
    return [how, count, most]


def _seconds(*values: float) -> Choose:
    return lambda rng: [rng.choice(values)]


def _child(rng: Random) -> List[Any]:
    endings = "close", "shutdown", "multiprocessing", "_exit"
    ending = rng.choices(endings, (4, 4, 4, 1))[0]
    return [ending, rng.choice((0, 1, 50, 300)), rng.random() < 0.2]


STEPS: Dict[str, Step] = {
    "log": Step(30, _log),
    "pause": Step(20, _seconds(0.001, 0.02, 0.1, 0.3)),
    "flush": Step(3, _seconds(0, 0.05, 0.5)),
    "reopen": Step(1.5, lambda rng: []),
    "fork": Step(1.5, _child),
    "spawn": Step(0.3, lambda rng: []),
    "close": Step(0.3, lambda rng: [rng.choice((0, 10, 100))]),
    "replace": Step(0.5, lambda rng: [rng.choice(("close first", "open first", "drop"))]),
    "steal": Step(1.0, lambda rng: [], SOCKETS + FILES),  # librdkafka's are its own
    "roll_over": Step(3, lambda rng: [], ("rotating", "timed")),
}
