"""What the loggers of the program say about a handler: who reaches it, and who never will.

Asked once in the life of a handler, or where something goes wrong: each question looks at all
loggers. Takes no lock, since `dictConfig` holds logging's own while it closes handlers.
"""

from __future__ import annotations

import logging
import weakref
from itertools import islice
from typing import Iterator, List, Optional, Set

__all__ = [
    "SilentMistakes",
    "deaf_kinds",
    "describe_refusal",
    "describe_unheard",
    "reaches_only_deaf",
]

MOST_LOGGERS = 10_000
"""Loggers that are looked at: a program has some hundred."""

MOST_PARENTS = 100
"""Loggers above one that are looked at; a program that sets parents may even make a ring."""

MOST_NAMED = 3
"""Loggers named in one line."""

deaf_kinds: Set[type] = set()
"""The classes of handlers that pass over all that has no dns extras, and the library's own lines:
where a line meets only these, nobody sees it."""


class SilentMistakes:
    """What one handler says once in its life about the loggers around it.

    Args:
        handler: which; it is not kept alive.
    """

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = weakref.ref(handler)
        self._said_unseen = self._said_twice = False
        self._doubling = ""  # as found when the handler was closed

    def unseen(self, record: logging.LogRecord) -> str:
        """Return a line if nothing shows a record that is not for dnstap, and "" from then on."""
        if self._said_unseen:
            return ""
        line = describe_unseen(record)
        self._said_unseen = bool(line)
        return line

    def look_for_doubling(self) -> bool:
        """Look while the loggers are there; return whether `doubling` has not said it yet."""
        handler = self._handler()
        if handler is not None and not self._said_twice:
            self._doubling = describe_doubling(handler)
        return not self._said_twice

    def doubling(self) -> str:
        """Return a line if records come twice, and "" from then on or if the handler is gone."""
        handler = self._handler()
        if handler is None or self._said_twice:
            return ""
        line = self._doubling or describe_doubling(handler)
        self._said_twice = bool(line)
        return line


def reaches_only_deaf(logger: logging.Logger) -> bool:
    """Return whether a logger has handlers on its way, and none of them shows an ordinary line.

    Without any handler logging has a last resort; with these it has not.
    """
    found = [handler for each in _way(logger) for handler in each.handlers]
    return bool(found) and all(map(_is_deaf, found))


def describe_unseen(record: logging.LogRecord) -> str:
    """Return in words that a record that is not for dnstap is shown nowhere; "" if it is shown."""
    known = logging.root.manager.loggerDict.get(record.name)
    logger = logging.root if record.name == logging.root.name else known
    if not isinstance(logger, logging.Logger) or not reaches_only_deaf(logger):
        return ""
    return (
        f"a line of {_name(logger)}, of level {record.levelname}, is shown nowhere: only dnstap "
        f"handlers get it, and pass it over; give the root logger another handler, such as "
        f"logging.StreamHandler()"
    )


def describe_unheard(logger: object) -> str:
    """Return in words that no dnstap handler gets what a logger is given; "" if one may.

    Not talked about is a logger whose handlers may hand records on to others, such as a
    `QueueHandler` or a class of the program's own, and one with a `NullHandler`, by which a program
    says that it is meant to be so.
    """
    while isinstance(logger, logging.LoggerAdapter):
        logger = logger.logger
    if not isinstance(logger, logging.Logger):
        return ""
    for each in _way(logger):
        if not all(map(_is_an_end, each.handlers)):
            return ""
    return (
        "no dnstap handler is reached from it, so nothing is sent: attach one to it or to a logger"
        " above (or a logging.NullHandler, if that is meant)"
    )


def _is_an_end(handler: object) -> bool:
    """Return whether a handler is one of the standard library's that sends no records on."""
    kind = type(handler)
    if kind.__module__ not in ("logging", "logging.handlers"):
        return False
    return kind.__name__ not in (
        "NullHandler", "QueueHandler", "MemoryHandler", "SocketHandler", "DatagramHandler"
    )  # fmt: skip


def describe_doubling(handler: logging.Handler) -> str:
    """Return in words how records come to a handler twice; "" if they do not."""
    for logger in _known():
        holders = [each for each in _way(logger) for one in each.handlers if one is handler]
        if len(holders) > 1:
            first, second = map(_name, holders[:2])
            return (
                f"records come twice: this handler is attached to {first} and to {second}, and the "
                f"one passes its records on to the other; remove it from one of them, or set "
                f"propagate to False"
            )
    return ""


def describe_refusal(handler: logging.Handler, level: int) -> str:
    """Return in words why no record of a level ever comes to a handler; "" if one could.

    A handler that no known logger has is not talked about: it may have been removed before.
    """
    refusals: List[str] = []
    holders = 0
    for logger in _known():
        if not any(one is handler for each in _way(logger) for one in each.handlers):
            continue
        reason = _refusal(logger, handler, level)
        if reason is None:
            return ""
        if any(one is handler for one in logger.handlers):
            holders += 1
            if len(refusals) < MOST_NAMED:
                refusals.append(reason)
    if holders > len(refusals):
        refusals.append(f"and {holders - len(refusals)} more loggers")
    return "; ".join(refusals)


def _refusal(logger: logging.Logger, handler: logging.Handler, level: int) -> Optional[str]:
    """Return why a logger's records of a level do not come to a handler, and what helps."""
    wanted = logging.getLevelName(level)
    effective = logger.getEffectiveLevel()
    name = _name(logger)
    if logger.disabled:
        return f"{name} is disabled; set disable_existing_loggers=False, or logger.disabled = False"
    if logging.root.manager.disable >= level:
        return f"logging.disable() refuses {wanted}"
    if effective > level:
        return (
            f"{name} has the effective level {logging.getLevelName(effective)} and refuses "
            f"{wanted}; set its level to {wanted}"
        )
    if handler.level > level:
        own = logging.getLevelName(handler.level)
        return f"the level of this handler is {own}, which refuses {wanted}; leave it out"
    return None


def _known() -> Iterator[logging.Logger]:
    """Yield the loggers that there are, the root logger first."""
    yield logging.root
    for each in islice(list(logging.root.manager.loggerDict.values()), MOST_LOGGERS):
        if isinstance(each, logging.Logger):  # not a place that is only kept for its children
            yield each


def _way(logger: logging.Logger) -> Iterator[logging.Logger]:
    """Yield the loggers whose handlers a record of a logger comes to."""
    each: Optional[logging.Logger] = logger
    for _ in range(MOST_PARENTS):
        if each is None:
            return
        yield each
        each = each.parent if each.propagate else None


def _is_deaf(handler: object) -> bool:
    """Return whether a handler is one of ours, or only a buffer before one, as MemoryHandler is."""
    for _ in range(MOST_PARENTS):
        if isinstance(handler, tuple(deaf_kinds)):
            return True
        target = getattr(handler, "target", None)
        if not isinstance(target, logging.Handler):
            return False
        handler = target
    return False


def _name(logger: logging.Logger) -> str:
    """Return what a logger is called in a line."""
    return "the root logger" if logger is logging.root else f"the logger {logger.name!r}"
