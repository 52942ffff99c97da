"""The enumerations of dnstap.proto, with its names and numbers.

Pure values without state: `values.py` reads what users write into them, `encoding.py` puts their
numbers on the wire. Any thread may use them.
"""

from __future__ import annotations

import enum

__all__ = [
    "HttpProtocol",
    "MessageType",
    "PolicyAction",
    "PolicyMatch",
    "SocketFamily",
    "SocketProtocol",
]


class MessageType(enum.IntEnum):
    """What a dnstap message says: who asked or answered whom (dnstap.proto, Message.Type)."""

    AUTH_QUERY = 1
    AUTH_RESPONSE = 2
    RESOLVER_QUERY = 3
    RESOLVER_RESPONSE = 4
    CLIENT_QUERY = 5
    CLIENT_RESPONSE = 6
    FORWARDER_QUERY = 7
    FORWARDER_RESPONSE = 8
    STUB_QUERY = 9
    STUB_RESPONSE = 10
    TOOL_QUERY = 11
    TOOL_RESPONSE = 12
    UPDATE_QUERY = 13
    UPDATE_RESPONSE = 14

    @property
    def is_query(self) -> bool:
        """Whether it is a query; queries have the odd numbers."""
        return bool(self & 1)


class SocketFamily(enum.IntEnum):
    """The family of both addresses: INET has 4 bytes, INET6 has 16."""

    INET = 1
    INET6 = 2


class SocketProtocol(enum.IntEnum):
    """How the DNS message travelled."""

    UDP = 1
    TCP = 2
    DOT = 3
    DOH = 4
    DNSCryptUDP = 5
    DNSCryptTCP = 6
    DOQ = 7


class HttpProtocol(enum.IntEnum):
    """The version of HTTP under DNS over HTTPS."""

    HTTP1 = 1
    HTTP2 = 2
    HTTP3 = 3


class PolicyAction(enum.IntEnum):
    """What an operator's policy did to the answer."""

    NXDOMAIN = 1
    NODATA = 2
    PASS = 3
    DROP = 4
    TRUNCATE = 5
    LOCAL_DATA = 6


class PolicyMatch(enum.IntEnum):
    """What the rule of a policy matched."""

    QNAME = 1
    CLIENT_IP = 2
    RESPONSE_IP = 3
    NS_NAME = 4
    NS_IP = 5
