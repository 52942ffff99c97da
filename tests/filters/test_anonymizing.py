"""`AnonymizingFilter`: no address of a client gets into the capture, whatever form it had."""

from __future__ import annotations

import ipaddress
import logging
import socket
from typing import Any, Dict, List, Optional, Tuple

import dns.message
import dnslib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnstap_logging import DnstapHandler, DnstapMessage, MessageType, Policy
from dnstap_logging.filters import AnonymizingFilter
from dnstap_logging.message.check import message_from_snapshot
from dnstap_logging.message.snapshot import take_snapshot
from tests.filters.traffic import (
    CLIENT,
    KEY,
    SERVER,
    Server,
    close_and_read,
    query_for,
    subnet_query,
    subnets_in,
)
from tests.helpers.said import Said

CUT = AnonymizingFilter()
REMOVED = AnonymizingFilter(None, 0)
PAN = AnonymizingFilter(key=KEY)


def anonymized(each: AnonymizingFilter, **extras: Any) -> DnstapMessage:
    """Return what a dnstap handler would send of a record."""
    fields = {"message_type": "CLIENT_QUERY", **extras}
    record = logging.makeLogRecord({f"dns_{name}": value for name, value in fields.items()})
    before = dict(record.__dict__)
    changed = each.dnstap_filter(record)
    assert isinstance(changed, logging.LogRecord)
    assert record.__dict__ == before, "the original was changed"
    return message_from_snapshot(take_snapshot(changed.__dict__, changed.created), [])


def shown(packed: Optional[bytes]) -> Optional[str]:
    """Return a packed address as text."""
    return None if packed is None else str(ipaddress.ip_address(packed))


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
@pytest.mark.parametrize(
    ("each", "address", "subnet"),
    [
        (CUT, "127.1.2.0", ["198.51.100.0/24/0"]),
        (AnonymizingFilter(ipv4_prefix=12), "127.0.0.0", ["198.48.0.0/12/0"]),
        (AnonymizingFilter(ipv4_prefix=31), "127.1.2.2", ["198.51.100.76/31/0"]),
        (REMOVED, None, []),
        (PAN, "33.1.13.252", ["249.18.139.179/32/0"]),
        (AnonymizingFilter(16, key=KEY.hex()), "33.1.0.0", ["249.18.0.0/16/0"]),
    ],
    ids=["cut", "12 bits", "31 bits", "removed", "pseudonym", "pseudonym of 16 bits"],
)
def test_real_traffic(
    logger: logging.Logger,
    handler: DnstapHandler,
    each: AnonymizingFilter,
    address: Optional[str],
    subnet: List[str],
    tcp: bool,
) -> None:
    """Client and client subnet are changed in query and response; nothing else is changed."""
    handler.addFilter(each)
    query = subnet_query("198.51.100.77/32")
    with Server(logger) as server:
        reply = server.ask(query, tcp)

    first, second = close_and_read(handler)

    for message in (first, second):
        assert shown(message.query_address) == address
        assert message.query_port
        assert shown(message.response_address) == SERVER
        assert message.socket_family is not None
        assert message.socket_family.name == "INET"
        assert message.socket_protocol is not None
        assert message.socket_protocol.name == ("TCP" if tcp else "UDP")
    assert subnets_in(first.query_message) == subnet
    with_scope = [text[: -len("/0")] + "/32" for text in subnet]  # the server's answer stays
    assert subnets_in(second.response_message) == with_scope
    assert first.query_message is not None
    assert dns.message.from_wire(first.query_message).question == query.question
    assert second.response_message is not None
    assert dns.message.from_wire(second.response_message).answer == reply.answer
    packed = [socket.inet_aton(text) for text in (CLIENT, "198.51.100.77")]
    for raw in (first.query_message, second.response_message):
        assert not any(each in raw for each in packed)


def test_a_client_on_the_same_host(logger: logging.Logger, handler: DnstapHandler) -> None:
    """Where server and client have one address, neither field holds it; ports and family stay."""
    handler.addFilter(CUT)
    with Server(logger, ipv6=True) as server:
        server.ask(query_for("www.example.org."))

    for message in close_and_read(handler):
        assert (message.query_address, message.response_address) == (None, None)
        assert message.response_port == server.port
        assert message.query_port
        assert message.socket_family is not None
        assert message.socket_family.name == "INET6"


