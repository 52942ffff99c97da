"""The way without a LogRecord, which costs more than all the rest: is it open?

It is, where nobody could tell the difference: logging's own record factory and logger methods,
only dnstap handlers on the way, with their own methods, no filter and no formatter. Runs in the
threads that log, for every message of an adapter, so it is written out for speed: methods are
compared in the classes, which is quick, and for overrides in an instance it is enough to see that
it has got no further attribute since they were last sought.
"""

from __future__ import annotations

import logging
from logging import Logger
from typing import Any, Dict, List, Optional, Tuple

from .diagnostics import LOGGER_NAME
from .handler import DnstapHandler

__all__ = ["DirectWay"]

# What a record passes through in a logger: as long as these are logging's own, nothing but the
# handlers can see whether there is a record.
_LOGGER_METHODS = ("handle", "makeRecord", "callHandlers", "filter", "log", "_log")
_handle, _make_record, _call_handlers, _filter, _log, _log_itself = [
    getattr(Logger, name) for name in _LOGGER_METHODS
]
# What was put in their place before this module was imported is no original.
_GENUINE = all(
    getattr(getattr(getattr(Logger, name), "__code__", None), "co_filename", "") == logging._srcfile
    for name in _LOGGER_METHODS
)
# And in a handler of ours.
_HANDLER_METHODS = ("handle", "emit", "filter")
_take, _emit, _choose = [getattr(DnstapHandler, name) for name in _HANDLER_METHODS]


class DirectWay:
    """Find the dnstap handlers that would emit what a logger is given, if nobody could tell."""

    def __init__(self) -> None:
        # How many attributes a logger had when none of them was an override. Handlers note that
        # themselves: to be kept here would keep alive one that was dropped without a close.
        self._attributes: Dict[object, int] = {}

    def handlers(self, logger: Any, level: int) -> Optional[List[DnstapHandler]]:
        """Return the handlers that would emit a record of this level; None: it needs a record.

        Args:
            logger: whatever an adapter can be given.
            level: of the record.

        Mirrors logging.Logger.handle and callHandlers, which is why it asks for their originals.
        """
        # Read where getLogRecordFactory() reads it: a call less.
        if logging._logRecordFactory is not logging.LogRecord:  # type: ignore[attr-defined]
            return None
        attributes = self._attributes
        handlers: List[Any] = []
        found = False
        each: Any = logger
        try:
            while each is not None:
                kind = type(each)
                if (
                    attributes[each] != len(each.__dict__)
                    or each.filters
                    or kind.handle is not _handle
                    or kind.makeRecord is not _make_record
                    or kind.callHandlers is not _call_handlers
                    or kind.filter is not _filter
                    or kind.log is not _log
                    or kind._log is not _log_itself
                ):
                    return self._look_again(each, logger, level)
                for handler in each.handlers:
                    kind = type(handler)
                    if (
                        kind.handle is not _take
                        or kind.emit is not _emit
                        or kind.filter is not _choose
                        or handler.attributes_known != len(handler.__dict__)
                        or handler.filters
                        or handler.formatter is not None
                    ):
                        return self._look_again(handler, logger, level)
                    found = True
                    if level >= handler.level:
                        handlers.append(handler)
                each = each.parent if each.propagate else None
        except KeyError as error:
            return self._look_again(error.args[0], logger, level)
        return handlers if found else None  # without any handler, logging has a last resort

    def _look_again(self, each: Any, logger: Any, level: int) -> Optional[List[DnstapHandler]]:
        """Go on if a logger or handler is only new, or has got an attribute that is none of ours.

        Returns:
            None, if it has an override in itself, or was known as it is: something else is amiss.
        """
        if not _GENUINE or not isinstance(each, (Logger, DnstapHandler)):
            return None
        if isinstance(each, Logger) and each.name == LOGGER_NAME:  # which handlers pass over
            return None
        number = len(each.__dict__)
        if isinstance(each, Logger):
            if self._attributes.get(each) == number or _overrides(each, _LOGGER_METHODS):
                return None
            self._attributes[each] = number
        else:
            if each.attributes_known == number or _overrides(each, _HANDLER_METHODS):
                return None
            each.attributes_known = number
        return self.handlers(logger, level)


def _overrides(each: object, methods: Tuple[str, ...]) -> bool:
    return not each.__dict__.keys().isdisjoint(methods)
