"""A message from a snapshot: what cannot be used is left out, and is a problem with a reason."""

from __future__ import annotations

import math
import time
from typing import Any, Dict, Optional

import pytest

from dnstap_logging.exceptions import InvalidMessage
from dnstap_logging.message.enums import (
    HttpProtocol,
    MessageType,
    SocketFamily,
    SocketProtocol,
)
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.snapshot import Unusable
from tests.message.forms import (
    ACCEPTED,
    CREATED_NS,
    NOW,
    REFUSED,
    V4,
    WIRE,
    Broken,
    checked,
    lenient,
    row_id,
)


@pytest.mark.parametrize(("field", "value", "expected"), ACCEPTED, ids=row_id)
def test_check_accepts(field: str, value: object, expected: Dict[str, object]) -> None:
    """Each accepted form becomes the same in a record, without a problem."""
    message, problems = lenient(field, value)

    assert problems == []
    assert {name: getattr(message, name) for name in expected} == expected
    for name in expected:
        assert type(getattr(message, name)) is type(expected[name])


@pytest.mark.parametrize(("field", "value", "reason"), REFUSED, ids=row_id)
def test_check_leaves_out(field: str, value: object, reason: str) -> None:
    """Each unusable value leaves its field out, with one problem that names key and value.

    The message's own time is then the record's creation, as where none is given.
    """
    message, problems = lenient(field, value)

    assert getattr(message, field) == (CREATED_NS if field == "query_time" else None)
    assert [kind for kind, _ in problems] == [f"dns_{field}"]
    text = problems[0][1]
    assert text.startswith(f"dns_{field}=")
    assert " left out: " in text
    assert reason in text
    assert len(text) < 350
    assert text.isprintable(), ascii(text)


def test_a_good_record_is_not_changed_by_a_bad_extra() -> None:
    """Only the unusable field is missing."""
    message, problems = lenient("query_port", -1, query_message=WIRE, socket_protocol="UDP")

    assert (message.query_message, message.socket_protocol) == (WIRE, SocketProtocol.UDP)
    text = "dns_query_port=-1 left out: must be an integer from 0 to 65535"
    assert problems == [("dns_query_port", text)]


def test_none_means_not_given() -> None:
    """An extra that is None is the same as one that is not there."""
    extras: Dict[str, Any] = {f"dns_{name}": None for name in DnstapMessage._fields}
    message, problems = checked({**extras, "dns_message_type": 5}, "formatted")

    assert problems == []
    assert message == checked({"dns_message_type": 5}, "formatted")[0]


# -- the message type --------------------------------------------------------------------------


@pytest.mark.parametrize("extras", [{}, {"dns_query_port": 53}, {"dns_message_type": None}])
def test_missing_type(extras: Dict[str, Any]) -> None:
    """Without a type there is no message; the text says which key is missing."""
    with pytest.raises(InvalidMessage, match=r"^dns_message_type is missing"):
        checked(extras)


def test_misspelt_type_key_is_named() -> None:
    """Where the type's own key is misspelt, the error names both."""
    with pytest.raises(InvalidMessage, match=r"dns_mesage_type .*did you mean dns_message_type\?"):
        checked({"dns_mesage_type": "CLIENT_QUERY"})


# -- addresses, family, ports ------------------------------------------------------------------


def test_explicit_port_wins() -> None:
    """The port's own extra wins over the socket address's."""
    message, problems = lenient("query_address", ("192.0.2.1", 1), query_port=2)

    assert (message.query_address, message.query_port, problems) == (V4, 2, [])


def test_unusable_port_is_not_replaced() -> None:
    """An unusable port leaves the field out, the one of the socket address does not step in."""
    message, problems = lenient("query_address", ("192.0.2.1", 1), query_port=-1)

    assert (message.query_address, message.query_port) == (V4, None)
    assert [kind for kind, _ in problems] == ["dns_query_port"]


def test_mixed_families_keep_an_explicit_port() -> None:
    """A port that was given by itself does not belong to the address that is left out."""
    message, _ = lenient("response_address", "2001:db8::1", query_address=V4, response_port=853)

    assert (message.response_address, message.response_port) == (None, 853)


def test_unspecified_addresses_have_no_family() -> None:
    """A server bound to :: that answers over IPv4 is no contradiction; its port is kept."""
    message, problems = lenient("response_address", ("::", 53, 0, 0), query_address="192.0.2.1")

    assert problems == []
    assert message.socket_family is SocketFamily.INET
    assert (message.response_address, message.response_port) == (None, 53)


def test_unusable_family_is_taken_from_addresses() -> None:
    """Whatever the family's extra says, readers need the family of the addresses."""
    message, problems = lenient("socket_family", "IPv4", response_address="2001:db8::1")

    assert message.socket_family is SocketFamily.INET6
    assert [kind for kind, _ in problems] == ["dns_socket_family"]


# -- http_protocol -----------------------------------------------------------------------------


