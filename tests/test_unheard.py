"""Mistakes that would log nothing: a logger without a dnstap handler, a mixin in a server."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import socket
import socketserver
from pathlib import Path
from typing import Any, Callable, Dict, Type

import dns.message
import dns.resolver
import pytest
from dnslib import DNSRecord

from dnstap_logging import DnstapAdapter, DnstapHandler
from dnstap_logging.integrations.dnslib import DnstapLogger, DnstapUpstream
from dnstap_logging.integrations.dnspython import DnstapClient
from dnstap_logging.integrations.socketserver import DnstapMixin
from tests.helpers.said import Said

WIRE = b"\x12\x34\1\0" + bytes(8)
TEXT = "no dnstap handler is reached from it"
SILENT = ("127.0.0.1", 9)  # nobody answers there


class Request:
    """What a request handler has of its server."""

    client_address = ("192.0.2.1", 5353)
    protocol = "udp"

    def __init__(self, sock: socket.socket) -> None:
        self.request = (WIRE, sock)


def by_adapter(logger: logging.Logger) -> None:
    """Log by an adapter."""
    tap = DnstapAdapter(logger)
    for _ in range(3):
        tap.client_query(WIRE, query_address="192.0.2.1")
        tap.client_response(WIRE)
        tap.log_message("AUTH_QUERY", WIRE)


def by_mixin(logger: logging.Logger) -> None:
    """Log by a request handler of socketserver."""
    kind: Any = type("Handler", (DnstapMixin, Request), {"dnstap_logger": logger})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        handler = kind(sock)
        for _ in range(3):
            handler.dnstap_query(WIRE)
            handler.dnstap_response(WIRE)


def by_dnslib(logger: logging.Logger) -> None:
    """Log by dnslib's logger."""
    hooks = DnstapLogger(logger)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _ in range(3):
            hooks.log_recv(Request(sock), WIRE)


def by_upstream(logger: logging.Logger) -> None:
    """Ask by dnslib, without getting an answer."""
    for _ in range(2):
        with pytest.raises((socket.timeout, ConnectionError)):
            DnstapUpstream(logger).send(DNSRecord.question("example.org"), *SILENT, timeout=0.01)


def by_dnspython(logger: logging.Logger) -> None:
    """Ask by dnspython, without getting an answer."""
    query = dns.message.make_query("example.org", "A")
    with pytest.raises((OSError, dns.exception.DNSException)):
        DnstapClient(logger).udp(query, SILENT[0], timeout=0.01, port=SILENT[1])


