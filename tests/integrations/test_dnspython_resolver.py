"""Resolvers, and everything else that calls dns.query: `log_resolver`, `patched_dns_query`."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import Any, List

import dns.flags
import dns.inet
import dns.message
import dns.nameserver
import dns.query
import dns.resolver
import pytest

from dnstap_logging import DnstapAdapter, DnstapMessage
from dnstap_logging.integrations.dnspython import DnstapClient
from tests.helpers.support import NOT_HERE
from tests.integrations.capture import Capture
from tests.integrations.doh_servers import Http1, offering
from tests.integrations.servers import (
    Certificates,
    DatagramHandler,
    Server,
    StreamHandler,
    certificates,
    reply,
    serving,
)

__all__ = ["certificates"]  # the fixture

TIMEOUT = 20.0
FUNCTIONS = ("udp", "tcp", "tls", "https", "udp_with_fallback")


def resolver_of(*nameservers: Any, port: int = 53) -> dns.resolver.Resolver:
    """Return a resolver that asks these and nobody else."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.port = port
    resolver.nameservers = list(nameservers)
    resolver.lifetime = TIMEOUT
    return resolver


def resolve(resolver: dns.resolver.Resolver) -> Any:
    """Resolve a name that has no data."""
    return resolver.resolve("www.example.org.", "A", raise_on_no_answer=False)


def types(messages: List[DnstapMessage]) -> List[str]:
    """Return the message types."""
    return [each.message_type.name for each in messages]


def protocols(messages: List[DnstapMessage]) -> List[str]:
    """Return the socket protocols."""
    return [each.socket_protocol.name for each in messages if each.socket_protocol is not None]


def test_resolver_in_place(capture: Capture) -> None:
    """A resolver's queries are captured as its server saw them, and its answer is its own."""
    client = DnstapClient(capture.logger, "STUB")
    with serving(DatagramHandler) as server:
        resolver = client.log_resolver(resolver_of("127.0.0.1", port=server.port))
        answer = resolve(resolver)

    assert (answer.nameserver, answer.port) == ("127.0.0.1", server.port)
    query, response = capture.messages(2)
    assert types([query, response]) == ["STUB_QUERY", "STUB_RESPONSE"]
    assert query.query_message == server.received[0].wire
    assert response.response_message == server.sent[0].wire
    assert (str(query.query_ip), query.query_port) == server.received[0].client


def test_resolver_goes_on_by_tcp(capture: Capture) -> None:
    """A truncated response is logged, and the query by TCP that follows it."""

    def truncated(wire: bytes) -> List[bytes]:
        return [reply(wire, flags=dns.flags.TC)]

    with serving(StreamHandler) as tcp:
        with serving(DatagramHandler, port=tcp.port, answer=truncated):
            client = DnstapClient(capture.logger, "STUB")
            resolve(client.log_resolver(resolver_of("127.0.0.1", port=tcp.port)))

    assert protocols(capture.messages(4)) == ["UDP", "UDP", "TCP", "TCP"]


def test_resolver_tries_the_next_server(capture: Capture) -> None:
    """A server that is silent leaves its query without a response; the next one is asked."""
    with serving(DatagramHandler, answer=lambda wire: []) as silent:
        with serving(DatagramHandler, "127.0.0.2", port=silent.port) as server:
            resolver = resolver_of(silent.host, server.host, port=silent.port)
            resolver.timeout = 0.2
            resolve(DnstapClient(capture.logger, "STUB").log_resolver(resolver))

    messages = capture.messages(3)
    assert types(messages) == ["STUB_QUERY", "STUB_QUERY", "STUB_RESPONSE"]
    assert [str(each.response_ip) for each in messages] == [silent.host] + [server.host] * 2


