"""Collect dnstap on unix, TCP or TLS sockets, and print it or write a capture.

Each connection has a thread of its receiver's, which hands its messages to one target. The main
thread waits for the end, and ends all in order: the receivers first, which take and answer what has
arrived, then the target.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import signal
import time
from typing import Iterator, List

from . import capture_output as capture
from . import numbers, printing, selecting
from .common import DAMAGED, OK, CommandError, complain, unwritable
from .receivers import Receivers
from .receivers import add_arguments as add_receiving_arguments
from .sequences import add_distinct
from .targets import Target, make_target
from .verbose import add_verbose, say_diagnostics

__all__ = ["add_arguments", "run"]

LOOK_INTERVAL = 0.1
"""Seconds after which signals are noticed at the latest."""


CLOSE_TIMEOUT = 3.0
"""Seconds that the senders have at the end to be read and answered."""

CUT_TIMEOUT = 0.5
"""The same where enough was taken and some have more: those that have not are answered at once."""


class _Signals:
    """The signals that came, as plain attributes, because handlers set them."""

    def __init__(self) -> None:
        self.stop = False
        self.reopen = False

    @contextlib.contextmanager
    def caught(self, reopens: bool) -> Iterator[None]:
        """Catch SIGINT, SIGTERM and SIGHUP while the body runs.

        Args:
            reopens: SIGHUP opens the capture again; otherwise it ends the command.
        """
        handlers = {signal.SIGINT: self._on_stop, signal.SIGTERM: self._on_stop}
        handlers[signal.SIGHUP] = self._on_reopen if reopens else self._on_stop
        before = {number: signal.signal(number, each) for number, each in handlers.items()}
        try:
            yield
        finally:
            for number, each in before.items():
                signal.signal(number, each)

    def _on_stop(self, number: int, frame: object) -> None:
        if self.stop:
            raise KeyboardInterrupt  # asked twice: at once, then
        self.stop = True

    def _on_reopen(self, number: int, frame: object) -> None:
        self.reopen = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``listen``."""
    add_receiving_arguments(parser)
    end = parser.add_argument_group("the end", "By default at SIGINT (Ctrl-C) or SIGTERM.")
    end.add_argument(
        "--for", dest="seconds", type=numbers.seconds, metavar="SECONDS", help="after so long"
    )
    end.add_argument(
        "--count",
        type=numbers.count(1),
        metavar="N",
        help="after N messages; a sender that has more is cut off, without FINISH",
    )
    capture.add_arguments(parser)
    printing.add_arguments(parser)
    selecting.add_arguments(parser)
    add_distinct(parser)
    add_verbose(parser)


def run(options: argparse.Namespace) -> int:
    """Collect until the end is asked for; return 0 if all that was received is kept."""
    printing.prepare_output()
    target = _make_target(options)
    receivers = Receivers(options, target.callbacks(), options.verbose)
    signals = _Signals()
    with contextlib.ExitStack() as stack:
        stack.enter_context(say_diagnostics(options.command, options.verbose, logging.WARNING))
        stack.enter_context(signals.caught(reopens=options.write not in (None, "-")))
        stack.callback(target.close)
        receivers.start()
        stack.callback(receivers.close, 0)
        target.open()  # behind the addresses: where one is in use, no file is touched
        for address in receivers.addresses:
            complain(options.command, f"listening on {address}")
        _wait(options, signals, receivers, target)
        if target.failure is None:
            receivers.close(CUT_TIMEOUT if target.has_callers_waiting else CLOSE_TIMEOUT)
            target.close()
        if target.failure is not None:
            raise _explained(target.failure)
    return _conclude(options, receivers, target)


def _explained(failure: Exception) -> Exception:
    if isinstance(failure, OSError) and not isinstance(failure, BrokenPipeError):
        return unwritable(failure, DAMAGED)
    return failure


def _make_target(options: argparse.Namespace) -> Target:
    capture.check(options)
    if options.write is not None and options.form is not None:
        raise CommandError("--write writes the payloads as they are: leave the output format out")
    return make_target(options, printing.make_printer(options), selecting.make_selector(options))


def _wait(
    options: argparse.Namespace, signals: _Signals, receivers: Receivers, target: Target
) -> None:
    """Wait for the end that was asked for."""
    end = math.inf if options.seconds is None else time.monotonic() + options.seconds
    while not signals.stop and not target.ended.is_set():
        left = end - time.monotonic()
        if left <= 0:
            return
        if signals.reopen:
            signals.reopen = False
            _reopen(options, receivers, target)
        target.ended.wait(min(left, LOOK_INTERVAL))


def _reopen(options: argparse.Namespace, receivers: Receivers, target: Target) -> None:
    target.reopen()
    try:
        receivers.renew()
    except ValueError as error:
        complain(options.command, str(error))


def _conclude(options: argparse.Namespace, receivers: Receivers, target: Target) -> int:
    """Say what was received; return the exit status."""
    messages = numbers.counted(receivers.total("messages"), "message")
    connections = numbers.counted(receivers.total("connections"), "connection")
    complain(options.command, f"received {messages} on {connections}, kept {target.stored}")
    problems: List[str] = target.problems()
    undecodable = receivers.total("undecodable")
    if undecodable:
        problems.append(f"{numbers.counted(undecodable, 'payload')} left out: no dnstap")
    if problems:
        raise CommandError("; ".join(problems), DAMAGED)
    return OK
