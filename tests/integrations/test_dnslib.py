"""`DnstapLogger`: what dnslib's server received and sent is what is captured."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any, List, Tuple

import pytest
from dnslib import DNSError, DNSRecord
from dnslib.server import DNSHandler, DNSLogger

from dnstap_logging import DnstapAdapter, DnstapMessage, MessageType
from dnstap_logging.integrations.dnslib import DnstapLogger
from tests.helpers.support import require_program, wait_until
from tests.integrations.capture import Capture
from tests.integrations.dnslib_servers import Addresses, Noting, dns_server
from tests.integrations.servers import (
    Seen,
    Server,
    ask_tcp,
    ask_udp,
    connected,
    framed,
    question,
    read_messages,
)

PROTOCOLS = pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
DNSPERF_SECONDS = 2


def ask(tcp: bool, server: Server, query: bytes) -> Tuple[bytes, Tuple[Any, ...]]:
    """Ask by one protocol; return the response and our own socket address."""
    if not tcp:
        return ask_udp(server, query)
    responses, own = ask_tcp(server, [query])
    return responses[0], own


@PROTOCOLS
def test_the_one_changed_line(tcp: bool, capture: Capture, loopback: str) -> None:
    """`DNSServer(resolver, logger=DnstapLogger(logger))` captures bytes, ends and times."""
    sent = question("www.example.org")
    before = time.time_ns()
    with dns_server(DnstapLogger(capture.logger), host=loopback, tcp=tcp) as server:
        received, own = ask(tcp, server, sent)
    after = time.time_ns()

    query, response = capture.messages(2)
    assert query.message_type is MessageType.CLIENT_QUERY
    assert response.message_type is MessageType.CLIENT_RESPONSE
    assert (query.query_message, response.response_message) == (sent, received)
    for message in query, response:
        assert (str(message.query_ip), message.query_port) == own[:2]
        assert (str(message.response_ip), message.response_port) == (loopback, server.port)
        assert message.socket_protocol is not None
        assert message.socket_protocol.name == ("TCP" if tcp else "UDP")
    assert query.query_time is not None
    assert response.query_time == query.query_time
    assert response.response_time is not None
    assert before <= query.query_time <= response.response_time <= after


@PROTOCOLS
def test_everywhere_bound_tcp_knows_its_address(tcp: bool, capture: Capture) -> None:
    """On 0.0.0.0, a TCP connection has an address of its own, a UDP socket its port only."""
    with dns_server(DnstapLogger(capture.logger), host="0.0.0.0", tcp=tcp) as server:
        server.host = "127.0.0.1"
        ask(tcp, server, question("example.org"))

    for message in capture.messages(2):
        assert message.response_port == server.port
        assert str(message.response_ip) == ("127.0.0.1" if tcp else "None")


def test_what_cannot_be_parsed_has_no_response(capture: Capture) -> None:
    """Garbage is logged as it came; dnslib answers nothing, and says so to its own logger."""
    text = Noting()
    with dns_server(DnstapLogger(capture.logger, text=text)) as server:
        with connected(server, socket.SOCK_DGRAM) as sock:
            sock.send(b"\xff\x00garbage")
        wait_until(lambda: "error" in text.calls, "dnslib's log_error")

    (message,) = capture.messages(1)
    assert message.query_message == b"\xff\x00garbage"


def test_truncated_response_is_the_one_sent(capture: Capture) -> None:
    """Of a response cut for UDP, the bytes that went out are captured."""
    handler = type("Handler", (DNSHandler,), {"udplen": 100})
    text = Noting()
    logger = DnstapLogger(capture.logger, text=text)
    with dns_server(logger, Addresses(10), handler=handler) as server:
        received, _ = ask_udp(server, question("example.org"))

    assert received[2] & 2, "the server did not truncate"
    assert capture.messages(2)[1].response_message == received
    assert text.calls == ["request", "reply", "truncated"]


def test_pipelined_queries_are_cut_where_dnslib_cuts(capture: Capture) -> None:
    """Of two queries sent at once, dnslib answers the first; that one is captured, alone."""
    first, second = question("a.example"), question("b.example")
    with dns_server(DnstapLogger(capture.logger), tcp=True) as server:
        with connected(server, socket.SOCK_STREAM) as sock:
            sock.sendall(framed(first) + framed(second))
            received = list(read_messages(sock))

    query, response = capture.messages(2)
    assert query.query_message == first
    assert [response.response_message] == received


def test_own_text_log_goes_on(capture: Capture) -> None:
    """dnslib's DNSLogger still prints its lines; without it nothing is printed."""
    lines: List[str] = []
    text = DNSLogger("+recv,+send", prefix=False, logf=lines.append)
    with dns_server(DnstapLogger(capture.logger, text=text)) as server:
        ask_udp(server, question("example.org"))
        wait_until(lambda: len(lines) >= 4, "the four lines")

    assert [line.split(":")[0] for line in lines] == ["Received", "Request", "Reply", "Sent"]
    dumping = DNSLogger("+data", logf=lines.append)
    DnstapLogger(capture.logger, text=dumping).log_data(DNSRecord.question("www.example.org"))
    assert "www.example.org" in lines[-1]


