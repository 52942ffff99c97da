"""`DnstapAdapter`: the typed way to log dnstap, one method for each message type.

Runs in the threads that log. A call goes the way of every log record, unless nobody could tell the
difference: then no LogRecord is made, which costs more than all the rest, and the snapshot goes
straight to the dnstap handlers. The bytes on the wire are the same on both ways.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import (
    TYPE_CHECKING,
    Any,
    Dict,
    List,
    Mapping,
    MutableMapping,
    Optional,
    Tuple,
    Union,
)

from .exceptions import InvalidMessage, MessageTooLarge
from .extras import FIELDS, key_set, take_snapshot
from .handler import DnstapHandler
from .message import MessageType, Problem, check
from .text import format_summary
from .values import as_message_type

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .keywords import AllKeywords, QueryKeywords, ResponseKeywords
    from .values import WireSource

    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # generic for type checkers only before Python 3.11

__all__ = ["DnstapAdapter"]

# The keywords of the methods and the keys of records that they become. Dnstap.extra keeps its
# prefix, because extra= is logging's own.
_KEYS = {field.name: field.key for field in FIELDS.values() if field.name != "message_type"}
_KEYS["dns_extra"] = _KEYS.pop("extra")
_NEED_RECORD = frozenset(("extra", "exc_info", "stack_info"))  # for other handlers to see
_LOGGING_KEYWORDS = _NEED_RECORD | {"stacklevel"}

OUR_FRAMES = 3
"""Frames between the caller and logging (the method, `_log_dns`, `_log_record`), which other
handlers leave out when they name the caller."""

# What a record passes through in a logger: as long as these are logging's own, nothing but the
# handlers can see whether there is a record.
_LOGGER_METHODS = ("handle", "makeRecord", "callHandlers", "filter", "log", "_log")
_ORIGINALS = [getattr(logging.Logger, name) for name in _LOGGER_METHODS]
# What was put in their place before this module was imported is no original.
_GENUINE = all(
    getattr(getattr(original, "__code__", None), "co_filename", "") == logging._srcfile
    for original in _ORIGINALS
)
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
        self._constants = _checked_constants(extra)
        super().__init__(logger, self._constants)
        self.merge_extra = merge_extra
        self.level = _checked_level(level)
        self._frames = OUR_FRAMES + _frames_of(logger)
        # Constants for other handlers' formatters need a LogRecord to carry them.
        self._direct = all(key.startswith("dns_") for key in self._constants)

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
        extras = self._extras(message_type, message, keywords)
        if not self.isEnabledFor(self.level):
            return
        if not isinstance(message_type, MessageType):
            message_type = _known_type(message_type)
        is_query = message_type is None or message_type.is_query
        own_message, own_time = _OWN_SIDE[is_query]
        extras[own_message] = message
        if extras.get(own_time) is None:
            extras[own_time] = now
        handlers = self._direct_way(keywords)
        if handlers is None:
            self._log_record(extras, keywords)
            return
        snapshot = take_snapshot(extras, now / 1e9)
        for handler in handlers:
            handler.emit_snapshot(snapshot)

    def _extras(
        self, message_type: object, message: object, keywords: Mapping[str, Any]
    ) -> Dict[str, object]:
        """Return the constants and the keywords as dns extras; the keywords win."""
        extras = {**self._constants, "dns_message_type": message_type}
        for keyword, value in keywords.items():
            key = _KEYS.get(keyword)
            if key is not None:
                extras[key] = value
            elif keyword not in _LOGGING_KEYWORDS:
                raise TypeError(f"unknown keyword {keyword!r}{_did_you_mean(keyword)}")
        return extras

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

    def _direct_way(self, keywords: Mapping[str, Any]) -> Optional[List[DnstapHandler]]:
        """Return the handlers that would emit, if nobody could tell that there is no LogRecord.

        Mirrors logging.Logger.handle and callHandlers, which is why it asks for their originals.
        """
        if not self._direct or not _NEED_RECORD.isdisjoint(keywords):
            return None
        if logging.getLogRecordFactory() is not logging.LogRecord:
            return None
        if type(self).process is not DnstapAdapter.process or not _is_plain(self.logger):
            return None
        logger: Optional[logging.Logger] = self.logger
        handlers: List[DnstapHandler] = []
        found = False
        while logger is not None:
            for handler in logger.handlers:
                if not isinstance(handler, DnstapHandler) or not handler.takes_snapshots:
                    return None
                found = True
                if self.level >= handler.level:
                    handlers.append(handler)
            logger = logger.parent if logger.propagate else None
        return handlers if found else None  # without any handler, logging has a last resort


class LazyLine:
    """The readable message of a record, made only when somebody formats it."""

    __slots__ = ("_extras",)

    def __init__(self, extras: Mapping[str, object]) -> None:
        self._extras = extras

    def __str__(self) -> str:
        problems: List[Problem] = []
        try:
            return format_summary(check(take_snapshot(self._extras, time.time()), problems))
        except (InvalidMessage, MessageTooLarge) as error:
            return f"not a dnstap message: {error}"


# The extras of a message type's own side, by whether it is a query: its message, its time.
_OWN_SIDE = {
    True: ("dns_query_message", "dns_query_time"),
    False: ("dns_response_message", "dns_response_time"),
}


def _known_type(message_type: object) -> Optional[MessageType]:
    """Return a message type; None for what is none, which the handler counts."""
    try:
        return as_message_type(message_type)
    except Exception:  # noqa: BLE001 - whatever a value's own methods raise
        return None


def _is_plain(logger: logging.Logger) -> bool:
    """Tell whether a logger is logging's own in all that a record passes through."""
    if not _GENUINE or not isinstance(logger, logging.Logger) or logger.filters:
        return False
    kind = type(logger)
    for name, original in zip(_LOGGER_METHODS, _ORIGINALS):
        if getattr(kind, name) is not original or name in logger.__dict__:
            return False
    return True


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


def _did_you_mean(keyword: str) -> str:
    import difflib  # here, for it is slow to import

    near = difflib.get_close_matches(keyword, [*_KEYS, *_LOGGING_KEYWORDS], n=1)
    return f", did you mean {near[0]!r}?" if near else ""
