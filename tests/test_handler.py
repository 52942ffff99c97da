"""`DnstapHandler` as logging sees it: records in, a capture file out."""

from __future__ import annotations

import copy
import gc
import logging
import logging.config
import os
import pickle
import socket
import threading
import weakref
from pathlib import Path
from typing import Any, Callable, List, Union

import pytest

import dnstap_logging
from dnstap_logging import DnstapHandler, DnstapMessage, MessageType
from tests.helpers.records import WIRE, query, read
from tests.helpers.said import Said
from tests.helpers.support import assert_balanced, wait_until


def log_and_read(logger: logging.Logger, handler: DnstapHandler, **extras: Any) -> DnstapMessage:
    """Log one query and return the one message in the capture."""
    logger.addHandler(handler)
    logger.info("query", extra=query(**extras))
    handler.close()
    assert_balanced(handler.stats())
    messages = read(Path(handler._options.address.path))
    assert len(messages) == 1, handler.stats()
    return messages[0]


def test_a_record_with_dns_extras_reaches_the_capture(
    logger: logging.Logger, capture: Path
) -> None:
    """What was logged is in the file, with the handler's identity and version."""
    handler = DnstapHandler(capture, identity="ns1.example.net")

    message = log_and_read(logger, handler)

    assert message.message_type is MessageType.CLIENT_QUERY
    assert message.query_message == WIRE
    assert message.query_address == bytes([192, 0, 2, 1])
    assert message.query_port == 5353
    assert message.identity == b"ns1.example.net"
    assert message.version == f"dnstap_logging {dnstap_logging.__version__}".encode()


def test_the_default_identity_is_the_host_name(logger: logging.Logger, capture: Path) -> None:
    """Without an argument the identity is the host's name, which asks no DNS."""
    assert log_and_read(logger, DnstapHandler(capture)).identity == socket.gethostname().encode()


def test_a_record_without_dns_extras_is_passed_over(logger: logging.Logger, capture: Path) -> None:
    """Other records of the same logger are ignored and not counted."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)

    logger.warning("something else", extra={"other": 1})
    handler.close()

    assert handler.stats().logged == 0
    assert read(capture) == []


def test_a_filter_may_return_another_record(logger: logging.Logger, capture: Path) -> None:
    """A record that a filter returns is the one that is logged, on every Python."""

    def anonymize(record: logging.LogRecord) -> Any:
        changed = copy.copy(record)
        changed.dns_query_address = ("192.0.2.0", 0)
        return changed

    handler = DnstapHandler(capture)
    handler.addFilter(anonymize)

    message = log_and_read(logger, handler)

    assert message.query_address == bytes([192, 0, 2, 0])


def test_a_filter_may_refuse_a_record(logger: logging.Logger, capture: Path) -> None:
    """What a filter refuses is not logged and not counted."""
    handler = DnstapHandler(capture)
    handler.addFilter(lambda record: record.dns_socket_protocol != "UDP")
    logger.addHandler(handler)

    logger.info("query", extra=query())
    logger.info("query", extra=query(dns_socket_protocol="TCP"))
    handler.close()

    assert len(read(capture)) == handler.stats().logged == 1


def test_a_filter_that_raises_loses_its_record_only(
    logger: logging.Logger, capture: Path, said: Said
) -> None:
    """A broken filter raises nothing into the program: counted invalid, reported once."""

    def broken(record: logging.LogRecord) -> bool:
        if record.dns_query_message == b"bad":  # type: ignore[attr-defined]
            raise RuntimeError("a broken filter")
        return True

    handler = DnstapHandler(capture)
    handler.addFilter(broken)
    logger.addHandler(handler)

    logger.info("query", extra=query(dns_query_message=b"bad"))
    logger.info("query", extra=query())

    said.wait_for("a broken filter")
    handler.close()
    assert len(read(capture)) == 1
    assert handler.stats().dropped["invalid"] == 1
    assert_balanced(handler.stats())


def test_a_formatter_renders_extra(logger: logging.Logger, capture: Path) -> None:
    """A formatter of the handler makes Dnstap.extra, as CoreDNS's template does."""
    handler = DnstapHandler(capture)
    handler.setFormatter(logging.Formatter("upstream=%(upstream)s"))

    message = log_and_read(logger, handler, upstream="192.0.2.53")

    assert message.extra == b"upstream=192.0.2.53"


def test_dns_extra_wins_over_the_formatter(logger: logging.Logger, capture: Path) -> None:
    """An extra of the record's own is preferred to the formatter's."""
    handler = DnstapHandler(capture)
    handler.setFormatter(logging.Formatter("from the formatter: %(message)s"))

    assert log_and_read(logger, handler, dns_extra="own").extra == b"own"


def test_a_formatter_that_raises_loses_only_extra(
    logger: logging.Logger, capture: Path, said: Said
) -> None:
    """A broken formatter costs the field extra, not the message."""
    handler = DnstapHandler(capture)
    handler.setFormatter(logging.Formatter("%(nothing_of_that_name)s"))

    message = log_and_read(logger, handler)

    assert message.extra is None
    assert message.query_message == WIRE
    assert handler.stats().invalid_fields == 1
    said.wait_for("formatter")


def test_a_reused_buffer_does_not_change_what_was_logged(
    logger: logging.Logger, capture: Path
) -> None:
    """A bytearray is copied in the calling thread: the server may reuse it at once."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    buffer = bytearray(WIRE)

    for number in range(100):
        buffer[0] = number
        logger.info("query", extra=query(dns_query_message=memoryview(buffer)))
        buffer[:] = bytes(len(buffer))
        buffer[:] = WIRE
    handler.close()

    assert [message.query_message for message in read(capture)] == [
        bytes([number]) + WIRE[1:] for number in range(100)
    ]


def test_records_after_close_are_counted(logger: logging.Logger, capture: Path) -> None:
    """A closed handler that is still attached drops, counts closed, and opens nothing."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    handler.close()
    size = capture.stat().st_size

    for _ in range(3):
        logger.info("query", extra=query())

    assert handler.stats().dropped["closed"] == 3
    assert_balanced(handler.stats())
    assert capture.stat().st_size == size


