"""The examples that ask others: what is logged is what the sockets of both peers had."""

from __future__ import annotations

import signal
import ssl
from pathlib import Path
from typing import Iterator, List

import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest

from dnstap_logging import DnstapMessage, HttpProtocol, MessageType, Policy
from tests.examples.clients import (
    Exchange,
    Shown,
    ask_doh,
    ask_tcp,
    ask_udp,
    assert_shows,
    dig,
    doh_connection,
    make_query,
    pair,
)
from tests.examples.programs import DEADLINE, listening, read, run
from tests.examples.upstream import SILENT, Upstream
from tests.helpers.support import NOT_HERE, free_port
from tests.situations.interop.collectors import FstrmCapture, free_address
from tests.situations.interop.tls_peers import TlsTerminator, make_pki

ZONE = "example.org."


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """The server that is asked."""
    with Upstream() as running:
        yield running


def both_sides(clients: List[Exchange], upstream: Upstream, role: str) -> List[Shown]:
    """Return what has to be shown of a program's clients and of what it asked upstream."""
    shown = [message for exchange in clients for message in pair("CLIENT", exchange)]
    return shown + [message for exchange in upstream.exchanges for message in pair(role, exchange)]


def test_forwarder_logs_both_sides(tmp_path: Path, upstream: Upstream) -> None:
    """CLIENT_* as the clients' sockets had them, FORWARDER_* as the upstream's had."""
    with FstrmCapture(free_address("unix", tmp_path), tmp_path / "dns.fstrm") as collector:
        where = ("--upstream", upstream.host, "--upstream-port", upstream.port)
        with listening(
            tmp_path, "forwarder.py", *where, "--address", collector.address
        ) as forwarder:
            clients = [ask_udp(forwarder, make_query("www.example.org"))]
            clients += ask_tcp(forwarder, make_query("a.example"), make_query("b.example"))
            assert forwarder.end() == ""
        collector.stop()

    for exchange in clients:
        assert exchange.answer.id == dns.message.from_wire(exchange.query).id
        assert len(exchange.answer.answer) == 1, exchange.answer
    assert [exchange.protocol for exchange in upstream.exchanges] == ["UDP", "TCP", "TCP"]
    assert_shows(collector.output, both_sides(clients, upstream, "FORWARDER"))


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_forwarder_logs_a_query_without_response(
    tmp_path: Path, upstream: Upstream, tcp: bool
) -> None:
    """Where upstream is silent, the client gets SERVFAIL, and a FORWARDER_QUERY stands alone."""
    path = tmp_path / "dns.fstrm"
    where = ("--upstream", upstream.host, "--upstream-port", upstream.port, "--timeout", 0.3)
    with listening(tmp_path, "forwarder.py", *where, "--address", path) as forwarder:
        wire = make_query(SILENT)
        client = ask_tcp(forwarder, wire)[0] if tcp else ask_udp(forwarder, wire)
        forwarder.end()

    assert client.answer.rcode() == dns.rcode.SERVFAIL
    assert [exchange.response for exchange in upstream.exchanges] == [None]
    assert_shows(path, both_sides([client], upstream, "FORWARDER"))


def test_forwarder_forwards_dig(tmp_path: Path, upstream: Upstream) -> None:
    """dig gets the upstream's answer with its own ID, from the port that is logged."""
    path = tmp_path / "dns.fstrm"
    where = ("--upstream", upstream.host, "--upstream-port", upstream.port)
    with listening(tmp_path, "forwarder.py", *where, "--address", path) as forwarder:
        port, printed = dig(forwarder, "www.example.org")
        forwarder.end(signal.SIGINT)

    asked = next(m for m in read(path) if m.message_type is MessageType.CLIENT_QUERY)
    assert asked.query_port == port
    assert asked.query_message is not None
    assert f"status: NOERROR, id: {int.from_bytes(asked.query_message[:2], 'big')}\n" in printed
    assert "192.0.2.1\n" in printed


