"""dnstap for Python programs, in the manner of the standard library's logging.

Attach a `DnstapHandler` to a logger, log with dns extras, and every query reaches the collector:

    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY", "dns_query_message": wire})
"""

from __future__ import annotations

from ._version import __version__
from .adapter import DnstapAdapter
from .exceptions import DnstapLoggingError
from .handler import DnstapHandler, get_handler, handlers
from .message import (
    DnstapMessage,
    HttpProtocol,
    MessageType,
    Policy,
    PolicyAction,
    PolicyMatch,
    SocketFamily,
    SocketProtocol,
)
from .reader import DnstapReader
from .receiver import DnstapReceiver
from .rotating import RotatingDnstapHandler, TimedRotatingDnstapHandler
from .stats import Stats

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
    "__version__",
    "get_handler",
    "handlers",
]
