"""The receiver over TLS."""

from __future__ import annotations

import logging

import pytest

from tests.helpers.said import Said
from tests.helpers.support import (
    CONTENT_TYPE,
    FINISH,
    READY,
    STOP,
    capture,
    control,
    data,
    dnstap_payload,
    wait_until,
)
from tests.receiver.peer import TLS, Authority, Client, Inbox, Make, wait_for


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Make certificates once."""
    return Authority()


def test_tls(make: Make, inbox: Inbox, authority: Authority) -> None:
    """The same stream over TLS, to its orderly end."""
    receiver = make(TLS, ssl_context=authority.server())

    with Client(receiver, authority.client()) as client:
        client.shake_hands()
        client.send(*(data(dnstap_payload(n)) for n in range(2000)), control(STOP))
        client.expect(control(FINISH))
        assert client.sock.recv(1) == b"", "TLS ends with its own end"

    assert inbox.numbers == list(range(2000))
    assert wait_for(receiver, finished=1).last_error is None


def test_tls_with_client_certificates(
    make: Make, inbox: Inbox, authority: Authority, said: Said
) -> None:
    """If the context asks for client certificates, senders without one are refused and reported."""
    receiver = make(TLS, ssl_context=authority.server(ask_client=True))

    with Client(receiver, authority.client(with_certificate=True)) as client:
        client.send(capture([dnstap_payload(1)]))
        wait_for(receiver, finished=1)
    with pytest.raises(OSError), Client(receiver, authority.client()) as client:  # noqa: PT011
        client.shake_hands()

    wait_for(receiver, protocol_errors=1)
    said.wait_for("certificate")
    assert inbox.numbers == [1]


def test_tls_shakes_hands_outside_the_accept_loop(
    make: Make, inbox: Inbox, authority: Authority, said: Said
) -> None:
    """Clients that send nothing, or no TLS, to a TLS port do not delay others."""
    receiver = make(TLS, ssl_context=authority.server(), handshake_timeout=2.0)

    with Client(receiver) as silent, Client(receiver) as plain:
        plain.send(control(READY, CONTENT_TYPE))
        plain.expect_closed()
        wait_for(receiver, protocol_errors=1)
        said.wait_for("does not speak TLS")
        with Client(receiver, authority.client()) as client:
            client.send(capture([dnstap_payload(1)]))
            wait_for(receiver, finished=1)
        assert receiver.stats().protocol_errors == 1, "the silent one still has time"
        silent.expect_closed()

    wait_for(receiver, protocol_errors=2)
    assert inbox.numbers == [1]


def test_tls_client_that_closes_at_once(make: Make, authority: Authority) -> None:
    """A health check of a TLS port is not a broken rule."""
    receiver = make(TLS, ssl_context=authority.server())

    Client(receiver).sock.close()

    wait_for(receiver, interrupted=1)


def test_tls_client_that_resets(make: Make, inbox: Inbox, authority: Authority, said: Said) -> None:
    """A sender that died is told from one that closed, as without TLS."""
    receiver = make(TLS, ssl_context=authority.server())

    client = Client(receiver, authority.client())
    client.shake_hands()
    client.send(data(dnstap_payload(1)))
    wait_until(lambda: inbox.numbers == [1], "the message")
    client.reset()

    wait_for(receiver, interrupted=1)
    line = said.wait_for("the peer reset the connection (ECONNRESET)")
    assert said.with_text("ECONNRESET", logging.WARNING) == [line]
