"""Bad use of `listen` and `send`: one line on standard error, status 2, nothing touched."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Dict, Iterator, List

import pytest
import trustme

from tests.cli.programs import Listener, run
from tests.cli.running import call
from tests.helpers.support import capture, dnstap_payload

BEFORE = capture(map(dnstap_payload, range(3)))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder with a capture, a certificate, a file, a folder, and a TCP port in use."""
    (tmp_path / "ok.fstrm").write_bytes(BEFORE)
    (tmp_path / "text").write_text("this is no capture, but a text of some length\n")
    (tmp_path / "folder").mkdir()
    certificate = trustme.CA().issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "server.key")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (tmp_path / "port").write_text(str(taken.getsockname()[1]))
        yield tmp_path


def contents(folder: Path) -> Dict[str, bytes]:
    """Return the files of a folder with what is in them."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


class Misuse:
    """Commands that are refused.

    Args:
        folder: the current one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def refused(self, arguments: List[str], named: List[str]) -> None:
        """Check that one line names what is wrong, with status 2, and that nothing is touched."""
        port = (self.folder / "port").read_text()
        before = contents(self.folder)
        status, printed, said = call(*(each.replace("PORT", port) for each in arguments))

        assert (status, printed) == (2, ""), said
        assert said.count("\n") == 1, said
        assert said.startswith("dnstap-logging")
        for word in named:
            assert word.replace("PORT", port) in said
        assert contents(self.folder) == before