def test_nothing_is_printed(capture: Capture, capsys: pytest.CaptureFixture[str]) -> None:
    """By default stdout stays empty: the interface of DNSLogger is there, and silent."""
    logger = DnstapLogger(capture.logger)
    with dns_server(logger) as server:
        ask_udp(server, question("example.org"))
        capture.wait_for(2)
    assert isinstance(logger, DNSLogger)
    logger.logf(logger.log_prefix(None) + "a line of a handler of the user's")
    for say in logger.log_request, logger.log_reply, logger.log_truncated, logger.log_error:
        say(None, None)
    logger.log_data(None)

    assert capsys.readouterr() == ("", "")


def test_role_protocol_and_adapter(capture: Capture) -> None:
    """Another role, a protocol that the socket does not tell, and an adapter's constants."""
    adapter = DnstapAdapter(capture.logger, {"dns_query_zone": "example.org"})
    logger = DnstapLogger(adapter, "auth", protocol="DNSCryptUDP")
    with dns_server(logger) as server:
        ask_udp(server, question("example.org"))

    types = [MessageType.AUTH_QUERY, MessageType.AUTH_RESPONSE]
    messages = capture.messages(2)
    assert [each.message_type for each in messages] == types
    for message in messages:
        assert message.query_zone == b"\7example\3org\0"
        assert message.socket_protocol is not None
        assert message.socket_protocol.name == "DNSCryptUDP"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "named"),
    [
        ((5,), {}, TypeError, "logger=5"),
        (("dns", "QUERY"), {}, ValueError, "role='QUERY'"),
        (("dns",), {"protocol": "SMTP"}, ValueError, "protocol='SMTP'"),
        (("dns",), {"text": print}, TypeError, "text="),
        (("dns",), {"log": ""}, TypeError, "log"),
    ],
)
def test_wrong_arguments_fail_in_the_constructor(
    arguments: Any, options: Any, error: Any, named: str
) -> None:
    """Each error names the argument."""
    with pytest.raises(error, match=re.escape(named)):
        DnstapLogger(*arguments, **options)


# -- at full speed ---------------------------------------------------------------------------------


def dnsperf(server: Server, folder: Path, *options: str) -> None:
    """Run dnsperf against a server for some seconds."""
    queries = folder / "queries"
    queries.write_text("".join(f"host{number}.example A\n" for number in range(500)))
    command = [
        require_program("dnsperf"), "-s", server.host, "-p", str(server.port), "-d", str(queries),
        "-l", str(DNSPERF_SECONDS), "-c", "4", "-q", "20", "-t", "2", *options,
    ]  # fmt: skip
    until = time.monotonic() + DNSPERF_SECONDS
    while time.monotonic() < until:
        # Where a server closes connections, as dnslib's own handler does, dnsperf now and then
        # gives up on its own closed descriptor: then it has another try.
        subprocess.run(command, capture_output=True, timeout=60, check=False)


class ManyOnOneConnection(DNSHandler):  # type: ignore[misc]
    """A handler of the user's, which goes on reading: dnslib's answers one query and closes."""

    def handle(self) -> None:
        self.protocol = "tcp"
        for data in read_messages(self.request):
            self.server.logger.log_recv(self, data)
            response = self.get_reply(data)
            self.server.logger.log_send(self, response)
            self.request.sendall(framed(response))


@pytest.mark.parametrize(
    ("server_options", "dnsperf_options"),
    [
        ({}, ["-m", "udp"]),
        ({"tcp": True}, ["-m", "tcp", "-O", "num-queries-per-conn=1"]),
        ({"tcp": True, "handler": ManyOnOneConnection}, ["-m", "tcp"]),
    ],
    ids=["UDP", "TCP", "pipelined TCP"],
)
def test_under_dnsperf_every_message_once(
    server_options: Any, dnsperf_options: List[str], capture: Capture, tmp_path: Path
) -> None:
    """At full speed, the capture is what the server handled: all of it, in pairs, none twice."""
    handled = Noting()
    with dns_server(DnstapLogger(capture.logger, text=handled), **server_options) as server:
        dnsperf(server, tmp_path, *dnsperf_options)
        wait_until(
            lambda: len(handled.sent) + handled.calls.count("error") == len(handled.received),
            "the last answers",
        )
    unanswered = len(handled.received) - len(handled.sent)  # cut by the client's end

    messages = capture.messages(len(handled.received) + len(handled.sent))
    queries = [each for each in messages if each.message_type.is_query]
    responses = [each for each in messages if not each.message_type.is_query]
    assert len(handled.sent) > 10, "dnsperf asked hardly anything"
    assert Counter(map(seen, queries)) == Counter(map(as_parsed, handled.received))
    assert Counter(map(seen, responses)) == Counter(handled.sent)
    asked, answered = Counter(map(conversation, queries)), Counter(map(conversation, responses))
    assert max(asked.values()) == 1, asked.most_common(3)
    assert answered - asked == Counter()
    assert sum((asked - answered).values()) == unanswered <= len(queries) // 100


def as_parsed(noted: Seen) -> Seen:
    """Return what dnslib itself took for the query: dnsperf may have sent two at once."""
    try:
        return noted._replace(wire=bytes(DNSRecord.parse(noted.wire).pack()))
    except DNSError:
        return noted


def seen(message: DnstapMessage) -> Seen:
    """Return a message as the server's own note of it."""
    is_query = message.message_type.is_query
    wire = message.query_message if is_query else message.response_message
    return Seen((str(message.query_ip), message.query_port), wire or b"")


def conversation(message: DnstapMessage) -> Any:
    """Return what a query and its response have in common, and nobody else."""
    wire = seen(message).wire
    return message.query_port, message.query_time, wire[:2]
