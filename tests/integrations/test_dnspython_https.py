"""`DnstapClient.https`: what dnspython sent and received by DNS over HTTPS is what is captured."""

from __future__ import annotations

import gc
import ssl
from pathlib import Path
from typing import Any, Iterator, List, Type

import dns.message
import dns.query
import pytest

from dnstap_logging import DnstapMessage, HttpProtocol, MessageType, SocketProtocol
from dnstap_logging.integrations.dnspython import DnstapClient
from tests.helpers.support import NOT_HERE, free_port
from tests.integrations.capture import Capture
from tests.integrations.doh_servers import Http1, Http2, offering
from tests.integrations.servers import Certificates, Server, certificates, serving

__all__ = ["certificates"]  # the fixture

TIMEOUT = 20.0

if not dns.query.have_doh:
    pytest.skip(f"{NOT_HERE} dnspython's extra doh", allow_module_level=True)

HTTP: Any = getattr(dns.query, "httpx2", None) or dns.query.httpx  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    """Have the HTTP library trust our authority by the way that it offers to everybody."""
    monkeypatch.setenv("SSL_CERT_FILE", certificates.cafile)


@pytest.fixture(params=[Http1, Http2], ids=["HTTP1", "HTTP2"])
def handler(request: pytest.FixtureRequest) -> Type[Any]:
    """Each version of HTTP that speaks over TCP."""
    kind: Type[Any] = request.param
    return kind


@pytest.fixture
def server(handler: Type[Any], certificates: Certificates) -> Iterator[Server]:
    """A DoH server of this version."""
    with serving(handler, context=offering(certificates.context, handler)) as server:
        yield server


def url(server: Server) -> str:
    """Return where a server answers."""
    return f"https://{server.host}:{server.port}/dns-query"


def assert_exchange(
    messages: List[DnstapMessage], server: Server, handler: Any, ends: bool = True
) -> None:
    """Check a query and its response against what the server saw."""
    query, response = messages
    assert query.message_type is MessageType.TOOL_QUERY
    assert response.message_type is MessageType.TOOL_RESPONSE
    assert query.query_message == server.received[0].wire
    assert response.response_message == server.sent[0].wire
    for message in messages:
        assert message.socket_protocol is SocketProtocol.DOH
        own = (str(message.query_ip), message.query_port)
        assert own == (server.received[0].client[:2] if ends else ("None", None))
        assert (str(message.response_ip), message.response_port) == (server.host, server.port)
        version = HttpProtocol.HTTP2 if handler is Http2 else HttpProtocol.HTTP1
        assert message.http_protocol is (version if ends else None)
    assert query.query_time is not None
    assert query.query_time == response.query_time
    assert response.response_time is not None
    assert query.query_time <= response.response_time


def test_query_and_response_as_the_server_saw_them(
    capture: Capture, server: Server, handler: Any
) -> None:
    """Bytes, both ends of the real connection, protocol, version of HTTP and times."""
    query = dns.message.make_query("www.example.org", "A")
    answer = DnstapClient(capture.logger).https(query, url(server), timeout=TIMEOUT)

    assert query.is_response(answer)
    assert_exchange(capture.messages(2), server, handler)


def test_address_and_port(capture: Capture, server: Server, handler: Any) -> None:
    """The server as an address and a port, as dns.query.https takes it too."""
    query = dns.message.make_query("www.example.org", "A")
    DnstapClient(capture.logger).https(query, server.host, TIMEOUT, server.port)

    assert_exchange(capture.messages(2), server, handler)


