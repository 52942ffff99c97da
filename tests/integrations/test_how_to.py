"""docs/integrations.md is true: its programs run as they stand there."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any, Callable, ContextManager, List

import pytest

from dnstap_logging import DnstapMessage, DnstapReader
from dnstap_logging.delivery.stats import Stats
from tests.helpers.programs import started_program
from tests.helpers.support import free_port, wait_until
from tests.integrations.servers import DatagramHandler, question, serving

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "integrations.md").read_text(encoding="utf-8")
PROGRAMS: List[str] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SOCKETSERVER, DNSLIB, FORWARDER, DNSPYTHON, PROMETHEUS = PROGRAMS


def program(folder: Path, code: str, **replaced: Any) -> ContextManager[subprocess.Popen[str]]:
    """Run a program of the page in a folder, with ports and addresses of this machine."""
    for old, new in {'"192.0.2.53"': '"127.0.0.1"', **replaced}.items():
        code = code.replace(old, str(new))
    (folder / "program.py").write_text(code, encoding="utf-8")
    # dnslib's servers leave their sockets to the garbage collector.
    options = ["-W", "error", "-W", "ignore::ResourceWarning"]
    return started_program(folder, [sys.executable, *options, "program.py"])


def interrupt(process: subprocess.Popen[str]) -> None:
    """End a program as Ctrl-C does: with its handlers closed."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt"), said


def answered(port: int, sock: socket.socket, process: subprocess.Popen[str]) -> Callable[[], bytes]:
    """Return what asks a server by UDP, and gets nothing until it is there."""

    def ask() -> bytes:
        assert process.poll() is None, process.communicate()
        try:
            sock.send(query)
            return sock.recv(65535)
        except OSError:
            return b""

    query = question("www.example.org")
    sock.settimeout(0.2)
    sock.connect(("127.0.0.1", port))
    return ask


def captured(folder: Path) -> List[DnstapMessage]:
    """Return the program's capture, which must be complete."""
    reader = DnstapReader(folder / "dns.fstrm")
    messages = list(reader)
    assert reader.complete
    return messages


def last_types(messages: List[DnstapMessage], count: int) -> List[str]:
    """Return the types of the last messages, those of the query that was answered."""
    return [each.message_type.name for each in messages[-count:]]


@pytest.mark.parametrize(
    ("code", "rcode", "types"),
    [
        (SOCKETSERVER, 5, ["AUTH_QUERY", "AUTH_RESPONSE"]),
        (DNSLIB, 3, ["CLIENT_QUERY", "CLIENT_RESPONSE"]),
    ],
    ids=["socketserver", "dnslib"],
)
def test_servers(code: str, rcode: int, types: List[str], tmp_path: Path) -> None:
    """The servers answer, and their captures are what the client sent and got."""
    port = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with program(tmp_path, code, **{"5300": port}) as process:
            response = wait_until(answered(port, sock, process), "the server's response", 60)
            interrupt(process)
        own = sock.getsockname()

    assert response[3] & 15 == rcode
    messages = captured(tmp_path)
    assert last_types(messages, 2) == types
    assert messages[-1].response_message == response
    assert (str(messages[-1].query_ip), messages[-1].query_port) == own


def test_forwarder(tmp_path: Path) -> None:
    """The forwarder's capture has the client's side and the upstream's."""
    port = free_port(socket.SOCK_DGRAM)
    with serving(DatagramHandler) as upstream:
        ports = {"port=53,": f"port={upstream.port},", "5300": port}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            with program(tmp_path, FORWARDER, **ports) as process:
                response = wait_until(answered(port, sock, process), "the response", 60)
                interrupt(process)

    types = ["CLIENT_QUERY", "FORWARDER_QUERY", "FORWARDER_RESPONSE", "CLIENT_RESPONSE"]
    messages = captured(tmp_path)
    assert last_types(messages, 4) == types
    assert messages[-1].response_message == response
    assert {each.response_port for each in messages[-3:-1]} == {upstream.port}


def test_dnspython(tmp_path: Path) -> None:
    """The client, the resolver and the patched functions log what the server saw."""
    with serving(DatagramHandler) as server:
        ports = {"port=53)": f"port={server.port})", "port = 53": f"port = {server.port}"}
        with program(tmp_path, DNSPYTHON, **ports) as process:
            output, said = process.communicate(timeout=60)

    assert (process.returncode, said) == (0, ""), said
    assert output.count("rcode NOERROR") == 2
    messages = captured(tmp_path)
    assert last_types(messages, 6) == [
        f"{role}_{side}" for role in ("TOOL", "STUB", "TOOL") for side in ("QUERY", "RESPONSE")
    ]
    assert [each.query_message for each in messages[::2]] == [each.wire for each in server.received]


def test_prometheus(tmp_path: Path) -> None:
    """The metrics are there by HTTP, and the page lists all of them and no others."""
    port = free_port()

    def scraped() -> str:
        assert process.poll() is None, process.communicate()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
                return str(response.read().decode())
        except OSError:
            return ""

    with program(tmp_path, PROMETHEUS, **{"9153": port}) as process:
        text = wait_until(scraped, "the metrics", 60)
        interrupt(process)

    shown = set(re.findall(r"^(dnstap_\w+)\{", text, re.MULTILINE))
    section = PAGE.split("## Statistics for Prometheus")[1].split("\n## ")[0]
    listed = set(re.findall(r"`(dnstap_\w+)`", section))
    assert shown == listed
    assert 'dnstap_connected{address="file://' in text
    assert len(shown) == len(Stats._fields) - len(("address", "last_error"))
