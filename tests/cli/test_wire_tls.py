"""TLS for `listen` and `send`: certificates on both sides, and a renewed one."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Tuple

import pytest
import trustme

from tests.cli.programs import Listener, run
from tests.helpers.support import capture, dnstap_payload, wait_until

TLS = "tls://127.0.0.1:0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a capture, an authority, and a certificate of each side."""
    (tmp_path / "sent.fstrm").write_bytes(capture(map(dnstap_payload, range(20))))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issue(authority, tmp_path, "server")
    issue(authority, tmp_path, "client")
    return tmp_path


def issue(authority: trustme.CA, folder: Path, name: str) -> None:
    """Write a certificate for 127.0.0.1 and its key, each in a file of its own."""
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    certificate.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")


def own(name: str) -> Tuple[str, ...]:
    """Return the options of a certificate and its key."""
    return "--certfile", f"{name}.pem", "--keyfile", f"{name}.key"


def test_client_certificates(folder: Path) -> None:
    """--client-ca takes who has a certificate, and nobody else: they fail, and are told why."""
    arguments = (*own("server"), "--client-ca", "ca.pem", "--write", "got.fstrm")
    with Listener(folder, TLS, *arguments) as listener:
        send = ("send", "sent.fstrm", listener.addresses[0], "--cafile", "ca.pem")
        refused = run(folder, *send, "--attempts", 0)
        taken = run(folder, *send, *own("client"))
        assert listener.end() == 0, listener.said

    assert (taken.returncode, taken.stderr) == (0, "")
    assert refused.returncode == 1
    assert "client certificate" in refused.stderr
    assert (folder / "got.fstrm").read_bytes() == (folder / "sent.fstrm").read_bytes()


def test_a_collector_that_is_not_trusted_gets_nothing(folder: Path) -> None:
    """Without its authority, or under another name, nothing is sent; one line says what to do."""
    with Listener(folder, TLS, *own("server"), "--write", "got.fstrm") as listener:
        send = ("send", "sent.fstrm", listener.addresses[0], "--attempts", 0)
        stranger = run(folder, *send)
        renamed = run(folder, *send, "--cafile", "ca.pem", "--server-hostname", "example.net")
        assert listener.end() == 0, listener.said

    for done, hint in ((stranger, "cafile"), (renamed, "server_hostname")):
        assert done.returncode == 1
        assert done.stdout.startswith(f"{listener.addresses[0]}: 0 of ")
        assert done.stderr.count("\n") == 1
        assert hint in done.stderr
    assert (folder / "got.fstrm").read_bytes() == capture([])


def test_sighup_reads_the_certificate_again(folder: Path) -> None:
    """A renewed certificate is used after SIGHUP; a broken one is reported, the old one kept."""
    with Listener(folder, TLS, *own("server"), "--write", "got.fstrm") as listener:
        (folder / "server.pem").write_text("no certificate")
        listener.send_signal(signal.SIGHUP)
        wait_until(lambda: "certfile" in listener.said, "the complaint")
        send = ("send", "sent.fstrm", listener.addresses[0], "--attempts", 0, "--cafile")
        assert run(folder, *send, "ca.pem").returncode == 0

        renewed = trustme.CA()
        renewed.cert_pem.write_to_path(folder / "new-ca.pem")
        issue(renewed, folder, "server")
        listener.send_signal(signal.SIGHUP)
        wait_until(lambda: run(folder, *send, "new-ca.pem").returncode == 0, "the new certificate")
        assert listener.end() == 0, listener.said