def by_resolver(logger: logging.Logger) -> None:
    """Ask by a resolver of dnspython, without getting an answer."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port, resolver.lifetime = [SILENT[0]], SILENT[1], 0.1
    DnstapClient(logger).log_resolver(resolver)
    with pytest.raises(dns.exception.DNSException):
        resolver.resolve("example.org")


WAYS = [by_adapter, by_mixin, by_dnslib, by_upstream, by_dnspython, by_resolver]
Way = Callable[[logging.Logger], None]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
@pytest.mark.parametrize("other", [None, logging.StreamHandler()])
def test_a_logger_without_a_dnstap_handler_is_named(
    said: Said, way: Way, level: int, other: Any
) -> None:
    """One WARNING at the first query, whether the logger takes it or not; none at the next."""
    logger = logging.Logger("servers.dns", level)
    if other is not None:
        other.setLevel(logging.CRITICAL)
        logger.addHandler(other)
    way(logger)

    assert "servers.dns" in said.wait_for(TEXT)
    way(logger)
    another = logging.Logger("another", level)
    way(another)
    said.wait_for("another")
    assert len(said.with_text(TEXT, logging.WARNING)) == 2


HEARD: Dict[str, Callable[[Path], logging.Handler]] = {
    "dnstap": DnstapHandler,
    "buffered": lambda path: logging.handlers.MemoryHandler(10, target=None),
    "queue": lambda path: logging.handlers.QueueHandler(queue.Queue()),
    "of the program": lambda path: type("Own", (logging.Handler,), {"emit": print})(99),
    "null": lambda path: logging.NullHandler(),
}


@pytest.mark.parametrize("where", ["own", "parent"])
@pytest.mark.parametrize("kind", HEARD)
def test_a_logger_that_may_be_heard_is_not(
    said: Said, capture: Path, kind: str, where: str
) -> None:
    """A dnstap handler here or above, a way to one, or a NullHandler: nothing is reported."""
    logger, parent = logging.Logger("child", logging.INFO), logging.Logger("parent", logging.INFO)
    logger.parent = parent
    handler = HEARD[kind](capture)
    (logger if where == "own" else parent).addHandler(handler)
    by_adapter(logging.LoggerAdapter(logger, {}))  # type: ignore[arg-type]
    by_adapter(logger)
    by_adapter(logging.Logger("unheard", logging.INFO))
    said.wait_for("unheard")
    logger.handlers.clear()
    parent.handlers.clear()
    handler.close()

    assert [line for line in said.with_text(TEXT) if "unheard" not in line] == []


def test_it_may_be_attached_after_the_adapter_is_made(said: Said, capture: Path) -> None:
    """Only the first query looks: a program may configure its logging last."""
    logger = logging.Logger("late", logging.INFO)
    tap = DnstapAdapter(logger)
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    tap.client_query(WIRE)
    handler.close()

    assert handler.stats().written == 1
    assert said.with_text(TEXT) == []


# -- the class -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "server",
    [
        socketserver.UDPServer,
        socketserver.ThreadingTCPServer,
        socketserver.ThreadingUDPServer,
        socketserver.ThreadingMixIn,
        socketserver.ForkingUDPServer,
    ],
)
def test_a_server_is_refused_where_it_is_made(server: Type[Any]) -> None:
    """Mixed into a server the methods would never see a query: that is a TypeError of the class."""
    for bases in ((DnstapMixin, server), (server, DnstapMixin)):
        with pytest.raises(TypeError, match="is for request handlers, and this is a server"):
            type("Server", bases, {})


def test_handlers_and_bare_mixins_are_taken() -> None:
    """Request handlers of each kind, and classes that are mixed in further, may be made."""
    for base in (
        socketserver.BaseRequestHandler,
        socketserver.StreamRequestHandler,
        socketserver.DatagramRequestHandler,
        object,
    ):
        mixed = type("Mixed", (DnstapMixin,), {"dnstap_role": "AUTH"})
        type("Handler", (mixed, base), {"dnstap_logger": "dns"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dnstap_loger", "dnstap_logger"),
        ("dnstap_log", "dnstap_logger"),
        ("dnstaplogger", "dnstap_logger"),
        ("dnstapLogger", "dnstap_logger"),
        ("DNSTAP_LOGGER", "dnstap_logger"),
        ("dntsap_logger", "dnstap_logger"),
        ("dns_tap_logger", "dnstap_logger"),
        ("dnstap_loggers", "dnstap_logger"),
        ("dnstap_rol", "dnstap_role"),
        ("dnstap_roles", "dnstap_role"),
        ("dnstap_proto", "dnstap_protocol"),
        ("dnstap_protcol", "dnstap_protocol"),
        ("dnstap_querry", "dnstap_query"),
        ("dnstap_respone", "dnstap_response"),
    ],
)
def test_misspelt_attributes_are_refused(name: str, meant: str) -> None:
    """An attribute that is nearly one of ours raises where the class is made, and names it."""
    with pytest.raises(TypeError, match=rf"Handler\.{name}: .*did you mean '{meant}'"):
        type("Handler", (DnstapMixin,), {name: "dns"})


@pytest.mark.parametrize(
    "name",
    [
        "logger", "dns_logger", "dnstap_enabled", "dnstap_counter", "dnstap_logger_name",
        "_dnstap_logger", "dnstap_handler", "dnstap_extra", "role", "protocol", "dns_role",
    ],
)  # fmt: skip
def test_attributes_of_the_program_are_taken(name: str) -> None:
    """A class has attributes of its own, with other names."""
    type("Handler", (DnstapMixin,), {name: "dns"})
