"""The filters of the command line: which messages each lets through."""

from __future__ import annotations

import argparse
import time
from typing import Dict, List

import pytest

from dnstap_logging import DnstapMessage
from dnstap_logging.cli import selecting
from dnstap_logging.codec.decoding import decode
from dnstap_logging.codec.proto import Dnstap
from tests.cli.samples import NOON, NS, dns_wire, query, response

MESSAGES = {
    "query": query(0),
    "v6": query(10, query_address="2001:db8::1"),
    "ok": response(20),
    "nx": response(30, rcode=3, query_address="198.51.100.7"),
    "below": query(40, query_message=dns_wire(b"\1A\3WWW\7example\3ORG\0")),
    "other": query(50, query_message=dns_wire(b"\3www\7example\3com\0")),
    "bare": DnstapMessage("STUB_RESPONSE"),
    "broken": query(60, query_message=b"\0"),
}

PLAIN = b"\xc0\0\2\1"
MAPPED = b"\0" * 10 + b"\xff\xff" + PLAIN
INET, INET6 = 1, 2

FOREIGN = {
    "plain": (INET, PLAIN),
    "mapped": (INET6, MAPPED),
    "mapped, called INET": (INET, MAPPED),
    "next": (INET, b"\xc0\0\2\2"),
    "v6": (INET6, b"\x20\x01\x0d\xb8" + bytes(11) + b"\1"),
    "compatible": (INET6, bytes(12) + PLAIN),
    "of no length": (INET, PLAIN[:3]),
}
"""Families and query addresses as other programs may send them."""


def foreign_payload(family: int, address: bytes) -> bytes:
    """Return a query of somebody else's, made by protobuf alone."""
    dnstap = Dnstap(type=Dnstap.MESSAGE)
    dnstap.message.type = dnstap.message.CLIENT_QUERY
    dnstap.message.socket_family = family
    dnstap.message.query_address = address
    return bytes(dnstap.SerializeToString())


def select(*arguments: str, among: Dict[str, DnstapMessage] = MESSAGES) -> List[str]:
    """Return the names of the messages that the filters let through."""
    parser = argparse.ArgumentParser()
    selecting.add_arguments(parser)
    wanted = selecting.make_selector(parser.parse_args(arguments))
    return [name for name, message in among.items() if wanted is None or wanted(message)]


def test_nothing_asked() -> None:
    """Without filters all messages pass."""
    assert select() == list(MESSAGES)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--type", "CLIENT_RESPONSE"], ["ok", "nx"]),
        (["--type", "cr"], ["ok", "nx"]),
        (["--type", "*_RESPONSE"], ["ok", "nx", "bare"]),
        (["--type", "SR,CR"], ["ok", "nx", "bare"]),
        (["--type", "SR", "--type", "client_response"], ["ok", "nx", "bare"]),
        (["--name", "www.example.org"], ["query", "v6", "ok", "nx", "below"]),
        (["--name", "a.WWW.example.org."], ["below"]),
        (["--name", "example.com, example.net"], ["other"]),
        (["--name", "."], ["query", "v6", "ok", "nx", "below", "other"]),
        (["--client", "198.51.100.7"], ["nx"]),
        (["--client", "2001:db8::/32"], ["v6"]),
        (["--client", "198.51.100.0/24,2001:db8::1"], ["v6", "nx"]),
        (["--client", "0.0.0.0/0"], ["query", "ok", "nx", "below", "other", "broken"]),
        (["--rcode", "NXDOMAIN"], ["nx"]),
        (["--rcode", "3,noerror"], ["ok", "nx"]),
        (["--since", "2026-01-01T12:00:30Z"], ["nx", "below", "other", "broken"]),
        (["--until", "2026-01-01T12:00:10Z"], ["query"]),
        (["--since", "2026-01-01 13:00:20.5+01:00", "--until", str(NOON // NS + 40)], ["nx"]),
        (["--type", "CQ", "--name", "example.org", "--client", "192.0.2.1"], ["query", "below"]),
    ],
    ids=" ".join,
)
def test_filters(arguments: List[str], names: List[str]) -> None:
    """A filter lets through what its values say; of several filters, all must agree."""
    assert select(*arguments) == names


def test_names_of_all_questions() -> None:
    """A message with several questions is found by each of them, compressed names too."""
    first, second = b"\3www\7example\3org\0\0\1\0\1", b"\4mail\xc0\x10\0\x0f\0\1"
    two = bytes.fromhex("000101000002000000000000") + first + second
    among = {"two": query(0, query_message=two), "cut": query(0, query_message=two[:-1])}

    assert select("--name", "www.example.org", among=among) == ["two", "cut"]
    assert select("--name", "mail.example.org", among=among) == ["two"]
    assert select("--name", "example.com", among=among) == []


IPV4 = ["plain", "mapped", "mapped, called INET"]


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("192.0.2.1", IPV4),
        ("192.0.2.0/24", [*IPV4, "next"]),
        ("0.0.0.0/0", [*IPV4, "next"]),
        ("::ffff:192.0.2.1", IPV4),
        ("::ffff:c000:201", IPV4),
        ("::ffff:192.0.2.0/120", [*IPV4, "next"]),
        ("::ffff:192.0.2.9/120", [*IPV4, "next"]),
        ("::ffff:0:0/96", [*IPV4, "next"]),
        ("::/0", ["mapped", "mapped, called INET", "v6", "compatible"]),
        ("::192.0.2.1", ["compatible"]),
        ("192.0.2.128/25", []),
    ],
)
def test_an_ipv4_client_inside_ipv6_is_that_client(network: str, names: List[str]) -> None:
    """However an emitter writes an IPv4 client, and however it is asked for, it is found."""
    received = {name: decode(foreign_payload(*each)) for name, each in FOREIGN.items()}

    assert select("--client", network, among=received) == names


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time without a zone is local, as the times in the lines are."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert select("--since", "2026-01-01T21:00:50") == ["other", "broken"]
        assert select("--until", "2026-01-01") == []
        assert select("--since", "2026-01-01")[0] == "query"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_ago() -> None:
    """A time can be so long ago."""
    among = {"now": query(query_time=time.time_ns() - 3600 * NS)}

    assert select("--since", "2h", among=among) == ["now"]
    assert select("--since", "30m", among=among) == []
    assert select("--until", "3500s", among=among) == ["now"]
    assert select("--until", "1d", among=among) == []
