"""Replay a capture to a collector.

The payloads go out byte for byte as they are, by a handler's own queue and thread, with its
sessions, reconnects and resends. The main thread reads, and waits where the queue is full.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import time
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

from ..address import parse_address
from ..codec.encoding import DEFAULT_MAX_PAYLOAD
from ..delivery.options import MIN_FRAME_SIZE
from ..delivery.stats import Stats
from ..exceptions import DecodeError
from ..framestream.frames import DEFAULT_MAX_FRAME_SIZE, MAX_FRAME_SIZE
from ..handler import DnstapHandler
from ..reader.reader import DnstapReader
from . import numbers
from .capture_input import NO_STOP, open_reader
from .capture_output import QUEUE_BYTES
from .common import DAMAGED, OK, CommandError
from .pacing import Pace, at_once, at_rate, in_its_time, wait_until_due
from .progress import file_size, show_progress
from .sequences import Distinct, add_distinct, make_distinct
from .verbose import add_verbose, say_diagnostics

__all__ = ["add_arguments", "run"]

CLOSE_TIMEOUTS = 4
"""How many timeouts the end may take: for a new connection, its two handshakes, and FINISH."""

FLUSH_SLICE = 0.2
"""Seconds of one wait at the end; between two, signals are noticed on every system."""

Advance = Callable[[int, int], None]
Frames = Iterator[Tuple[int, bytes]]


class Result(NamedTuple):
    """What became of a replay.

    Attributes:
        seconds: how long it took.
        stats: the handler's books, after its end.
        damage: what is wrong with the capture, or None.
        signal: which one ended it early; 0: none.
    """

    seconds: float
    stats: Stats
    damage: Optional[str]
    signal: int


class _Ended(KeyboardInterrupt):
    """SIGTERM came."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("file", metavar="FILE", help="the capture; - is standard input")
    parser.add_argument(
        "address", metavar="ADDRESS", help="unix:///path, tcp://host:port or tls://host:port"
    )
    add_distinct(parser)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate", type=numbers.positive, metavar="N", help="at most N messages a second"
    )
    pace.add_argument(
        "--timed", action="store_true", help="in the time that the messages' own times say"
    )
    parser.add_argument(
        "--speed", type=numbers.positive, metavar="F", help="with --timed: F times as fast"
    )
    parser.add_argument(
        "--attempts",
        type=numbers.count(0),
        default=5,
        metavar="N",
        help="further attempts to connect before giving up (%(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=numbers.seconds,
        default=5.0,
        metavar="SECONDS",
        help="for each handshake, for FINISH, and for a write without progress (5)",
    )
    parser.add_argument(
        "--max-frame-size",
        type=numbers.count(MIN_FRAME_SIZE, MAX_FRAME_SIZE),
        default=DEFAULT_MAX_PAYLOAD,
        metavar="BYTES",
        help="larger messages are left out: usual collectors do not take them (%(default)s)",
    )
    _add_tls_arguments(parser)
    add_verbose(parser)


def _add_tls_arguments(parser: argparse.ArgumentParser) -> None:
    tls = parser.add_argument_group("for tls://")
    tls.add_argument("--cafile", metavar="FILE", help="certificates to trust (the system's)")
    tls.add_argument("--certfile", "--cert", metavar="FILE", help="our own certificate")
    tls.add_argument("--keyfile", "--key", metavar="FILE", help="its key, if not in --certfile")
    tls.add_argument("--server-hostname", metavar="NAME", help="the name in its certificate")


def run(options: argparse.Namespace) -> int:
    """Send the capture; return 0 if all of it was sent and confirmed."""
    pace, distinct = _make_pace(options), make_distinct(options)
    with contextlib.ExitStack() as stack:
        reader = stack.enter_context(_open(options))
        stack.enter_context(say_diagnostics(options.command, options.verbose))
        handler = _make_handler(options)
        stack.callback(handler.close)
        advance = stack.enter_context(show_progress("sending", file_size(options.file)))
        frames = reader.frames()
        if distinct is not None:
            frames = (each for each in frames if distinct.is_new(each[1]))
        result = _replay(reader, frames, handler, pace, advance)
    _print_counts(result, distinct)
    problems = _problems(result, options)
    if result.signal:
        return 128 + result.signal
    if problems:
        raise CommandError("; ".join(problems), DAMAGED)
    return OK


def _open(options: argparse.Namespace) -> DnstapReader:
    limit = max(DEFAULT_MAX_FRAME_SIZE, options.max_frame_size)
    try:
        return open_reader(options.file, max_frame_size=limit)
    except DecodeError as error:
        raise CommandError(str(error), DAMAGED) from error