@pytest.mark.filterwarnings("ignore:`verify=<str>` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", [str, Path])
def test_authorities_of_the_caller(
    kind: Any, capture: Capture, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file of authorities to trust, as text or path, is the one that counts."""
    monkeypatch.delenv("SSL_CERT_FILE")
    query = dns.message.make_query("www.example.org", "A")
    context = offering(certificates.context, Http1)
    client = DnstapClient(capture.logger)
    with serving(Http1, context=context) as server:
        with pytest.raises(HTTP.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            client.https(query, url(server), TIMEOUT)
        client.https(query, url(server), TIMEOUT, verify=kind(certificates.cafile))

    assert_exchange(capture.messages(2), server, Http1)


def test_get(capture: Capture, certificates: Certificates) -> None:
    """A query in the URL is captured as the bytes that it stands for."""
    query = dns.message.make_query("www.example.org", "A")
    context = offering(certificates.context, Http1)
    with serving(Http1, context=context) as server:
        DnstapClient(capture.logger).https(query, url(server), timeout=TIMEOUT, post=False)

    assert_exchange(capture.messages(2), server, Http1)


def test_session_of_the_caller(capture: Capture, server: Server, handler: Any) -> None:
    """A session is used and left as it is: one connection for two queries, no hooks of ours."""
    with HTTP.Client(http2=True) as session:
        hooks = {name: list(each) for name, each in session.event_hooks.items()}
        for name in "a.example", "b.example":
            query = dns.message.make_query(name, "A")
            DnstapClient(capture.logger).https(query, url(server), TIMEOUT, session=session)
        assert session.event_hooks == hooks
        assert not session.is_closed

    messages = capture.messages(4)
    assert_exchange(messages[:2], server, handler)
    del server.received[0], server.sent[0]
    assert_exchange(messages[2:], server, handler)
    assert len({each.query_port for each in messages}) == 1


def test_context_of_the_caller(
    capture: Capture, server: Server, handler: Any, certificates: Certificates
) -> None:
    """Through an SSLContext of the caller's nothing is seen: what the arguments say is logged."""
    context = ssl.create_default_context(cafile=certificates.cafile)
    query = dns.message.make_query("www.example.org", "A")
    DnstapClient(capture.logger).https(query, url(server), TIMEOUT, verify=context)

    assert context.sslsocket_class is ssl.SSLSocket
    assert_exchange(capture.messages(2), server, handler, ends=False)


def with_session(client: DnstapClient, *arguments: Any) -> Any:
    """Ask with a session of our own."""
    with HTTP.Client() as session:
        return client.https(*arguments, session=session)


def with_context(client: DnstapClient, *arguments: Any) -> Any:
    """Ask with an SSLContext of our own."""
    return client.https(*arguments, verify=ssl.create_default_context())


def plainly(client: DnstapClient, *arguments: Any) -> Any:
    """Ask with neither."""
    return client.https(*arguments)


ASK = pytest.mark.parametrize("ask", [plainly, with_session, with_context])


@ASK
def test_timeout_leaves_the_query_alone(
    ask: Any, capture: Capture, certificates: Certificates
) -> None:
    """The HTTP library's own exception comes out; a query without a response is captured."""
    query = dns.message.make_query("www.example.org", "A")
    context = offering(certificates.context, Http1)
    with serving(Http1, context=context, answer=lambda wire: []) as server:
        with pytest.raises((HTTP.ReadTimeout, HTTP.RemoteProtocolError)):
            ask(DnstapClient(capture.logger), query, url(server), 0.5)
        (message,) = capture.messages(1)

    assert message.message_type is MessageType.TOOL_QUERY
    assert message.query_message == query.wire
    assert message.response_port == server.port or ask is with_session


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # dnspython's, of refused sockets
@ASK
def test_refused_connection_sent_nothing(ask: Any, capture: Capture) -> None:
    """Without a connection there is no query; the exception is the HTTP library's own."""
    query = dns.message.make_query("www.example.org", "A")
    with pytest.raises(HTTP.ConnectError):
        ask(DnstapClient(capture.logger), query, f"https://127.0.0.1:{free_port()}", TIMEOUT)
    gc.collect()

    assert capture.messages() == []


def test_refused_response(capture: Capture, certificates: Certificates) -> None:
    """A response that dnspython refuses: its own error, and the query alone."""
    query = dns.message.make_query("www.example.org", "A")
    context = offering(certificates.context, Http1)
    client = DnstapClient(capture.logger)
    with serving(Http1, context=context, answer=lambda wire: [b""]) as server:
        with pytest.raises(ValueError, match="responded with status code 500"):
            client.https(query, url(server), TIMEOUT)

    assert [each.message_type.is_query for each in capture.messages(1)] == [True]


@pytest.mark.parametrize("where", ["/dns-query", "https://", "ftp://127.0.0.1/"])
def test_wrong_arguments_are_dnspythons_errors(where: str, capture: Capture) -> None:
    """An invalid URL is refused as without us; nothing is captured."""
    query = dns.message.make_query("example.org", "A")
    raised = []
    for ask in dns.query.https, DnstapClient(capture.logger).https:
        with pytest.raises(Exception) as info:  # noqa: PT011 - compared below
            ask(query, where, TIMEOUT)
        raised.append((info.type, str(info.value)))

    assert raised[0] == raised[1]
    assert capture.messages() == []
