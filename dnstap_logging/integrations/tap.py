"""Who logs, and as what: the adapter and the two message types that an integration works with.

Shared by all integrations, below them all. Runs in the threads that serve or ask, so `Tap`'s
methods raise nothing: what goes wrong is reported to the logger "dnstap_logging".
"""

from __future__ import annotations

import logging
from typing import Any, Dict, NamedTuple, Optional, Tuple, Union

from ..adapter.adapter import DnstapAdapter
from ..arguments import logger as checked_logger
from ..diagnostics import Reporter
from ..interrupts import pass_on
from ..message.enums import MessageType, SocketProtocol
from ..message.values import as_socket_protocol
from ..shorten import describe_error, shorten

__all__ = [
    "LoggerLike",
    "ProtocolLike",
    "ROLES",
    "Role",
    "Tap",
    "as_protocol",
    "missing",
    "report",
]

LoggerLike = Union[logging.Logger, str, DnstapAdapter]
ProtocolLike = Union[SocketProtocol, str, int, None]


class Role(NamedTuple):
    """The two message types of one conversation (dnstap.proto, Message.Type)."""

    query: MessageType
    response: MessageType


ROLES: Dict[str, Role] = {
    query.name[: -len("_QUERY")]: Role(query, MessageType(query + 1))
    for query in MessageType
    if query.is_query
}
"""By name: AUTH, RESOLVER, CLIENT, FORWARDER, STUB, TOOL, UPDATE."""

_reporter = Reporter("integrations")


def report(error: BaseException) -> None:
    """Say what went wrong in an integration, at most once in a while; never raise, never block."""
    try:
        _reporter.report("error", logging.WARNING, f"not logged: {describe_error(error)}")
    except BaseException as problem:  # noqa: BLE001 - nothing is raised into the DNS program
        pass_on(problem)


def missing(module: str, library: str, extra: str) -> ImportError:
    """Make the error for a library that is not installed, or too old."""
    hint = f"install it, or dnstap-logging with its extra {extra!r}"
    return ImportError(f"{module} needs {library}: {hint}")


def as_adapter(argument: str, value: object) -> DnstapAdapter:
    """Return the adapter for a logger, a logger's name, or an adapter itself.

    Raises:
        TypeError: it is none of them.
    """
    if isinstance(value, DnstapAdapter):
        return value
    if isinstance(value, str):
        value = logging.getLogger(value)
    try:
        return DnstapAdapter(checked_logger(argument, value))
    except TypeError:
        right = "must be a logger, its name, or a DnstapAdapter"
        raise TypeError(f"{argument}={shorten(value)}: {right}") from None


def as_role(argument: str, value: object) -> Role:
    """Return the message types of a role by its name, in any case.

    Raises:
        TypeError, ValueError: there is no such role.
    """
    right = f"must be one of {', '.join(ROLES)}"
    if not isinstance(value, str):
        raise TypeError(f"{argument}={value!r}: {right}")
    try:
        return ROLES[value.upper()]
    except KeyError:
        raise ValueError(f"{argument}={value!r}: {right}") from None


def as_protocol(argument: str, value: object) -> Optional[SocketProtocol]:
    """Return a socket protocol, or None, which means that the socket tells.

    Raises:
        TypeError, ValueError: there is no such protocol.
    """
    if value is None:
        return None
    try:
        return as_socket_protocol(value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{argument}={value!r}: {error}") from None


class Tap:
    """Log queries and responses of one role; raise nothing.

    Args:
        logger: a logger, its name, or a `DnstapAdapter`, whose constants are logged too.
        role: a name in `ROLES`.
        argument: what the two are called where the user gives them.

    Raises:
        TypeError, ValueError: naming the argument, the value and what is right.
    """

    __slots__ = ("_adapter", "_looked", "_role")

    def __init__(
        self, logger: object, role: object, argument: str = "logger", role_argument: str = "role"
    ) -> None:
        self._adapter = as_adapter(argument, logger)
        self._role = as_role(role_argument, role)
        self._looked = False  # whether a dnstap handler is reached, while nothing is logged

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self._adapter, self._role.query.name[: -len("_QUERY")])

    @property
    def enabled(self) -> bool:
        """Whether the logger takes messages now."""
        adapter = self._adapter
        if adapter.logger.isEnabledFor(adapter.level):
            return True
        if not self._looked:
            self._looked = True
            adapter.report_unheard()
        return False

    def query(self, wire: Any, fields: Dict[str, Any]) -> None:
        """Log a query.

        Args:
            wire: the DNS message.
            fields: the keywords of the adapter's methods.
        """
        self._log(self._role.query, wire, fields)

    def response(self, wire: Any, fields: Dict[str, Any]) -> None:
        """Log a response; as `query`."""
        self._log(self._role.response, wire, fields)

    def _log(self, message_type: MessageType, wire: Any, fields: Dict[str, Any]) -> None:
        try:
            self._adapter.log_message(message_type, wire, **fields)
        except BaseException as error:  # noqa: BLE001 - what a filter of the user's raises
            pass_on(error)
            report(error)
