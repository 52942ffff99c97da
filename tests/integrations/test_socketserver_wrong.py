"""`DnstapMixin` when something is wrong: what raises, and what must never cost an answer."""

from __future__ import annotations

import logging
import socket
import socketserver
from pathlib import Path
from typing import Any, Iterator, Type

import pytest

from dnstap_logging import MessageType
from dnstap_logging.integrations.socketserver import DnstapMixin
from tests.helpers.said import Said
from tests.integrations.capture import Capture
from tests.integrations.logged_servers import HANDLERS, LoggedDatagrams, LoggedStream, ask, logged
from tests.integrations.servers import (
    DatagramHandler,
    ask_udp,
    connected,
    framed,
    question,
    running,
    serving,
)


@pytest.fixture
def broken(capture: Capture) -> Iterator[None]:
    """Have the logger's own filter raise, as only a user's mistake can."""

    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError("a filter of the user's")

    capture.logger.addFilter(fail)
    yield
    capture.logger.removeFilter(fail)


@pytest.mark.usefixtures("broken")
@HANDLERS
def test_a_filter_that_raises_costs_no_answer(
    base: Type[Any], capture: Capture, said: Said
) -> None:
    """The server answers whatever happens while logging, and a diagnostic says what did."""
    with serving(logged(base, capture)) as server:
        received, _ = ask(base, server, question("example.org"))

    assert received[3] & 15 == 0
    said.wait_for("a filter of the user's")


@pytest.mark.parametrize("value", [None, 5, "dnstap_role"])
def test_attributes_set_later_cost_no_answer(value: Any, capture: Capture, said: Said) -> None:
    """A logger that is missing or wrong while serving is a diagnostic, not an exception."""
    handler = logged(LoggedDatagrams, capture)
    if value == "dnstap_role":
        handler.dnstap_role = "NOBODY"
    else:
        handler.dnstap_logger = value
    with serving(handler) as server:
        received, _ = ask_udp(server, question("example.org"))

    assert received[3] & 15 == 0
    said.wait_for("integrations: not logged")
    assert capture.messages() == []


@pytest.mark.parametrize(
    ("attribute", "value", "error"),
    [
        ("dnstap_logger", 5, TypeError),
        ("dnstap_role", "CLIENT_QUERY", ValueError),
        ("dnstap_role", 5, TypeError),
        ("dnstap_protocol", "QUIC?", ValueError),
    ],
)
def test_wrong_attributes_fail_in_the_class(
    attribute: str, value: object, error: Type[Exception]
) -> None:
    """A class whose body is wrong cannot be made; the error names the attribute."""
    with pytest.raises(error, match=rf"Handler\.{attribute}={value!r}".replace("?", r"\?")):
        type("Handler", (DnstapMixin, socketserver.BaseRequestHandler), {attribute: value})


def test_unknown_keyword_is_a_type_error(capture: Capture) -> None:
    """A keyword that no method has fails at its own line, like any in Python."""
    handler = logged(LoggedDatagrams, capture).__new__(LoggedDatagrams)

    with pytest.raises(TypeError, match="unknown keyword 'query_adress'"):
        handler.dnstap_query(b"", query_adress="192.0.2.1")


class Refusing(DnstapMixin, DatagramHandler):
    """Drop the query, and say so in a message without wire bytes, as for a policy."""

    def handle(self) -> None:
        self.dnstap_query(bytearray(self.request[0]))
        policy = {"type": "RPZ", "action": "DROP"}
        self.dnstap_response(None, policy=policy, query_message=self.request[0])


def test_message_without_bytes(capture: Capture) -> None:
    """None means that no response was sent; a bytearray is accepted like bytes."""
    query = question("example.org")
    with serving(logged(Refusing, capture)) as server:
        with connected(server, socket.SOCK_DGRAM) as sock:
            sock.send(query)
            asked, dropped = capture.messages(2)

    assert asked.query_message == dropped.query_message == query
    assert (dropped.message_type, dropped.response_message) == (MessageType.CLIENT_RESPONSE, None)
    assert dropped.policy is not None
    assert dropped.policy.action is not None
    assert dropped.policy.action.name == "DROP"


@HANDLERS
def test_garbage_is_logged_as_it_came(base: Type[Any], capture: Capture) -> None:
    """What is no DNS message is logged byte for byte as well; its handler may fail on it."""
    garbage = b"\xff\x00no dns"
    with serving(logged(base, capture)) as server:
        kind = socket.SOCK_DGRAM if base is LoggedDatagrams else socket.SOCK_STREAM
        with connected(server, kind) as sock:
            sock.sendall(garbage if base is LoggedDatagrams else framed(garbage))
            capture.wait_for(1)

    (query,) = capture.messages(1)
    assert query.query_message == garbage


def test_handler_without_a_socket_raises_nothing(capture: Capture, said: Said) -> None:
    """Mixed into what is no request handler, the two calls do nothing but say so."""
    handler = type("Nothing", (DnstapMixin,), {"dnstap_logger": capture.logger})()
    handler.dnstap_query(question("example.org"))
    handler.dnstap_response(question("example.org"))

    said.wait_for("has no attribute 'request'")
    assert capture.messages() == []


def test_disabled_logger_takes_nothing(capture: Capture) -> None:
    """While the logger takes no messages, nothing is looked at, and the server answers."""
    capture.logger.setLevel("WARNING")
    with serving(logged(LoggedDatagrams, capture)) as server:
        received, _ = ask_udp(server, question("example.org"))

    assert received[3] & 15 == 0
    assert capture.messages() == []


class Silent(DnstapMixin, DatagramHandler):
    """Close the socket before anything is logged."""

    def handle(self) -> None:
        sock = self.request[1].dup()
        self.request = self.request[0], sock
        sock.close()
        self.dnstap_query(self.request[0])


def test_closed_socket_leaves_its_end_out(capture: Capture) -> None:
    """A socket that is gone knows nothing more; the client's end is still logged."""
    with serving(logged(Silent, capture)) as server:
        with connected(server, socket.SOCK_DGRAM) as sock:
            sock.send(b"query")
            own = sock.getsockname()
            (query,) = capture.messages(1)

    assert (str(query.query_ip), query.query_port) == own
    assert (query.response_address, query.response_port) == (None, None)


def test_unix_socket_has_no_addresses(capture: Capture, tmp_path: Path) -> None:
    """On a socket of another family there is nothing to say of ends and protocol."""
    path = str(tmp_path / "dns.sock")
    with socketserver.UnixStreamServer(path, logged(LoggedStream, capture)) as server:
        with running(server), socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(framed(question("example.org")))
            assert sock.recv(2)
            sock.close()

    query, response = capture.messages(2)
    assert response.query_time == query.query_time
    for message in query, response:
        assert (message.query_address, message.query_port) == (None, None)
        assert (message.response_address, message.response_port) == (None, None)
        assert message.socket_protocol is None