def test_close_and_flush_may_be_called_in_any_order_and_twice(
    logger: logging.Logger, capture: Path
) -> None:
    """flush and close return at once after a close, and lose nothing."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    logger.info("query", extra=query())

    assert handler.flush() is True
    assert handler.flush(timeout=None) is True
    handler.close()
    handler.close()
    assert handler.flush() is True
    handler.close()

    assert len(read(capture)) == 1


def test_flush_says_when_it_was_not_reached(tmp_path: Path) -> None:
    """With nobody listening a flush ends at its timeout and says False."""
    handler = DnstapHandler(f"unix://{tmp_path}/absent.sock", close_timeout=0)
    handler.handle(logging.makeLogRecord(query()))

    assert handler.flush(timeout=0.05) is False
    assert handler.flush(timeout=0) is False

    handler.close()
    assert handler.stats().dropped["disconnected"] == 1
    assert_balanced(handler.stats())


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_flush_refuses_a_timeout_that_is_none(capture: Path, timeout: float) -> None:
    """A negative timeout is a mistake, and named."""
    handler = DnstapHandler(capture)
    with pytest.raises(ValueError, match="timeout"):
        handler.flush(timeout)
    handler.close()


def test_a_capture_without_records_is_a_whole_stream(capture: Path) -> None:
    """A handler that logged nothing leaves START and STOP, which every reader takes."""
    DnstapHandler(capture).close()

    assert read(capture) == []


def test_no_thread_runs_before_the_first_record(logger: logging.Logger, capture: Path) -> None:
    """Constructing a handler starts no thread; the first record does, and only one."""

    def writers() -> List[threading.Thread]:
        return [t for t in threading.enumerate() if t.name == "dnstap-writer"]

    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    assert writers() == []

    for _ in range(100):
        logger.info("query", extra=query())

    assert len(writers()) == 1
    handler.close()
    assert writers() == []


def test_full_false_leaves_the_wire_messages_out(logger: logging.Logger, capture: Path) -> None:
    """full=False writes who asked whom and when, but not what."""
    message = log_and_read(logger, DnstapHandler(capture, full=False))

    assert message.query_message is None
    assert message.query_port == 5353


def test_a_handler_cannot_be_copied_or_pickled(capture: Path) -> None:
    """A handler owns a thread and a file: copies are refused in one clear line."""
    handler = DnstapHandler(capture)
    copiers: List[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, pickle.dumps]
    for duplicate in copiers:
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            duplicate(handler)
    handler.close()


def test_a_dropped_handler_is_drained_and_collected(capture: Path) -> None:
    """A handler nobody holds any more is collected, and what it had accepted is written."""
    handler = DnstapHandler(capture)
    for _ in range(100):
        handler.handle(logging.makeLogRecord(query()))
    reference = weakref.ref(handler)

    del handler
    gc.collect()

    assert reference() is None, "the writer thread keeps the handler alive"
    wait_until(lambda: [t for t in threading.enumerate() if t.name == "dnstap-writer"] == [])
    assert len(read(capture)) == 100


def test_reopen_continues_after_the_capture_was_moved(
    logger: logging.Logger, capture: Path
) -> None:
    """After a move and reopen() the old file is whole and the new one has what follows."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    moved = capture.with_suffix(".1")
    logger.info("query", extra=query(dns_query_port=1))
    assert handler.flush()

    capture.rename(moved)
    handler.reopen()
    wait_until(capture.exists, "the new capture")
    logger.info("query", extra=query(dns_query_port=2))
    handler.close()

    assert [message.query_port for message in read(moved)] == [1]
    assert [message.query_port for message in read(capture)] == [2]


def test_reopen_of_a_file_in_place_goes_on_with_it(logger: logging.Logger, capture: Path) -> None:
    """reopen() of a capture that nobody moved changes nothing."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    logger.info("query", extra=query(dns_query_port=1))
    assert handler.flush()
    handler.reopen()
    logger.info("query", extra=query(dns_query_port=2))
    handler.close()

    assert [message.query_port for message in read(capture)] == [1, 2]


def test_permissions_of_a_new_capture(capture: Path) -> None:
    """A capture holds personal data: by default others may not read it."""
    mask = os.umask(0)
    try:
        DnstapHandler(capture).close()
    finally:
        os.umask(mask)

    assert oct(capture.stat().st_mode & 0o777) == oct(0o640)


@pytest.mark.parametrize("permissions", ["0600", "0o600", "0O600", "600", 0o600])
def test_permissions_as_for_chmod(capture: Path, permissions: Union[int, str]) -> None:
    """Permissions may be text, as configuration files that have no octal numbers need it."""
    DnstapHandler(capture, permissions=permissions).close()

    assert oct(capture.stat().st_mode & 0o777) == oct(0o600)


def test_a_filter_for_dnstap_only_is_asked_by_this_handler(
    logger: logging.Logger, capture: Path
) -> None:
    """A filter's dnstap_filter is preferred to its filter, which would refuse the record."""

    class Private(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            return False

        def dnstap_filter(self, record: logging.LogRecord) -> logging.LogRecord:
            changed = copy.copy(record)
            changed.__dict__["dns_query_port"] = 1
            return changed

    handler = DnstapHandler(capture)
    handler.addFilter(Private())

    assert log_and_read(logger, handler).query_port == 1
