"""The examples that are servers of one kind or another: each query and answer is in the capture."""

from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Iterator, List

import dns.rcode
import pytest

from tests.examples.clients import (
    LOOPBACK,
    Exchange,
    ask_tcp,
    ask_udp,
    assert_shows,
    dig,
    make_query,
    pair,
)
from tests.examples.programs import listening, read
from tests.helpers.support import wait_until
from tests.situations.interop.captures import run_tool
from tests.situations.interop.collectors import FstrmCapture, free_address

NAMES = ["www.example.org", "WWW.Example.ORG", "nothing.example.org", "www.example.net"]
RCODES = [dns.rcode.NOERROR, dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.REFUSED]


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[FstrmCapture]:
    """The reference collector, on a unix socket."""
    address = free_address("unix", tmp_path)
    with FstrmCapture(address, tmp_path / "collected.fstrm") as running:
        yield running


def expected(role: str, exchanges: List[Exchange]) -> List[object]:
    """Return what has to be shown of several exchanges."""
    return [message for exchange in exchanges for message in pair(role, exchange)]


def rcodes(exchanges: List[Exchange]) -> List[dns.rcode.Rcode]:
    """Return the response codes of several exchanges."""
    return [exchange.answer.rcode() for exchange in exchanges]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("authoritative_server.py", "AUTH"),
        ("dnslib_server.py", "CLIENT"),
        ("forking_server.py", "CLIENT"),
    ],
)
def test_server_logs_udp_and_tcp(
    tmp_path: Path, collector: FstrmCapture, name: str, role: str
) -> None:
    """Both ends, protocol and bytes are what the client's sockets had; SIGTERM loses nothing."""
    wires = [make_query(each, use_edns=0) for each in NAMES]
    with listening(tmp_path, name, "--address", collector.address) as server:
        exchanges = [ask_udp(server, wire) for wire in wires]
        # dnslib closes a connection after one query.
        for part in [[wire] for wire in wires] if "dnslib" in name else [wires]:
            exchanges += ask_tcp(server, *part)
        assert server.end() == ""
    collector.stop()

    if "dnslib" not in name:  # whose ZoneResolver knows NXDOMAIN only
        assert rcodes(exchanges) == RCODES * 2
    assert_shows(collector.output, expected(role, exchanges))


@pytest.mark.parametrize("name", ["authoritative_server.py", "dnslib_server.py"])
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_server_logs_dig(tmp_path: Path, name: str, tcp: bool) -> None:
    """What dig prints of its answer is what dnstap has, from dig's own port."""
    path = tmp_path / "dns.fstrm"
    with listening(tmp_path, name, "--address", path) as server:
        port, printed = dig(server, "www.example.org", "A", tcp=tcp)
        server.end(signal.SIGINT)

    query, response = read(path)
    for message in (query, response):
        assert (str(message.query_ip), message.query_port) == (LOOPBACK, port)
        assert (str(message.response_ip), message.response_port) == (server.host, server.port)
    assert query.query_message is not None
    assert response.response_message is not None
    assert query.query_message[:2] == response.response_message[:2]
    number = int.from_bytes(query.query_message[:2], "big")
    assert f"status: NOERROR, id: {number}\n" in printed
    assert f"MSG SIZE  rcvd: {len(response.response_message)}\n" in printed
    assert f"{server.host}#{server.port}" in printed


def test_workers_have_streams_of_their_own(tmp_path: Path, collector: FstrmCapture) -> None:
    """All that the workers answered is at the collector, by a session of each worker."""
    with listening(
        tmp_path, "prefork_server.py", "--address", collector.address, "--workers", 3
    ) as server:
        exchanges = [ask_udp(server, make_query(name)) for name in NAMES * 5]
        assert server.end() == ""
    collector.stop()

    assert rcodes(exchanges) == RCODES * 5
    assert_shows(collector.output, expected("CLIENT", exchanges))


def test_workers_log_kdig(tmp_path: Path, collector: FstrmCapture) -> None:
    """What kdig prints of its answer is what dnstap has."""
    with listening(tmp_path, "prefork_server.py", "--address", collector.address) as server:
        where = (f"@{server.host}", "-p", str(server.port))
        printed, _ = run_tool("kdig", *where, "+edns", "www.example.org", "AAAA")
        server.end()
    collector.stop()

    query, response = read(collector.output)
    assert query.query_message is not None
    assert response.response_message is not None
    assert query.query_message[:2] == response.response_message[:2]
    number = int.from_bytes(query.query_message[:2], "big")
    assert f"status: NOERROR; id: {number}\n" in printed
    assert f"Received {len(response.response_message)} B\n" in printed
    assert f"From {response.response_ip}@{response.response_port}(UDP)" in printed
    assert "2001:db8::80\n" in printed


def test_workers_have_files_of_their_own(tmp_path: Path) -> None:
    """Each worker that had a query writes a whole capture; together they hold all, once."""
    with listening(tmp_path, "prefork_server.py", "--address", "dns.fstrm") as server:
        exchanges = []

        def both_had_one() -> bool:
            exchanges.append(ask_udp(server, make_query("www.example.org")))
            return len(list(tmp_path.glob("dns.*.fstrm"))) == 2

        wait_until(both_had_one, "a query for each worker")
        server.end(signal.SIGINT)

    files = sorted(tmp_path.glob("dns.*.fstrm"))
    messages = [message for path in files for message in read(path)]
    found = [message.query_message or message.response_message for message in messages]
    assert sorted(found) == sorted(m for e in exchanges for m in (e.query, e.response))
    assert all(read(path) for path in files)
    assert read(tmp_path / "dns.fstrm") == []


def test_workers_do_not_outlive_the_parent(tmp_path: Path) -> None:
    """A parent that is killed leaves no worker behind: its port is free again."""
    with listening(tmp_path, "prefork_server.py", "--address", "dns.fstrm") as server:
        server.process.kill()

    wait_until(lambda: is_free(server.port), "the port to be free")


def is_free(port: int) -> bool:
    """Return whether the port is free."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
