"""`DnstapClient`: what dnspython sent and received by UDP, TCP and TLS is what is captured."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Any, Callable, Dict, List, NamedTuple, Type

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.tsig
import pytest

from dnstap_logging import DnstapAdapter, DnstapMessage, MessageType
from dnstap_logging.integrations.dnspython import DnstapClient
from tests.helpers.support import free_port
from tests.integrations.capture import Capture
from tests.integrations.servers import (
    Certificates,
    DatagramHandler,
    Seen,
    Server,
    StreamHandler,
    certificates,
    connected,
    echo,
    reply,
    serving,
)

__all__ = ["certificates"]  # the fixture

TIMEOUT = 20.0


class Way(NamedTuple):
    """One of dns.query's functions: its name, the protocol that it stands for, its server."""

    name: str
    protocol: str
    handler: Type[Any]


WAYS = pytest.mark.parametrize(
    "way",
    [
        Way("udp", "UDP", DatagramHandler),
        Way("tcp", "TCP", StreamHandler),
        Way("tls", "DOT", StreamHandler),
    ],
    ids=lambda way: way.name,
)


def options(way: Way, certificates: Certificates) -> Dict[str, Any]:
    """Return the arguments that a function needs in addition to address and time."""
    return {"verify": certificates.cafile} if way.name == "tls" else {}


def serve(way: Way, certificates: Certificates, host: str = "127.0.0.1", **how: Any) -> Any:
    """Run a server for a way of asking."""
    context = certificates.context if way.name == "tls" else None
    return serving(way.handler, host, context=context, **how)


def assert_exchange(
    messages: List[DnstapMessage], server: Server, protocol: str, role: str = "TOOL"
) -> None:
    """Check a query and its response against what the server saw."""
    query, response = messages
    assert query.message_type is MessageType[f"{role}_QUERY"]
    assert response.message_type is MessageType[f"{role}_RESPONSE"]
    own = (server.received[0].client[0], server.received[0].client[1])
    assert Seen(own, query.query_message or b"") == as_seen(server.received[0])
    assert Seen(own, response.response_message or b"") == as_seen(server.sent[0])
    assert (query.response_message, response.query_message) == (None, None)
    for message in messages:
        assert (str(message.query_ip), message.query_port) == own
        assert (str(message.response_ip), message.response_port) == (server.host, server.port)
        assert message.socket_protocol is not None
        assert message.socket_protocol.name == protocol
    assert query.query_time is not None
    assert response.query_time == query.query_time
    assert response.response_time is not None
    assert query.query_time <= response.response_time


def as_seen(seen: Seen) -> Seen:
    """Return what a server saw, without the flow and scope of IPv6."""
    return Seen(seen.client[:2], seen.wire)


@WAYS
def test_query_and_response_as_the_server_saw_them(
    way: Way, capture: Capture, certificates: Certificates, loopback: str
) -> None:
    """Bytes, both ends, protocol and times; the answer is dnspython's."""
    client = DnstapClient(capture.logger)
    query = dns.message.make_query("www.example.org", "A", use_edns=0, pad=128)
    before = time.time_ns()
    with serve(way, certificates, loopback) as server:
        ask = getattr(client, way.name)
        answer = ask(
            query, loopback, timeout=TIMEOUT, port=server.port, **options(way, certificates)
        )
    after = time.time_ns()

    assert query.is_response(answer)
    assert 0 <= answer.time < TIMEOUT
    messages = capture.messages(2)
    assert_exchange(messages, server, way.protocol)
    assert before <= (messages[0].query_time or 0) <= (messages[1].response_time or 0) <= after


@WAYS
def test_signed_queries_are_the_bytes_sent(
    way: Way, capture: Capture, certificates: Certificates
) -> None:
    """The signature, which changes with each rendering, is the one that was sent."""
    query = dns.message.make_query("example.org", "A")
    key = dns.tsig.Key("key.example", b"0" * 32)
    query.use_tsig(key)

    def answer(wire: bytes) -> List[bytes]:
        return [dns.message.make_response(dns.message.from_wire(wire, keyring=key)).to_wire()]

    with serve(way, certificates, answer=answer) as server:
        getattr(DnstapClient(capture.logger), way.name)(
            query, server.host, TIMEOUT, server.port, **options(way, certificates)
        )

    messages = capture.messages(2)
    assert b"hmac-sha256" in (messages[0].query_message or b"")
    assert_exchange(messages, server, way.protocol)


