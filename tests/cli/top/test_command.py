"""`dnstap-logging top` without a screen: its sources, its ends, and bad use."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, ContextManager, Dict, List

import pytest
import trustme

from dnstap_logging.cli.top.sources import CaptureSource
from dnstap_logging.cli.top.statistics import SharedTraffic
from dnstap_logging.cli.top.units import stamp
from tests.cli.programs import DEADLINE, REPOSITORY, started
from tests.cli.running import call, run
from tests.cli.top.samples import send_queries, waiting_in
from tests.cli.top.traffic import write_traffic
from tests.helpers.support import (
    ACCEPT,
    CONTENT_TYPE,
    READY,
    START,
    STOP,
    control,
    data,
    wait_until,
)

EXCHANGES = 300


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture of 300 exchanges."""
    path = tmp_path_factory.mktemp("top") / "traffic.dnstap"
    with path.open("wb") as file:
        write_traffic(file, EXCHANGES)
    return path


def start(*arguments: str, **options: Any) -> ContextManager[subprocess.Popen[str]]:
    """Start the command in a process of its own."""
    return started(REPOSITORY, "top", *arguments, **options)


def listening(process: subprocess.Popen[str]) -> str:
    """Wait until the command listens; return its address."""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("listening on "), line
    return line.split()[-1]


def summary_of(*arguments: str) -> Dict[str, Any]:
    """Run the command in this process; return its JSON."""
    done = call("top", "--json", *arguments)
    assert (done.status, done.err) == (0, "")
    found: Dict[str, Any] = json.loads(done.out)
    return found


def test_a_capture_is_summarized(traffic: Path) -> None:
    """Its messages by type, as many as were written into it."""
    found = summary_of(str(traffic))

    assert found["source"] == str(traffic)
    assert found["types"]["CLIENT_QUERY"] == EXCHANGES
    assert found["messages"] == sum(found["types"].values())


def test_filters_choose_what_is_counted(traffic: Path) -> None:
    """The filters are those of `read`."""
    found = summary_of("--type", "CQ", "--client", "2001:db8::/32", str(traffic))

    assert list(found["types"]) == ["CLIENT_QUERY"]
    assert 0 < found["messages"] < EXCHANGES
    assert all(each["address"].startswith("2001:db8:") for each in found["clients"])


def test_rows_limit_names_and_clients(traffic: Path) -> None:
    """As many as are asked for."""
    found = summary_of("--rows", "3", str(traffic))

    assert [len(found["names"]), len(found["clients"])] == [3, 3]


@pytest.mark.parametrize("arguments", [["-"], []], ids=["dash", "nothing"])
def test_standard_input_is_a_source(traffic: Path, arguments: List[str]) -> None:
    """A pipe, named - or not named at all; where there is no terminal, the summary is text."""
    with traffic.open("rb") as stdin, start(*arguments, stdin=stdin) as process:
        out, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, err) == (0, "")
    assert out.startswith("source               standard input\nmessages  ")
    assert f"CLIENT_QUERY                {EXCHANGES}" in out


def test_a_torn_capture_is_summarized_to_its_last_whole_message(
    traffic: Path, tmp_path: Path
) -> None:
    """The summary comes first, then one line that says where; status 1."""
    torn = tmp_path / "torn.dnstap"
    torn.write_bytes(traffic.read_bytes()[:-40])

    done = call("top", "--json", torn)

    assert done.status == 1
    assert json.loads(done.out)["messages"] > EXCHANGES
    assert done.err.count("\n") == 1
    assert f"{torn}: byte " in done.err


