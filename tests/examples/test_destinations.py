"""The examples about where dnstap goes: over TLS, to several places, and with a text log."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
from pathlib import Path
from typing import Iterator, List

import dns.edns
import dns.message
import pytest

from tests.examples.clients import (
    LOOPBACK,
    Exchange,
    Shown,
    ask_udp,
    assert_shows,
    make_query,
    pair,
)
from tests.examples.programs import DEADLINE, Program, listening, read
from tests.situations.interop.captures import dnstap_json
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.tls_peers import Pki, make_pki

NAMES = ["www.example.org", "nothing.example.org", "example.net"]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates for both sides."""
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def tls_collector(tmp_path: Path, pki: Pki) -> Iterator[Program]:
    """The collector's side of tls_client_certificates.py."""
    own = ("--cafile", pki.cafile, "--certfile", pki.server_certfile)
    own += ("--keyfile", pki.server_keyfile)
    name = "tls_client_certificates.py"
    with listening(tmp_path, name, "--listen", "tls://127.0.0.1:0", *own) as collector:
        yield collector


def test_tls_with_client_certificates(tmp_path: Path, pki: Pki, tls_collector: Program) -> None:
    """The collector prints a line for each message that the server logged, with its ends."""
    address = f"tls://{LOOPBACK}:{tls_collector.port}"
    own = ("--cafile", pki.cafile, "--certfile", pki.certfile, "--keyfile", pki.keyfile)
    name = "tls_client_certificates.py"
    with listening(tmp_path, name, "--address", address, *own) as server:
        exchanges = [ask_udp(server, make_query(each)) for each in NAMES]
        server.end()
    lines = tls_collector.end().splitlines()

    found = sorted(line.split(" ")[1:8] for line in lines)
    assert found == sorted(row for exchange in exchanges for row in rows(exchange))


def rows(exchange: Exchange) -> List[List[str]]:
    """Return the columns that a line of text has of a query and of its response."""
    client, server = (f"{host}:{port}" for host, port in (exchange.client, exchange.server))
    assert exchange.response is not None
    name = exchange.answer.question[0].name.to_text()
    query, response = f"{len(exchange.query)}b", f"{len(exchange.response)}b"
    return [
        ["CQ", client, "->", server, "UDP", query, name],
        ["CR", client, "<-", server, "UDP", response, name],
    ]


def test_tls_refuses_strangers(tmp_path: Path, pki: Pki, tls_collector: Program) -> None:
    """If one side distrusts the other, the server serves on, reports it, and delivers nothing."""
    (tmp_path / "other").mkdir()
    other = make_pki(tmp_path / "other")
    address = f"tls://{LOOPBACK}:{tls_collector.port}"
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(
                listening(
                    tmp_path,
                    "tls_client_certificates.py",
                    *("--address", address, "--cafile", trusted.cafile),
                    *("--certfile", ours.certfile, "--keyfile", ours.keyfile),
                )
            )
            for ours, trusted in ((other, pki), (pki, other))
        ]
        for server in servers:
            assert ask_udp(server, make_query("www.example.org")).answer.answer
            server.process.send_signal(signal.SIGTERM)
        said = [server.process.communicate(timeout=DEADLINE)[1] for server in servers]
    tls_collector.process.send_signal(signal.SIGTERM)
    printed, _ = tls_collector.process.communicate(timeout=DEADLINE)

    for lines in said:
        assert "certificate" in lines
        assert "disconnected 2" in lines
        assert "Traceback" not in lines
    assert printed == ""


