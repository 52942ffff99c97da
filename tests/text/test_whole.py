"""YAML and full JSON show all that a message can hold, by the schema and not by our own list."""

from __future__ import annotations

import struct
from typing import Any, Callable, Iterator, List, Tuple

import pytest
import yaml

from dnstap_logging.codec.decoding import decode
from dnstap_logging.codec.proto import Dnstap
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.text.dns import format_dns
from dnstap_logging.text.json import format_json
from dnstap_logging.text.yaml import format_yaml


def question(name: bytes) -> bytes:
    """Return a question for a name of one label."""
    return bytes((len(name),)) + name + b"\0\0\1\0\1"


def with_questions(*names: bytes) -> bytes:
    """Return a DNS message with these questions."""
    return struct.pack(">6H", 7, 0, len(names), 0, 0, 0) + b"".join(map(question, names))


def whole() -> Any:
    """Return a payload with every field of the schema."""
    dnstap = Dnstap(identity=b"ns1", version=b"v1", extra=b'{"a": "b"}', type=Dnstap.MESSAGE)
    body = dnstap.message
    body.type, body.socket_family, body.socket_protocol, body.http_protocol = 5, 1, 4, 2
    body.query_address, body.response_address = b"\xc0\0\2\1", b"\xc0\0\2\x35"
    body.query_port, body.response_port = 4000, 443
    body.query_time_sec, body.query_time_nsec = 1_767_268_800, 1
    body.response_time_sec, body.response_time_nsec = 1_767_268_801, 2
    body.query_message, body.response_message = with_questions(b"q"), with_questions(b"r")
    body.query_zone = b"\4zone\0"
    policy = body.policy
    policy.type, policy.rule, policy.action, policy.match = "RPZ", b"\4rule\0", 4, 1
    policy.value = b"\5value\0"
    return dnstap


def fields(message: Any, path: Tuple[str, ...] = ()) -> Iterator[Tuple[str, ...]]:
    """Yield the path of every field of the schema."""
    for each in message.DESCRIPTOR.fields:
        yield (*path, each.name)
        if each.message_type is not None:
            yield from fields(getattr(message, each.name), (*path, each.name))


REQUIRED = {("type",), ("message",), ("message", "type")}
PATHS = [path for path in fields(whole()) if path not in REQUIRED]


def as_yaml(message: DnstapMessage) -> str:
    """Return a message as ``--yaml`` has it."""
    return format_yaml(message, format_dns)


def as_json(message: DnstapMessage) -> str:
    """Return a message as ``--json=full`` has it."""
    return format_json(message, format_dns, full=True)


@pytest.mark.parametrize("show", [as_yaml, as_json])
@pytest.mark.parametrize("path", PATHS, ids=".".join)
def test_every_field_shows(path: Tuple[str, ...], show: Callable[[DnstapMessage], str]) -> None:
    """A message that has everything is shown otherwise when any field is not there."""
    lacking = whole()
    parent = lacking
    for name in path[:-1]:
        parent = getattr(parent, name)
    assert parent.HasField(path[-1]), "the test has to set it"
    parent.ClearField(path[-1])

    everything = show(decode(whole().SerializeToString()))
    assert show(decode(lacking.SerializeToString())) != everything


def test_the_type_shows() -> None:
    """The one that every message has."""
    message = decode(whole().SerializeToString())

    assert "CLIENT_QUERY" in as_yaml(message)
    assert "CLIENT_QUERY" in as_json(message)


def test_yaml_is_yaml() -> None:
    """What is more than the tool's has the form that parsers expect."""
    (found,) = [
        each for each in yaml.safe_load_all(as_yaml(decode(whole().SerializeToString()))) if each
    ]

    assert found["extra"] == '{"a": "b"}'
    assert found["message"]["http_protocol"] == "HTTP2"
    assert found["message"]["policy"] == {
        "type": "RPZ", "rule": "rule.", "action": "DROP", "match": "QNAME", "value": "value.",
    }  # fmt: skip


@pytest.mark.parametrize("show", [as_yaml, as_json])
@pytest.mark.parametrize("side", ["query", "response"])
def test_all_questions_are_shown(side: str, show: Callable[[DnstapMessage], str]) -> None:
    """Not the first one only; one whose name points back to the first is written out."""
    wire = with_questions(b"one", b"two", b"three")
    message = DnstapMessage(f"CLIENT_{side.upper()}", **{f"{side}_message": wire})
    for name in ("one", "two", "three"):
        assert f";{name}.\\tIN\\t A" in show(message).replace("\t", "\\t")

    pointing = wire[:4] + b"\0\2" + wire[6:12] + question(b"one") + b"\1x\xc0\x0c\0\x1c\0\1"
    message = DnstapMessage(f"CLIENT_{side.upper()}", **{f"{side}_message": pointing})
    assert ";x.one.\\tIN\\t AAAA" in show(message).replace("\t", "\\t")


def test_questions_that_cannot_be_read_are_said() -> None:
    """A message that has fewer than its header says is not shown as if it were whole."""
    wire = with_questions(b"one", b"two")[:-3]
    lines: List[str] = as_yaml(DnstapMessage("CLIENT_QUERY", query_message=wire)).splitlines()

    assert any("query_message: parse failed" in line for line in lines)