@WAYS
def test_timeout_leaves_the_query_alone(
    way: Way, capture: Capture, certificates: Certificates
) -> None:
    """dnspython's own Timeout comes out, and the capture has a query without a response."""
    query = dns.message.make_query("example.org", "A")
    with serve(way, certificates, answer=lambda wire: []) as server:
        with pytest.raises(dns.exception.Timeout):
            getattr(DnstapClient(capture.logger), way.name)(
                query, server.host, 0.5, server.port, **options(way, certificates)
            )

    (message,) = capture.messages(1)
    assert (message.message_type, message.query_message) == (
        MessageType.TOOL_QUERY,
        server.received[0].wire,
    )


ERRORS: Dict[str, Callable[[bytes], List[bytes]]] = {
    "format error": lambda wire: [b"\xff" * 20],
    "another ID": lambda wire: [bytes(2) + reply(wire)[2:] if wire[:2] != bytes(2) else b""],
}


@pytest.mark.parametrize("error", ERRORS)
@WAYS
def test_refused_response_is_logged(
    way: Way, error: str, capture: Capture, certificates: Certificates
) -> None:
    """What dnspython refuses has been received: the same exception, and a query and response."""
    query = dns.message.make_query("example.org", "A")
    raised = []
    with serve(way, certificates, answer=ERRORS[error]) as server:
        for ask in (getattr(dns.query, way.name), getattr(DnstapClient(capture.logger), way.name)):
            with pytest.raises(Exception) as info:  # noqa: PT011 - compared below
                ask(query, server.host, TIMEOUT, server.port, **options(way, certificates))
            raised.append((info.type, str(info.value)))

    assert raised[0] == raised[1]
    del server.received[0], server.sent[0]  # those of dnspython alone
    assert_exchange(capture.messages(2), server, way.protocol)


def test_ignored_datagrams_are_not_the_response(capture: Capture) -> None:
    """What dnspython waits on past, such as a wrong ID, is not taken for the response."""
    query = dns.message.make_query("example.org", "A")

    def answer(wire: bytes) -> List[bytes]:
        return [bytes([wire[0] ^ 1]) + reply(wire)[1:], b"garbage", *echo(wire)]

    with serving(DatagramHandler, answer=answer) as server:
        DnstapClient(capture.logger).udp(
            query, server.host, TIMEOUT, server.port, ignore_errors=True
        )

    del server.sent[:2]
    assert_exchange(capture.messages(2), server, "UDP")


def test_ignored_datagrams_before_a_timeout(capture: Capture) -> None:
    """Where only such datagrams came, the query stands alone: they were no response."""
    query = dns.message.make_query("example.org", "A")
    with serving(DatagramHandler, answer=lambda wire: [b"garbage"]) as server:
        with pytest.raises(dns.exception.Timeout):
            DnstapClient(capture.logger).udp(
                query, server.host, 0.3, server.port, ignore_errors=True
            )

    assert server.sent, "the server did not answer before the timeout"
    assert [each.message_type.is_query for each in capture.messages(1)] == [True]


def test_fallback_to_tcp_is_two_exchanges(capture: Capture) -> None:
    """udp_with_fallback: the truncated response is logged, then the same query by TCP."""
    query = dns.message.make_query("example.org", "A")

    def truncated(wire: bytes) -> List[bytes]:
        return [reply(wire, flags=dns.flags.TC)]

    with serving(StreamHandler) as tcp:
        with serving(DatagramHandler, port=tcp.port, answer=truncated) as udp:
            _, used_tcp = DnstapClient(capture.logger).udp_with_fallback(
                query, "127.0.0.1", TIMEOUT, tcp.port
            )

    assert used_tcp
    messages = capture.messages(4)
    assert_exchange(messages[:2], udp, "UDP")
    assert_exchange(messages[2:], tcp, "TCP")


