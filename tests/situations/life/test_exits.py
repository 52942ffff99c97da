"""User code that raises BaseExceptions ends nothing; those for the program are passed on."""

from __future__ import annotations

import functools
import logging
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from dnstap_logging import (
    DnstapAdapter,
    DnstapHandler,
    DnstapReader,
    DnstapReceiver,
    RotatingDnstapHandler,
)
from dnstap_logging.diagnostics import Reporter
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, wait_until
from tests.helpers.workers import Workers


class Cancelled(BaseException):
    """What cancels a task in somebody's framework."""


FAILURES = [RuntimeError("bye"), SystemExit("bye"), GeneratorExit("bye")]
"""What user code may raise by itself: none of it leaves a log call."""

INTERRUPTS = [KeyboardInterrupt("bye"), Cancelled("bye")]
"""What is meant for the program."""

failures = pytest.mark.parametrize("error", FAILURES, ids=repr)
interrupts = pytest.mark.parametrize("error", INTERRUPTS, ids=repr)
all_errors = pytest.mark.parametrize("error", FAILURES + INTERRUPTS, ids=repr)

GOOD = {"dns_message_type": "CLIENT_QUERY"}


class Raising:
    """An object all of whose methods raise an exception."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self._error

    filter = format = emit = handle = to_wire = pack = __str__ = __repr__ = __call__
    __index__ = __int__ = __float__ = __bytes__ = __fspath__ = __len__ = __iter__ = __call__
    __bool__ = __eq__ = __hash__ = __call__  # type: ignore[assignment]


class RaisingMapping(Dict[str, object]):
    """A mapping that raises when it is read."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(action=1)
        self._error = error

    def __iter__(self) -> Iterator[str]:
        raise self._error

    def __getitem__(self, key: str) -> object:
        raise self._error


@pytest.fixture
def handler(capture: Path, logger: logging.Logger) -> DnstapHandler:
    """Return a handler of the logger."""
    handler = DnstapHandler(capture, report_interval=3600)
    logger.addHandler(handler)
    return handler


def set_formatter(handler: DnstapHandler, error: BaseException) -> None:
    """Have the handler's formatter raise."""
    handler.setFormatter(Raising(error))  # type: ignore[arg-type]


def set_filter(handler: DnstapHandler, error: BaseException) -> None:
    """Have the handler's filter raise."""
    handler.addFilter(Raising(error).filter)


def set_odd_filter(handler: DnstapHandler, error: BaseException) -> None:
    """Have the handler's filter return what raises when it is looked at."""
    handler.addFilter(lambda record: Raising(error))  # type: ignore[arg-type,return-value]


PLACES: Dict[str, Callable[[DnstapHandler, BaseException], None]] = {
    "filter": set_filter,
    "what a filter returns": set_odd_filter,
    "formatter": set_formatter,
}
EXTRAS = [
    "dns_message_type",
    "dns_query_message",
    "dns_query_address",
    "dns_query_port",
    "dns_query_time",
    "dns_query_zone",
    "dns_socket_protocol",
    "dns_policy",
    "dns_extra",
    "dns_identity",
    "dns_unknown",
]


@failures
@pytest.mark.parametrize("place", PLACES)
def test_what_the_handler_calls_raises(
    handler: DnstapHandler, logger: logging.Logger, place: str, error: BaseException
) -> None:
    """Nothing leaves the log call; the record is counted, and later ones are written."""
    PLACES[place](handler, error)
    logger.info("query", extra=GOOD)
    handler.filters.clear()
    handler.setFormatter(None)
    logger.info("query", extra=GOOD)
    handler.close()

    stats = handler.stats()
    assert_balanced(stats)
    assert stats.logged == 2
    if place == "formatter":
        assert (stats.written, stats.invalid_fields) == (2, 1), "a formatter costs only extra"
    else:
        assert (stats.written, stats.dropped["invalid"]) == (1, 1)


