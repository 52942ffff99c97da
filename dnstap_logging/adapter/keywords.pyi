"""Keywords of the adapter's methods and of the handlers: for type checkers only, hence a stub."""

from typing import Any, Mapping, Optional, Union

from typing_extensions import TypedDict

from ..message.enums import HttpProtocol, SocketFamily, SocketProtocol
from ..message.policy import Policy
from ..message.values import AddressSource, NameSource, Octets, TimeSource, WireSource

__all__ = ["AllKeywords", "FileArguments", "Keywords", "QueryKeywords", "ResponseKeywords"]

class Keywords(TypedDict, total=False):
    """What every method takes: the dns extras, and what logging's own methods take.

    But for query_address and query_time, which are parameters.
    """

    response_address: Optional[AddressSource]
    query_port: Union[int, str, None]
    response_port: Union[int, str, None]
    response_time: Optional[TimeSource]
    socket_family: Union[SocketFamily, str, int, None]
    socket_protocol: Union[SocketProtocol, str, int, None]
    http_protocol: Union[HttpProtocol, str, bytes, int, None]
    query_zone: Optional[NameSource]
    policy: Union[Policy, Mapping[str, object], None]
    dns_extra: Union[str, Octets, None]
    identity: Union[str, Octets, None]
    version: Union[str, Octets, None]
    extra: Optional[Mapping[str, object]]
    exc_info: Any
    stack_info: bool
    stacklevel: int

class QueryKeywords(Keywords, total=False):
    """Of a query's method: the message of the other side, too."""

    response_message: Optional[WireSource]

class ResponseKeywords(Keywords, total=False):
    """Of a response's method: the message of the other side, too."""

    query_message: Optional[WireSource]

class AllKeywords(QueryKeywords, ResponseKeywords, total=False):
    """Of `DnstapAdapter.log_message`: both messages."""

class FileArguments(TypedDict, total=False):
    """The arguments of `DnstapHandler`, which the rotating handlers take too."""

    level: Union[int, str]
    identity: Union[str, bytes, None]
    version: Union[str, bytes, None]
    full: bool
    sequence: bool
    queue_size: int
    queue_bytes: int
    overflow: str
    reconnect_interval: float
    max_reconnect_interval: Optional[float]
    max_reconnect_attempts: Optional[int]
    close_timeout: float
    max_frame_size: int
    report_interval: float
    delay: bool
    permissions: Union[int, str]
