"""`DnstapAdapter`: the typed way to log dnstap, one method for each message type.

Runs in the threads that log. What becomes of a call is in `base.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

from ..arguments import DEFAULT, Default
from ..message.enums import MessageType
from .base import BaseAdapter

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..message.values import AddressSource, TimeSource, WireSource
    from .keywords import AllKeywords, QueryKeywords, ResponseKeywords

__all__ = ["DnstapAdapter"]

# Python 3.11 takes a tenth of a microsecond to find a member of an enumeration.
(
    AUTH_QUERY, AUTH_RESPONSE, RESOLVER_QUERY, RESOLVER_RESPONSE, CLIENT_QUERY, CLIENT_RESPONSE,
    FORWARDER_QUERY, FORWARDER_RESPONSE, STUB_QUERY, STUB_RESPONSE, TOOL_QUERY, TOOL_RESPONSE,
    UPDATE_QUERY, UPDATE_RESPONSE,
) = MessageType  # fmt: skip


class DnstapAdapter(BaseAdapter):
    """Log dnstap messages with one method for each message type.

    The first argument is the DNS message of the method's own side, as bytes or as an object with
    ``to_wire()`` or ``pack()``; None for a message without it. Keywords are the dns extras without
    ``dns_``, but ``dns_extra=`` for Dnstap.extra, and logging's own ``extra``, ``exc_info``,
    ``stack_info`` and ``stacklevel``. The time of the method's own side is now, unless it is given.

    A call that Python itself would refuse, an unknown keyword or a missing message, is a TypeError
    at its own line. A value that cannot be used never raises: it is counted by the handler.

    Args:
        logger: the logger, whose level, filters, handlers and propagation apply as usual; also an
            adapter of one, or an object with its methods.
        extra: constants of the server, by their full names (``dns_socket_protocol``), and
            anything else that formatters want.
        merge_extra: whether `info` and the like merge their ``extra`` into the constants (the
            call wins), or have it replaced by them, as the stock adapter does. The methods of the
            message types always merge.
        level: the level of the messages.

    Raises:
        TypeError, ValueError: an argument cannot be used; unknown ``dns_`` keys are named, and so
            are constants that no message can have.
    """

    __module__ = "dnstap_logging"

    # -- the message types ---------------------------------------------------------------------

    def client_query(
        self,
        query_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[QueryKeywords],
    ) -> None:
        """Log a query that a client sent to this server, a resolver (CLIENT_QUERY)."""
        self._log_dns(CLIENT_QUERY, query_message, query_address, query_time, keywords)

    def client_response(
        self,
        response_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[ResponseKeywords],
    ) -> None:
        """Log what this server, a resolver, answered to a client (CLIENT_RESPONSE)."""
        self._log_dns(CLIENT_RESPONSE, response_message, query_address, query_time, keywords)

    def auth_query(
        self,
        query_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[QueryKeywords],
    ) -> None:
        """Log a query that a resolver sent to this server, an authority (AUTH_QUERY)."""
        self._log_dns(AUTH_QUERY, query_message, query_address, query_time, keywords)

    def auth_response(
        self,
        response_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[ResponseKeywords],
    ) -> None:
        """Log what this server, an authority, answered to a resolver (AUTH_RESPONSE)."""
        self._log_dns(AUTH_RESPONSE, response_message, query_address, query_time, keywords)

    def resolver_query(
        self,
        query_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[QueryKeywords],
    ) -> None:
        """Log a query that this resolver sent to an authority (RESOLVER_QUERY)."""
        self._log_dns(RESOLVER_QUERY, query_message, query_address, query_time, keywords)

    def resolver_response(
        self,
        response_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[ResponseKeywords],
    ) -> None:
        """Log what an authority answered to this resolver (RESOLVER_RESPONSE)."""
        self._log_dns(RESOLVER_RESPONSE, response_message, query_address, query_time, keywords)

    def forwarder_query(
        self,
        query_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[QueryKeywords],
    ) -> None:
        """Log a query that this forwarder sent upstream (FORWARDER_QUERY)."""
        self._log_dns(FORWARDER_QUERY, query_message, query_address, query_time, keywords)

    def forwarder_response(
        self,
        response_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[ResponseKeywords],
    ) -> None:
        """Log what the upstream answered to this forwarder (FORWARDER_RESPONSE)."""
        self._log_dns(FORWARDER_RESPONSE, response_message, query_address, query_time, keywords)

    def stub_query(
        self,
        query_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[QueryKeywords],
    ) -> None:
        """Log a query that this stub resolver sent to its resolver (STUB_QUERY)."""
        self._log_dns(STUB_QUERY, query_message, query_address, query_time, keywords)

    def stub_response(
        self,
        response_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[ResponseKeywords],
    ) -> None:
        """Log what the resolver answered to this stub resolver (STUB_RESPONSE)."""
        self._log_dns(STUB_RESPONSE, response_message, query_address, query_time, keywords)

    def tool_query(
        self,
        query_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[QueryKeywords],
    ) -> None:
        """Log a query that this tool sent to a server (TOOL_QUERY)."""
        self._log_dns(TOOL_QUERY, query_message, query_address, query_time, keywords)

    def tool_response(
        self,
        response_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[ResponseKeywords],
    ) -> None:
        """Log what a server answered to this tool (TOOL_RESPONSE)."""
        self._log_dns(TOOL_RESPONSE, response_message, query_address, query_time, keywords)

    def update_query(
        self,
        query_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[QueryKeywords],
    ) -> None:
        """Log a dynamic update that was sent to this authority (UPDATE_QUERY)."""
        self._log_dns(UPDATE_QUERY, query_message, query_address, query_time, keywords)

    def update_response(
        self,
        response_message: Optional[WireSource],
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[ResponseKeywords],
    ) -> None:
        """Log what this authority answered to a dynamic update (UPDATE_RESPONSE)."""
        self._log_dns(UPDATE_RESPONSE, response_message, query_address, query_time, keywords)

    def log_message(
        self,
        message_type: Union[MessageType, str, int],
        message: Optional[WireSource] = None,
        *,
        query_address: Union[AddressSource, Default, None] = DEFAULT,
        query_time: Union[TimeSource, Default, None] = DEFAULT,
        **keywords: Unpack[AllKeywords],
    ) -> None:
        """Log a message of any type.

        Args:
            message_type: a `MessageType`, its name or its number.
            message: the DNS message of the type's own side.
            query_address: as in all methods.
            query_time: as in all methods.
            keywords: the other arguments that all methods have.
        """
        self._log_dns(message_type, message, query_address, query_time, keywords)
