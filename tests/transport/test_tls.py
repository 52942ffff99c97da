"""TLS: verification, client certificates, versions, and errors that can be understood."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import ssl
import threading
import warnings
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
import trustme

from dnstap_logging.address import Address
from dnstap_logging.exceptions import TransportError, TransportTimeout
from dnstap_logging.transport.tls import TlsOptions, check_tls
from tests.transport.peers import (
    DEADLINE,
    Authority,
    BroughtForward,
    Peer,
    accept,
    accept_tls,
    address_of,
    listen_tcp,
    open_transport,
    read_all,
    resolver_to,
)

SHORT = 0.3


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The authority that both sides trust."""
    return Authority(tmp_path)


def talk(context: ssl.SSLContext, tls: Optional[TlsOptions], host: Optional[str] = None) -> bytes:
    """Connect to a server with this context, send a word, and return what the server got."""
    received: List[bytes] = []

    def script(listener: socket.socket) -> None:
        try:
            with accept_tls(listener, context) as connection:
                received.append(connection.recv(100))
                connection.sendall(b"FINISH")
                read_all(connection)
        except (ssl.SSLError, ConnectionError):
            pass  # the client refused; it says why

    listener = listen_tcp()
    with Peer(listener, script):
        address = address_of(listener, "tls")
        if host:
            address = address._replace(host=host)
        transport = open_transport(address, tls=tls)
        try:
            transport.send(b"READY")
            assert transport.receive() == b"FINISH"
        finally:
            transport.close()
    return received[0]


def refusal(context: ssl.SSLContext, tls: Optional[TlsOptions], host: Optional[str] = None) -> str:
    """Return why a connection to a server with this context fails."""
    with pytest.raises(TransportError) as caught:
        talk(context, tls, host)
    assert caught.value.address.startswith("tls://")
    return caught.value.reason


def test_a_verified_connection(authority: Authority) -> None:
    """With the right authority and name, bytes go both ways."""
    tls = TlsOptions(cafile=authority.cafile)

    assert talk(authority.server_context(), tls) == b"READY"
    assert talk(authority.server_context(), tls, "localhost") == b"READY"


def test_ipv6(authority: Authority) -> None:
    """A certificate for an IPv6 address is verified by the address's host."""
    context = authority.server_context()
    listener = listen_tcp("::1")
    with Peer(listener, lambda at: accept_tls(at, context).close()):
        transport = open_transport(
            address_of(listener, "tls"), tls=TlsOptions(cafile=authority.cafile)
        )
        transport.close()


def test_an_unknown_authority_is_refused(authority: Authority) -> None:
    """With the system's authorities, a private one is refused; the error says how to trust it."""
    reason = refusal(authority.server_context(), None)

    assert "certificate is refused" in reason
    assert "cafile" in reason


def test_a_wrong_name_is_refused(authority: Authority) -> None:
    """A certificate for another name is refused; server_hostname says which is right."""
    context = authority.server_context(authority.ca.issue_cert("other.example"))
    reason = refusal(context, TlsOptions(cafile=authority.cafile))

    assert "certificate is refused" in reason
    assert "server_hostname" in reason
    tls = TlsOptions(cafile=authority.cafile, server_hostname="other.example")
    assert talk(context, tls) == b"READY"


def test_an_expired_certificate_is_refused(authority: Authority) -> None:
    """A certificate past its time is refused, and the error says that it expired."""
    expired = authority.ca.issue_cert(
        "127.0.0.1",
        not_before=datetime.datetime(2020, 1, 1),
        not_after=datetime.datetime(2020, 2, 1),
    )

    assert "has expired" in refusal(
        authority.server_context(expired), TlsOptions(cafile=authority.cafile)
    )


def test_a_client_certificate(authority: Authority) -> None:
    """A server that asks for a client certificate gets ours."""
    context = authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    certfile, keyfile = authority.client_files()

    tls = TlsOptions(cafile=authority.cafile, certfile=certfile, keyfile=Path(keyfile))
    assert talk(context, tls) == b"READY"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_missing_client_certificate(authority: Authority, version: ssl.TLSVersion) -> None:
    """Without one, the error says what the server wants; in TLS 1.3 after the handshake."""
    context = authority.server_context()
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority.ca.configure_trust(context)
    reason = refusal(context, TlsOptions(cafile=authority.cafile))

    # In TLS 1.3 the kernel may discard the server's alert with the connection.
    assert "client certificate" in reason or "the peer" in reason, reason


