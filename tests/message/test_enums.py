"""The enumerations have the names and numbers of dnstap.proto."""

from __future__ import annotations

import enum
from typing import Any, Type

import pytest

from dnstap_logging.codec import proto
from dnstap_logging.codec.proto import dnstap_pb2
from dnstap_logging.message import enums


@pytest.mark.parametrize(
    ("ours", "schema"),
    [
        (enums.MessageType, proto.Message.Type),
        (enums.SocketFamily, dnstap_pb2.SocketFamily),
        (enums.SocketProtocol, dnstap_pb2.SocketProtocol),
        (enums.HttpProtocol, dnstap_pb2.HttpProtocol),
        (enums.PolicyAction, proto.Policy.Action),
        (enums.PolicyMatch, proto.Policy.Match),
    ],
)
def test_enumerations_match_the_schema(ours: Type[enum.IntEnum], schema: Any) -> None:
    """Neither has a member that the other lacks, and all numbers agree."""
    assert {member.name: member.value for member in ours} == dict(schema.items())
