"""`DnstapClient` when something fails: errors are dnspython's own, and ours cost no answer."""

from __future__ import annotations

import logging
import re
import socket
from typing import Any, Iterator, List

import dns.message
import dns.query
import pytest

from dnstap_logging.integrations.dnspython import DnstapClient
from tests.helpers.said import Said
from tests.integrations.capture import Capture
from tests.integrations.servers import DatagramHandler, StreamHandler, connected, serving

TIMEOUT = 20.0


@pytest.fixture
def query() -> Any:
    """A query."""
    return dns.message.make_query("www.example.org", "A")


@pytest.fixture
def broken(capture: Capture) -> Iterator[None]:
    """Have the logger's own filter raise, as only a user's mistake can."""

    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the user's")

    capture.logger.addFilter(fail)
    yield
    capture.logger.removeFilter(fail)


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("name", ["udp", "tcp"])
def test_a_filter_that_raises_costs_no_answer(
    name: str, query: Any, capture: Capture, said: Said
) -> None:
    """The answer comes whatever happens while logging, and a diagnostic says what did."""
    with serving(DatagramHandler if name == "udp" else StreamHandler) as server:
        ask = getattr(DnstapClient(capture.logger), name)
        assert query.is_response(ask(query, server.host, TIMEOUT, server.port))

    said.wait_for("a filter of the user's")


def test_socket_that_cannot_be_made_costs_no_answer(
    query: Any, capture: Capture, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where our socket fails, dnspython has its own try, past us."""
    factory = dns.query.socket_factory
    failures: List[OSError] = [OSError(24, "Too many open files")]

    def fail_once(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return factory(*arguments)

    monkeypatch.setattr(dns.query, "socket_factory", fail_once)
    with serving(DatagramHandler) as server:
        answer = DnstapClient(capture.logger).udp(query, server.host, TIMEOUT, server.port)

    assert query.is_response(answer)
    said.wait_for("Too many open files")
    assert capture.messages() == []


class Nameless:
    """A socket of the caller's that will not say its address."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def getsockname(self) -> Any:
        raise OSError(95, "Operation not supported")


def test_end_that_cannot_be_told_is_left_out(query: Any, capture: Capture, said: Said) -> None:
    """Of a socket that does not know its own end, the server's is logged."""
    with serving(DatagramHandler) as server, connected(server, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        own: Any = Nameless(sock)
        client = DnstapClient(capture.logger)
        client.udp(query, server.host, TIMEOUT, server.port, sock=own)

    said.wait_for("Operation not supported")
    for message in capture.messages(2):
        assert (message.query_address, message.query_port) == (None, None)
        assert (str(message.response_ip), message.response_port) == (server.host, server.port)


@pytest.mark.parametrize(
    ("name", "arguments", "keywords"),
    [
        ("udp", ("no address", TIMEOUT), {}),
        ("tcp", ("no address", TIMEOUT), {}),
        ("udp", ("127.0.0.1", TIMEOUT), {"source": "::1"}),
        ("tcp", ("127.0.0.1", TIMEOUT), {"source": "192.0.2.1"}),
        ("tls", ("127.0.0.1", TIMEOUT), {"verify": "/no/such/file"}),
        ("udp", (), {}),
        ("udp", ("127.0.0.1",), {"no_such_argument": 1}),
    ],
)
def test_wrong_arguments_are_dnspythons_errors(
    name: str, arguments: Any, keywords: Any, capture: Capture
) -> None:
    """Arguments that dnspython refuses are refused by it: class and text are the same."""
    query = dns.message.make_query("example.org", "A")
    raised = []
    for ask in getattr(dns.query, name), getattr(DnstapClient(capture.logger), name):
        with pytest.raises(Exception) as info:  # noqa: PT011 - compared below
            ask(query, *arguments, **keywords)
        raised.append((info.type, str(info.value)))

    assert raised[0] == raised[1]
    assert capture.messages() == []


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [((5,), TypeError, "logger=5"), (("dns", "TOOL_QUERY"), ValueError, "role='TOOL_QUERY'")],
)
def test_wrong_configuration_fails_in_the_constructor(
    arguments: Any, error: Any, named: str
) -> None:
    """Each error names the argument."""
    with pytest.raises(error, match=re.escape(named)):
        DnstapClient(*arguments)
