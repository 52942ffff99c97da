"""dnstap for Python programs, in the manner of the standard library's logging.

Attach a `DnstapHandler` to a logger, log with dns extras, and every query reaches the collector:

    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY", "dns_query_message": wire})
"""

from __future__ import annotations

from typing import TYPE_CHECKING, List

# First, for at-fork hooks run in the order of their registration: a child closes what its parent
# had open before it makes what is its own.
from .process import inherited as _inherited  # noqa: F401

# isort: split
from ._version import __version__
from .delivery.stats import Stats
from .exceptions import DnstapLoggingError, TransportError
from .handler import DnstapHandler
from .lookup import get_handler, handlers
from .message.enums import (
    HttpProtocol,
    MessageType,
    PolicyAction,
    PolicyMatch,
    SocketFamily,
    SocketProtocol,
)
from .message.message import DnstapMessage
from .message.policy import Policy

if TYPE_CHECKING:
    from .adapter.adapter import DnstapAdapter
    from .reader.reader import DnstapReader
    from .receiver.receiver import DnstapReceiver
    from .rotating import RotatingDnstapHandler, TimedRotatingDnstapHandler

__all__ = [
    "DnstapAdapter",
    "DnstapHandler",
    "DnstapLoggingError",
    "DnstapMessage",
    "DnstapReader",
    "DnstapReceiver",
    "HttpProtocol",
    "MessageType",
    "Policy",
    "PolicyAction",
    "PolicyMatch",
    "RotatingDnstapHandler",
    "SocketFamily",
    "SocketProtocol",
    "Stats",
    "TimedRotatingDnstapHandler",
    "TransportError",
    "__version__",
    "get_handler",
    "handlers",
]

# What many programs that log do not use, and what takes a third of the time and memory of this
# import, is imported when it is first asked for.
_LATER = {
    "DnstapAdapter": "adapter.adapter",
    "DnstapReader": "reader.reader",
    "DnstapReceiver": "receiver.receiver",
    "RotatingDnstapHandler": "rotating",
    "TimedRotatingDnstapHandler": "rotating",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