def test_renewed_certificates_are_read_again(authority: Authority, tmp_path: Path) -> None:
    """The files are read for each connect: a new authority is trusted without a restart."""
    tls = TlsOptions(cafile=authority.cafile)
    renewed = trustme.CA()
    context = authority.server_context(renewed.issue_cert("127.0.0.1"))
    assert "certificate is refused" in refusal(context, tls)

    renewed.cert_pem.write_to_path(authority.cafile)
    assert talk(context, tls) == b"READY"


def test_files_that_vanish_are_an_error_of_the_connect(authority: Authority) -> None:
    """A file that is gone at a later connect is named; no connection is made."""
    tls = TlsOptions(cafile=authority.cafile)
    check_tls(tls)
    os.unlink(authority.cafile)

    with pytest.raises(TransportError, match=r"cafile='.*ca\.pem' cannot be loaded: No such file"):
        open_transport(Address("tls", host="127.0.0.1", port=1), tls=tls)


def old_server(authority: Authority) -> ssl.SSLContext:
    """Return the context of a server that speaks TLS 1.1 and nothing newer."""
    context = authority.server_context()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def test_tls_1_1_is_refused(authority: Authority) -> None:
    """A server that speaks nothing newer than TLS 1.1 is refused, by us and not by chance."""
    lax = ssl.create_default_context(cafile=authority.cafile)
    lax.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        lax.minimum_version = ssl.TLSVersion.TLSv1_1

    reason = refusal(old_server(authority), TlsOptions(cafile=authority.cafile))
    assert "1.2 or newer is needed" in reason
    assert talk(old_server(authority), TlsOptions(context=lax)) == b"READY"


def test_tls_1_2_is_spoken(authority: Authority) -> None:
    """TLS 1.2 alone is enough."""
    context = authority.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2

    assert talk(context, TlsOptions(cafile=authority.cafile)) == b"READY"


def test_a_context_of_the_callers_own(authority: Authority) -> None:
    """The caller's context is used as it is, whatever it verifies."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    own.check_hostname = False
    own.verify_mode = ssl.CERT_NONE
    options = TlsOptions(context=own)
    check_tls(options)

    assert options.make_context() is own
    assert talk(authority.server_context(), options) == b"READY"


def failure_with(script: Any, **options: Any) -> TransportError:
    """Return the error of connecting with TLS to a scripted peer."""
    listener = listen_tcp()
    with Peer(listener, script), pytest.raises(TransportError) as caught:
        open_transport(address_of(listener, "tls"), **options)
    return caught.value


def test_a_plain_speaker(authority: Authority) -> None:
    """A peer that does not speak TLS is called that, not a wrong version number."""

    def http(listener: socket.socket) -> None:
        with accept(listener) as connection:
            connection.recv(10_000)
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
            with contextlib.suppress(ConnectionError):  # of a client that gave up
                read_all(connection)

    assert "does not speak TLS" in failure_with(http).reason


def test_a_peer_that_closes_in_the_handshake() -> None:
    """The error says that the connection ended within the handshake."""
    error = failure_with(lambda listener: accept(listener).close())

    assert "closed" in error.reason or "reset" in error.reason, error


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"timeout": SHORT}, "did not finish the TLS handshake in 0.3 s"),
        ({"timeout": 3600, "until": BroughtForward(after=8)}, "closing"),
    ],
)
def test_a_silent_peer_in_the_handshake(options: Dict[str, Any], text: str) -> None:
    """A handshake has the timeout too, and a close ends it sooner."""
    done = threading.Event()

    def silent(listener: socket.socket) -> None:
        with accept(listener):
            assert done.wait(DEADLINE)

    listener = listen_tcp()
    with Peer(listener, silent):
        with pytest.raises(TransportTimeout, match=text):
            open_transport(address_of(listener, "tls"), **options)
        done.set()


def test_names_as_certificates_have_them(authority: Authority) -> None:
    """A final dot of the host is not a part of the name that is verified."""
    context = authority.server_context()
    listener = listen_tcp()
    with Peer(listener, lambda at: accept_tls(at, context).close()):
        address = address_of(listener, "tls")
        open_transport(
            address._replace(host="localhost."),
            tls=TlsOptions(cafile=authority.cafile),
            resolver=resolver_to((address.host, address.port)),
        ).close()


def test_a_name_that_tls_cannot_ask_for(authority: Authority) -> None:
    """A host that no certificate can have is an error, before anything is connected."""
    address = Address("tls", host=".x", port=1)

    with pytest.raises(TransportError, match=r"'\.x' is not a host name"):
        open_transport(address, tls=TlsOptions(cafile=authority.cafile))