@pytest.mark.skipif(not dns.query.have_doh, reason=f"{NOT_HERE} dnspython's extra doh")
def test_nameservers_of_other_kinds(
    capture: Capture, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS over TLS, and over HTTPS by its URL, with ports of their own."""
    monkeypatch.setenv("SSL_CERT_FILE", certificates.cafile)
    context = certificates.context
    client = DnstapClient(capture.logger, "STUB")
    with serving(StreamHandler, context=context) as tls:
        dot = dns.nameserver.DoTNameserver(tls.host, tls.port, verify=certificates.cafile)
        resolve(client.log_resolver(resolver_of(dot)))
    with serving(Http1, context=offering(context, Http1)) as https:
        url = f"https://{https.host}:{https.port}/dns-query"
        resolve(client.log_resolver(resolver_of(url)))

    messages = capture.messages(4)
    assert protocols(messages) == ["DOT", "DOT", "DOH", "DOH"]
    seen = [*tls.received, *tls.sent, *https.received, *https.sent]
    wires = [each.query_message or each.response_message for each in messages]
    assert wires == [each.wire for each in seen]
    assert [each.query_port for each in messages] == [each.client[1] for each in seen]


def test_default_resolver_can_be_logged_twice(capture: Capture) -> None:
    """Calling it again, with another client, replaces the first instead of logging twice."""
    with serving(DatagramHandler) as server:
        resolver = resolver_of("127.0.0.1", port=server.port)
        for role in "STUB", "RESOLVER":
            DnstapClient(capture.logger, role).log_resolver(resolver)
        assert str(resolver.nameservers[0]) == f"Do53:127.0.0.1@{server.port}"
        resolve(resolver)

    assert types(capture.messages(2)) == ["RESOLVER_QUERY", "RESOLVER_RESPONSE"]


def test_asynchronous_queries_pass_by(capture: Capture) -> None:
    """What asks a logged nameserver asynchronously gets its answer, and is not logged."""
    with serving(DatagramHandler) as server:
        resolver = DnstapClient(capture.logger).log_resolver(
            resolver_of("127.0.0.1", port=server.port)
        )
        nameserver: Any = resolver.nameservers[0]
        query = dns.message.make_query("example.org", "A")
        backend = dns.asyncbackend.get_backend("asyncio")
        answer = asyncio.run(
            nameserver.async_query(query, TIMEOUT, None, 0, False, backend=backend)
        )

    assert query.is_response(answer)
    assert capture.messages() == []


@pytest.mark.parametrize(
    "resolver",
    [None, "127.0.0.1", resolver_of(dns.nameserver.DoQNameserver("127.0.0.1"))],
    ids=["none", "text", "DoQ"],
)
def test_what_cannot_be_logged_is_refused(resolver: Any) -> None:
    """What is no resolver, or asks in a way that cannot be seen, is a TypeError at once."""
    with pytest.raises(TypeError, match=r"resolver|DoT and DoH"):
        DnstapClient("dns").log_resolver(resolver)


# -- patched_dns_query -----------------------------------------------------------------------------


def originals() -> List[Any]:
    """Return the functions as dns.query has them now."""
    return [getattr(dns.query, name) for name in FUNCTIONS]


def ask(server: Server, name: str = "udp") -> Any:
    """Ask by a function of dns.query."""
    query = dns.message.make_query("example.org", "A")
    return getattr(dns.query, name)(query, server.host, TIMEOUT, server.port)


def test_patched_for_everybody(capture: Capture) -> None:
    """In the context, every query by dns.query is logged once; then all is as before."""
    before = originals()
    with serving(StreamHandler) as tcp, serving(DatagramHandler, port=tcp.port) as server:
        with DnstapClient(capture.logger).patched_dns_query():
            thread = threading.Thread(target=ask, args=(server,))
            thread.start()
            thread.join(TIMEOUT)
            ask(server, "tcp")
            ask(server, "udp_with_fallback")
            resolve(resolver_of("127.0.0.1", port=server.port))
        assert originals() == before
        ask(server)

    messages = capture.messages(8)
    assert protocols(messages) == ["UDP"] * 2 + ["TCP"] * 2 + ["UDP"] * 4
    assert types(messages) == ["TOOL_QUERY", "TOOL_RESPONSE"] * 4


def test_patched_own_tls_socket(capture: Capture, certificates: Certificates) -> None:
    """dns.query.tls hands a socket of the caller's to dns.query.tcp: it is logged once."""
    context = ssl.create_default_context(cafile=certificates.cafile)
    with serving(StreamHandler, context=certificates.context) as server:
        with socket.create_connection((server.host, server.port), TIMEOUT) as plain:
            with context.wrap_socket(plain, server_hostname=server.host) as sock:
                sock.setblocking(False)
                query = dns.message.make_query("example.org", "A")
                with DnstapClient(capture.logger).patched_dns_query():
                    dns.query.tls(query, server.host, TIMEOUT, sock=sock)

    assert protocols(capture.messages(2)) == ["DOT"] * 2


def raise_unless(condition: bool) -> None:
    """Raise an error of the test's own."""
    if not condition:
        raise RuntimeError("mine")


def test_originals_come_back_after_an_error(capture: Capture) -> None:
    """An exception leaves the context in order, and is passed on."""
    before = originals()
    context = DnstapClient(capture.logger).patched_dns_query()
    with pytest.raises(RuntimeError, match="mine"), context:
        raise_unless(originals() == before)

    assert originals() == before


def test_contexts_that_overlap(capture: Capture) -> None:
    """Contexts need not nest: the latest logs, and the last one out puts the originals back."""
    before = originals()
    clients = [
        DnstapClient(DnstapAdapter(capture.logger, {"dns_extra": name})) for name in ("a", "b")
    ]
    with serving(DatagramHandler) as server:
        first, second = (client.patched_dns_query() for client in clients)
        first.__enter__()
        second.__enter__()
        ask(server)
        first.__exit__(None, None, None)
        ask(server)
        second.__exit__(None, None, None)
        assert originals() == before
        ask(server)

    assert [each.extra for each in capture.messages(4)] == [b"b"] * 4


def test_somebody_else_patches_meanwhile(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody puts over ours stays when we go, works on, and can be logged again."""
    client = DnstapClient(capture.logger)
    calls: List[str] = []
    with serving(DatagramHandler) as server:
        with monkeypatch.context() as patch:
            with client.patched_dns_query():
                ours = dns.query.udp

                def theirs(*args: Any, **kwargs: Any) -> Any:
                    calls.append("theirs")
                    return ours(*args, **kwargs)

                patch.setattr(dns.query, "udp", theirs)
                ask(server)
            ask(server)
            with client.patched_dns_query():
                ask(server)
        with client.patched_dns_query():
            pass

    assert calls == ["theirs"] * 3
    assert types(capture.messages(4)) == ["TOOL_QUERY", "TOOL_RESPONSE"] * 2
