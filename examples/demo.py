"""A DNS server, a client and a dnstap collector on one machine, and the books at the end.

`make demo` runs this. The server of dns_server.py answers on a free port of the loopback; a client
asks it some hundred questions over UDP and TCP. The logging configuration has two handlers: one
sends to a collector on a unix socket, which runs in this program too and prints a line for each
message that arrives, and one writes a capture file. At the end the books of both are compared with
what the client did, what the collector received and what is in the file.

Exit status: 0 if the books balance and everything arrived, 1 if not, 2 for a bad argument.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import dns.exception
import dns.message
import dns.query
from dns_server import DnsServer, OneLineParser, configure

import dnstap_logging
from dnstap_logging import DnstapHandler, DnstapMessage, DnstapReader, DnstapReceiver, Stats
from dnstap_logging.text import format_line

DEFAULT_QUERIES = 300
DEFAULT_OUTPUT = "demo.fstrm"
ANSWER_TIMEOUT = 5.0
INTERRUPTED = 130  # what a shell makes of the end by Ctrl-C

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


# -- the client ------------------------------------------------------------------------------------


class Tally(NamedTuple):
    """What the client did."""

    sent: int = 0
    answered: int = 0
    truncated: int = 0


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
        servers = [stack.enter_context(DnsServer("127.0.0.1"))]
        if socket.has_ipv6:
            with contextlib.suppress(OSError):
                servers.append(stack.enter_context(DnsServer("::1")))
        yield servers


# -- the books -------------------------------------------------------------------------------------


class Books(NamedTuple):
    """What one handler says, and what was found at the other end."""

    name: str
    stats: Stats
    received: Optional[int]  # None: by a collector of the user's, which alone can tell


def close_all(handlers: Iterable[DnstapHandler]) -> None:
    """Deliver what is queued, and end the streams."""
    for handler in handlers:
        handler.close()


def find_handler(name: str) -> DnstapHandler:
    """Return a handler that dictConfig made."""
    handler = dnstap_logging.get_handler(name)
    assert handler is not None
    return handler


def count_messages(path: str) -> int:
    """Read a capture from its beginning to its STOP frame."""
    with DnstapReader(path) as reader:
        return sum(1 for _ in reader)


def print_books(books: Sequence[Books]) -> None:
    """Print a table of them."""
    columns = ("logged", "accepted", "written", "received", "dropped")
    print(f"{'handler':<10}" + "".join(f"{column:>10}" for column in columns))
    for name, stats, received in books:
        dropped = sum(stats.dropped.values())
        arrived = "?" if received is None else received
        row = (stats.logged, stats.accepted, stats.written, arrived, dropped)
        print(f"{name:<10}" + "".join(f"{value:>10}" for value in row))


def find_faults(books: Sequence[Books], expected: int) -> List[str]:
    """Return what does not balance, in words."""
    faults = []
    for name, stats, received in books:
        dropped = sum(stats.dropped.values())
        if stats.logged != stats.written + stats.queued + stats.in_flight + dropped:
            faults.append(f"{name}: the books do not balance: {stats}")
        if stats.logged != expected:
            faults.append(f"{name}: {stats.logged} logged, but the client saw {expected} messages")
        if received is not None and received != stats.written:
            faults.append(f"{name}: {stats.written} written, but {received} received")
        if dropped:
            causes = ", ".join(f"{cause} {n}" for cause, n in stats.dropped.items() if n)
            faults.append(f"{name}: {dropped} dropped ({causes}): {stats.last_error}")
        if stats.unconfirmed:
            faults.append(f"{name}: {stats.unconfirmed} written to sessions without a FINISH")
    return faults


def print_summary(books: Sequence[Books], tally: Tally, seconds: float, output: str) -> int:
    """Print what happened; return the exit status."""
    print()
    print(f"{tally.sent} queries, {tally.answered} answers in {seconds:.1f} s; ", end="")
    print(f"truncated, and asked again over TCP: {tally.truncated}")
    for _, stats, _ in books:
        print(f"{stats.written} messages, {stats.bytes_written:,} bytes went to {stats.address}")
    print()
    print_books(books)
    print()
    faults = find_faults(books, tally.sent + tally.answered)
    for fault in faults:
        print(fault)
    if not faults:
        print("The books balance: all that was logged was written, and nothing was dropped.")
    shown = os.path.relpath(output)
    print()
    print(f"The capture is {os.path.abspath(output)}, {os.path.getsize(output):,} bytes. Read it:")
    print(f"    dnstap -r {shown} -q    one line a message")
    print(f"    dnstap -r {shown} -y    every field, as YAML")
    print(f"    fstrm_dump {shown}      the frames as they are")
    return 1 if faults else 0


# -- the whole -------------------------------------------------------------------------------------


@contextlib.contextmanager
def embedded_collector(quiet: bool) -> Iterator[DnstapReceiver]:
    """Collect on a unix socket in a folder of its own, and print what arrives."""

    def show(message: DnstapMessage) -> None:
        with contextlib.suppress(BrokenPipeError):  # `| head`: the main thread ends the demo
            if not quiet:
                print(format_line(message))

    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dnstap-demo-"))
        address = f"unix://{folder}/collector.sock"
        yield stack.enter_context(DnstapReceiver(address, show))


def parse_arguments(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Read the command line."""
    parser.add_argument(
        "--address",
        help="send to this collector (unix:///run/dnstap.sock, tcp://127.0.0.1:6000) instead of "
        "the one that is built in",
    )
    parser.add_argument(
        "--queries", type=_count, default=DEFAULT_QUERIES, help="how many (%(default)s)"
    )
    parser.add_argument(
        "--output",
        default=DEFAULT_OUTPUT,
        help="the capture file; one that exists is replaced (./%(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="print the summary only")
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be an integer of at least 1")
    return number


def _same_file(address: str, path: str) -> bool:
    plain = address[len("file://") :] if address.startswith("file://") else address
    return bool(plain) and os.path.realpath(plain) == os.path.realpath(path)


def run() -> int:
    """Run the demo; return the exit status."""
    parser = OneLineParser(prog="demo.py", description=(__doc__ or "").partition("\n")[0])
    options = parse_arguments(parser)
    if _same_file(options.address or "", options.output):
        parser.error(f"--output {options.output}: this is --address too, choose another file")
    with contextlib.ExitStack() as stack:
        receiver = None
        address = options.address
        if address is None:
            receiver = stack.enter_context(embedded_collector(options.quiet))
            address = str(receiver.address)
        configure(parser, logging_config(address, options.output, options.quiet))
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


def main() -> int:
    """Run the demo; end without a traceback where the user or the reader of the output does."""
    # Lines come out whole and at once, also in a pipe and among those of the diagnostics.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        return run()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