@interrupts
@pytest.mark.parametrize("place", PLACES)
def test_an_interrupt_goes_on_to_the_program(
    handler: DnstapHandler, logger: logging.Logger, place: str, error: BaseException
) -> None:
    """Ctrl-C and the cancellation of a task leave the log call; the record is still counted."""
    PLACES[place](handler, error)
    with pytest.raises(type(error)):
        logger.info("query", extra=GOOD)
    handler.close()

    stats = handler.stats()
    assert_balanced(stats)
    assert (stats.logged, stats.dropped["invalid"]) == (1, 1)


@failures
@pytest.mark.parametrize("key", EXTRAS)
@pytest.mark.parametrize("kind", [Raising, RaisingMapping])
def test_what_a_value_does_raises(
    handler: DnstapHandler, logger: logging.Logger, key: str, kind: Any, error: BaseException
) -> None:
    """Whatever its methods raise, a value costs its own field, or the record without a type."""
    logger.info("query", extra={**GOOD, key: kind(error)})
    DnstapAdapter(logger).log_message("CLIENT_QUERY", query_address=kind(error))
    handler.close()

    stats = handler.stats()
    assert_balanced(stats)
    assert stats.logged == 2
    assert stats.dropped["invalid"] == (1 if key == "dns_message_type" else 0)
    assert stats.written == 2 - stats.dropped["invalid"]


@interrupts
def test_a_value_that_is_interrupted(
    handler: DnstapHandler, logger: logging.Logger, error: BaseException
) -> None:
    """Ctrl-C while a message is rendered leaves the log call; the record is counted."""
    with pytest.raises(type(error)):
        logger.info("query", extra={**GOOD, "dns_query_message": Raising(error)})
    handler.close()

    stats = handler.stats()
    assert_balanced(stats)
    assert (stats.logged, stats.dropped["invalid"]) == (1, 1)


def leave(number: int, frame: object) -> None:
    """End the program, as a handler of SIGTERM does."""
    sys.exit(7)


class Leave:
    """The same as an object."""

    def __call__(self, number: int, frame: object) -> None:
        sys.exit(7)

    leave = __call__


SIGNAL_HANDLERS: List[Callable[..., None]] = [
    leave,
    functools.partial(lambda code, number, frame: sys.exit(code), 7),
    Leave(),
    Leave().leave,
]


@pytest.mark.parametrize("on_signal", SIGNAL_HANDLERS)
@pytest.mark.parametrize("place", ["filter", "formatter", "to_wire"])
def test_a_signal_handler_that_ends_the_program(
    handler: DnstapHandler, logger: logging.Logger, place: str, on_signal: Callable[..., None]
) -> None:
    """Its SystemExit is not taken for one of the code that it interrupts: the program ends."""
    record = dict(GOOD)
    interrupted = Interrupted()
    if place == "filter":
        handler.addFilter(interrupted)
    elif place == "formatter":
        handler.setFormatter(interrupted)  # type: ignore[arg-type]
    else:
        record["dns_query_message"] = interrupted  # type: ignore[assignment]
    before = signal.signal(signal.SIGUSR1, on_signal)
    try:
        with pytest.raises(SystemExit) as caught:
            logger.info("query", extra=record)
    finally:
        signal.signal(signal.SIGUSR1, before)
    handler.close()

    assert caught.value.code == 7
    stats = handler.stats()
    assert_balanced(stats)
    assert (stats.logged, stats.dropped["invalid"]) == (1, 1)


class Interrupted:
    """User code that a signal interrupts."""

    def filter(self, record: object = None) -> bool:
        signal.raise_signal(signal.SIGUSR1)
        return True

    to_wire = format = filter


