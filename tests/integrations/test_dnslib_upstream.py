"""`DnstapUpstream` and `DnstapProxyResolver`: a forwarder's own queries and their responses."""

from __future__ import annotations

import socket
from typing import Any, List

import pytest
from dnslib import DNSError, DNSRecord

from dnstap_logging import MessageType
from dnstap_logging.integrations.dnslib import DnstapLogger, DnstapProxyResolver, DnstapUpstream
from tests.helpers.support import free_port
from tests.integrations.capture import Capture
from tests.integrations.dnslib_servers import Noting, dns_server, udp_and_tcp
from tests.integrations.servers import (
    DatagramHandler,
    StreamHandler,
    ask_tcp,
    ask_udp,
    question,
    serving,
)

PROTOCOLS = pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])


@PROTOCOLS
def test_forwarder_shows_both_sides(tcp: bool, capture: Capture) -> None:
    """Client and upstream side of one request: four messages, each with its own socket's ends."""
    upstream = Noting()
    with udp_and_tcp(upstream) as (_, there):
        resolver = DnstapProxyResolver("127.0.0.1", there.port, logger=capture.logger)
        with dns_server(DnstapLogger(capture.logger), resolver, tcp=tcp) as server:
            sent = question("www.example.org")
            received = ask_tcp(server, [sent])[0][0] if tcp else ask_udp(server, sent)[0]

    types = ["CLIENT_QUERY", "FORWARDER_QUERY", "FORWARDER_RESPONSE", "CLIENT_RESPONSE"]
    messages = capture.messages(4)
    assert [each.message_type.name for each in messages] == types
    _, query, response, answered = messages
    assert answered.response_message == received
    (asked,), (answer,) = upstream.received, upstream.sent
    assert (query.query_message, response.response_message) == (asked.wire, answer.wire)
    for message in query, response:
        assert (str(message.query_ip), message.query_port) == asked.client
        assert (str(message.response_ip), message.response_port) == ("127.0.0.1", there.port)
        assert message.socket_protocol is not None
        assert message.socket_protocol.name == ("TCP" if tcp else "UDP")
    assert query.query_time == response.query_time
    assert query.query_time is not None
    assert response.response_time is not None
    assert query.query_time <= response.response_time


@PROTOCOLS
def test_send_is_dnslibs_send(tcp: bool, capture: Capture, loopback: str) -> None:
    """`send` returns what DNSRecord.send returns, over both families, names included."""
    handler = StreamHandler if tcp else DatagramHandler
    record = DNSRecord.question("example.org")
    with serving(handler, loopback) as server:
        upstream = DnstapUpstream(capture.logger, "RESOLVER")
        ipv6 = ":" in loopback
        got = upstream.send(record, loopback, server.port, tcp=tcp, timeout=20, ipv6=ipv6)
        assert got == record.send(loopback, server.port, tcp=tcp, timeout=20, ipv6=ipv6)

        query, response = capture.messages(2)
        assert query.message_type is MessageType.RESOLVER_QUERY
        assert query.query_message == server.received[0].wire == record.pack()
        assert response.response_message == server.sent[0].wire == got
        assert (str(query.query_ip), query.query_port) == server.received[0].client[:2]


@PROTOCOLS
def test_name_of_an_upstream(tcp: bool, capture: Capture) -> None:
    """A server by its name is asked, and logged by the address that the name has."""
    with serving(StreamHandler if tcp else DatagramHandler) as server:
        upstream = DnstapUpstream(capture.logger)
        upstream.send(DNSRecord.question("a.example"), "localhost", server.port, tcp, 20)

    assert [str(each.response_ip) for each in capture.messages(2)] == ["127.0.0.1"] * 2


@PROTOCOLS
def test_timeout_leaves_the_query_alone(tcp: bool, capture: Capture) -> None:
    """A server that never answers: dnslib's own exception, and a query without a response."""
    silent: Any = {"answer": lambda query: []}
    with serving(StreamHandler if tcp else DatagramHandler, **silent) as server:
        record = DNSRecord.question("example.org")
        with pytest.raises(socket.timeout):
            DnstapUpstream(capture.logger).send(record, "127.0.0.1", server.port, tcp, 0.1)

    (query,) = capture.messages(1)
    assert query.message_type is MessageType.FORWARDER_QUERY
    assert query.query_message == record.pack()


def test_proxy_answers_its_client_after_a_timeout(capture: Capture) -> None:
    """ProxyResolver's own behaviour is kept: NXDOMAIN when the upstream is silent."""
    with serving(DatagramHandler, answer=lambda query: []) as silent:
        resolver = DnstapProxyResolver("127.0.0.1", silent.port, 0.1, logger=capture.logger)
        with dns_server(DnstapLogger(capture.logger), resolver) as server:
            received, _ = ask_udp(server, question("example.org"))

    assert received[3] & 15 == 3
    types = ["CLIENT_QUERY", "FORWARDER_QUERY", "CLIENT_RESPONSE"]
    assert [each.message_type.name for each in capture.messages(3)] == types


def test_strip_aaaa_asks_nobody(capture: Capture) -> None:
    """ProxyResolver's strip_aaaa answers by itself: no upstream query is made up."""
    resolver = DnstapProxyResolver("192.0.2.1", 53, 5, True, logger=capture.logger)
    with dns_server(DnstapLogger(capture.logger), resolver) as server:
        ask_udp(server, question("example.org", "AAAA"))

    types = ["CLIENT_QUERY", "CLIENT_RESPONSE"]
    assert [each.message_type.name for each in capture.messages(2)] == types


def test_refused_connection_sent_nothing(capture: Capture) -> None:
    """No connection, no query; the exception is the socket's own."""
    with pytest.raises(ConnectionRefusedError):
        DnstapUpstream(capture.logger).send(
            DNSRecord.question("example.org"), "127.0.0.1", free_port(), tcp=True, timeout=5
        )

    assert capture.messages() == []


class Cutting(StreamHandler):
    """Close the connection inside the response."""

    def handle(self) -> None:
        self.request.recv(4096)
        self.request.sendall(b"\0\x20half")


def test_connection_closed_inside_the_response(capture: Capture) -> None:
    """Half a response is not one: an error that dnslib's server knows, and the query alone."""
    with serving(Cutting) as server:
        with pytest.raises(DNSError, match="before the end of its response"):
            DnstapUpstream(capture.logger).send(
                DNSRecord.question("example.org"), "127.0.0.1", server.port, True, 20
            )

    assert [each.message_type.is_query for each in capture.messages(1)] == [True]


def test_large_messages_both_ways(capture: Capture) -> None:
    """Bytes that are no DNSRecord, up to the limit of DNS, go through `send_wire` untouched."""
    large: List[bytes] = [bytes(range(256)) * 255]
    upstream = DnstapUpstream(capture.logger)
    with serving(StreamHandler, answer=lambda query: large) as server:
        assert upstream.send_wire(large[0][::-1], server.host, server.port, True, 20) == large[0]
        with pytest.raises(ValueError, match="at most 65535 bytes, not 65536"):
            upstream.send_wire(bytes(65536), server.host, server.port)

    query, response = capture.messages(2)
    assert (query.query_message, response.response_message) == (large[0][::-1], large[0])


def test_proxy_needs_a_logger() -> None:
    """A resolver without a logger, or with an unknown role, is refused when it is made."""
    with pytest.raises(TypeError, match="logger"):
        DnstapProxyResolver("127.0.0.1", 53)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="role='UPSTREAM'"):
        DnstapProxyResolver("127.0.0.1", 53, logger="dns", role="UPSTREAM")
