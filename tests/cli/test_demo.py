"""`dnstap-logging demo`, run as its users run it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Dict, List, NamedTuple

import dns.flags
import dns.rcode
import pytest

from dnstap_logging import DnstapMessage, DnstapReceiver, SocketFamily, SocketProtocol
from tests.cli.programs import DEADLINE, REPOSITORY, run, started
from tests.examples.programs import read, responses
from tests.helpers.programs import with_environment
from tests.helpers.support import require_program, wait_until

MESSAGE_LINE = re.compile(r"\d{4}-\d\d-\d\dT\S+ C[QR] ", re.ASCII)
ROW = re.compile(r"^(collector|file) +(\d+) +(\d+) +(\d+) +(\d+|\?) +(\d+)$", re.MULTILINE)


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


def test_demo_prints_each_message_and_balanced_books(tmp_path: Path) -> None:
    """All that was logged is printed by the collector, is in the capture, and is in the books."""
    done = run(tmp_path, "demo", "--queries", 24)

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
    for way in ("read demo.fstrm", "read --yaml demo.fstrm"):
        assert f"dnstap-logging {way} " in done.stdout


def test_demo_asks_questions_of_several_kinds(tmp_path: Path) -> None:
    """UDP and TCP, NXDOMAIN, an empty and a large answer, TC, and every loopback there is."""
    done = run(tmp_path, "demo", "--queries", 44, "--quiet", "--output", "kinds.fstrm")
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
    """Return whether this machine has the loopback address of IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_quiet_demo_prints_the_summary_only(tmp_path: Path) -> None:
    """--quiet leaves out the messages and the orderly diagnostics, and nothing else."""
    done = run(tmp_path, "demo", "--queries", 3, "--quiet")

    assert (done.returncode, done.stderr) == (0, "")
    assert not [line for line in done.stdout.splitlines() if MESSAGE_LINE.match(line)]
    assert set(rows(done.stdout)) == {"collector", "file"}, done.stdout


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_demo_sends_to_a_collector_of_the_users(tmp_path: Path, scheme: str) -> None:
    """With --address everything goes there, and the summary says how much was written."""
    received: List[DnstapMessage] = []
    address = f"unix://{tmp_path}/mine.sock" if scheme == "unix" else "tcp://127.0.0.1:0"
    with DnstapReceiver(address, received.append) as receiver:
        done = run(tmp_path, "demo", "--queries", 12, "--address", receiver.address)

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
            done = run(tmp_path, "demo", "--queries", 12, "--address", f"unix://{sock}")
        finally:
            collector.terminate()

    assert done.returncode == 0, done.stdout + done.stderr
    assert Counter(read(path)) == Counter(read(tmp_path / "demo.fstrm"))


def test_demo_in_a_folder_too_long_for_a_socket(tmp_path: Path) -> None:
    """Where TMPDIR is longer than a unix socket's address may be, it runs as anywhere else."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    environment = with_environment(TMPDIR=str(folder))
    done = run(tmp_path, "demo", "--queries", 2, "--quiet", env=environment)

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert list(folder.iterdir()) == []


def test_demo_without_a_collector_fails_and_says_so(tmp_path: Path) -> None:
    """Where nobody listens, the books still add up, and the status is 1."""
    address = f"unix://{tmp_path}/absent.sock"
    done = run(tmp_path, "demo", "--queries", 2, "--quiet", "--address", address)

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

    done = run(tmp_path, "demo", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert named in done.stderr
    assert (tmp_path / "demo.fstrm").read_bytes() == b"an earlier capture"


def test_demo_ends_quietly_at_ctrl_c(tmp_path: Path) -> None:
    """SIGINT ends it without a traceback; the capture is whole, the collector's folder is gone."""
    with started(tmp_path, "demo", "--queries", 1000000) as process:
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
    """`demo | head -1` ends by SIGPIPE, as shells expect, and prints nothing."""
    with started(tmp_path, "demo", "--queries", 30, "--quiet") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
        status = process.wait(timeout=DEADLINE)

    assert (status, said) == (-signal.SIGPIPE, "")


@pytest.mark.parametrize("library", ["dnslib", "dns"])
def test_demo_without_its_libraries_says_what_to_install(tmp_path: Path, library: str) -> None:
    """Without the extra `demo`: one line with the command that installs it, and status 2."""
    code = (
        "import sys\n"
        f"sys.modules[{library!r}] = None\n"  # what an import of a missing library looks like
        "from dnstap_logging.cli.main import main\n"
        "sys.exit(main(['demo']))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "install it, or dnstap-logging with its extra 'demo'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_make_demo_runs_the_command() -> None:
    """`make demo ARGS=...` is `dnstap-logging demo`, with these arguments."""
    done = subprocess.run(
        [require_program("make"), "-n", "demo", "ARGS=--queries 7"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )

    assert done.stdout.splitlines()[-1].endswith("/dnstap-logging demo --queries 7")