def test_rpz_filter_logs_its_policies(tmp_path: Path, upstream: Upstream) -> None:
    """Blocked names come with type, rule, action, match and value; others without a policy."""
    path = tmp_path / "dns.fstrm"
    where = ("--upstream", upstream.host, "--upstream-port", upstream.port)
    rules = ("--nxdomain", "*.ads.example", "--nxdomain", "bad.example", "--drop", "drop.example")
    with listening(tmp_path, "rpz_filter.py", *where, *rules, "--address", path) as server:
        passed = ask_udp(server, make_query("www.bad.example"))
        blocked = ask_udp(server, make_query("bad.example"))
        wild = ask_udp(server, make_query("X.y.Ads.example", "AAAA"))
        dropped = ask_udp(server, make_query("drop.example"), timeout=0.2)
        server.end()

    rcodes = [exchange.answer.rcode() for exchange in (passed, blocked, wild)]
    assert rcodes == [dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.NXDOMAIN]
    assert dropped.response is None
    assert [exchange.query for exchange in upstream.exchanges] == [passed.query]
    exchanges = [passed, blocked, wild, dropped]
    assert_shows(path, [message for each in exchanges for message in pair("CLIENT", each)])
    policies = {(m.query_message or m.response_message): m.policy for m in read(path)}
    assert policies[passed.query] is policies[passed.response] is None
    assert policies[blocked.query] == policies[blocked.response] == rpz("NXDOMAIN", "bad.example")
    assert policies[wild.query] == rpz("NXDOMAIN", "*.ads.example", "X.y.Ads.example")
    assert policies[wild.response] == policies[wild.query]
    assert policies[dropped.query] == rpz("DROP", "drop.example")


def rpz(action: str, rule: str, name: str = "") -> Policy:
    """Return the policy that has to be logged for a name."""
    value = dns.name.from_text(name or rule).to_wire()
    return Policy("RPZ", f"{rule}.rpz.example.", action, "QNAME", value)


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_doh_endpoint_logs_both_sides(tmp_path: Path, upstream: Upstream, tls: bool) -> None:
    """DOH and HTTP1 on the clients' side, the zone on the authority's, for GET and POST."""
    path = tmp_path / "dns.fstrm"
    where = ["--authority", upstream.host, "--authority-port", upstream.port, "--zone", ZONE]
    context = None
    if tls:
        pki = make_pki(tmp_path)
        where += ["--certfile", pki.server_certfile, "--keyfile", pki.server_keyfile]
        context = ssl.create_default_context(cafile=pki.cafile)
    with listening(tmp_path, "doh_endpoint.py", *where, "--address", path) as endpoint:
        with doh_connection(endpoint, context) as connection:
            clients = [
                ask_doh(connection, make_query("www.example.org", id=0), "GET"),
                ask_doh(connection, make_query("mail.example.org", id=0, use_edns=0), "POST"),
                ask_doh(connection, make_query("www.example.org", id=0), "POST"),
            ]
        endpoint.end(signal.SIGINT)

    zone = dns.name.from_text(ZONE).to_wire()
    asked = [message for each in upstream.exchanges for message in pair("RESOLVER", each, zone)]
    assert len(asked) == 2 * len(clients)
    assert_shows(path, [message for each in clients for message in pair("CLIENT", each)] + asked)
    assert {http_of(m) for m in read(path)} == {("CLIENT", HttpProtocol.HTTP1), ("RESOLVER", None)}
    assert [len(exchange.answer.answer) for exchange in clients] == [1, 1, 1]


@pytest.mark.parametrize("post", [False, True], ids=["GET", "POST"])
def test_doh_endpoint_logs_dnspython(tmp_path: Path, upstream: Upstream, post: bool) -> None:
    """dnspython's own DoH client, over TLS: dnstap has the bytes that it sent and got."""
    if not dns.query.have_doh:
        pytest.skip(f"{NOT_HERE} dnspython's extra doh")
    path, pki = tmp_path / "dns.fstrm", make_pki(tmp_path)
    context = ssl.create_default_context(cafile=pki.cafile)
    where = ["--authority", upstream.host, "--authority-port", upstream.port, "--zone", ZONE]
    where += ["--certfile", pki.server_certfile, "--keyfile", pki.server_keyfile]
    with listening(tmp_path, "doh_endpoint.py", *where, "--address", path) as endpoint:
        query = dns.message.make_query("www.example.org", "A")
        answer = dns.query.https(
            query, endpoint.host, DEADLINE, endpoint.port, verify=context, post=post
        )
        endpoint.end()

    client = [m for m in read(path) if m.message_type.name.startswith("CLIENT")]
    assert [message.query_message for message in client] == [query.to_wire(), None]
    response = client[1].response_message
    assert response is not None
    assert dns.message.from_wire(response) == answer
    assert {message.response_port for message in client} == {endpoint.port}
    assert {http_of(message) for message in client} == {("CLIENT", HttpProtocol.HTTP1)}


