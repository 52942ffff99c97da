"""What the demo does: a DNS server, a client and a dnstap collector, in one process.

Imported only when the demo runs, because it needs dnslib and dnspython.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import itertools
import logging
import logging.config
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple

import dns.exception
import dns.message
import dns.query

from ...adapter.adapter import DnstapAdapter
from ...address import MAX_UNIX_PATH
from ...handler import DnstapHandler
from ...lookup import get_handler
from ...message.message import DnstapMessage
from ...reader.reader import DnstapReader
from ...receiver.receiver import DnstapReceiver
from ...text.line import format_line
from ..common import CommandError
from .books import Books, Tally, print_summary
from .server import DnsServer, answer

__all__ = ["run"]

ANSWER_TIMEOUT = 5.0

SOCKET = "/collector.sock"  # of the collector inside the demo, in a folder of its own

# Name, type, and whether EDNS says that 1232 bytes over UDP are welcome.
QUESTIONS: Sequence[Tuple[str, str, bool]] = (
    ("www.example.org", "A", True),
    ("www.example.org", "AAAA", False),
    ("example.org", "MX", True),
    ("example.org", "NS", False),
    ("example.org", "SOA", True),
    ("example.org", "TXT", False),
    ("Mail.Example.ORG", "A", True),
    ("mail.example.org", "AAAA", True),  # no such type: an empty answer
    ("nothing.example.org", "A", True),  # no such name: NXDOMAIN
    ("large.example.org", "TXT", True),  # too large for UDP: TC=1, and again over TCP
    ("www.example.net", "A", False),  # not our zone: REFUSED
)
TCP_EACH = 4  # every fourth question goes over TCP at once


def logging_config(address: str, output: str, quiet: bool) -> Dict[str, Any]:
    """Return the configuration: the server's logger "dns" has two dnstap handlers."""
    return {
        "version": 1,
        "disable_existing_loggers": False,  # or the library's own diagnostics are switched off
        "formatters": {"plain": {"format": "%(levelname)s %(name)s: %(message)s"}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": "plain"},
            "collector": {
                "class": "dnstap_logging.DnstapHandler",
                "address": address,
                "identity": "ns1.example.org",
            },
            "file": {
                "class": "dnstap_logging.DnstapHandler",
                "address": Path(output),  # a path object is always a file
                "mode": "w",
                "identity": "ns1.example.org",
            },
        },
        "loggers": {
            "dns": {"level": "INFO", "handlers": ["collector", "file"], "propagate": False},
            "dnstap_logging": {"level": "WARNING" if quiet else "INFO", "handlers": ["console"]},
        },
    }


# -- the server ------------------------------------------------------------------------------------


def respond(
    wire: bytes,
    send: Callable[[bytes], object],
    protocol: str,
    client: Tuple[Any, ...],
    server: Tuple[Any, ...],
) -> None:
    """Answer one query, and log both messages as they went over the wire."""
    received_at = time.time_ns()
    tap = DnstapAdapter(
        logging.getLogger("dns"),
        {
            "dns_socket_protocol": protocol,
            "dns_query_address": client,
            "dns_response_address": server,
            "dns_query_time": received_at,
        },
    )
    tap.client_query(wire)
    reply = answer(wire, protocol)
    if reply is not None:
        send(reply)
        tap.client_response(reply)


def configure(config: Dict[str, Any]) -> None:
    """Configure logging.

    Raises:
        CommandError: that cannot be done.
    """
    try:
        logging.config.dictConfig(config)
    except ValueError as error:
        # dictConfig says which handler it was; what is wrong with it is the cause.
        text = f"{error}: {error.__cause__}" if error.__cause__ else str(error)
        raise CommandError(text) from error


# -- the client ------------------------------------------------------------------------------------