def test_a_growing_file_is_followed(traffic: Path, tmp_path: Path) -> None:
    """With --follow it goes on at the end of the file; what is written later is counted too."""
    whole = traffic.read_bytes()
    growing = tmp_path / "growing.dnstap"
    growing.write_bytes(whole[: len(whole) // 2])
    source, traffic = CaptureSource(str(growing), follow=True), SharedTraffic(None)
    thread = threading.Thread(target=source.collect, args=(traffic.take,))
    thread.start()
    wait_until(lambda: traffic.messages > EXCHANGES // 2, "the first half")
    with growing.open("ab") as file:
        file.write(whole[len(whole) // 2 :])
    wait_until(lambda: dict(traffic.summary(1).types)["CLIENT_QUERY"] == EXCHANGES, "all of it")
    source.stop()
    thread.join(DEADLINE)

    assert not thread.is_alive()
    assert source.damage is None


def test_following_ends_in_order_with_sigterm(traffic: Path, tmp_path: Path) -> None:
    """As it has no other end: status 0, the summary, and the report."""
    report = tmp_path / "report.html"
    with start("--follow", "--json", "--report", str(report), str(traffic)) as process:
        size = traffic.stat().st_size
        wait_until(lambda: process_has_read(process.pid, traffic, size), "the file to be read")
        wait_until(lambda: process_catches(process.pid, signal.SIGTERM), "the handler of SIGTERM")
        process.terminate()
        out, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["source"] == str(traffic)
    assert report.exists()


def process_catches(pid: int, number: int) -> bool:
    """Return whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def process_has_read(pid: int, path: Path, size: int) -> bool:
    """Return whether a process has read an open file up to its end."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        for each in folder.iterdir():
            if os.path.realpath(each) == str(path):
                position = (folder.parent / "fdinfo" / each.name).read_text().split()[1]
                return int(position) >= size
    except OSError:
        pass  # the file was just closed, or opened again
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_receiver_counts_several_senders_until_it_is_interrupted(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Two handlers send to a unix socket; Ctrl-C or SIGTERM ends it with the summary, status 0."""
    with start("--json", f"unix://{tmp_path / 'dnstap.sock'}") as process:
        address = listening(process)
        for _ in range(2):
            send_queries(address, 50)
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE)

    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["types"] == {"CLIENT_QUERY": 100}


def test_a_receiver_takes_tls(tmp_path: Path) -> None:
    """With a certificate, tls:// works as in `listen`."""
    authority = trustme.CA()
    pem = tmp_path / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with start("--json", "--certfile", str(pem), "tls://localhost:0") as process:
        send_queries(listening(process), 20, context)
        process.terminate()
        out, _ = process.communicate(timeout=DEADLINE)

    assert json.loads(out)["messages"] == 20


def test_what_is_no_dnstap_is_said(tmp_path: Path) -> None:
    """A payload that is no dnstap message is left out, counted, and makes the status 1."""
    with start("--json", "tcp://127.0.0.1:0") as process:
        port = int(listening(process).rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sender:
            replies = sender.makefile("rb")
            sender.sendall(control(READY, CONTENT_TYPE))
            assert replies.read(len(control(ACCEPT, CONTENT_TYPE))) == control(ACCEPT, CONTENT_TYPE)
            sender.sendall(control(START, CONTENT_TYPE) + data(b"\xff") + control(STOP))
            replies.read()
        process.terminate()
        out, err = process.communicate(timeout=DEADLINE)

    assert process.returncode == 1
    assert json.loads(out)["messages"] == 0
    assert err.splitlines()[-1].endswith("1 payloads were no dnstap messages, and are not counted")


def test_an_interrupted_pipe_is_summarized_so_far(traffic: Path) -> None:
    """Ctrl-C before the end of a capture: what was read is shown, and the status is the shell's."""
    whole = traffic.read_bytes()
    with start("--json", "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for part in (whole[: len(whole) // 2], whole[len(whole) // 2 : -100]):
            # Who takes the second part has counted the first.
            os.write(process.stdin.fileno(), part)
            wait_until(lambda: waiting_in(process.stdin) == 0, "the pipe to be read")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)

    assert process.returncode == 128 + signal.SIGINT
    assert 0 < json.loads(out)["messages"] < 2 * EXCHANGES
    assert err == ""


def test_a_reader_that_goes_away_ends_it_quietly(traffic: Path) -> None:
    """It dies of SIGPIPE and prints nothing, as other programs in a pipe do."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = subprocess.run(
        [sys.executable, "-m", "dnstap_logging", "top", str(traffic)],
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=DEADLINE,
        check=False,
    )
    os.close(write_end)

    assert (process.returncode, process.stderr) == (-signal.SIGPIPE, b"")


def test_an_encoding_without_blocks_is_no_end(traffic: Path) -> None:
    """Where standard output is ASCII, what it lacks comes out as an escape."""
    done = run("top", traffic, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (done.status, done.err) == (0, "")
    assert "\\xb5s, p95" in done.out


BAD_USE = {
    "no-file": (["/nowhere/a.dnstap"], "/nowhere/a.dnstap"),
    "directory": (["/tmp"], "is a directory; write the path of a file in it"),
    "host-port": (["127.0.0.1:6000"], "write tcp://127.0.0.1:6000"),
    "scheme": (["udp://127.0.0.1:53"], "there is no scheme 'udp'; write unix:///path"),
    "relative-socket": (["unix://a.sock"], "needs an absolute path"),
    "port": (["tcp://127.0.0.1:99999"], "it must be from 0 to 65535"),
    "no-port": (["tcp://127.0.0.1"], "the port is missing, as in tcp://127.0.0.1:6000"),
    "no-address": (["tcp://192.0.2.1:0"], "cannot listen here"),
    "no-certificate": (["tls://127.0.0.1:0"], "needs --certfile"),
    "certificate": (["tls://:0", "--certfile", "/dev/null"], "certfile='/dev/null'"),
    "certificate-for-file": (["{traffic}", "--certfile", "a"], "is for a tls:// address"),
    "certificate-for-tcp": (["tcp://:0", "--certfile", "a"], "is for tls://"),
    "follow-input": (["-", "--follow"], "--follow is for a file; leave it out"),
    "follow-address": (["tcp://:0", "--follow"], "--follow is for a file; leave it out"),
    "rows": (["{traffic}", "--rows", "0"], "'0' must be an integer of 1 to 1000"),
    "rows-word": (["{traffic}", "--rows", "many"], "'many' must be an integer"),
    "two-forms": (["{traffic}", "--json", "--summary"], "not allowed with"),
    "two-sources": (["{traffic}", "b"], "unrecognized arguments: b"),
    "type": (["{traffic}", "--type", "QUERY"], "'QUERY': no message type: such as CLIENT_QUERY"),
    "report-nothing": (["{traffic}", "--report", ""], "is empty; name a file"),
    "report-folder": (["{traffic}", "--report", "/nowhere/r.html"], "make it first"),
    "report-directory": (["{traffic}", "--report", "/tmp"], "name a file in it"),
    "report-capture": (["{traffic}", "--report", "{traffic}"], "is the capture that is read"),
}


@pytest.mark.parametrize("case", BAD_USE)
def test_bad_use_is_one_line_and_status_2(case: str, traffic: Path) -> None:
    """What is wrong and what to do, on standard error alone; the capture is not touched."""
    arguments, expected = BAD_USE[case]
    before = traffic.read_bytes()
    done = call("top", *(each.format(traffic=traffic) for each in arguments))

    assert (done.status, done.out) == (2, "")
    assert done.err.count("\n") == 1, done.err
    assert done.err.startswith("dnstap-logging")
    assert expected in done.err
    assert traffic.read_bytes() == before


def test_what_is_no_capture_is_status_1(tmp_path: Path) -> None:
    """As for a damaged one, in `read` and `check` too: the line says what is there instead."""
    text = tmp_path / "text"
    text.write_text("not a capture at all\n", encoding="utf-8")
    done = call("top", text)

    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "byte 0: this is not Frame Streams" in done.err


def test_a_report_that_cannot_be_written_in_the_end_is_one_line(traffic: Path) -> None:
    """A full disk, found only when the page is written."""
    done = call("top", "--json", "--report", "/dev/full", traffic)

    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "No space left on device" in done.err


def test_its_numbers_are_those_of_check(traffic: Path) -> None:
    """Messages by type, first and last time: the two commands agree."""
    found, checked = summary_of(str(traffic)), json.loads(call("check", "--json", traffic).out)

    assert found["types"] == checked["types"]
    assert found["messages"] == checked["messages"]
    assert [stamp(found["first_time_ns"]), stamp(found["last_time_ns"])] == [
        checked["first"],
        checked["last"],
    ]
