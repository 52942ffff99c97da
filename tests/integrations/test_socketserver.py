"""`DnstapMixin`: what a server on socketserver received and sent is what is captured."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import subprocess
import threading
import time
import types
from pathlib import Path
from typing import Any, Dict, List, Tuple, Type

import pytest

from dnstap_logging import DnstapAdapter, DnstapMessage, DnstapReader, MessageType, SocketProtocol
from dnstap_logging.integrations.serving import MAX_SOCKETS, ServerTap
from dnstap_logging.integrations.socketserver import DnstapMixin
from tests.helpers.support import require_program
from tests.integrations.capture import Capture
from tests.integrations.logged_servers import HANDLERS, LoggedDatagrams, LoggedStream, ask, logged
from tests.integrations.servers import (
    Certificates,
    Server,
    StreamHandler,
    ask_tcp,
    ask_udp,
    certificates,
    echo,
    framed,
    question,
    read_messages,
    serving,
)

__all__ = ["certificates"]  # the fixture


def ends(message: DnstapMessage) -> List[Any]:
    """Return the addresses and ports of a message."""
    return [
        (str(message.query_ip), message.query_port),
        (str(message.response_ip), message.response_port),
    ]


@HANDLERS
def test_query_and_response_as_on_the_wire(
    base: Type[Any], capture: Capture, loopback: str
) -> None:
    """Bytes, addresses, ports, family, protocol and times are those of the client's socket."""
    sent = question("www.example.org")
    before = time.time_ns()
    with serving(logged(base, capture), loopback) as server:
        received, own = ask(base, server, sent)
    after = time.time_ns()

    query, response = capture.messages(2)
    assert query.message_type is MessageType.CLIENT_QUERY
    assert response.message_type is MessageType.CLIENT_RESPONSE
    assert (query.query_message, query.response_message) == (sent, None)
    assert (response.query_message, response.response_message) == (None, received)
    for message in query, response:
        assert ends(message) == [own[:2], (loopback, server.port)]
        assert message.socket_family is not None
        assert message.socket_family.name == ("INET6" if ":" in loopback else "INET")
        assert message.socket_protocol is not None
        assert message.socket_protocol.name == ("UDP" if base is LoggedDatagrams else "TCP")
    assert response.query_time == query.query_time
    assert query.query_time is not None
    assert response.response_time is not None
    assert before <= query.query_time <= response.response_time <= after


class AskedSocket(socket.socket):
    """A socket that counts how often it is asked for its address."""

    asked = 0

    def getsockname(self) -> Any:
        self.asked += 1
        return super().getsockname()