@all_errors
def test_a_logging_handler_that_raises_ends_no_diagnostics(
    capture: Path, said: Said, error: BaseException
) -> None:
    """If a handler on `dnstap_logging` raises, only that line is lost; later ones are logged."""
    logger = logging.getLogger("dnstap_logging")
    bad = Bad(error)
    logger.addHandler(bad)
    try:
        for number in range(3):
            handler = DnstapHandler(f"{capture}.{number}", report_interval=3600)
            handler.handle(logging.makeLogRecord({"dns_message_type": "none"}))
            handler.handle(logging.makeLogRecord({"dns_query_port": "none", **GOOD}))
            handler.close()
            wait_until(lambda at=number: said.with_text(f".{at}: record dropped"), "the line")
            wait_until(lambda at=number: said.with_text(f".{at}: dns_query_port"), "the other")
            wait_until(lambda at=number: said.with_text(f".{at}: stream ended"), "the last")
    finally:
        logger.removeHandler(bad)
    assert bad.asked >= 9


class Bad(logging.Handler):
    """A logging handler that raises."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error
        self.asked = 0

    def handle(self, record: logging.LogRecord) -> bool:
        self.asked += 1
        raise self._error


@all_errors
@pytest.mark.parametrize("attribute", ["namer", "rotator"])
def test_a_namer_or_rotator_that_raises(
    capture: Path, attribute: str, error: BaseException, said: Said
) -> None:
    """The writer thread goes on: all records are in the file, and a line says what was raised."""
    handler = RotatingDnstapHandler(capture, maxBytes=200, backupCount=3, report_interval=3600)
    setattr(handler, attribute, Raising(error))
    for number in range(100):
        handler.handle(logging.makeLogRecord({**GOOD, "dns_extra": str(number)}))
    handler.close()

    stats = handler.stats()
    assert_balanced(stats)
    assert (stats.logged, stats.written) == (100, 100), stats
    with DnstapReader(capture) as reader:
        assert [message.extra for message in reader] == [b"%d" % each for each in range(100)]
    said.wait_for(type(error).__name__)


@all_errors
def test_a_receiver_callback_that_raises(tmp_path: Path, error: BaseException, said: Said) -> None:
    """The stream goes on, and each call that raised is counted; after before_finish, no FINISH."""
    asked: List[object] = []

    def on_message(message: object) -> None:
        asked.append(message)
        raise error

    address = f"unix://{tmp_path / 'dnstap.sock'}"
    with DnstapReceiver(address, on_message, before_finish=Raising(error).emit) as receiver:
        handler = DnstapHandler(address, timeout=20)
        for _ in range(10):
            handler.handle(logging.makeLogRecord(dict(GOOD)))
        wait_until(lambda: len(asked) >= 10, "all messages")
        handler.close()
        wait_until(lambda: not receiver.stats().active, "the end of the connection")
        stats = receiver.stats()
    assert stats.messages == stats.callback_errors - 1 == 10, stats
    assert stats.finished == 0, stats
    said.wait_for("the callback raised")


@failures
def test_an_integration_that_logs(
    handler: DnstapHandler,
    logger: logging.Logger,
    error: BaseException,
    said: Said,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever a filter on the logger raises, the server still answers."""
    from dnstap_logging.integrations.socketserver import DnstapMixin

    # A reporter that has said nothing yet: the next line of one kind comes ten seconds later.
    monkeypatch.setattr("dnstap_logging.integrations.tap._reporter", Reporter("integrations"))
    logger.addFilter(Raising(error).filter)

    class Request(DnstapMixin):
        dnstap_logger = logger

        def __init__(self) -> None:
            self.client_address = ("192.0.2.1", 53)
            self.server = self
            self.socket = self.request = socket.socket()

    request = Request()
    with request.socket:
        request.dnstap_query(b"")
    said.wait_for("not logged")
    handler.close()


def test_threads_have_no_signals(handler: DnstapHandler, logger: logging.Logger) -> None:
    """In other threads SystemExit is the filter's own, whatever signal handlers there are."""

    def leave_too(record: object) -> bool:
        leave(0, None)
        return True

    handler.addFilter(leave_too)
    before = signal.signal(signal.SIGUSR1, leave)
    try:
        with Workers(lambda: logger.info("query", extra=GOOD)):
            pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    handler.close()
    assert handler.stats().dropped["invalid"] == 1