def test_several_destinations(tmp_path: Path) -> None:
    """The file has all; the collector has whole exchanges of a part, without client addresses."""
    full = tmp_path / "full.fstrm"
    wires = [subnet_query(f"n{number}.example.org", number) for number in range(60)]
    with FstrmCapture(free_address("tcp", tmp_path), tmp_path / "sampled.fstrm") as collector:
        where = ("--file", full, "--address", collector.address, "--rate", 3)
        with listening(tmp_path, "several_destinations.py", *where) as server:
            exchanges = [ask_udp(server, wire) for wire in wires]
            server.end(signal.SIGINT)
        collector.stop()

    assert_shows(full, [message for each in exchanges for message in pair("CLIENT", each)])
    sampled = read(collector.output)
    assert 0 < len(sampled) < 2 * len(exchanges)
    numbers = {
        (message.query_message or message.response_message or b"")[:2] for message in sampled
    }
    chosen = [each for each in exchanges if each.query[:2] in numbers]
    expected = [message for each in chosen for message in map(anonymous, pair("CLIENT", each))]
    assert_shows(collector.output, expected)
    assert {message.extra for message in sampled} == {b"sample_rate=3"}


CLIENT_NETWORK = "192.0.2.0"
SUBNET = bytes([192, 0, 2, 77])


def subnet_query(name: str, number: int) -> bytes:
    """Return a query whose EDNS holds the whole address of a client (RFC 7871)."""
    return make_query(name, id=number, options=[dns.edns.ECSOption("192.0.2.77", 32)])


def anonymous(message: Shown) -> Shown:
    """Return a message as the collector may have it: addresses cut to 24 bits."""
    assert message.wire is not None
    wire = message.wire
    if SUBNET in wire:
        cut = dns.message.from_wire(wire)
        cut.use_edns(0, 0, cut.payload, options=[dns.edns.ECSOption(CLIENT_NETWORK, 24)])
        wire = cut.to_wire()
    network = "127.0.0.0"  # the server has the same address as the client here, so its own is cut
    return message._replace(
        wire=wire, client=(network, message.client[1]), server=(network, message.server[1])
    )


def test_text_log_beside_dnstap(tmp_path: Path) -> None:
    """A plain StreamHandler prints the readable line of what dnstap has as bytes."""
    path = tmp_path / "dns.fstrm"
    with listening(tmp_path, "text_log.py", "--address", path) as server:
        exchanges = [ask_udp(server, make_query(name)) for name in NAMES]
        printed = server.end()

    expected = []
    for name, rcode, exchange in zip(NAMES, ("NOERROR", "NXDOMAIN", "REFUSED"), exchanges):
        of_client = f"{LOOPBACK}#{exchange.client[1]} UDP {name}. IN A"
        expected += [f"CLIENT_QUERY {of_client}", f"CLIENT_RESPONSE {of_client} {rcode}"]
    assert sorted(printed.splitlines()) == sorted(expected)
    assert_shows(path, [message for each in exchanges for message in pair("CLIENT", each)])


def test_json_log_has_the_extras_as_fields(tmp_path: Path) -> None:
    """python-json-logger shows message type, bytes, both ends and the time as fields."""
    pytest.importorskip("pythonjsonlogger.json")
    path = tmp_path / "dns.fstrm"
    with listening(tmp_path, "text_log.py", "--json", "--address", path) as server:
        exchange = ask_udp(server, make_query("www.example.org"))
        lines = server.end().splitlines()

    query, response = map(json.loads, lines)
    assert exchange.response is not None
    line = f"{LOOPBACK}#{exchange.client[1]} UDP www.example.org. IN A"
    assert (query["message"], response["message"]) == (
        f"CLIENT_QUERY {line}",
        f"CLIENT_RESPONSE {line} NOERROR",
    )
    assert base64.urlsafe_b64decode(query["dns_query_message"]) == exchange.query
    assert base64.urlsafe_b64decode(response["dns_response_message"]) == exchange.response
    in_dnstap = read(path)
    for fields, message in zip((query, response), in_dnstap):
        assert fields["dns_message_type"] == message.message_type
        assert tuple(fields["dns_query_address"]) == exchange.client
        assert tuple(fields["dns_response_address"]) == exchange.server
        assert fields["dns_query_time"] == message.query_time
    assert response["dns_response_time"] == in_dnstap[1].response_time
    assert [fields["message"]["type"] for fields in dnstap_json(path)] == [
        "CLIENT_QUERY",
        "CLIENT_RESPONSE",
    ]
