"""The base of `DnstapAdapter`: its constants, and how a call is logged.

Runs in the threads that log. Making a LogRecord is the most expensive step of a call. If nothing
could notice that it is missing, none is made, and the snapshot goes straight to the dnstap
handlers. The bytes on the wire are the same.
"""

from __future__ import annotations

import logging
import sys
import time
import weakref
from types import MappingProxyType
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    Mapping,
    MutableMapping,
    Optional,
    Tuple,
    Union,
)

from ..arguments import DEFAULT, flag
from ..arguments import level as checked_level
from ..arguments import logger as checked_logger
from ..diagnostics import LOGGER_NAME, Reporter
from ..interrupts import pass_on
from ..loggers import describe_unheard, originals
from ..message.enums import MessageType
from ..message.fields import KeySet
from ..message.snapshot import (
    NOT_PLAIN,
    SHORT,
    Snapshot,
    plain_size,
    take_snapshot,
)
from ..text.lazy import LINE_FRAMES, LazyLine, Line, LineWay, takes_lines
from .calls import KEYS, Plan, checked_constants, make_extras, make_plan
from .direct import direct_handlers

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # generic for type checkers only before Python 3.11

__all__ = ["BaseAdapter"]

MAX_PLANS = 1024
"""Types and sets of keywords of which it is remembered what becomes of them."""

OUR_FRAMES = 4
"""Frames between the caller and logging (the method, `_log_dns`, `_log_any`, `_log_record`), which
other handlers leave out when they name the caller."""

_REMEMBERED = frozenset(("_keys_with_address", "_keys_with_time", "_line_way", "plans"))
"""Attributes that hold nothing but what follows from the others."""

_ASKED = frozenset(("process", "isEnabledFor"))
"""What logging asks an adapter. To look for these in the object itself at each call would cost a
tenth of it, so plans depend on them, and are forgotten when one is set."""

_looked_at: weakref.WeakSet[Any] = weakref.WeakSet()
"""Loggers of which it was said, or did not have to be, that no dnstap handler is reached."""


