"""Waiting for a connection: bounded, shared out among the addresses, cut short by a close."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from time import monotonic
from typing import List

import pytest

from dnstap_logging.address import Address
from dnstap_logging.exceptions import TransportTimeout
from dnstap_logging.transport.waiting import never
from tests.transport.peers import (
    BroughtForward,
    Peer,
    address_of,
    echo,
    error_of,
    full_backlog,
    linux_only,
    listen_tcp,
    listen_unix,
    open_transport,
    resolver_to,
    says_echo,
)

SHORT = 0.3


@pytest.mark.skipif(not linux_only, reason="other systems answer when their queue is full")
def test_silent_addresses_share_the_time() -> None:
    """One deadline covers all addresses of a name, and each that is silent costs its share."""
    with listen_tcp(backlog=0) as silent, listen_tcp(backlog=0) as mute:
        resolver = resolver_to(silent.getsockname(), mute.getsockname())
        named = Address("tcp", host="collector.example", port=6000)
        with full_backlog(silent), full_backlog(mute):
            started = monotonic()
            error = error_of(named, timeout=2 * SHORT, resolver=resolver)
            took = monotonic() - started

    assert isinstance(error, TransportTimeout)
    assert took >= 2 * SHORT
    waited = [float(text) for text in re.findall(r"no answer in (\S+) s", error.reason)]
    assert len(waited) == 2, error.reason
    assert max(waited) <= SHORT, error.reason


@pytest.mark.skipif(not linux_only, reason="other systems answer when their queue is full")
def test_a_silent_address_leaves_time_for_the_next() -> None:
    """An address that does not answer is followed by the next."""
    with listen_tcp(backlog=0) as silent, full_backlog(silent), Peer(listen_tcp(), echo) as address:
        resolver = resolver_to(silent.getsockname(), (address.host, address.port))
        named = address._replace(host="collector.example")
        started = monotonic()

        assert says_echo(named, timeout=4 * SHORT, resolver=resolver) == b"ECHO"
        assert monotonic() - started >= 2 * SHORT


@pytest.mark.skipif(not linux_only, reason="other systems answer when their queue is full")
def test_a_silent_address_times_out() -> None:
    """A host that does not answer is given up after the timeout."""
    with listen_tcp(backlog=0) as silent, full_backlog(silent):
        error = error_of(address_of(silent), timeout=SHORT)

    assert isinstance(error, TransportTimeout)
    assert re.search(r"no answer in 0\.[23]\d* s", error.reason), error.reason


@pytest.mark.skipif(not linux_only, reason="other systems answer when their queue is full")
def test_until_cuts_a_tcp_connect_short() -> None:
    """A close ends a connect that would have waited for an hour."""
    with listen_tcp(backlog=0) as silent, full_backlog(silent):
        error = error_of(address_of(silent), timeout=3600, until=BroughtForward(after=4))

    assert isinstance(error, TransportTimeout)
    assert "closing" in error.reason


@pytest.mark.skipif(not linux_only, reason="other systems refuse when their queue is full")
def test_full_unix_backlog_times_out(tmp_path: Path) -> None:
    """A collector that does not accept is given up after the timeout, and named."""
    with listen_unix(tmp_path / "socket", backlog=0) as busy, full_backlog(busy):
        error = error_of(address_of(busy), timeout=SHORT)

    assert isinstance(error, TransportTimeout)
    assert "accepted no connection in 0.3 s" in error.reason


@pytest.mark.skipif(not linux_only, reason="other systems refuse when their queue is full")
def test_full_unix_backlog_is_tried_again(tmp_path: Path) -> None:
    """Once the collector accepts again, the connect that waits succeeds."""
    with listen_unix(tmp_path / "socket", backlog=0) as busy, full_backlog(busy):
        asked: List[int] = []
        accepted: List[socket.socket] = []

        def until() -> float:
            # Asked between two tries, that is, while connect waits: now make room.
            asked.append(1)
            if len(asked) == 3:
                accepted.append(busy.accept()[0])
            return never()

        transport = open_transport(address_of(busy), until=until)
        transport.close()
        for connection in accepted:
            connection.close()
    assert len(asked) >= 3


@pytest.mark.skipif(not linux_only, reason="other systems refuse when their queue is full")
def test_until_cuts_a_unix_connect_short(tmp_path: Path) -> None:
    """A close ends the waiting for a place in the queue."""
    with listen_unix(tmp_path / "socket", backlog=0) as busy, full_backlog(busy):
        error = error_of(address_of(busy), timeout=3600, until=BroughtForward(after=4))

    assert "closing" in error.reason
