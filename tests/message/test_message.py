"""DnstapMessage: what its constructor accepts and refuses, and the rules between fields."""

from __future__ import annotations

import copy
import ipaddress
import pickle
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any, Dict, List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging.exceptions import InvalidMessage, MessageTooLarge
from dnstap_logging.message.enums import (
    HttpProtocol,
    MessageType,
    SocketFamily,
    SocketProtocol,
)
from dnstap_logging.message.message import DnstapMessage
from dnstap_logging.message.policy import Policy
from tests.message.forms import (
    ACCEPTED,
    REFUSED,
    V4,
    V6,
    WIRE,
    checked,
    lenient,
    row_id,
    strict,
)

# A busy machine says nothing about the code.
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(("field", "value", "expected"), ACCEPTED, ids=row_id)
def test_constructor_accepts(field: str, value: object, expected: Dict[str, object]) -> None:
    """Each accepted form becomes its canonical value, of exactly its type, in the constructor."""
    message = strict(field, value)

    assert {name: getattr(message, name) for name in expected} == expected
    for name in expected:
        assert type(getattr(message, name)) is type(expected[name])


@pytest.mark.parametrize(("field", "value", "reason"), REFUSED, ids=row_id)
def test_constructor_refuses(field: str, value: object, reason: str) -> None:
    """Each unusable value raises; the text names the argument, the value and what is right."""
    with pytest.raises((ValueError, TypeError)) as caught:
        strict(field, value)

    text = str(caught.value)
    assert type(caught.value) in (ValueError, TypeError)
    assert text.startswith(f"{field}=")
    assert reason in text
    assert len(text) < 350
    assert text.isprintable(), ascii(text)


# -- the message type --------------------------------------------------------------------------


@pytest.mark.parametrize("member", MessageType)
def test_every_type_knows_whether_it_is_a_query(member: MessageType) -> None:
    """is_query says what the name says, for all 14."""
    assert member.is_query is member.name.endswith("_QUERY")


@pytest.mark.parametrize(
    "value",
    ["CLIENT_QERY", "", 0, 15, -5, True, 5.0, b"CLIENT_QUERY", SocketProtocol.UDP, [], object()],
    ids=row_id,
)
def test_unknown_type(value: Any) -> None:
    """An unknown type is no message: ValueError or TypeError, and InvalidMessage for a record."""
    right = "must be a MessageType, its name ('AUTH_QUERY') or number (1 to 14)"
    with pytest.raises((ValueError, TypeError)) as strictly:
        DnstapMessage(value)
    with pytest.raises(InvalidMessage) as leniently:
        checked({"dns_message_type": value, "dns_query_port": -1})

    assert right in str(strictly.value)
    assert str(strictly.value).startswith("message_type=")
    assert right in str(leniently.value)
    assert str(leniently.value).startswith("dns_message_type=")


def test_constructor_needs_a_type() -> None:
    """None is no message type."""
    with pytest.raises(TypeError, match=r"^message_type=None: must be a MessageType"):
        DnstapMessage(None)  # type: ignore[arg-type]


# -- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("size", [65536, 1_000_000])
@pytest.mark.parametrize("field", ["query_message", "response_message"])
def test_too_large_dns_message(field: str, size: int, kind: Any) -> None:
    """A DNS message over 65,535 bytes costs the record; the text says how long it is."""
    with pytest.raises(MessageTooLarge, match=rf"^dns_{field}=.*{size:,} bytes.*65,535"):
        lenient(field, kind(size))
    with pytest.raises(ValueError, match=rf"^{field}=.*{size:,} bytes.*65,535"):
        strict(field, kind(size))


# -- addresses, family, ports ------------------------------------------------------------------


OTHER_SIDE: Dict[str, Any] = {"response_address": ("2001:db8::1", 53, 0, 0)}


def test_mixed_families() -> None:
    """The query address wins; the other socket's address and port are left out."""
    message, problems = lenient("query_address", ("192.0.2.1", 5353), **OTHER_SIDE)

    assert (message.query_address, message.query_port) == (V4, 5353)
    assert (message.response_address, message.response_port) == (None, None)
    assert message.socket_family is SocketFamily.INET
    assert [kind for kind, _ in problems] == ["dns_response_address"]
    assert problems[0][1].startswith("dns_response_address=('2001:db8::1', 53, 0, 0) left out: ")
    with pytest.raises(ValueError, match=r"^response_address=.*family"):
        strict("query_address", "192.0.2.1", **OTHER_SIDE)


