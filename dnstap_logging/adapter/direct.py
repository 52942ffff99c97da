"""Decide whether a call can skip making a LogRecord, its most expensive step.

It can if nothing would notice: logging's own record factory and logger methods, and only dnstap
handlers, with their own methods and without filters and formatters. Runs in the threads that log,
for every message of an adapter, so it is written for speed. Nothing is cached: whatever is
replaced, in a class or in an object, has its effect at the next call.
"""

from __future__ import annotations

import logging
from logging import Logger
from typing import Any, List, Optional

from ..handler import ORIGINALS, DnstapHandler
from ..loggers import originals

__all__ = ["direct_handlers"]

# The methods of a logger that see a record: if they are logging's own, only handlers can notice
# whether there is one.
_handle, _make_record, _call_handlers, _filter, _log, _log_itself = originals(
    Logger, "handle", "makeRecord", "callHandlers", "filter", "log", "_log"
)
# And in a handler of ours.
_take, _emit, _choose = ORIGINALS


def direct_handlers(logger: Any, level: int) -> Optional[List[DnstapHandler]]:
    """Return the handlers that would emit a record of this level; None: it needs a record.

    Args:
        logger: whatever an adapter can be given.
        level: of the record.

    Mirrors logging.Logger.handle and callHandlers, which is why it asks for their originals. Those
    of the loggers above are not asked: a record passes their handlers only.
    """
    # Read where getLogRecordFactory() reads it: a call less.
    if logging._logRecordFactory is not logging.LogRecord:  # type: ignore[attr-defined]
        return None
    handlers: Optional[List[Any]] = None  # without any handler, logging has a last resort
    try:
        kind = type(logger)
        own = logger.__dict__
        if (
            logger.filters
            or kind.handle is not _handle
            or kind.makeRecord is not _make_record
            or kind.callHandlers is not _call_handlers
            or kind.filter is not _filter
            or kind.log is not _log
            or kind._log is not _log_itself
            or "handle" in own
            or "makeRecord" in own
            or "callHandlers" in own
            or "filter" in own
            or "log" in own
            or "_log" in own
        ):
            return None
        each: Any = logger
        while each is not None:
            for handler in each.handlers:
                kind = type(handler)
                own = handler.__dict__
                if (
                    kind.handle is not _take
                    or kind.emit is not _emit
                    or kind.filter is not _choose
                    or "handle" in own
                    or "emit" in own
                    or "filter" in own
                    or handler.filters
                    or handler.formatter is not None
                ):
                    return None
                if handlers is None:
                    handlers = []
                if level >= handler.level:
                    handlers.append(handler)
            each = each.parent if each.propagate else None
    except AttributeError:  # another adapter, or a handler that is not a logging.Handler
        return None
    return handlers
