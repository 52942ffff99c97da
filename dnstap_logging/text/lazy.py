"""The readable line of an adapter's records, made when it is first read.

Making it takes twice as long as everything else for a record, and often nobody reads it. Runs in
the threads that log.
"""

from __future__ import annotations

import logging
import sys
import time
from logging import Logger
from typing import Any, Dict, List, Mapping, Tuple

from ..exceptions import InvalidMessage, MessageTooLarge
from ..loggers import originals
from ..message.check import Problem, message_from_snapshot
from ..message.snapshot import take_snapshot
from .line import format_summary

__all__ = ["LINE_FRAMES", "DnsRecord", "LazyLine", "Line", "LineWay", "takes_lines"]

LINE_FRAMES = 1 if sys.version_info >= (3, 11) else 0
"""Frames more than by `Logger.log` between the caller and logging: older Pythons count that one."""

_log, _log_itself = originals(Logger, "log", "_log")


class Line(str):
    """The line, once it is made; by its type, filters that hide addresses recognize it."""

    __slots__ = ()

    def __reduce__(self) -> Tuple[Any, ...]:
        return str, (str(self),)


class LazyLine:
    """The line before somebody asks for it."""

    __slots__ = ("_extras",)

    def __init__(self, extras: Mapping[str, object]) -> None:
        self._extras = extras

    def __str__(self) -> str:
        problems: List[Problem] = []
        try:
            return format_summary(
                message_from_snapshot(take_snapshot(self._extras, time.time()), problems)
            )
        except (InvalidMessage, MessageTooLarge) as error:
            return f"not a dnstap message: {error}"

    def __reduce__(self) -> Tuple[Any, ...]:
        return str, (str(self),)


class DnsRecord(logging.LogRecord):
    """A record with dns extras, whose ``msg`` is text for all who read it.

    Filters and handlers of any kind may search, format, compare or send it: it is a str. Until
    the first of them reads it, the record's dict has a `LazyLine` in its place.
    """

    @property
    def msg(self) -> Any:
        """The line, or what somebody has set instead."""
        try:
            value = self.__dict__["msg"]
        except KeyError as error:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute 'msg'"
            ) from error
        if type(value) is LazyLine:
            value = self.__dict__["msg"] = Line(value)
        return value

    @msg.setter
    def msg(self, value: Any) -> None:
        self.__dict__["msg"] = value

    @msg.deleter
    def msg(self) -> None:
        del self.__dict__["msg"]

    def __copy__(self) -> DnsRecord:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __reduce__(self) -> Tuple[Any, ...]:
        # Whoever gets it may not have this library.
        values: Dict[str, Any] = {**self.__dict__, "msg": self.msg}
        return logging.makeLogRecord, (values,)


class LineWay:
    """Log lines like a logger's ``log``, by calling `Logger._log` with itself as the logger.

    Args:
        logger: the logger.
    """

    __slots__ = ("logger", "name")

    def __init__(self, logger: Logger) -> None:
        self.logger = logger
        self.name = logger.name

    # Properties, since a method would be one more frame between the caller and logging.
    @property
    def findCaller(self) -> Any:  # noqa: N802 - logging's name
        """What finds the caller: the logger's own."""
        return self.logger.findCaller

    @property
    def handle(self) -> Any:
        """What takes the record: the logger's own."""
        return self.logger.handle

    def makeRecord(self, *args: Any) -> logging.LogRecord:  # noqa: N802 - logging's name
        """Make a record whose line is text for whoever reads it."""
        record = self.logger.makeRecord(*args)
        if type(record) is logging.LogRecord:
            record.__class__ = DnsRecord
        elif type(record.msg) is LazyLine:  # of somebody's own class, which stays as it is
            record.msg = Line(record.msg)
        return record

    def log(self, level: int, line: LazyLine, kwargs: Mapping[str, Any]) -> None:
        """Log a line; the logger is enabled for the level.

        Args:
            level: of the record.
            line: its message.
            kwargs: as of `Logger.log`.
        """
        this: Any = self
        _log_itself(this, level, line, (), **kwargs)


def takes_lines(logger: Any) -> bool:
    """Return whether `LineWay` does what the logger's own method ``log`` would do."""
    kind = type(logger)
    return (
        isinstance(logger, Logger)
        and kind.log is _log
        and kind._log is _log_itself
        and "log" not in logger.__dict__
        and "_log" not in logger.__dict__
    )