@pytest.mark.parametrize("converted_early", [False, True])
def test_contradicting_family(converted_early: bool) -> None:
    """Addresses win over the family; the text shows what was written."""
    value = ["192.0.2.1", 1] if converted_early else "192.0.2.1"
    message, problems = lenient("socket_family", "INET6", query_address=value)

    assert message.socket_family is SocketFamily.INET
    text = "dns_socket_family='INET6' left out: the addresses are INET"
    assert problems == [("dns_socket_family", text)]
    with pytest.raises(ValueError, match=r"^socket_family='INET6': the addresses are INET"):
        strict("socket_family", "INET6", query_address=value)


def test_ip_properties() -> None:
    """query_ip and response_ip are objects of ipaddress, or None."""
    message = strict("query_address", V4, response_address="192.0.2.53")

    assert message.query_ip == ipaddress.ip_address("192.0.2.1")
    assert message.response_ip == ipaddress.ip_address("192.0.2.53")
    assert strict("query_address", V6).query_ip == ipaddress.ip_address("2001:db8::1")
    assert strict("query_address", V6).response_ip is None


# -- http_protocol -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "texts"),
    [
        (
            HttpProtocol.HTTP1,
            ["HTTP/1.1", "http/1.1", "HTTP/1.0", "1.1", "1.0", "1", "h1", "http1"],
        ),
        (HttpProtocol.HTTP2, ["HTTP/2", "HTTP/2.0", "2", "2.0", "h2", "H2", "h2c", "HTTP_2"]),
        (HttpProtocol.HTTP3, ["HTTP/3", "HTTP/3.0", "3", "3.0", "h3", "H3", "http_3"]),
    ],
)
def test_names_of_http(version: HttpProtocol, texts: List[str]) -> None:
    """ASGI's, ALPN's and the request line's names of HTTP's versions are taken, as bytes too."""
    for name in [*texts, *(text.encode() for text in texts)]:
        message, problems = lenient("http_protocol", name, socket_protocol="https")

        assert (message.http_protocol, problems) == (version, []), name
        assert strict("http_protocol", name, socket_protocol="https") == message._replace(
            query_time=None
        )


@pytest.mark.parametrize("protocol", [None, "DOT", "unknown"])
def test_http_protocol_without_doh(protocol: Optional[str]) -> None:
    """With anything else it is left out with a problem, and refused by the constructor."""
    message, problems = lenient("http_protocol", 2, socket_protocol=protocol)

    assert message.http_protocol is None
    assert problems[-1][1].startswith("dns_http_protocol=2 left out: ")
    if protocol != "unknown":
        with pytest.raises(ValueError, match=r"^http_protocol=2: .*DOH"):
            strict("http_protocol", 2, socket_protocol=protocol)


# -- times -------------------------------------------------------------------------------------


@relaxed
@given(st.floats(0, 253402300799, allow_nan=False))
def test_float_seconds_are_exact(seconds: float) -> None:
    """Float seconds become the nearest nanosecond, as exact arithmetic finds it."""
    converted = strict("query_time", seconds).query_time

    assert converted is not None
    assert abs(converted - Fraction(seconds) * 10**9) <= Fraction(51, 100)


@relaxed
@given(st.datetimes(datetime(1970, 1, 2), timezones=st.timezones()))
def test_datetimes_are_exact(moment: datetime) -> None:
    """Aware datetimes become nanoseconds without a float on the way."""
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    expected = since // timedelta(microseconds=1) * 1000
    if expected >= 253402300800 * 10**9:
        return  # west of Greenwich the year 10000 begins later

    assert strict("query_time", moment).query_time == expected


# -- the value itself --------------------------------------------------------------------------


def test_a_message_is_immutable_and_hashable() -> None:
    """A message can be a key of a dict, and its attributes cannot be set."""
    message = strict("query_message", WIRE, policy=Policy("RPZ"))

    assert {message: 1}[strict("query_message", WIRE, policy=Policy("RPZ"))] == 1
    with pytest.raises(AttributeError):
        message.query_port = 53  # type: ignore[misc]
    with pytest.raises(AttributeError):
        message.anything = 53  # type: ignore[attr-defined]


def test_a_message_can_be_pickled_and_copied() -> None:
    """Also one from a capture, with a time that the constructor would take for seconds."""
    message = strict("query_message", WIRE, policy=Policy("RPZ"))._replace(query_time=7)
    again = pickle.loads(pickle.dumps(message))

    assert (again, type(again), type(again.policy)) == (message, DnstapMessage, Policy)
    assert copy.deepcopy(message) == message


def test_repr_is_one_short_line() -> None:
    """What is not known is not shown, long values are cut."""
    text = repr(strict("query_message", bytes(65535), query_port=53))

    assert text.startswith("DnstapMessage(CLIENT_QUERY, query_port=53, query_message=b'")
    assert len(text) < 200
