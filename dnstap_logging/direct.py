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
from typing import Any, Dict, List, Optional

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
        # How many attributes a logger or handler had when none of them was an override.
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
        if not isinstance(logger, Logger):
            return None
        attributes = self._attributes.get
        handlers: List[Any] = []
        found = False
        while logger is not None:
            kind = type(logger)
            if (
                (attributes(logger) != len(logger.__dict__) and not self._is_plain(logger))
                or logger.filters
                or kind.handle is not _handle
                or kind.makeRecord is not _make_record
                or kind.callHandlers is not _call_handlers
                or kind.filter is not _filter
                or kind.log is not _log
                or kind._log is not _log_itself
            ):
                return None
            for handler in logger.handlers:
                if attributes(handler) != len(handler.__dict__) and not self._is_plain(handler):
                    return None
                if handler.filters or handler.formatter is not None:
                    return None
                ours: Any = type(handler)
                if ours.handle is not _take or ours.emit is not _emit or ours.filter is not _choose:
                    return None
                found = True
                if level >= handler.level:
                    handlers.append(handler)
            logger = logger.parent if logger.propagate else None
        return handlers if found else None  # without any handler, logging has a last resort

    def _is_plain(self, each: object) -> bool:
        """Tell whether a logger or dnstap handler has no override in itself; note that."""
        methods = _LOGGER_METHODS if isinstance(each, Logger) else _HANDLER_METHODS
        if not isinstance(each, (Logger, DnstapHandler)) or not _GENUINE:
            return False
        if not each.__dict__.keys().isdisjoint(methods):
            return False
        self._attributes[each] = len(each.__dict__)
        return True
