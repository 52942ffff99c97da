"""Valid streams, payloads and DNS messages: what the fuzzers begin with and damage."""

from __future__ import annotations

import struct
from typing import List

from dnstap_logging.codec.encoding import Encoder
from dnstap_logging.message.enums import HttpProtocol, MessageType, SocketProtocol
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.policy import Policy
from tests.framestream.samples import (
    ACCEPT,
    ACCEPT_ANY,
    FINISH,
    READY,
    READY_WITH_TWO,
    START,
    START_WITHOUT_TYPE,
    STOP,
    UNKNOWN,
    data,
)

NAME = b"\3www\7example\3org\0"
TIME = 1_700_000_000_123_456_789


def header(flags: int, *counts: int) -> bytes:
    """Return a DNS header; the counts are those of the four sections."""
    return struct.pack("!6H", 4711, flags, *counts)


QUERY = header(0x0100, 1, 0, 0, 0) + NAME + b"\0\1\0\1"
QUERY_WITH_OPTIONS = (
    header(0x0100, 1, 0, 0, 1)
    + NAME
    + b"\0\1\0\1"
    + b"\0\0\x29\x04\xd0\0\0\0\0\0\x10"  # OPT, 1232, no flags, 16 octets of options:
    + b"\0\x08\0\7\0\1\x18\0\xc0\0\2"  # client subnet 192.0.2.0/24
    + b"\xfd\xe9\0\1x"  # an option for experiments
)
RESPONSE = (
    header(0x8180, 1, 2, 0, 1)
    + NAME
    + b"\0\1\0\1"
    + b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\6\3alt\xc0\x10"  # CNAME alt.example.org
    + b"\xc0\x2d\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"  # A 192.0.2.1
    + b"\0\0\x29\x04\xd0\1\0\0\0\0\0"  # OPT, with the upper part of a response code
)
UPDATE = header(0x2800, 1, 0, 0, 0) + NAME[4:] + b"\0\6\0\1"
DNS_MESSAGES = [QUERY, QUERY_WITH_OPTIONS, RESPONSE, UPDATE]

MESSAGES = [
    DnstapMessage("CLIENT_QUERY", query_message=QUERY),
    DnstapMessage(
        "CLIENT_RESPONSE",
        query_address=("192.0.2.7", 5353),
        response_address=("192.0.2.53", 53),
        socket_protocol=SocketProtocol.UDP,
        query_time=TIME,
        response_time=TIME + 1_000_000,
        response_message=RESPONSE,
        identity=b"ns1",
    ),
    DnstapMessage(
        "RESOLVER_QUERY",
        query_address=("2001:db8::7", 40000),
        response_address=("2001:db8::53", 443),
        socket_protocol=SocketProtocol.DOH,
        http_protocol=HttpProtocol.HTTP2,
        query_time=TIME,
        query_message=QUERY_WITH_OPTIONS,
        query_zone="example.org",
        policy=Policy(type="RPZ", rule="*.example.org", action="NXDOMAIN", match="QNAME"),
        extra=b"extra",
    ),
    DnstapMessage(MessageType.UPDATE_QUERY, query_message=UPDATE),
]

_encoder = Encoder(b"", b"")
PAYLOADS: List[bytes] = [_encoder.encode(message, []) for message in MESSAGES]
FRAMES = b"".join(map(data, PAYLOADS))

STREAMS = [
    START + FRAMES + STOP,
    START_WITHOUT_TYPE + data(PAYLOADS[0]) + UNKNOWN + data(PAYLOADS[1]),
    START + data(b"not dnstap") + FRAMES,
    READY + START + FRAMES + STOP,
    READY_WITH_TWO + START + FRAMES,
]
"""What writers send: as files, without STOP, with a payload that is no message; and to sockets."""

ANSWERS = [ACCEPT, ACCEPT_ANY, ACCEPT + UNKNOWN + FINISH, FINISH]
"""What readers send."""
