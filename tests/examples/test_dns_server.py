"""dns_server.py, run as its users run it, against real peers."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Tuple

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from dnstap_logging import DnstapMessage, DnstapReceiver, MessageType, SocketFamily, SocketProtocol
from tests.examples.programs import DEADLINE, responses, run, started
from tests.helpers.support import wait_until


class Server(NamedTuple):
    """A running dns_server.py and the collector that it sends to."""

    process: subprocess.Popen[str]
    host: str
    port: int
    receiver: DnstapReceiver
    received: List[DnstapMessage]

    def wait_for(self, number: int) -> List[DnstapMessage]:
        """Wait until that many messages have arrived."""
        wait_until(lambda: len(self.received) >= number, f"{number} messages")
        return self.received

    def ask(self, name: str, kind: str, **edns: Any) -> Tuple[dns.message.Message, bool]:
        """Ask over UDP, and over TCP where the answer is truncated."""
        query = dns.message.make_query(name, kind, **edns)
        return dns.query.udp_with_fallback(query, self.host, port=self.port, timeout=DEADLINE)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server on a free port of the loopback."""
    received: List[DnstapMessage] = []
    address = f"unix://{tmp_path}/dnstap.sock"
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(DnstapReceiver(address, received.append))
        process = stack.enter_context(started(tmp_path, "dns_server.py", "--address", address))
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"listening on (\S+) port (\d+), UDP and TCP\n", line)
        assert match, line
        yield Server(process, match.group(1), int(match.group(2)), receiver, received)


def test_server_logs_the_bytes_of_both_messages(server: Server) -> None:
    """What the collector gets is what the client sent and received, with both ends' addresses."""
    query = dns.message.make_query("WWW.example.org", "A", use_edns=0)
    answer = dns.query.tcp(query, server.host, port=server.port, timeout=DEADLINE)
    asked, answered = server.wait_for(2)

    assert asked.message_type is MessageType.CLIENT_QUERY
    assert asked.query_message == query.to_wire()
    assert asked.response_message is None
    assert answered.message_type is MessageType.CLIENT_RESPONSE
    assert answered.response_message is not None
    assert dns.message.from_wire(answered.response_message) == answer
    assert answered.query_time == asked.query_time
    assert answered.response_time is not None
    assert answered.response_time >= (asked.query_time or 0)
    for message in (asked, answered):
        assert message.socket_protocol is SocketProtocol.TCP
        assert message.socket_family is SocketFamily.INET
        assert str(message.query_ip) == str(message.response_ip) == "127.0.0.1"
        assert message.response_port == server.port
        assert message.query_port not in (None, 0, server.port)


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "records"),
    [
        ("www.example.org", "A", dns.rcode.NOERROR, 2),  # the alias and its address
        ("www.example.org", "CNAME", dns.rcode.NOERROR, 1),
        ("EXAMPLE.ORG", "MX", dns.rcode.NOERROR, 1),
        ("example.org", "ANY", dns.rcode.NOERROR, 4),
        ("mail.example.org", "AAAA", dns.rcode.NOERROR, 0),
        ("nothing.example.org", "A", dns.rcode.NXDOMAIN, 0),
        ("example.net", "A", dns.rcode.REFUSED, 0),
    ],
)
def test_server_answers(
    server: Server, name: str, kind: str, rcode: dns.rcode.Rcode, records: int
) -> None:
    """Answers, no such type, no such name, no such zone: an SOA where there is nothing else."""
    answer, truncated = server.ask(name, kind)

    assert (answer.rcode(), truncated) == (rcode, False)
    assert sum(len(rrset) for rrset in answer.answer) == records, answer
    ours = rcode != dns.rcode.REFUSED
    assert bool(answer.flags & dns.flags.AA) is ours
    authority = [rrset.rdtype for rrset in answer.authority]
    assert authority == ([dns.rdatatype.SOA] if ours and not records else [])


def test_server_truncates_what_does_not_fit(server: Server) -> None:
    """A large answer over UDP is an empty one with TC=1; the whole is there over TCP."""
    answer, truncated = server.ask("large.example.org", "TXT", use_edns=0, payload=4096)

    assert truncated
    assert len(answer.answer[0]) == 20
    messages = server.wait_for(4)
    protocols = [message.socket_protocol for message in messages]
    assert Counter(protocols) == {SocketProtocol.UDP: 2, SocketProtocol.TCP: 2}
    # The first response's thread may come to log it after the second's.
    cut = {bool(answer.flags & dns.flags.TC): answer.answer for answer in responses(messages)}
    assert set(cut) == {True, False}
    assert cut[True] == []


def test_server_survives_garbage(server: Server) -> None:
    """What is no query is logged all the same; the answer is FORMERR where there can be one."""
    formless = b"\x01\x02\0\0\0\x01\0\0\0\0\0\0\xff\xff"
    response = b"\x01\x02\x80\0\0\x01\0\0\0\0\0\0"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(DEADLINE)
        sock.connect((server.host, server.port))
        for datagram in (b"x", response, formless):
            sock.send(datagram)
        answer = sock.recv(512)
    answered, _ = server.ask("example.org", "NS")

    assert (answer[:2], answer[3] & 0x0F) == (b"\x01\x02", dns.rcode.FORMERR)
    assert answered.rcode() == dns.rcode.NOERROR
    queries = {message.query_message for message in server.wait_for(6)}
    assert {b"x", response, formless} <= queries


def test_server_answers_several_queries_on_one_connection(server: Server) -> None:
    """A TCP client may ask again on the same connection (RFC 7766)."""
    with socket.create_connection((server.host, server.port), timeout=DEADLINE) as sock:
        for name in ("ns1.example.org", "mail.example.org"):
            query = dns.message.make_query(name, "A")
            answer = dns.query.tcp(query, server.host, timeout=DEADLINE, sock=sock)
            assert len(answer.answer) == 1, answer


def test_server_begins_a_new_session_at_sighup_and_ends_at_sigterm(server: Server) -> None:
    """SIGHUP reopens the handler; SIGTERM closes it in order and shows its statistics."""
    server.ask("example.org", "NS")
    server.wait_for(2)
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: server.receiver.stats().finished == 1, "the first session's STOP")
    server.ask("example.org", "SOA")
    server.wait_for(4)
    server.process.send_signal(signal.SIGTERM)
    _, said = server.process.communicate(timeout=DEADLINE)

    assert server.process.returncode == 0, said
    assert "Traceback" not in said
    assert "  written           4\n" in said
    wait_until(lambda: not server.receiver.stats().active, "the second session's end")
    stats = server.receiver.stats()
    assert (stats.connections, stats.finished) == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "70000", "--address", "a.fstrm"], "70000"),
        (["--port", "http"], "--port"),
        (["--host", "192.0.2.1", "--address", "a.fstrm"], "192.0.2.1"),
        (["--address", "tcp://nowhere"], "tcp://nowhere"),
        (["--verbose"], "--verbose"),
    ],
    ids=" ".join,
)
def test_server_refuses_bad_arguments(tmp_path: Path, arguments: List[str], named: str) -> None:
    """One line that names what is wrong, and status 2."""
    done = run(tmp_path, "dns_server.py", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    # The file may have been opened already: then the library says so, and that it was closed.
    lines = [line for line in done.stderr.splitlines() if not line.startswith("INFO dnstap_")]
    assert len(lines) == 1, done.stderr
    assert named in lines[0]