def test_http_protocol_with_doh() -> None:
    """With DOH it is kept."""
    message, problems = lenient("http_protocol", "http2", socket_protocol="DoH")

    assert (message.http_protocol, problems) == (HttpProtocol.HTTP2, [])


# -- times -------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", MessageType)
def test_missing_own_time_is_the_creation(member: MessageType) -> None:
    """A query's query time and a response's response time default to the record's creation."""
    message, _ = checked({"dns_message_type": member})

    expected = (CREATED_NS, None) if member.is_query else (None, CREATED_NS)
    assert (message.query_time, message.response_time) == expected
    assert DnstapMessage(member).query_time is None


def test_given_time_wins_over_the_creation() -> None:
    """A time that is given is kept, of either side."""
    message, _ = checked(
        {"dns_message_type": "CLIENT_RESPONSE", "dns_query_time": NOW, "dns_response_time": NOW + 1}
    )

    assert (message.query_time, message.response_time) == (NOW, NOW + 1)


@pytest.mark.parametrize("created", [math.nan, math.inf, -1.0, "yesterday", None])
def test_unusable_creation_is_now(created: Any) -> None:
    """A record made by hand, whose creation is no time, is from now."""
    before = time.time_ns()
    message, problems = checked({"dns_message_type": 5}, created=created)

    assert problems == []
    assert message.query_time is not None
    assert before <= message.query_time <= time.time_ns()


# -- extra -------------------------------------------------------------------------------------


def test_formatter_renders_extra() -> None:
    """What the formatter rendered becomes Dnstap.extra."""
    assert checked({"dns_message_type": 5}, "é")[0].extra == b"\xc3\xa9"
    assert checked({"dns_message_type": 5}, b"\xff")[0].extra == b"\xff"
    assert checked({"dns_message_type": 5}, "")[0].extra is None


@pytest.mark.parametrize(("value", "expected"), [("own", b"own"), ("", None), (b"x", b"x")])
def test_dns_extra_wins_over_the_formatter(value: object, expected: Optional[bytes]) -> None:
    """The record's own extra wins, also to leave it out; an unusable one is not replaced."""
    extras: Dict[str, Any] = {"dns_message_type": 5, "dns_extra": value}

    assert checked(extras, "formatted")[0].extra == expected
    assert checked({**extras, "dns_extra": 7}, "formatted")[0].extra is None


def test_failed_formatter_loses_only_extra() -> None:
    """A formatter that raised is a problem of dns_extra, and nothing else."""
    message, problems = checked({"dns_message_type": 5}, Unusable("the formatter raised KeyError"))

    assert (message.message_type, message.extra) == (MessageType.CLIENT_QUERY, None)
    assert problems == [("dns_extra", "dns_extra left out: the formatter raised KeyError")]


def test_failed_formatter_stays_one_line() -> None:
    """What a formatter's error says may be long and hold anything."""
    unusable = Unusable("the formatter raised \x1b[31m\n" + "x" * 10**6)
    _, problems = checked({"dns_message_type": 5}, unusable)

    assert problems[0][1].startswith("dns_extra left out: the formatter raised ?[31m?xxx")
    assert problems[0][1].isprintable()
    assert len(problems[0][1]) <= 400


@pytest.mark.parametrize("formatted", [7, [], object(), Broken()])
def test_formatter_of_another_kind(formatted: Any) -> None:
    """A formatter that returns neither str nor bytes loses only extra, too."""
    message, problems = checked({"dns_message_type": 5}, formatted)

    assert message.extra is None
    assert [kind for kind, _ in problems] == ["dns_extra"]
    assert "must be bytes or str" in problems[0][1]


# -- unknown keys ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("dns_query_adress", "did you mean dns_query_address?"),
        ("dns_protocol", "did you mean dns_http_protocol?"),
        ("dns_qname_minimized_by", "no dns extra has a similar name"),
        ("dns_", "no dns extra has a similar name"),
        ("dns_" + "x" * 10_000, "no dns extra has a similar name"),
        ("dns_\x1b[31m\n", "no dns extra has a similar name"),
    ],
)
def test_unknown_key(key: str, said: str) -> None:
    """An unknown key is a problem that names the key and the nearest known one."""
    message, problems = checked({"dns_message_type": 5, key: 1, "dns_query_port": 53})

    assert message.query_port == 53
    assert [kind for kind, _ in problems] == ["unknown key"]
    assert said in problems[0][1]
    assert problems[0][1].isprintable()
    assert len(problems[0][1]) < 200


def test_each_unknown_key_counts() -> None:
    """Several unknown keys are as many problems; the text stays short."""
    extras = {f"dns_odd_{number}": 1 for number in range(100)}
    _, problems = checked({"dns_message_type": 5, **extras})

    assert len(problems) == 100
    assert len(problems[0][1]) < 400
    assert "and 97 more" in problems[0][1]
