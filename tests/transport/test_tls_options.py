"""The options of TLS: checked when a handler is made, strict by default, free for plain sockets."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Dict, List

import pytest

from dnstap_logging.transport.tls import TlsOptions, check_tls
from tests.helpers.programs import run_python
from tests.transport.peers import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority with its files."""
    return Authority(tmp_path)


# Options, the error, and what its text must name.
BAD_OPTIONS: List[Any] = [
    ({"cafile": "absent.pem"}, ValueError, ["cafile='absent.pem'", "No such file"]),
    ({"cafile": "text"}, ValueError, ["cafile='text'", "PEM"]),
    ({"cafile": "."}, ValueError, ["cafile='.'"]),
    ({"certfile": "absent.pem"}, ValueError, ["certfile='absent.pem'", "No such file"]),
    ({"certfile": "writer.pem"}, ValueError, ["certfile='writer.pem'", "pass", "keyfile"]),
    ({"certfile": "writer.key"}, ValueError, ["certfile='writer.key'", "no certificate"]),
    ({"certfile": "text"}, ValueError, ["certfile='text'", "PEM"]),
    ({"certfile": "."}, ValueError, ["certfile='.'"]),
    (
        {"certfile": "writer.pem", "keyfile": "writer.pem"},
        ValueError,
        ["keyfile='writer.pem'", "no private key"],
    ),
    (
        {"certfile": "writer.pem", "keyfile": "text"},
        ValueError,
        ["keyfile='text'", "no private key"],
    ),
    (
        {"certfile": "writer.key", "keyfile": "writer.pem"},
        ValueError,
        ["certfile='writer.key'", "swapped"],
    ),
    (
        {"certfile": "writer.pem", "keyfile": "absent.key"},
        ValueError,
        ["keyfile='absent.key'", "No such file"],
    ),
    (
        {"certfile": "writer.pem", "keyfile": "other.key"},
        ValueError,
        ["certfile='writer.pem'", "do not belong together"],
    ),
    (
        {"certfile": "writer.pem", "keyfile": "secret.key"},
        ValueError,
        ["certfile='writer.pem'", "passphrase", "ssl_context"],
    ),
    ({"keyfile": "writer.key"}, ValueError, ["keyfile needs a certfile"]),
    ({"cafile": b"ca.pem"}, TypeError, ["cafile", "bytes"]),
    ({"certfile": 5}, TypeError, ["certfile", "int"]),
    ({"server_hostname": b"x"}, TypeError, ["server_hostname", "bytes"]),
    ({"server_hostname": ""}, ValueError, ["server_hostname: '' is not a host name"]),
    ({"server_hostname": ".x"}, ValueError, ["server_hostname: '.x' is not a host name"]),
    ({"context": "yes"}, TypeError, ["ssl_context", "str"]),
    ({"context": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}, ValueError, ["ssl_context", "server"]),
    (
        {"context": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "cafile": "ca.pem"},
        ValueError,
        ["ssl_context and cafile exclude each other"],
    ),
]


@pytest.mark.parametrize(("options", "error", "texts"), BAD_OPTIONS)
def test_bad_options(
    options: Dict[str, Any],
    error: type,
    texts: List[str],
    tmp_path: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Options that cannot work are refused by name when the handler is made, without a prompt."""
    monkeypatch.chdir(tmp_path)
    authority.client_files("writer")
    authority.client_files("other")
    Path("text").write_text("not a certificate")
    Path("secret.key").write_bytes(encrypted_key())

    with pytest.raises(error) as caught:
        check_tls(TlsOptions(**options))
    for text in texts:
        assert text in str(caught.value)


def encrypted_key() -> bytes:
    """Return a key that a passphrase protects."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )


def test_good_options(authority: Authority) -> None:
    """The defaults verify the certificate and its name, and speak TLS 1.2 or newer."""
    check_tls(TlsOptions())
    certfile, keyfile = authority.client_files()
    check_tls(TlsOptions(cafile=Path(authority.cafile), certfile=certfile, keyfile=keyfile))
    context = TlsOptions().make_context()

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_plain_sockets_do_not_import_ssl() -> None:
    """A program that uses unix sockets and files never pays for TLS."""
    program = """
import socket, sys
from dnstap_logging.address import Address
from dnstap_logging.exceptions import TransportError
from dnstap_logging.transport.resolve import Resolver
from dnstap_logging.transport.stream import StreamTransport
from dnstap_logging.transport.connect import connect
from dnstap_logging.transport.waiting import never
left, right = socket.socketpair()
transport = StreamTransport(left, "unix:///x", 1.0)
transport.send(b"x")
right.close()
try:
    transport.send(b"x")
except TransportError:
    pass
try:
    connect(Address("unix", path="/absent"), timeout=1, until=never, resolver=Resolver())
except TransportError:
    pass
transport.close()
print("ssl" in sys.modules)
"""
    done = run_python(program)
    assert (done.stdout, done.stderr) == ("False\n", "")
