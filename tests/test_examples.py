"""The examples, run as their users run them: as programs, against real peers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from dnstap_logging import (
    DnstapMessage,
    DnstapReader,
    DnstapReceiver,
    MessageType,
    SocketFamily,
    SocketProtocol,
)
from tests.support import require_program, wait_until

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLES = REPOSITORY / "examples"
DEADLINE = 60  # seconds for a program: generous, since nothing here is a matter of speed
MESSAGE_LINE = re.compile(r"\d{4}-\d\d-\d\dT\S+ C[QR] ", re.ASCII)
ROW = re.compile(r"^(collector|file) +(\d+) +(\d+) +(\d+) +(\d+|\?) +(\d+)$", re.MULTILINE)


def command(name: str, *arguments: object) -> List[str]:
    """Return the command line of an example; warnings are errors there too."""
    return [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]


def environment() -> Dict[str, str]:
    """Return an environment in which the package is found, installed or not."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def run(folder: Path, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run an example to its end, in this folder."""
    done = subprocess.run(
        command(name, *arguments),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextlib.contextmanager
def started(folder: Path, name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start an example in this folder; kill it if the test leaves it running."""
    process = subprocess.Popen(
        command(name, *arguments),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


class Row(NamedTuple):
    """A row of the table of the books."""

    logged: int
    accepted: int
    written: int
    received: str  # a number, or "?"
    dropped: int


def rows(output: str) -> Dict[str, Row]:
    """Read the table of the books."""
    return {
        name: Row(int(logged), int(accepted), int(written), received, int(dropped))
        for name, logged, accepted, written, received, dropped in ROW.findall(output)
    }


def read(path: Path) -> List[DnstapMessage]:
    """Read a whole capture."""
    with DnstapReader(path) as reader:
        messages = list(reader)
        assert reader.complete, f"{path} has no STOP"
    return messages


def responses(messages: Sequence[DnstapMessage]) -> List[dns.message.Message]:
    """Parse the responses with another library than the server's."""
    return [
        dns.message.from_wire(message.response_message or b"")
        for message in messages
        if message.message_type is MessageType.CLIENT_RESPONSE
    ]


# -- demo.py ---------------------------------------------------------------------------------------


def test_demo_prints_each_message_and_balanced_books(tmp_path: Path) -> None:
    """All that was logged is printed by the collector, is in the capture, and is in the books."""
    done = run(tmp_path, "demo.py", "--queries", 24)

    assert done.returncode == 0, done.stdout + done.stderr
    messages = read(tmp_path / "demo.fstrm")
    number = len(messages)
    assert number >= 2 * 24, f"{number} messages of 24 questions"
    lines = [line for line in done.stdout.splitlines() if MESSAGE_LINE.match(line)]
    assert len(lines) == number, done.stdout
    row = Row(number, number, number, str(number), 0)
    assert rows(done.stdout) == {"collector": row, "file": row}, done.stdout
    assert "The books balance" in done.stdout
    assert str(tmp_path / "demo.fstrm") in done.stdout
    for way in ("-q", "-y"):
        assert f"dnstap -r demo.fstrm {way}" in done.stdout


def test_demo_asks_questions_of_several_kinds(tmp_path: Path) -> None:
    """UDP and TCP, NXDOMAIN, an empty and a large answer, TC, and every loopback there is."""
    done = run(tmp_path, "demo.py", "--queries", 44, "--quiet", "--output", "kinds.fstrm")
    assert done.returncode == 0, done.stdout + done.stderr
    messages = read(tmp_path / "kinds.fstrm")
    answers = responses(messages)

    assert {m.socket_protocol for m in messages} == {SocketProtocol.UDP, SocketProtocol.TCP}
    families = {SocketFamily.INET, SocketFamily.INET6} if has_ipv6() else {SocketFamily.INET}
    assert {m.socket_family for m in messages} == families
    codes = {answer.rcode() for answer in answers}
    assert codes == {dns.rcode.NOERROR, dns.rcode.NXDOMAIN, dns.rcode.REFUSED}
    kinds = {answer.question[0].rdtype for answer in answers}
    assert len(kinds) >= 5, f"the types asked for: {kinds}"
    assert any(answer.flags & dns.flags.TC for answer in answers), "no answer was truncated"
    sizes = [len(message.response_message or b"") for message in messages]
    assert max(sizes) > 4096, f"the largest response has {max(sizes)} bytes"
    assert all(message.query_time for message in messages)
    assert {message.identity for message in messages} == {b"ns1.example.org"}


def has_ipv6() -> bool:
    """Tell whether this machine has the loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_quiet_demo_prints_the_summary_only(tmp_path: Path) -> None:
    """--quiet leaves out the messages and the orderly diagnostics, and nothing else."""
    done = run(tmp_path, "demo.py", "--queries", 3, "--quiet")

    assert (done.returncode, done.stderr) == (0, "")
    assert not [line for line in done.stdout.splitlines() if MESSAGE_LINE.match(line)]
    assert set(rows(done.stdout)) == {"collector", "file"}, done.stdout


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_demo_sends_to_a_collector_of_the_users(tmp_path: Path, scheme: str) -> None:
    """With --address everything goes there, and the summary says how much was written."""
    received: List[DnstapMessage] = []
    address = f"unix://{tmp_path}/mine.sock" if scheme == "unix" else "tcp://127.0.0.1:0"
    with DnstapReceiver(address, received.append) as receiver:
        done = run(tmp_path, "demo.py", "--queries", 12, "--address", receiver.address)

    assert done.returncode == 0, done.stdout + done.stderr
    number = len(received)
    assert rows(done.stdout)["collector"] == Row(number, number, number, "?", 0)
    assert f"{number} messages" in done.stdout
    assert f"went to {receiver.address}" in done.stdout
    assert Counter(received) == Counter(read(tmp_path / "demo.fstrm"))


def test_demo_sends_to_fstrm_capture(tmp_path: Path) -> None:
    """The reference collector gets every message of the demo."""
    program = require_program("fstrm_capture")
    path, sock = tmp_path / "capture.fstrm", tmp_path / "capture.sock"
    collector = subprocess.Popen(
        [program, "-t", "protobuf:dnstap.Dnstap", "-u", str(sock), "-w", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with collector:
        try:
            wait_until(sock.exists, f"{sock} to be there")
            done = run(tmp_path, "demo.py", "--queries", 12, "--address", f"unix://{sock}")
        finally:
            collector.terminate()

    assert done.returncode == 0, done.stdout + done.stderr
    assert Counter(read(path)) == Counter(read(tmp_path / "demo.fstrm"))


def test_demo_without_a_collector_fails_and_says_so(tmp_path: Path) -> None:
    """Where nobody listens, the books still add up, and the status is 1."""
    address = f"unix://{tmp_path}/absent.sock"
    done = run(tmp_path, "demo.py", "--queries", 2, "--quiet", "--address", address)

    assert done.returncode == 1, done.stdout
    number = len(read(tmp_path / "demo.fstrm"))
    assert rows(done.stdout)["collector"] == Row(number, number, 0, "?", number)
    assert f"collector: {number} dropped (disconnected {number})" in done.stdout
    assert "balance" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--queries", "0"], "--queries"),
        (["--queries", "many"], "--queries"),
        (["--queries", "-3"], "--queries"),
        (["--queries"], "--queries"),
        (["--speed", "9"], "--speed"),
        (["stray"], "stray"),
        (["--address", ""], "address=''"),
        (["--address", "http://localhost:80"], "'http'"),
        (["--address", "tcp://localhost:70000"], "'70000'"),
        (["--address", "127.0.0.1:6000"], "tcp://127.0.0.1:6000"),
        (["--address", "unix:///"], "unix:///"),
        (["--output", "."], "'file'"),
        (["--output", "no/such/folder.fstrm"], "folder.fstrm"),
        (["--output", "one.fstrm", "--address", "one.fstrm"], "one.fstrm"),
    ],
    ids=" ".join,
)
def test_demo_refuses_bad_arguments(tmp_path: Path, arguments: List[str], named: str) -> None:
    """One line that names what is wrong, status 2, and a capture that was there stays as it is."""
    (tmp_path / "demo.fstrm").write_bytes(b"an earlier capture")

    done = run(tmp_path, "demo.py", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert named in done.stderr
    assert (tmp_path / "demo.fstrm").read_bytes() == b"an earlier capture"


def test_demo_ends_quietly_at_ctrl_c(tmp_path: Path) -> None:
    """SIGINT ends it without a traceback; the capture is whole, the collector's folder is gone."""
    with started(tmp_path, "demo.py", "--queries", 1000000) as process:
        assert process.stdout is not None
        assert MESSAGE_LINE.match(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=DEADLINE)

    assert process.returncode == 130, said
    assert "Traceback" not in said
    match = re.search(r"unix://(\S+)/collector\.sock", said)
    assert match, said
    assert not Path(match.group(1)).exists()
    assert read(tmp_path / "demo.fstrm")


def test_demo_stands_a_reader_that_goes_away(tmp_path: Path) -> None:
    """`demo.py | head -1`: no traceback, and an end."""
    with started(tmp_path, "demo.py", "--queries", 30) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
        status = process.wait(timeout=DEADLINE)

    assert (status, "rror" in said) == (1, False), said


# -- dns_server.py ---------------------------------------------------------------------------------


class Server(NamedTuple):
    """A running dns_server.py and the collector that it sends to."""

    process: subprocess.Popen[str]
    host: str
    port: int
    receiver: DnstapReceiver
    received: List[DnstapMessage]

    def wait_for(self, number: int) -> List[DnstapMessage]:
        """Wait until so many messages have arrived."""
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
    assert "Stats(logged=4, accepted=4, written=4" in said
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
    assert done.stderr.count("\n") == 1, done.stderr
    assert named in done.stderr


# -- their README ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["demo.py", "dns_server.py"])
def test_readme_lists_the_options(tmp_path: Path, name: str) -> None:
    """examples/README.md has a row for every option of each program, and no other."""
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| `(--[a-z]+)`", section, re.MULTILINE)
    shown = re.findall(r"^  (--[a-z]+)", run(tmp_path, name, "--help").stdout, re.MULTILINE)

    assert listed, f"no table of options under {name}"
    assert sorted(listed) == sorted(shown)


def test_importing_an_example_starts_nothing(tmp_path: Path) -> None:
    """Importing an example starts nothing and configures nothing."""
    code = (
        "import logging, threading, dns_server, demo\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not logging.getLogger('dns').handlers"
    )
    path = os.pathsep.join(map(str, (EXAMPLES, REPOSITORY)))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
