"""Fixtures of the transport's tests."""

from __future__ import annotations

import socket
from typing import Iterator, List

import pytest

from dnstap_logging.transport.tls import TlsOptions
from tests.transport.peers import (
    Authority,
    Link,
    Peer,
    accept,
    accept_tls,
    address_of,
    listen_tcp,
    listen_unix,
    open_transport,
)


@pytest.fixture(params=["unix", "tcp", "tls"])
def link(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Link]:
    """Connect one transport of each kind."""
    directory = tmp_path_factory.mktemp("link")
    kind: str = request.param
    listener = listen_unix(directory / "socket") if kind == "unix" else listen_tcp()
    accepted: List[socket.socket] = []
    tls = None
    if kind == "tls":
        authority = Authority(directory)
        context = authority.server_context()
        tls = TlsOptions(cafile=authority.cafile)
    with Peer(
        listener,
        lambda at: accepted.append(accept_tls(at, context) if kind == "tls" else accept(at)),
    ):
        address = address_of(listener, "tls" if kind == "tls" else "tcp")
        transport = open_transport(address, tls=tls)
    yield Link(kind, transport, accepted[0])
    transport.close()
    accepted[0].close()
