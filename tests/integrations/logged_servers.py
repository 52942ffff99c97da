"""Request handlers with `DnstapMixin` as users write them, and how tests ask them."""

from __future__ import annotations

from typing import Any, Tuple, Type

import pytest

from dnstap_logging.integrations.socketserver import DnstapMixin
from tests.integrations.capture import Capture
from tests.integrations.servers import (
    DatagramHandler,
    Server,
    StreamHandler,
    ask_tcp,
    ask_udp,
    echo,
    framed,
    read_messages,
)


class LoggedDatagrams(DnstapMixin, DatagramHandler):
    """A UDP server's handler as users write it."""

    def handle(self) -> None:
        data, sock = self.request
        self.dnstap_query(data)
        (response,) = echo(data)
        self.dnstap_response(response)
        sock.sendto(response, self.client_address)


class LoggedStream(DnstapMixin, StreamHandler):
    """A TCP server's handler as users write it."""

    def handle(self) -> None:
        for data in read_messages(self.request):
            self.dnstap_query(data)
            (response,) = echo(data)
            self.dnstap_response(response)
            self.request.sendall(framed(response))


HANDLERS = pytest.mark.parametrize("base", [LoggedDatagrams, LoggedStream], ids=["UDP", "TCP"])


def logged(base: Type[Any], capture: Capture, **attributes: Any) -> Any:
    """Give a handler its logger, in the body of a subclass."""
    return type("Handler", (base,), {"dnstap_logger": capture.logger, **attributes})


def ask(base: Type[Any], server: Server, query: bytes, host: str = "") -> Tuple[bytes, Any]:
    """Ask one query by the protocol of a handler; return the response and our own address."""
    if issubclass(base, DatagramHandler):
        return ask_udp(server, query, host)
    responses, own = ask_tcp(server, [query], host)
    return responses[0], own