@pytest.mark.parametrize("name", ["tcp", "tls"])
def test_refused_connection_sent_nothing(name: str, capture: Capture) -> None:
    """Without a connection there is no query; the exception is the same as without us."""
    query = dns.message.make_query("example.org", "A")
    port = free_port()
    for ask in getattr(dns.query, name), getattr(DnstapClient(capture.logger), name):
        with pytest.raises(ConnectionRefusedError):
            ask(query, "127.0.0.1", TIMEOUT, port)

    assert capture.messages() == []


def test_context_of_the_caller(capture: Capture, certificates: Certificates) -> None:
    """An SSLContext of the caller's is used, and left as it was."""
    query = dns.message.make_query("example.org", "A")
    context = ssl.create_default_context(cafile=certificates.cafile)
    with serving(StreamHandler, context=certificates.context) as server:
        DnstapClient(capture.logger).tls(
            query, server.host, TIMEOUT, server.port, ssl_context=context,
            server_hostname=server.host,
        )  # fmt: skip

    assert context.sslsocket_class is ssl.SSLSocket
    assert_exchange(capture.messages(2), server, "DOT")


def test_untrusted_certificate_sent_nothing(capture: Capture, certificates: Certificates) -> None:
    """TLS is dnspython's own, with its verification: no trust, no query."""
    query = dns.message.make_query("example.org", "A")
    with serving(StreamHandler, context=certificates.context) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            DnstapClient(capture.logger).tls(query, server.host, TIMEOUT, server.port)

    assert capture.messages() == []


@WAYS
def test_own_socket(way: Way, capture: Capture, certificates: Certificates) -> None:
    """A socket of the caller's is used as it is, for one query after another, and stays open."""
    with serve(way, certificates) as server:
        kind = socket.SOCK_DGRAM if way.name == "udp" else socket.SOCK_STREAM
        with connected(server, kind) as sock:
            own = sock.getsockname()
            if way.name == "tls":
                context = ssl.create_default_context(cafile=certificates.cafile)
                sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
            sock.setblocking(False)
            for name in "a.example", "b.example":
                query = dns.message.make_query(name, "A")
                ask = getattr(DnstapClient(capture.logger), way.name)
                ask(query, server.host, TIMEOUT, server.port, sock=sock)
            sock.close()

    messages = capture.messages(4)
    assert {(str(each.query_ip), each.query_port) for each in messages} == {own}
    assert_exchange(messages[:2], server, way.protocol)
    del server.received[0], server.sent[0]
    assert_exchange(messages[2:], server, way.protocol)


@WAYS
def test_own_source(way: Way, capture: Capture, certificates: Certificates) -> None:
    """The caller's source address and port are those of the socket, and of the messages."""
    port = free_port(socket.SOCK_DGRAM if way.name == "udp" else socket.SOCK_STREAM)
    query = dns.message.make_query("example.org", "A")
    with serve(way, certificates) as server:
        getattr(DnstapClient(capture.logger), way.name)(
            query, server.host, TIMEOUT, server.port, "127.0.0.2", port,
            **options(way, certificates),
        )  # fmt: skip

    assert server.received[0].client == ("127.0.0.2", port)
    assert_exchange(capture.messages(2), server, way.protocol)


@pytest.mark.parametrize("role", ["STUB", "RESOLVER", "forwarder"])
def test_roles_and_constants(role: str, capture: Capture) -> None:
    """The role chooses the message types; an adapter's constants are logged too."""
    adapter = DnstapAdapter(capture.logger, {"dns_query_zone": "example.org"})
    query = dns.message.make_query("example.org", "A")
    with serving(DatagramHandler) as server:
        DnstapClient(adapter, role).udp(query, server.host, TIMEOUT, server.port)

    messages = capture.messages(2)
    assert_exchange(messages, server, "UDP", role.upper())
    assert {each.query_zone for each in messages} == {b"\7example\3org\0"}


def test_disabled_logger_costs_nothing(capture: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the logger takes no messages, dnspython is called as it is."""
    capture.logger.setLevel("WARNING")
    given: List[Any] = []
    monkeypatch.setattr(dns.query, "udp", lambda *args, **kwargs: given.append((args, kwargs)))
    DnstapClient(capture.logger).udp("q", "127.0.0.1", port=53)

    assert given == [(("q", "127.0.0.1"), {"port": 53})]
    assert capture.messages() == []