def _make_pace(options: argparse.Namespace) -> Pace:
    if options.speed is not None and not options.timed:
        raise CommandError("--speed is the factor of --timed: give both (try --help)")
    if options.rate is not None:
        return at_rate(options.rate)
    return in_its_time(options.speed or 1.0) if options.timed else at_once


def _make_handler(options: argparse.Namespace) -> DnstapHandler:
    try:
        address = parse_address(options.address, argument="ADDRESS")
        if address.scheme == "kafka":
            raise CommandError(
                f"{options.address} is a topic of Kafka: write unix:///path, tcp://host:port or "
                f"tls://host:port (only a handler writes to Kafka)"
            )
        if address.is_file:
            raise CommandError(
                f"{options.address} is a file: write unix:///path, tcp://host:port or "
                f"tls://host:port (to copy captures, use check --repair)"
            )
        return DnstapHandler(
            options.address,
            overflow="block",
            queue_bytes=max(QUEUE_BYTES, options.max_frame_size),
            timeout=options.timeout,
            max_reconnect_attempts=options.attempts,
            close_timeout=options.timeout * CLOSE_TIMEOUTS,
            max_frame_size=options.max_frame_size,
            cafile=options.cafile,
            certfile=options.certfile,
            keyfile=options.keyfile,
            server_hostname=options.server_hostname,
        )
    except (TypeError, ValueError) as error:
        raise CommandError(str(error)) from error


def _replay(
    reader: DnstapReader, frames: Frames, handler: DnstapHandler, pace: Pace, advance: Advance
) -> Result:
    """Send all that can be sent, and end the stream in order, whatever happens."""
    started = time.monotonic()
    damage: Optional[str] = None
    ended_by = 0
    before = signal.signal(signal.SIGTERM, _end)
    try:
        damage = _feed(reader, frames, handler, pace, advance)
        while not handler.flush(FLUSH_SLICE):
            pass
    except KeyboardInterrupt as interrupt:
        ended_by = signal.SIGTERM if isinstance(interrupt, _Ended) else signal.SIGINT
    finally:
        handler.close()
        signal.signal(signal.SIGTERM, before)
    return Result(time.monotonic() - started, handler.stats(), damage, ended_by)


def _feed(
    reader: DnstapReader, frames: Frames, handler: DnstapHandler, pace: Pace, advance: Advance
) -> Optional[str]:
    """Hand over one frame after the other; return what is wrong with the capture, or None."""
    try:
        for number, (offset, payload) in enumerate(frames, 1):
            wait_until_due(pace(payload, time.monotonic()))
            if not handler.emit_payload(payload):
                return None  # it has given up
            advance(offset, number)
    except DecodeError as error:
        return str(error)
    return None if reader.complete else f"{reader.name}: byte {reader.offset}: {NO_STOP}"


def _end(number: int, frame: object) -> None:
    raise _Ended


def _print_counts(result: Result, distinct: Optional[Distinct]) -> None:
    """Print the last line: what was sent, and what of it is confirmed."""
    stats, seconds = result.stats, result.seconds
    again = f", {stats.resent} sent again" if stats.resent else ""
    doubles = distinct.doubles if distinct is not None else 0
    again += f", {numbers.counted(doubles, 'double')} left out" if doubles else ""
    rate = f", {stats.written / seconds:,.0f}/s" if seconds > 0 else ""
    print(
        f"{stats.address}: {stats.written} of {stats.logged} messages sent, {stats.confirmed} "
        f"confirmed{again}; {stats.bytes_written:,} bytes in {seconds:.1f} s{rate}"
    )


def _problems(result: Result, options: argparse.Namespace) -> List[str]:
    """Return what went wrong, in words."""
    problems, stats = [], result.stats
    if result.damage:
        problems.append(result.damage)
    large = stats.dropped["too_large"]
    if large:
        left_out = numbers.counted(large, "message")
        limit = options.max_frame_size
        problems.append(f"{left_out} of more than {limit} bytes left out (--max-frame-size)")
    lost = sum(stats.dropped.values()) - large
    if lost:
        unsent = numbers.counted(lost, "message")
        problems.append(f"{_reason(stats)}gave up, {unsent} read and not sent")
    elif stats.written > stats.confirmed:
        problems.append(f"{_reason(stats)}not all is confirmed by FINISH")
    return problems


def _reason(stats: Stats) -> str:
    """Return the collector's address and what went wrong with it, as the beginning of a line."""
    return f"{stats.address}: " + (f"{stats.last_error}: " if stats.last_error else "")
