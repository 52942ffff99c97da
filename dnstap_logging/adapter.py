"""`DnstapAdapter`: the typed way to log dnstap, one method for each message type.

Runs in the threads that log. A call goes the way of every log record, unless nobody could tell the
difference: then no LogRecord is made, which costs more than all the rest, and the snapshot goes
straight to the dnstap handlers. The bytes on the wire are the same on both ways.
"""

from __future__ import annotations

import logging
import sys
import time
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

from .calls import LazyLine, Plan, make_extras, make_plan
from .direct import DirectWay
from .extras import (
    NOT_PLAIN,
    key_set,
    plain_size,
    take_snapshot,
)
from .message import MessageType

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .keywords import AllKeywords, QueryKeywords, ResponseKeywords
    from .values import WireSource

    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # generic for type checkers only before Python 3.11

__all__ = ["DnstapAdapter"]

MAX_PLANS = 1024
"""Types and sets of keywords of which it is remembered what becomes of them."""

OUR_FRAMES = 3
"""Frames between the caller and logging (the method, `_log_dns`, `_log_record`), which other
handlers leave out when they name the caller."""

_RECORD_KEYS = frozenset((*logging.makeLogRecord({}).__dict__, "message", "asctime"))


class DnstapAdapter(_Adapter):
    """Log dnstap messages with one method for each message type.

    The first argument is the DNS message of the method's own side, as bytes or as an object with
    ``to_wire()`` or ``pack()``; None for a message without it. Keywords are the dns extras without
    ``dns_``, but ``dns_extra=`` for Dnstap.extra, and logging's own ``extra``, ``exc_info``,
    ``stack_info`` and ``stacklevel``. The time of the method's own side is now, unless it is given.

    A call that Python itself would refuse, an unknown keyword or a missing message, is a TypeError
    at its own line. A value that cannot be used never raises: it is counted by the handler.

    Args:
        logger: the logger, whose level, filters, handlers and propagation apply as ever.
        extra: constants of the server, by their full names (``dns_socket_protocol``), and
            anything else that formatters want.
        merge_extra: whether `info` and the like merge their ``extra`` into the constants (the
            call wins), or have it replaced by them, as the stock adapter does. The methods of the
            message types always merge.
        level: the level of the messages.

    Raises:
        TypeError, ValueError: an argument cannot be used; unknown ``dns_`` keys are named.
    """

    def __init__(
        self,
        logger: logging.Logger,
        extra: Optional[Mapping[str, object]] = None,
        merge_extra: bool = True,
        *,
        level: Union[int, str] = logging.INFO,
    ) -> None:
        self._plans: Dict[Tuple[object, ...], Plan] = {}
        self._direct_way = DirectWay()
        super().__init__(logger, extra)
        self.merge_extra = merge_extra
        self.level = _checked_level(level)
        self._frames = OUR_FRAMES + _frames_of(logger)

    @property
    def extra(self) -> Mapping[str, object]:
        """The constants, read-only; to change them, set it."""
        return MappingProxyType(self._constants)

    @extra.setter
    def extra(self, extra: Optional[Mapping[str, object]]) -> None:
        self._constants = _checked_constants(extra)
        # Constants for other handlers' formatters need a LogRecord to carry them.
        self._only_dns = all(key.startswith("dns_") for key in self._constants)
        self._plans = {}

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> Tuple[Any, MutableMapping[str, Any]]:
        """Merge the call's ``extra`` into the constants; the call wins."""
        given = kwargs.get("extra") if self.merge_extra else None
        kwargs["extra"] = {**self._constants, **(given or {})}
        return msg, kwargs

    # -- the message types ---------------------------------------------------------------------

    def client_query(
        self, query_message: Optional[WireSource], **keywords: Unpack[QueryKeywords]
    ) -> None:
        """Log a query that a client sent to this server, a resolver (CLIENT_QUERY)."""
        self._log_dns(MessageType.CLIENT_QUERY, query_message, keywords)

    def client_response(
        self, response_message: Optional[WireSource], **keywords: Unpack[ResponseKeywords]
    ) -> None:
        """Log what this server, a resolver, answered to a client (CLIENT_RESPONSE)."""
        self._log_dns(MessageType.CLIENT_RESPONSE, response_message, keywords)

    def auth_query(
        self, query_message: Optional[WireSource], **keywords: Unpack[QueryKeywords]
    ) -> None:
        """Log a query that a resolver sent to this server, an authority (AUTH_QUERY)."""
        self._log_dns(MessageType.AUTH_QUERY, query_message, keywords)

    def auth_response(
        self, response_message: Optional[WireSource], **keywords: Unpack[ResponseKeywords]
    ) -> None:
        """Log what this server, an authority, answered to a resolver (AUTH_RESPONSE)."""
        self._log_dns(MessageType.AUTH_RESPONSE, response_message, keywords)

    def resolver_query(
        self, query_message: Optional[WireSource], **keywords: Unpack[QueryKeywords]
    ) -> None:
        """Log a query that this resolver sent to an authority (RESOLVER_QUERY)."""
        self._log_dns(MessageType.RESOLVER_QUERY, query_message, keywords)

    def resolver_response(
        self, response_message: Optional[WireSource], **keywords: Unpack[ResponseKeywords]
    ) -> None:
        """Log what an authority answered to this resolver (RESOLVER_RESPONSE)."""
        self._log_dns(MessageType.RESOLVER_RESPONSE, response_message, keywords)

    def forwarder_query(
        self, query_message: Optional[WireSource], **keywords: Unpack[QueryKeywords]
    ) -> None:
        """Log a query that this forwarder sent upstream (FORWARDER_QUERY)."""
        self._log_dns(MessageType.FORWARDER_QUERY, query_message, keywords)

    def forwarder_response(
        self, response_message: Optional[WireSource], **keywords: Unpack[ResponseKeywords]
    ) -> None:
        """Log what the upstream answered to this forwarder (FORWARDER_RESPONSE)."""
        self._log_dns(MessageType.FORWARDER_RESPONSE, response_message, keywords)

    def stub_query(
        self, query_message: Optional[WireSource], **keywords: Unpack[QueryKeywords]
    ) -> None:
        """Log a query that this stub resolver sent to its resolver (STUB_QUERY)."""
        self._log_dns(MessageType.STUB_QUERY, query_message, keywords)

    def stub_response(
        self, response_message: Optional[WireSource], **keywords: Unpack[ResponseKeywords]
    ) -> None:
        """Log what the resolver answered to this stub resolver (STUB_RESPONSE)."""
        self._log_dns(MessageType.STUB_RESPONSE, response_message, keywords)

    def tool_query(
        self, query_message: Optional[WireSource], **keywords: Unpack[QueryKeywords]
    ) -> None:
        """Log a query that this tool sent to a server (TOOL_QUERY)."""
        self._log_dns(MessageType.TOOL_QUERY, query_message, keywords)

    def tool_response(
        self, response_message: Optional[WireSource], **keywords: Unpack[ResponseKeywords]
    ) -> None:
        """Log what a server answered to this tool (TOOL_RESPONSE)."""
        self._log_dns(MessageType.TOOL_RESPONSE, response_message, keywords)

    def update_query(
        self, query_message: Optional[WireSource], **keywords: Unpack[QueryKeywords]
    ) -> None:
        """Log a dynamic update that was sent to this authority (UPDATE_QUERY)."""
        self._log_dns(MessageType.UPDATE_QUERY, query_message, keywords)

    def update_response(
        self, response_message: Optional[WireSource], **keywords: Unpack[ResponseKeywords]
    ) -> None:
        """Log what this authority answered to a dynamic update (UPDATE_RESPONSE)."""
        self._log_dns(MessageType.UPDATE_RESPONSE, response_message, keywords)

    def log_message(
        self,
        message_type: Union[MessageType, str, int],
        message: Optional[WireSource] = None,
        **keywords: Unpack[AllKeywords],
    ) -> None:
        """Log a message of any type.

        Args:
            message_type: a `MessageType`, its name or its number.
            message: the DNS message of the type's own side.
            keywords: as in all methods.
        """
        self._log_dns(message_type, message, keywords)

    # -- both ways -----------------------------------------------------------------------------

    def _log_dns(self, message_type: object, message: object, keywords: Mapping[str, Any]) -> None:
        now = time.time_ns()
        try:
            plan = self._plans.get((message_type, *keywords))
        except Exception:  # noqa: BLE001 - a type without a hash
            plan = None
        if plan is None:
            plan = self._make_plan(message_type, tuple(keywords))
        level = self.level
        if not self.logger.isEnabledFor(level):
            return
        handlers = self._direct_way.handlers(self.logger, level) if plan.direct else None
        if handlers is None:
            extras = make_extras(self._constants, message_type, message, keywords, now)
            self._log_record(extras, keywords)
            return
        values = (message, *keywords.values())
        keys, size = plan.keys, plain_size(values)
        if keys is None or size == NOT_PLAIN:
            extras = make_extras(self._constants, message_type, message, keywords, now)
            snapshot = take_snapshot(extras, now / 1e9)
        else:
            snapshot = (now, keys, values, None, size)
        for handler in handlers:
            handler.emit_snapshot(snapshot)

    def _make_plan(self, message_type: object, keywords: Tuple[str, ...]) -> Plan:
        """Work out, once for each type and set of keywords, what a call with them becomes."""
        plan = make_plan(self._constants, message_type, keywords)
        if type(self).process is not DnstapAdapter.process:
            plan = plan._replace(direct=False)
        if type(message_type) is MessageType:  # what only equals one need not be one
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            key = (message_type, *keywords)
            self._plans[key] = plan
        return plan

    def _log_record(self, extras: Dict[str, object], keywords: Mapping[str, Any]) -> None:
        """Go the way of every log record."""
        record_extras = {**extras, **(keywords.get("extra") or {})}
        kwargs: MutableMapping[str, Any] = {
            "extra": record_extras,
            "exc_info": keywords.get("exc_info"),
            "stack_info": keywords.get("stack_info", False),
            "stacklevel": keywords.get("stacklevel", 1),
        }
        message: Any = LazyLine(extras)
        if type(self).process is not DnstapAdapter.process:
            message, kwargs = self.process(message, kwargs)
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + self._frames
        self.logger.log(self.level, message, **kwargs)


def _frames_of(logger: Any) -> int:
    """Return the frames of adapters below us, which logging counts itself since Python 3.11."""
    frames = 0
    while sys.version_info < (3, 11) and isinstance(logger, logging.LoggerAdapter):
        frames += 1
        logger = logger.logger
    return frames


def _checked_constants(extra: Optional[Mapping[str, object]]) -> Dict[str, object]:
    """Return the constants of an adapter as a dict of its own, or raise what is wrong."""
    if extra is None:
        return {}
    if not isinstance(extra, Mapping):
        raise TypeError(f"extra={extra!r}: must be a mapping, such as a dict")
    keys = key_set(extra)
    if keys is not None and keys.unknown:
        raise ValueError(f"extra: {keys.complaint}")
    for key in extra:
        if key in _RECORD_KEYS:
            raise ValueError(f"extra: {key!r} is an attribute of every record; use another name")
    return dict(extra)


def _checked_level(level: Union[int, str]) -> int:
    """Return a logging level as its number."""
    number = logging.getLevelName(level) if isinstance(level, str) else level
    if isinstance(number, bool) or not isinstance(number, int):
        raise ValueError(f"level={level!r}: must be a level of logging, its name or number")
    return number
