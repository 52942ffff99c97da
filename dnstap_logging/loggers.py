"""Find out from the program's loggers which records reach a handler.

Called once in the life of a handler, or after an error, because it looks at all loggers. It takes
no lock: `dictConfig` holds logging's while it closes handlers.

And which of logging's methods are logging's own, for those who must see when one is replaced.
"""

from __future__ import annotations

import logging
import os
import weakref
from itertools import islice
from types import FunctionType
from typing import Any, Iterator, List, Optional, Set, Union

__all__ = [
    "SilentMistakes",
    "apply_filter",
    "deaf_kinds",
    "describe_refusal",
    "describe_unheard",
    "originals",
    "reaches_only_deaf",
]

MOST_LOGGERS = 10_000
"""Loggers that are looked at; most programs have less than a thousand."""

MOST_PARENTS = 100
"""Parents of a logger that are looked at; a program that sets them may make a loop."""

MOST_NAMED = 3
"""Loggers named in one line."""

deaf_kinds: Set[type] = set()
"""Classes of handlers that ignore records without dns extras, and the library's own lines."""


def originals(kind: type, *names: str) -> List[Any]:
    """Return methods of one of logging's classes; None for one that is replaced already.

    A tool that instruments programs may have done so before we are imported.
    """
    return [_if_own(getattr(kind, name)) for name in names]


def _if_own(method: Any) -> Any:
    """Return a function of logging's own, by the file that it is from; None for anything else."""
    if type(method) is not FunctionType:  # a proxy may have the attributes of what it replaces
        return None
    is_own = os.path.normcase(method.__code__.co_filename) == logging._srcfile  # normalized, too
    return method if is_own else None


class SilentMistakes:
    """What a handler reports once about the loggers around it; it is not kept alive."""

    def __init__(self, handler: logging.Handler) -> None:
        self._handler = weakref.ref(handler)
        self._said_unseen = self._said_twice = False
        self._doubling = ""  # found when the handler was closed

    def unseen(self, record: logging.LogRecord) -> str:
        """Return a line if no handler shows a record without dns extras; "" from then on."""
        if self._said_unseen:
            return ""
        line = describe_unseen(record)
        self._said_unseen = bool(line)
        return line

    def look_for_doubling(self) -> bool:
        """Look for doubling before the handler goes; return whether it is still unreported."""
        handler = self._handler()
        if handler is not None and not self._said_twice:
            self._doubling = describe_doubling(handler)
        return not self._said_twice

    def doubling(self) -> str:
        """Return a line if records come twice; "" from then on, or if the handler is deleted."""
        handler = self._handler()
        if handler is None or self._said_twice:
            return ""
        line = self._doubling or describe_doubling(handler)
        self._said_twice = bool(line)
        return line


def reaches_only_deaf(logger: logging.Logger) -> bool:
    """Return whether a logger's records reach handlers, but none that shows ordinary lines.

    Without any handler logging uses its last resort; with these it does not.
    """
    found = [handler for each in _way(logger) for handler in each.handlers]
    return bool(found) and all(map(_is_deaf, found))


def describe_unseen(record: logging.LogRecord) -> str:
    """Return a line that no handler shows a record without dns extras; "" if one does."""
    known = logging.root.manager.loggerDict.get(record.name)
    logger = logging.root if record.name == logging.root.name else known
    if not isinstance(logger, logging.Logger) or not reaches_only_deaf(logger):
        return ""
    return (
        f"a line of {_name(logger)}, of level {record.levelname}, is shown nowhere: only dnstap "
        f"handlers get it, which ignore it; give the root logger another handler, such as "
        f"logging.StreamHandler()"
    )


def describe_unheard(logger: object) -> str:
    """Return a line that no dnstap handler gets a logger's records; "" if one may.

    One may if a handler can pass records on, such as a `QueueHandler` or a class of the program's
    own. A `NullHandler` says that the program means it to be so.
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
    """Return whether a handler is one of the standard library's that passes no records on."""
    kind = type(handler)
    if kind.__module__ not in ("logging", "logging.handlers"):
        return False
    return kind.__name__ not in (
        "NullHandler", "QueueHandler", "MemoryHandler", "SocketHandler", "DatagramHandler"
    )  # fmt: skip


def describe_doubling(handler: logging.Handler) -> str:
    """Return a line that says how records come to a handler twice; "" if they do not."""
    for logger in _known():
        holders = [each for each in _way(logger) for one in each.handlers if one is handler]
        if len(holders) > 1:
            first, second = map(_name, holders[:2])
            return (
                f"records come twice: this handler is attached to {first} and to {second}, and the "
                f"first passes its records on to the second; remove it from one of them, or set "
                f"propagate to False"
            )
    return ""


def describe_refusal(handler: logging.Handler, level: int) -> str:
    """Return why records of a level cannot come to a handler; "" if they can.

    Also "" if no logger has the handler: it may have been removed.
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
    """Return why a logger's records of a level do not come to a handler, and what to do."""
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
    """Yield all loggers, the root logger first."""
    yield logging.root
    for each in islice(list(logging.root.manager.loggerDict.values()), MOST_LOGGERS):
        if isinstance(each, logging.Logger):  # not a PlaceHolder
            yield each


def _way(logger: logging.Logger) -> Iterator[logging.Logger]:
    """Yield the loggers whose handlers get a logger's records."""
    each: Optional[logging.Logger] = logger
    for _ in range(MOST_PARENTS):
        if each is None:
            return
        yield each
        each = each.parent if each.propagate else None


def _is_deaf(handler: object) -> bool:
    """Return whether a handler is one of ours, or a buffer for one, as MemoryHandler is."""
    for _ in range(MOST_PARENTS):
        if isinstance(handler, tuple(deaf_kinds)):
            return True
        target = getattr(handler, "target", None)
        if not isinstance(target, logging.Handler):
            return False
        handler = target
    return False


def _name(logger: logging.Logger) -> str:
    """Return the name of a logger for a line."""
    return "the root logger" if logger is logging.root else f"the logger {logger.name!r}"


def apply_filter(each: Any, record: logging.LogRecord) -> Union[bool, logging.LogRecord]:
    """Ask one filter: its ``dnstap_filter``, for dnstap handlers only, if it has one.

    A filter that hides values works there, and refuses every record in its ordinary ``filter``.
    """
    ask = getattr(each, "dnstap_filter", None) or getattr(each, "filter", each)
    verdict: Union[bool, logging.LogRecord] = ask(record)
    return verdict