FORMS: List[Tuple[Any, str]] = [
    ("192.0.2.77", "192.0.2.0"),
    (("192.0.2.77", 53), "192.0.2.0"),
    (["192.0.2.77", 53], "192.0.2.0"),
    (bytes([192, 0, 2, 77]), "192.0.2.0"),
    (bytearray([192, 0, 2, 77]), "192.0.2.0"),
    (ipaddress.ip_address("192.0.2.77"), "192.0.2.0"),
    ("::ffff:192.0.2.77", "192.0.2.0"),
    (ipaddress.ip_address("::ffff:192.0.2.77"), "192.0.2.0"),
    (("::ffff:192.0.2.77", 53, 0, 0), "192.0.2.0"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
    (("2001:db8:1:2:3:4:5:6", 53, 7, 0), "2001:db8:1::"),
    (("fe80::1%eth0", 53, 0, 2), "fe80::"),
    (socket.inet_pton(socket.AF_INET6, "2001:db8:1:2:3:4:5:6"), "2001:db8:1::"),
    ("2002:c000:24d:1::1", "2002:c000:200::"),
    ("192.0.2.77#53", "192.0.2.0"),
    ("192.0.2.77:53", "192.0.2.0"),
    ("[::ffff:192.0.2.77]:53", "192.0.2.0"),
    ("2001:db8:1:2:3:4:5:6@53", "2001:db8:1::"),
    (("[2001:db8:1:2:3:4:5:6]", "53"), "2001:db8:1::"),
]


@pytest.mark.parametrize(("form", "expected"), FORMS, ids=str)
def test_addresses_in_every_form(form: Any, expected: str) -> None:
    """Whatever the handler accepts is cut; an IPv4 address inside IPv6 as IPv4; ports stay."""
    message = anonymized(CUT, query_address=form, response_address="2001:db8::53")

    assert shown(message.query_address) == expected
    has_port = isinstance(form, (tuple, list)) or str(form)[-3:] in ("#53", "@53", ":53")
    assert message.query_port == (53 if has_port else None)
    assert shown(anonymized(REMOVED, query_address=form).query_address) is None


def test_translated_addresses() -> None:
    """With a long prefix too, an IPv4 address inside IPv6 has the bits of IPv4."""
    each = AnonymizingFilter(ipv4_prefix=8, ipv6_prefix=128)

    message = anonymized(each, query_address="64:ff9b::192.0.2.77")

    assert shown(message.query_address) == "64:ff9b::c000:0"


@pytest.mark.parametrize("kind", MessageType, ids=lambda kind: str(kind.name))
def test_the_query_address_of_every_type(kind: MessageType) -> None:
    """It is the initiator's address in all types, even if that is this host."""
    message = anonymized(
        CUT,
        message_type=kind,
        query_address=("192.0.2.77", 5353),
        response_address=("192.0.2.53", 53),
    )

    assert (shown(message.query_address), message.query_port) == ("192.0.2.0", 5353)
    assert (shown(message.response_address), message.response_port) == ("192.0.2.53", 53)


class Hostile:
    """A value all of whose attributes raise."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"192.0.2.77 has no {name}")


@pytest.mark.parametrize(
    "value",
    ["192.0.2.77:x", "client-192.0.2.77", ("192.0.2.77", 99999), ("192.0.2.77",), b"192.0.2.77",
     192, {"192.0.2.77": 53}, Hostile],
    ids=["port", "name", "big port", "no port", "text", "int", "dict", "hostile"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["query_address", "response_address", "query_message", "policy"])
def test_what_cannot_be_read_is_removed(
    logger: logging.Logger, handler: DnstapHandler, said: Said, name: str, value: Any
) -> None:
    """The field is gone, the mistake still counted, and nobody told the address."""
    if value is Hostile:
        value = Hostile()
    if type(value) is bytes and name == "query_message":
        value = "192.0.2.77"  # bytes are a DNS message
    handler.addFilter(CUT)

    logger.info("query", extra={"dns_message_type": "CLIENT_QUERY", f"dns_{name}": value})

    (message,) = close_and_read(handler)
    assert getattr(message, name) is None
    assert handler.stats().invalid_fields == 1
    line = said.wait_for(f"dns_{name}")
    assert "removed by AnonymizingFilter" in line
    assert "192" not in line.split(": ", 1)[1]


def test_a_dns_message_that_is_too_long(logger: logging.Logger, handler: DnstapHandler) -> None:
    """Its record is dropped and counted like any other."""
    handler.addFilter(CUT)

    logger.info(
        "query", extra={"dns_message_type": "CLIENT_QUERY", "dns_query_message": bytes(70000)}
    )

    assert close_and_read(handler) == []
    assert handler.stats().dropped["too_large"] == 1


@pytest.mark.parametrize(
    ("given_policy", "kept"),
    [
        (
            Policy(
                "RPZ", "32.77.2.0.192.rpz-client-ip.example.", "DROP", "CLIENT_IP", b"\xc0\0\2M"
            ),
            Policy("RPZ", None, "DROP", "CLIENT_IP", None),
        ),
        ({"type": "RPZ", "rule": "32.77.2.0.192.RPZ-Client-IP."}, Policy("RPZ")),
        ({"match": 2, "value": b"\xc0\0\2M"}, Policy(match="CLIENT_IP")),
        ({"value": b"\xc0\0\2M"}, Policy()),
        (
            Policy("RPZ", "bad.example.", "NXDOMAIN", "QNAME", b"\3bad\7example\0"),
            Policy("RPZ", "bad.example.", "NXDOMAIN", "QNAME", b"\3bad\7example\0"),
        ),
    ],
    ids=["client", "rule", "value", "unknown value", "name"],
)
def test_policies(given_policy: Any, kept: Policy) -> None:
    """A policy about the client's address loses it; any other one stays."""
    assert anonymized(CUT, policy=given_policy).policy == kept


@pytest.mark.parametrize("render", [dns.message.from_wire, dnslib.DNSRecord.parse, bytearray])
def test_messages_in_every_form(render: Any) -> None:
    """Objects of DNS libraries are rendered once, and treated."""
    wire = subnet_query("2001:db8:1:2:3:4:5:6/128").to_wire()

    message = anonymized(CUT, query_message=render(wire), response_message=render(wire))

    assert subnets_in(message.query_message) == ["2001:db8:1::/48/0"]
    assert subnets_in(message.response_message) == ["2001:db8:1::/48/0"]


def test_the_formatter_sees_the_copy(logger: logging.Logger, capture: Any) -> None:
    """Dnstap.extra made by a formatter has the treated address; unknown objects say nothing."""

    class Summary:
        def __str__(self) -> str:
            return f"query of {CLIENT}"

    handler = DnstapHandler(capture)
    handler.setFormatter(logging.Formatter("%(dns_query_address)s %(message)s"))
    handler.addFilter(CUT)
    logger.addHandler(handler)

    extra = {"dns_message_type": "CLIENT_QUERY", "dns_query_address": CLIENT}
    logger.info("from %s", "upstream", extra=extra)
    logger.info(Summary(), extra=extra)

    extras = [message.extra for message in close_and_read(handler)]
    assert extras == [b"127.1.2.0 from upstream", b"127.1.2.0 "]


def test_records_without_dns_extras() -> None:
    """They are not the filter's business, nor the handler's."""
    record = logging.makeLogRecord({"msg": "started"})

    assert CUT.dnstap_filter(record) is True
    assert CUT.filter(record)


ADDRESSES = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)


@given(ADDRESSES, st.integers(0, 32), st.integers(0, 128), st.booleans())
def test_no_more_than_the_prefix_is_left(
    client: bytes, ipv4: int, ipv6: int, with_key: bool
) -> None:
    """Of any client exactly the prefix is left, or of its pseudonym; the family stays."""
    each = AnonymizingFilter(ipv4, ipv6, KEY if with_key else None)
    fields: Dict[str, Any] = {"query_address": client, "response_address": client}

    message = anonymized(each, **fields)
    plain = anonymized(AnonymizingFilter(32, 128, KEY if with_key else None), **fields)

    assert message.socket_family == plain.socket_family or plain.socket_family is None
    assert message.response_address == message.query_address
    if message.query_address is None:
        return
    assert plain.query_address is not None
    size = 8 * len(message.query_address)
    rest = size - (ipv4 if size == 32 else ipv6)
    left = int.from_bytes(message.query_address, "big")
    assert left >> rest << rest == left, "bits after the prefix"
    if not client.startswith(b"\x20\x02"):
        assert left >> rest == int.from_bytes(plain.query_address, "big") >> rest