def test_the_socket_of_datagrams_is_asked_once(capture: Capture) -> None:
    """A server's one socket need not be asked for its address with every query."""
    wire = question("www.example.org")
    with AskedSocket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        own = sock.getsockname()
        for port in range(1000, 1010):
            client = ("192.0.2.1", port)
            handler: Any = LoggedDatagrams.__new__(logged(LoggedDatagrams, capture))
            handler.request, handler.client_address = (wire, sock), client
            handler.dnstap_query(wire)
            handler.dnstap_response(wire)

        assert sock.asked == 2
    for number, message in enumerate(capture.messages(20)):
        assert ends(message) == [("192.0.2.1", 1000 + number // 2), own]


def test_a_server_with_many_sockets(capture: Capture) -> None:
    """Each is asked once, and its messages have its own address, however many take turns."""
    wire = question("www.example.org")
    kind = logged(LoggedDatagrams, capture)
    expected = []
    with contextlib.ExitStack() as stack:
        socks = []
        for number in range(300):
            sock = stack.enter_context(AskedSocket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1" if number % 3 else "0.0.0.0", 0))
            socks.append(sock)
        own = [sock.getsockname() for sock in socks]
        for port in 1000, 1001, 1002:
            client = ("192.0.2.1", port)
            for sock, (host, number) in zip(socks, own):
                handler: Any = LoggedDatagrams.__new__(kind)
                handler.request, handler.client_address = (wire, sock), client
                handler.dnstap_query(wire)
                handler.dnstap_response(wire)
                address = None if host == "0.0.0.0" else host
                expected += [(client, address, number)] * 2

        assert {sock.asked for sock in socks} == {2}
    assert [
        (
            (str(each.query_ip), each.query_port),
            None if each.response_ip is None else str(each.response_ip),
            each.response_port,
        )
        for each in capture.messages(len(expected))
    ] == expected


def test_sockets_share_what_is_the_same(capture: Capture) -> None:
    """Handlers compile a function for each set of keys, so sockets do not each have their own.

    What is remembered of sockets has a limit, for a server that makes new ones all the time.
    """
    tap = ServerTap(capture.logger, "AUTH")
    number = 2 * MAX_SOCKETS
    shared = set()
    for port in range(1, number + 1):
        handler = types.SimpleNamespace(
            request=(b"", Bound(("127.0.0.1", port))), client_address=("192.0.2.1", 1000)
        )
        tap.received(handler, bytes(12))
        shared.update(known.keys for known in list(tap._sockets.values())[-1:])
        assert len(tap._sockets) <= MAX_SOCKETS

    assert len(shared) == 1
    assert [each.response_port for each in capture.messages(number)] == [*range(1, number + 1)]


class Bound:
    """What a server reads from a socket of datagrams."""

    family = socket.AF_INET

    def __init__(self, address: Tuple[str, int]) -> None:
        self.address = address

    def getsockname(self) -> Tuple[str, int]:
        return self.address


class Backwards(DnstapMixin, StreamHandler):
    """Read three queries, then answer from three threads, the last one first."""

    def handle(self) -> None:
        messages = read_messages(self.request)
        queries = []
        for _ in range(3):
            queries.append(next(messages))
            self.dnstap_query(queries[-1])
        for query in reversed(queries):
            thread = threading.Thread(target=self.answer, args=(query,))
            thread.start()
            thread.join()

    def answer(self, query: bytes) -> None:
        (response,) = echo(query)
        self.dnstap_response(response)
        self.request.sendall(framed(response))


def test_answers_out_of_order_find_their_query(capture: Capture) -> None:
    """Of queries in a row on one connection, each response carries the time of its own."""
    sent = [question(f"{number}.example") for number in range(3)]
    with serving(logged(Backwards, capture)) as server:
        received, own = ask_tcp(server, sent)

    messages = capture.messages(6)
    queries, responses = messages[:3], messages[3:]
    assert [each.query_message for each in queries] == sent
    assert [each.response_message for each in responses] == received
    assert [each.query_time for each in responses] == [each.query_time for each in queries[::-1]]
    assert len({each.query_time for each in queries}) == 3, "the times are not distinct"
    assert {each.query_port for each in messages} == {own[1]}


def kdig(folder: Path, server: Server, *arguments: str) -> List[DnstapMessage]:
    """Ask by kdig, and return what it says it sent and got: its own dnstap."""
    own = folder / "kdig.fstrm"
    program = require_program("kdig")
    command = [program, "-E", str(own), f"@{server.host}", "-p", str(server.port), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return list(DnstapReader(own))


@pytest.mark.parametrize("protocol", ["UDP", "TCP", "DOT"])
def test_equals_what_kdig_sent_and_got(
    protocol: str, capture: Capture, certificates: Certificates, tmp_path: Path
) -> None:
    """Byte for byte and port for port, three queries on one connection where there is one."""
    names = ["a.example", "b.example", "c.example"]
    base: Type[Any] = LoggedDatagrams if protocol == "UDP" else LoggedStream
    context = certificates.context if protocol == "DOT" else None
    options = {"UDP": "+notcp", "TCP": "+tcp", "DOT": f"+tls-ca={certificates.cafile}"}
    with serving(logged(base, capture), context=context) as server:
        told = kdig(tmp_path, server, options[protocol], "+keepopen", *names)

    messages = capture.messages(6)
    assert [own_side(each) for each in messages] == [own_side(each) for each in told]
    assert {each.query_port for each in messages} == {each.query_port for each in told}
    assert {each.socket_protocol for each in messages} == {SocketProtocol[protocol]}


def own_side(message: DnstapMessage) -> Any:
    """Return the bytes of a message's own side, the client's port and the server's."""
    is_query = message.message_type.is_query
    wire = message.query_message if is_query else message.response_message
    return is_query, wire, message.query_port, message.response_port


def test_unbound_server_keeps_its_port(capture: Capture) -> None:
    """A UDP socket bound to no address knows its port only, as its messages do."""
    with serving(logged(LoggedDatagrams, capture), "0.0.0.0") as server:
        ask_udp(server, question("example.org"), "127.0.0.1")

    for message in capture.messages(2):
        assert (message.response_address, message.response_port) == (None, server.port)
        assert str(message.query_ip) == "127.0.0.1"


def test_constants_of_an_adapter(capture: Capture) -> None:
    """An adapter's constants are logged too: here the address that an unbound socket lacks."""
    constants = {"dns_response_address": "192.0.2.53", "dns_query_zone": "example.org"}
    adapter = DnstapAdapter(capture.logger, constants)
    with serving(logged(LoggedDatagrams, capture, dnstap_logger=adapter), "0.0.0.0") as server:
        ask_udp(server, question("example.org"), "127.0.0.1")

    for message in capture.messages(2):
        assert (str(message.response_ip), message.response_port) == ("192.0.2.53", server.port)
        assert message.query_zone == b"\7example\3org\0"


def test_both_families_on_one_socket(capture: Capture) -> None:
    """A client that comes by IPv4 to an IPv6 socket has an IPv4 address, and so has the server."""
    with serving(logged(LoggedStream, capture), "::") as server:
        ask_tcp(server, [question("example.org")], "127.0.0.1")

    for message in capture.messages(2):
        assert message.query_ip == message.response_ip == ipaddress.ip_address("127.0.0.1")


@HANDLERS
def test_role_protocol_and_keywords(base: Type[Any], capture: Capture) -> None:
    """Attributes choose the types and the protocol, keywords win over the socket."""

    class Handler(logged(base, capture)):  # type: ignore[misc]
        dnstap_role = "AUTH"
        dnstap_protocol = "DOH"

        def dnstap_query(self, wire: bytes, **keywords: Any) -> None:
            super().dnstap_query(wire, http_protocol="HTTP2", query_port=4711, dns_extra="x")

    with serving(Handler) as server:
        ask(base, server, question("example.org"))

    query, response = capture.messages(2)
    assert query.message_type is MessageType.AUTH_QUERY
    assert response.message_type is MessageType.AUTH_RESPONSE
    assert query.socket_protocol is response.socket_protocol is SocketProtocol.DOH
    assert (query.http_protocol and query.http_protocol.name) == "HTTP2"
    assert (query.query_port, query.extra) == (4711, b"x")


class Watching(logging.Handler):
    """Another handler of the logger: what it would print."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: List[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.filename} {record.funcName}: {record.getMessage()}")


def test_other_handlers_name_the_server(capture: Capture) -> None:
    """A text log of the same logger shows the line and the server's own function as the caller."""
    watching = Watching()
    capture.logger.addHandler(watching)
    try:
        with serving(logged(LoggedDatagrams, capture)) as server:
            ask_udp(server, question("example.org"))
            capture.wait_for(2)
    finally:
        capture.logger.removeHandler(watching)

    assert len(watching.lines) == 2
    for line in watching.lines:
        assert line.startswith("logged_servers.py handle: CLIENT_"), line
        assert "UDP example.org. IN A" in line, line


def handler_of(sock: socket.socket, capture: Capture, adapter: DnstapAdapter) -> Any:
    """Return a handler of a datagram that came through a socket."""
    handler: Any = LoggedDatagrams.__new__(logged(LoggedDatagrams, capture, dnstap_logger=adapter))
    handler.request, handler.client_address = (b"", sock), ("192.0.2.1", 1000)
    return handler


def test_what_a_program_changes_counts_from_the_next_message_on(capture: Capture) -> None:
    """A buffer that is used again, and an adapter's constants, level and logger."""
    wire = bytearray(question("www.example.org"))
    sent = bytes(wire)
    adapter = DnstapAdapter(capture.logger)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:

        def log() -> None:
            handler = handler_of(sock, capture, adapter)
            handler.dnstap_query(wire)
            handler.dnstap_response(wire)

        log()
        wire[:] = bytes(len(wire))
        log()
        adapter.extra = {"dns_identity": "another"}
        log()
        adapter.level = logging.DEBUG
        log()
        adapter.level = logging.INFO
        adapter.logger = logging.Logger("nobody")
        log()
        messages = capture.messages(6)

    assert [each.query_message or each.response_message for each in messages] == [
        *[sent] * 2, *[bytes(wire)] * 4
    ]  # fmt: skip
    assert [each.identity == b"another" for each in messages] == [False] * 4 + [True] * 2


class OwnAdapter(DnstapAdapter):
    """An adapter of the program's own."""


@pytest.mark.parametrize("keywords", [{}, {"query_zone": "org."}, {"stacklevel": 2}])
@pytest.mark.parametrize("kind", [DnstapAdapter, OwnAdapter])
def test_the_caller_is_named_whichever_way_a_message_goes(
    kind: Type[DnstapAdapter], keywords: Dict[str, Any], capture: Capture
) -> None:
    """The frames of the library are left out, with keywords and in an adapter's subclass, too."""
    watching = Watching()
    capture.logger.addHandler(watching)
    wire = question("www.example.org")

    def serve(sock: socket.socket) -> None:
        handler = handler_of(sock, capture, kind(capture.logger))
        handler.dnstap_query(wire, **keywords)
        handler.dnstap_response(bytearray(wire), **keywords)

    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            serve(sock)
    finally:
        capture.logger.removeHandler(watching)

    caller = "serve" if "stacklevel" not in keywords else "test_the_caller_is_named"
    assert [
        line.split(":")[0].startswith(f"{Path(__file__).name} {caller}") for line in watching.lines
    ] == [True, True], watching.lines


class Noting(DnstapAdapter):
    """An adapter of the program's own that keeps the keywords that it gets."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logger)
        self.given: List[Dict[str, Any]] = []

    def log_message(self, *arguments: Any, **keywords: Any) -> None:
        self.given.append(keywords)
        super().log_message(*arguments, **keywords)


def test_an_adapter_of_its_own_gets_only_what_is_known(capture: Capture) -> None:
    """A unix socket's client has no address, so its method gets no keyword for one."""
    adapter = Noting(capture.logger)
    handler: Any = LoggedStream.__new__(logged(LoggedStream, capture, dnstap_logger=adapter))
    wire = question("www.example.org")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        handler.request, handler.client_address = ours, ""
        handler.dnstap_query(wire)
        handler.dnstap_response(wire)

    query, response = capture.messages(2)
    assert query.query_time == response.query_time
    assert [sorted(keywords) for keywords in adapter.given] == [
        ["query_time", "socket_protocol", "stacklevel"]
    ] * 2