class BaseAdapter(_Adapter):
    """Log dnstap messages of any type; `DnstapAdapter` has the arguments.

    Attributes:
        constants: those of ``extra``, in a dict that is never changed, only replaced.
        plans: what is remembered of kinds of calls; replaced when what they depend on changes.
    """

    def __init__(
        self,
        logger: logging.Logger,
        extra: Optional[Mapping[str, object]] = None,
        merge_extra: bool = True,
        *,
        level: Union[int, str] = logging.INFO,
    ) -> None:
        self._line_way: Optional[LineWay] = None
        super().__init__(checked_logger("logger", logger), extra)
        self.merge_extra = flag("merge_extra", merge_extra)
        self.level = checked_level("level", level, low=1)  # logging takes no record of level 0

    @property
    def extra(self) -> Mapping[str, object]:
        """The constants, read-only; to change them, set it."""
        return MappingProxyType(self.constants)

    @extra.setter
    def extra(self, extra: Optional[Mapping[str, object]]) -> None:
        self.constants = checked_constants(extra)  # first: see `_make_plan`
        self._forget_plans()

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in _ASKED or name == "logger":
            self._forget_plans()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in _ASKED:
            self._forget_plans()

    def _forget_plans(self) -> None:
        self.plans: Dict[Tuple[object, ...], Plan] = {}
        self._keys_with_address: Dict[MessageType, KeySet] = {}
        self._keys_with_time: Dict[MessageType, KeySet] = {}

    def __getstate__(self) -> Dict[str, Any]:
        """Leave out what is only remembered, for a copy to find out again."""
        return {name: value for name, value in self.__dict__.items() if name not in _REMEMBERED}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._line_way = None
        self._forget_plans()

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> Tuple[Any, MutableMapping[str, Any]]:
        """Merge the call's ``extra`` into the constants; the call wins."""
        given = kwargs.get("extra") if self.merge_extra else None
        kwargs["extra"] = {**self.constants, **(given or {})}
        return msg, kwargs

    # -- both ways -----------------------------------------------------------------------------

    def _log_dns(
        self,
        message_type: object,
        message: object,
        query_address: object,
        query_time: object,
        keywords: Mapping[str, Any],
        keys: Optional[KeySet] = None,
        own: Tuple[object, ...] = (),
    ) -> None:
        """Log one message, as all methods do.

        Args:
            message_type: in whatever form.
            message: of the type's own side.
            query_address: DEFAULT: not given.
            query_time: DEFAULT: not given.
            keywords: the others of the method.
            keys: what `keys_with` returned for them; whoever has them has also asked whether the
                logger takes the message.
            own: with keys: the values of their own keywords, which are among the others, too.
        """
        now = time.time_ns()
        logger, level = self.logger, self.level
        # The usual calls, with these two keywords at most; they are parameters since collecting
        # them in a dict costs a tenth of the whole.
        values: Tuple[object, ...]
        if query_time is DEFAULT:
            known, values = self._keys_with_address, (message, query_address)
        else:
            known, values = self._keys_with_time, (message, query_address, query_time)
            if own:
                values += own
        if (
            keys is None
            and not keywords
            and type(message_type) is MessageType
            and logger.isEnabledFor(level)
        ):
            keys = known.get(message_type)
        if keys is not None:
            if (  # the usual values, for which `plain_size` would return the same
                type(message) is bytes
                and type(query_address) is tuple
                and len(query_address) == 2
                and type(query_address[0]) is str
                and type(query_address[1]) is int
                and len(query_address[0]) <= SHORT
                and (query_time is DEFAULT or type(query_time) is int)
            ):
                size = len(message)
            else:
                size = plain_size(values)
            kind = type(self)
            if (
                size != NOT_PLAIN
                and kind.process is _process
                and kind.isEnabledFor is _is_enabled_for
            ):
                handlers = direct_handlers(logger, level)
                if handlers is not None:
                    snapshot = (now, keys, values, None, size)
                    for handler in handlers:
                        handler.emit_snapshot(snapshot)
                    return
        given = {"query_address": query_address, "query_time": query_time}
        given = {name: value for name, value in given.items() if value is not DEFAULT}
        self._log_any(message_type, message, {**given, **keywords}, now)

    def _log_any(
        self, message_type: object, message: object, keywords: Mapping[str, Any], now: int
    ) -> None:
        """Log with whatever keywords, on either way."""
        plan = None
        if type(message_type) is MessageType:  # what only equals one need not be one
            plan = self.plans.get((message_type, *keywords))
        if plan is None:
            plan = self._make_plan(message_type, tuple(keywords))
        if not self.isEnabledFor(self.level):
            return
        direct = plan.direct and self._is_plain()
        handlers = direct_handlers(self.logger, self.level) if direct else None
        values = (message, *keywords.values())
        size = NOT_PLAIN if handlers is None else plain_size(values)
        if plan.keys is not None and size != NOT_PLAIN:
            snapshot: Snapshot = (now, plan.keys, values, None, size)
        else:
            extras = make_extras(self.constants, message_type, message, keywords, now)
            if handlers is None:
                self._log_record(extras, keywords)
                return
            snapshot = take_snapshot(extras, now / 1e9)
        for handler in handlers or ():
            handler.emit_snapshot(snapshot)

    def _make_plan(self, message_type: object, keywords: Tuple[str, ...]) -> Plan:
        """Work out, once for each type and set of keywords, what a call with them becomes."""
        # Before the constants are read: if another thread sets them now, the plan made from the old
        # ones lands in the discarded dict.
        self.report_unheard()
        plans = self.plans
        with_address, with_time = self._keys_with_address, self._keys_with_time
        plan = make_plan(self.constants, message_type, keywords)
        if not self._is_plain():
            plan = plan._replace(direct=False)
        if type(message_type) is MessageType and message_type.is_known:
            if len(plans) >= MAX_PLANS:
                plans.clear()
            key = (message_type, *keywords)
            plans[key] = plan
            if plan.direct and plan.keys is not None:
                if keywords == ("query_address",):
                    with_address[message_type] = plan.keys
                elif keywords == ("query_address", "query_time"):
                    with_time[message_type] = plan.keys
        return plan

    def keys_with(
        self, message_type: MessageType, keywords: Mapping[str, object], own: Tuple[str, ...]
    ) -> Optional[KeySet]:
        """Return the keys of calls with client and query time whose other keywords are known.

        They hold as long as `plans` is the same dict.

        Args:
            message_type: of the calls.
            keywords: the same in all of them.
            own: names of those that each call has a value of its own for, one that is plain and no
                long text.

        Returns:
            None: they have to be logged with these keywords.
        """
        self.report_unheard()
        fixed = {key: keywords[name] for name, key in KEYS.items() if name in keywords}
        names = ("query_address", "query_time", *own)
        plan = make_plan({**self.constants, **fixed}, message_type, names)
        return plan.keys if plan.direct and self._is_plain() else None

    def report_unheard(self) -> None:
        """Say so, once for each logger, if no dnstap handler is reached from it; never raise."""
        logger: Any = self.logger
        try:
            if logger in _looked_at:
                return
            _looked_at.add(logger)
            text = describe_unheard(logger)
            if text:
                Reporter(repr(logger), 0.0).report("unheard", logging.WARNING, text)
        except BaseException as error:  # noqa: BLE001 - what is only like a logger
            pass_on(error)

    def _is_plain(self) -> bool:
        """Return whether the methods of an adapter that logging calls are the original ones."""
        # Not by self.__dict__: once that is asked for, Python keeps it, and reads each attribute
        # of this object more slowly ever after.
        return (
            _function_of(self.process) is _process
            and _function_of(self.isEnabledFor) is _is_enabled_for
            and getattr(self.logger, "name", None) != LOGGER_NAME  # which handlers pass over
        )

    def _log_record(self, extras: Dict[str, object], keywords: Mapping[str, Any]) -> None:
        """Go the way of every log record."""
        record_extras = {**extras, **(keywords.get("extra") or {})}
        kwargs: MutableMapping[str, Any] = {
            "extra": record_extras,
            "exc_info": keywords.get("exc_info"),
            "stack_info": keywords.get("stack_info", False),
            "stacklevel": keywords.get("stacklevel", 1),
        }
        logger: Any = self.logger
        while _replaces_extras(logger):
            record_extras.update({**(logger.extra or {}), **record_extras})
            logger = logger.logger
        is_plain = _function_of(self.process) is _process
        if is_plain and takes_lines(logger):
            kwargs["stacklevel"] += OUR_FRAMES + LINE_FRAMES
            way = self._line_way
            if way is None or way.logger is not logger:
                way = self._line_way = LineWay(logger)
            way.log(self.level, LazyLine(extras), kwargs)
            return
        message: Any = Line(LazyLine(extras))
        if not is_plain:
            message, kwargs = self.process(message, kwargs)
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + OUR_FRAMES + _frames_of(logger)
        logger.log(self.level, message, **kwargs)


def _replaces_extras(logger: Any) -> bool:
    """Return whether it is a stock adapter, which would replace the extras of a call by its own."""
    return type(logger) is logging.LoggerAdapter and not getattr(logger, "merge_extra", False)


def _function_of(method: object) -> object:
    return getattr(method, "__func__", method)


# Those that `_is_plain` looks for, whatever is put in their place later.
_process = BaseAdapter.process
(_is_enabled_for,) = originals(logging.LoggerAdapter, "isEnabledFor")


def _frames_of(logger: Any) -> int:
    """Return the frames of adapters below us, which logging counts itself since Python 3.11."""
    frames = 0
    while sys.version_info < (3, 11) and isinstance(logger, logging.LoggerAdapter):
        frames += 1
        logger = logger.logger
    return frames