def ask(server: DnsServer, number: int) -> Tally:
    """Ask one question, over TCP again where the answer was truncated."""
    name, kind, edns = QUESTIONS[number % len(QUESTIONS)]
    query = dns.message.make_query(name, kind, use_edns=0 if edns else False, payload=1232)
    to: Dict[str, Any] = {"where": server.host, "port": server.port, "timeout": ANSWER_TIMEOUT}
    if number % TCP_EACH == 0:
        dns.query.tcp(query, **to)
        return Tally(1, 1)
    _, again = dns.query.udp_with_fallback(query, **to)
    return Tally(2, 2, 1) if again else Tally(1, 1)


def run_client(servers: Sequence[DnsServer], queries: int) -> Tally:
    """Ask all questions, of the servers in turn; Ctrl-C counts between two of them."""
    total = Tally()
    interrupted: List[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
    try:
        for number, server in zip(range(queries), itertools.cycle(servers)):
            if interrupted:
                raise KeyboardInterrupt
            try:
                done = ask(server, number)
            except (dns.exception.DNSException, OSError) as error:
                print(f"question {number} has no answer: {error!r}", file=sys.stderr)
                done = Tally(sent=1)
            total = Tally(*map(sum, zip(total, done)))
    finally:
        signal.signal(signal.SIGINT, before)
    return total


@contextlib.contextmanager
def start_servers() -> Iterator[List[DnsServer]]:
    """Start a server on the loopback of IPv4, and one on that of IPv6 if there is one."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(DnsServer(respond, "127.0.0.1"))]
        if socket.has_ipv6:
            with contextlib.suppress(OSError):
                servers.append(stack.enter_context(DnsServer(respond, "::1")))
        yield servers


# -- the handlers and the collector ----------------------------------------------------------------


def close_all(handlers: Iterable[DnstapHandler]) -> None:
    """Deliver what is queued, and end the streams."""
    for handler in handlers:
        handler.close()


def find_handler(name: str) -> DnstapHandler:
    """Return a handler that dictConfig made."""
    handler = get_handler(name)
    assert handler is not None
    return handler


def count_messages(path: str) -> int:
    """Read a capture from its beginning to its STOP frame."""
    with DnstapReader(path) as reader:
        return sum(1 for _ in reader)


@contextlib.contextmanager
def embedded_collector(quiet: bool) -> Iterator[DnstapReceiver]:
    """Collect on a unix socket in a folder of its own, and print what arrives."""

    def show(message: DnstapMessage) -> None:
        with contextlib.suppress(BrokenPipeError):  # `| head`: the main thread ends the demo
            if not quiet:
                print(format_line(message))

    with contextlib.ExitStack() as stack:
        make_folder = functools.partial(tempfile.TemporaryDirectory, prefix="dnstap-demo-")
        folder = stack.enter_context(make_folder())
        if len(os.fsencode(folder)) + len(SOCKET) >= MAX_UNIX_PATH:  # a long TMPDIR, as macOS has
            folder = stack.enter_context(make_folder(dir="/tmp"))
        address = f"unix://{folder}{SOCKET}"
        yield stack.enter_context(DnstapReceiver(address, show))


# -- the whole -------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Run the demo; return the exit status."""
    with contextlib.ExitStack() as stack:
        receiver = None
        address = options.address
        if address is None:
            receiver = stack.enter_context(embedded_collector(options.quiet))
            address = str(receiver.address)
        configure(logging_config(address, options.output, options.quiet))
        handlers = [find_handler("collector"), find_handler("file")]
        stack.callback(close_all, handlers)

        started = time.monotonic()
        with start_servers() as servers:
            tally = run_client(servers, options.queries)
        seconds = time.monotonic() - started
        close_all(handlers)  # before the collector goes
    to_collector, to_file = (handler.stats() for handler in handlers)
    books = [
        Books("collector", to_collector, receiver.stats().messages if receiver else None),
        Books("file", to_file, count_messages(options.output)),
    ]
    return print_summary(books, tally, seconds, options.output)
