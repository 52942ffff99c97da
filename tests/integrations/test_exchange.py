"""`Exchange`: one query and the response that was taken for its answer."""

from __future__ import annotations

import socket

import pytest

from dnstap_logging import MessageType, SocketProtocol
from dnstap_logging.integrations.exchange import Exchange, ends_of
from dnstap_logging.integrations.tap import Tap
from tests.integrations.capture import Capture

ASKED, ANSWERED = 10**18, 10**18 + 7
ENDS = ("192.0.2.1", 5353), ("192.0.2.53", 53)


@pytest.fixture
def exchange(capture: Capture) -> Exchange:
    """An exchange that is captured."""
    return Exchange(Tap(capture.logger, "TOOL"), SocketProtocol.UDP)


def test_times_are_those_of_the_socket(exchange: Exchange, capture: Capture) -> None:
    """What is logged at the end has happened before: to the nanosecond as it was told."""
    exchange.query(b"query", ASKED, ENDS)
    exchange.response(b"response", ANSWERED, ("192.0.2.54", 53))
    exchange.finish()

    query, response = capture.messages(2)
    assert (query.query_time, query.response_time) == (ASKED, None)
    assert (response.query_time, response.response_time) == (ASKED, ANSWERED)
    assert str(query.response_ip) == "192.0.2.53"
    assert str(response.response_ip) == "192.0.2.54", "where it came from"


def test_each_is_logged_once(exchange: Exchange, capture: Capture) -> None:
    """A query sent again, and an end told twice, add nothing; the last response counts."""
    for _ in range(2):
        exchange.query(b"query", ASKED, ENDS)
    for wire in b"first", b"last":
        exchange.response(wire, ANSWERED)
    for _ in range(2):
        exchange.finish()

    query, response = capture.messages(2)
    assert query.message_type is MessageType.TOOL_QUERY
    assert response.response_message == b"last"


def test_no_query_no_response(exchange: Exchange, capture: Capture) -> None:
    """What was not asked cannot be answered; what was taken back was not."""
    exchange.response(b"response", ANSWERED)
    exchange.finish()
    exchange.query(b"query", ASKED, ENDS)
    exchange.response(b"response", ANSWERED)
    exchange.response(None, 0)
    exchange.finish()

    assert [each.query_message for each in capture.messages(1)] == [b"query"]


def test_unbound_socket_has_the_address_of_the_route() -> None:
    """A UDP socket that was never bound sends from the address that the system chooses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"query", server.getsockname())
            own, remote = ends_of(sock, server.getsockname())
            _, seen = server.recvfrom(100)

        assert (own, remote) == (seen, server.getsockname())