@pytest.fixture
def misuse(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Misuse:
    """Run commands in the folder."""
    monkeypatch.chdir(folder)
    return Misuse(folder)


LISTEN = [
    ([], ["ADDRESS"]),
    (["out.fstrm"], ["out.fstrm", "unix:///path"]),
    (["http://127.0.0.1:1"], ["'http'"]),
    (["tcp://127.0.0.1"], ["port"]),
    (["tcp://127.0.0.1:70000"], ["70000"]),
    (["tcp://\udcff:6000"], ["is not a host"]),
    (["unix://relative.sock"], ["absolute path"]),
    (["tcp://127.0.0.1:PORT"], ["127.0.0.1:PORT", "in use"]),
    (["tcp://127.0.0.1:0", "tcp://127.0.0.1:PORT"], ["in use"]),
    (["tcp://192.0.2.1:0"], ["192.0.2.1"]),
    (["unix:///nosuchfolder/d.sock"], ["/nosuchfolder/d.sock"]),
    (["unix:///etc/passwd"], ["a file that is not a socket is there"]),
    (["tls://127.0.0.1:0"], ["--certfile"]),
    (["tls://127.0.0.1:0", "--certfile", "none.pem"], ["certfile='none.pem'", "No such file"]),
    (["tls://127.0.0.1:0", "--certfile", "text"], ["certfile='text'", "PEM"]),
    (["tls://127.0.0.1:0", "--cert", "server.pem", "--key", "none.key"], ["keyfile='none.key'"]),
    (["tls://127.0.0.1:0", "--cert", "server.pem", "--client-ca", "text"], ["client_ca='text'"]),
    (["tcp://127.0.0.1:0", "--certfile", "server.pem"], ["--certfile", "tls://"]),
    (["tcp://127.0.0.1:0", "--write", "folder"], ["directory"]),
    (["tcp://127.0.0.1:0", "--write", ""], ["--write ''", "name a file"]),
    (["tcp://127.0.0.1:0", "--write", "text"], ["text", "cannot be continued"]),
    (["tcp://127.0.0.1:0", "--write", "no/such/file"], ["directory does not exist"]),
    (["tcp://127.0.0.1:0", "--write", "ok.fstrm", "--mode", "x"], ["exists already"]),
    (["tcp://127.0.0.1:0", "--write", "ok.fstrm", "--mode", "q"], ["--mode"]),
    (["tcp://127.0.0.1:0", "--write", "a", "--json"], ["--write", "output format"]),
    (["tcp://127.0.0.1:0", "--max-bytes", "10"], ["--max-bytes", "--write"]),
    (["tcp://127.0.0.1:0", "--write", "-", "--when", "H"], ["--when", "--write FILE"]),
    (["tcp://127.0.0.1:0", "--write", "a", "--max-bytes", "10"], ["--backup-count"]),
    (["tcp://127.0.0.1:0", "--write", "a", "--max-bytes", "many"], ["'many'"]),
    (["tcp://127.0.0.1:0", "--write", "a", "--when", "soon"], ["when='soon'"]),
    (["tcp://127.0.0.1:0", "--write", "a", "--interval", "2"], ["--interval", "--when"]),
    (["tcp://127.0.0.1:0", "--write", "a", "--backup-count", "2"], ["--backup-count"]),
    (
        ["tcp://127.0.0.1:0", "-w", "a", "--max-bytes", "9", "--when", "H", "--backup-count", "2"],
        ["--max-bytes", "--when"],
    ),
    (
        ["tcp://127.0.0.1:0", "-w", "a", "--when", "H", "--mode", "w"],
        ["--mode w", "always continued"],
    ),
    (["tcp://127.0.0.1:0", "--count", "0"], ["--count", "'0'"]),
    (["tcp://127.0.0.1:0", "--count", "9" * 30], ["--count", "of 1 to 1000000000000000000"]),
    (["tcp://127.0.0.1:0", "--for", "-1"], ["--for"]),
    (["tcp://127.0.0.1:0", "--for", "soon"], ["--for", "'soon'"]),
    (["tcp://127.0.0.1:0", "--type", "CX"], ["--type"]),
    (["tcp://127.0.0.1:0", "--format", "{nothing}"], ["--format"]),
]


@pytest.mark.parametrize(("arguments", "named"), LISTEN, ids=" ".join)
def test_listen_refuses(misuse: Misuse, arguments: List[str], named: List[str]) -> None:
    """Addresses, certificates, files and combinations that cannot be: what is wrong, status 2."""
    misuse.refused(["listen", *arguments], named)


SEND = [
    ([], ["FILE"]),
    (["ok.fstrm"], ["ADDRESS"]),
    (["none.fstrm", "tcp://127.0.0.1:1"], ["none.fstrm", "No such file"]),
    (["folder", "tcp://127.0.0.1:1"], ["folder", "directory"]),
    (["ok.fstrm", "copy.fstrm"], ["copy.fstrm", "unix:///path"]),
    (["ok.fstrm", "127.0.0.1:1"], ["tcp://127.0.0.1:1"]),
    (["ok.fstrm", "tcp://127.0.0.1:0"], ["'0'"]),
    (["ok.fstrm", "ftp://127.0.0.1:1"], ["'ftp'"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--rate", "0"], ["--rate", "'0'", "above 0"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--rate", "fast"], ["--rate", "'fast'"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--rate", "nan"], ["--rate", "'nan'"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--rate", "9", "--timed"], ["--rate", "--timed"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--speed", "2"], ["--speed", "--timed"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--timed", "--speed", "-2"], ["--speed"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--attempts", "x"], ["--attempts", "'x'"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--timeout", "0"], ["--timeout"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--max-frame-size", "9"], ["--max-frame-size", "512"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "--cafile", "server.pem"], ["cafile", "tls://"]),
    (["ok.fstrm", "tls://127.0.0.1:1", "--cafile", "none.pem"], ["cafile='none.pem'"]),
    (["ok.fstrm", "tls://127.0.0.1:1", "--key", "server.key"], ["keyfile needs a certfile"]),
    (["ok.fstrm", "tcp://127.0.0.1:1", "stray"], ["stray"]),
]


@pytest.mark.parametrize(("arguments", "named"), SEND, ids=" ".join)
def test_send_refuses(misuse: Misuse, arguments: List[str], named: List[str]) -> None:
    """No such file, a file for an address, a bad rate, no TLS: what is wrong, status 2."""
    misuse.refused(["send", *arguments], named)


@pytest.mark.parametrize("content", ["text", "empty"])
def test_send_sends_nothing_of_what_is_no_capture(misuse: Misuse, content: str) -> None:
    """A file that is no capture, or an empty one: one line that says so, and status 1 as `read`."""
    (misuse.folder / "empty").touch()
    status, printed, said = call("send", content, "tcp://127.0.0.1:1")

    assert (status, printed) == (1, "")
    assert said.startswith(f"dnstap-logging send: {content}: byte 0: ")
    assert said.count("\n") == 1


def test_two_listeners_share_neither_file_nor_socket(misuse: Misuse) -> None:
    """A second `listen` on the same file, or the same socket, is refused; the first goes on."""
    folder = misuse.folder
    address = f"unix://{folder}/d.sock"
    with Listener(folder, address, "--write", "ok.fstrm") as listener:
        second = ["listen", "tcp://127.0.0.1:0", "--write", "ok.fstrm"]
        misuse.refused(second, ["ok.fstrm", "another process"])
        misuse.refused(["listen", address, "--write", "new.fstrm"], ["in use"])
        (folder / "more.fstrm").write_bytes(BEFORE)
        assert run(folder, "send", "more.fstrm", address).returncode == 0
        assert listener.end() == 0, listener.said


def test_a_process_is_refused_too(folder: Path) -> None:
    """As the others, but as a program: no traceback, and no warning."""
    for arguments in (["listen", "tls://127.0.0.1:0"], ["send", "ok.fstrm", "copy.fstrm"]):
        done = run(folder, *arguments)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr


def test_permission_denied(misuse: Misuse) -> None:
    """A folder that this user may not enter: permission denied, and where."""
    secret = misuse.folder / "secret"
    secret.mkdir()
    (secret / "c.fstrm").write_bytes(BEFORE)
    secret.chmod(0)
    for arguments in (
        ["listen", f"unix://{secret}/d.sock"],
        ["listen", "tcp://127.0.0.1:0", "--write", f"{secret}/new.fstrm"],
        ["send", f"{secret}/c.fstrm", "tcp://127.0.0.1:1"],
    ):
        with _as_nobody():
            status, printed, said = call(*arguments)
        assert (status, printed) == (2, ""), said
        assert said.count("\n") == 1, said
        assert "ermission denied" in said
        assert str(secret) in said
    secret.chmod(0o700)


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Have no more permissions than anybody, also where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