def http_of(message: DnstapMessage) -> object:
    """Return the role of a message, and its version of HTTP."""
    return message.message_type.name.partition("_")[0], message.http_protocol


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/dns-query", None, 400),
        ("GET", "/dns-query?dns=%%%", None, 400),
        ("GET", "/other?dns=AAAA", None, 404),
        ("POST", "/dns-query", b"no DNS message", 400),
        ("POST", "/dns-query", b"x" * 65536, 413),
        ("PUT", "/dns-query", b"", 501),
    ],
    ids=str,
)
def test_doh_endpoint_refuses_what_is_no_query(
    doh: List[object], method: str, path: str, body: object, status: int
) -> None:
    """A request without a DNS message gets an error of HTTP."""
    with doh_connection(doh[0]) as connection:  # type: ignore[arg-type]
        kind = {"Content-Type": "application/dns-message"}
        connection.request(method, path, body, kind)  # type: ignore[arg-type]
        with connection.getresponse() as response:
            assert response.status == status, response.read()


@pytest.fixture(scope="module")
def doh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[List[object]]:
    """An endpoint whose authority nobody asks."""
    folder = tmp_path_factory.mktemp("doh")
    where = ("--authority", "127.0.0.1", "--zone", ZONE, "--address", "dns.fstrm")
    with listening(folder, "doh_endpoint.py", *where) as endpoint:
        yield [endpoint]
        endpoint.end()
    assert read(folder / "dns.fstrm") == []


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_resolver_tool_logs_what_the_server_saw(
    tmp_path: Path, upstream: Upstream, tcp: bool
) -> None:
    """TOOL_* messages are what the server's socket had; what is printed is the response."""
    path = tmp_path / "tool.fstrm"
    how = ["--tcp"] if tcp else []
    server = (f"@{upstream.host}", "www.example.org", "--port", upstream.port)
    done = run(tmp_path, "resolver_tool.py", *server, *how, "--address", path)

    assert (done.returncode, done.stderr) == (0, "")
    (exchange,) = upstream.exchanges
    assert exchange.protocol == ("TCP" if tcp else "UDP")
    assert done.stdout == f"{exchange.answer}\n"
    assert_shows(path, pair("TOOL", exchange))


def test_resolver_tool_asks_by_tls(tmp_path: Path, upstream: Upstream) -> None:
    """With --tls the messages are DOT, and the server's certificate is verified by --cafile."""
    pki = make_pki(tmp_path)
    target = f"tcp://{upstream.host}:{upstream.port}"
    with TlsTerminator(target, pki.server_context()) as terminator:
        port = int(terminator.address.rpartition(":")[2])
        server = (f"@{upstream.host}", "www.example.org", "--port", port, "--tls")
        trust = ("--cafile", pki.cafile)
        done = run(tmp_path, "resolver_tool.py", *server, *trust, "--address", "tool.fstrm")
        distrusted = run(tmp_path, "resolver_tool.py", *server, "--address", "none.fstrm")

    assert (done.returncode, done.stderr) == (0, "")
    (exchange,) = upstream.exchanges
    client = (upstream.host, read(tmp_path / "tool.fstrm")[0].query_port or 0)
    seen = exchange._replace(protocol="DOT", client=client, server=(upstream.host, port))
    assert_shows(tmp_path / "tool.fstrm", pair("TOOL", seen))
    assert (distrusted.returncode, "certificate" in distrusted.stderr) == (9, True)
    assert read(tmp_path / "none.fstrm") == []


def test_resolver_tool_logs_a_query_without_response(tmp_path: Path, upstream: Upstream) -> None:
    """A silent server leaves a TOOL_QUERY alone, and the exit status is 9."""
    with FstrmCapture(free_address("tcp", tmp_path), tmp_path / "tool.fstrm") as collector:
        server = (f"@{upstream.host}", SILENT, "--port", upstream.port, "--timeout", 0.3)
        done = run(tmp_path, "resolver_tool.py", *server, "--address", collector.address)
        collector.stop()

    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr.startswith(f"no answer from {upstream.host}: "), done.stderr
    (exchange,) = upstream.exchanges
    assert_shows(collector.output, pair("TOOL", exchange))


def test_resolver_tool_without_a_server(tmp_path: Path) -> None:
    """Where nobody listens on TCP nothing was asked, so nothing is logged."""
    server = ("@127.0.0.1", "www.example.org", "--tcp", "--port", free_port())
    done = run(tmp_path, "resolver_tool.py", *server, "--address", "tool.fstrm")

    assert done.returncode == 9, done.stderr
    assert read(tmp_path / "tool.fstrm") == []
