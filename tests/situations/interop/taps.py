"""Handlers under test: attached to loggers, closed again, their books looked at."""

from __future__ import annotations

import contextlib
import logging
import logging.config
import os
from pathlib import Path
from typing import Any, Iterable, Iterator, List, Sequence, Union

from dnstap_logging import DnstapHandler, DnstapMessage, Stats, get_handler
from tests.helpers.support import assert_balanced
from tests.situations.interop import corpus
from tests.situations.interop.captures import (
    Fields,
    as_dumped,
    assert_same,
    decode,
    dnstap_json,
    fstrm_dump,
    read_capture,
)

LOGGER_NAME = "interop.dns"

WHOLE_DUMP = [
    "FSTRM_CONTROL_START.",
    "FSTRM_CONTROL_FIELD_CONTENT_TYPE (22 bytes).",
    "FSTRM_CONTROL_STOP.",
]
"""The control frames of a whole capture, as fstrm_dump shows them."""


def assert_all_written(stats: Stats, count: int) -> None:
    """Check that everything was written, once, and nothing left out."""
    assert_balanced(stats)
    assert (stats.logged, stats.written, stats.invalid_fields) == (count, count, 0), stats


@contextlib.contextmanager
def tapped(address: Union[str, os.PathLike[str], Sequence[str]], **options: Any) -> Iterator[Tap]:
    """Attach a handler to a logger of its own; close it in the end if the test did not."""
    tap = Tap(DnstapHandler(address, **options))
    try:
        yield tap
    finally:
        tap.logger.removeHandler(tap.handler)
        tap.handler.close()


@contextlib.contextmanager
def configured(address: str, **options: Any) -> Iterator[Tap]:
    """Do the same through dictConfig, as programs do."""
    described = {"class": "dnstap_logging.DnstapHandler", "address": address, **options}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"interop": described},
            "loggers": {
                LOGGER_NAME: {"level": "INFO", "handlers": ["interop"], "propagate": False}
            },
        }
    )
    handler = get_handler("interop")
    assert handler is not None, "get_handler does not find what dictConfig made"
    tap = Tap(handler, logging.getLogger(LOGGER_NAME))
    try:
        yield tap
    finally:
        tap.logger.removeHandler(tap.handler)
        tap.handler.close()


class Tap:
    """A handler and the logger that it is attached to."""

    def __init__(self, handler: DnstapHandler, logger: Union[logging.Logger, None] = None) -> None:
        self.handler = handler
        if logger is None:
            logger = logging.Logger(LOGGER_NAME, logging.INFO)
            logger.addHandler(handler)
        self.logger = logger

    def log_corpus(self, count: int) -> None:
        """Log the first messages of the corpus."""
        for each in corpus.samples(count):
            self.logger.info("message %d", each.number, extra=corpus.extras(each))

    def log_numbers(self, numbers: Iterable[int], padding: bytes = b"") -> None:
        """Log small messages that carry their number (see `numbers_in`)."""
        for number in numbers:
            self.log_marked(str(number), padding)

    def log_marked(self, mark: str, padding: bytes = b"") -> None:
        """Log a small message with a mark in Dnstap.extra."""
        extra = {"dns_message_type": "CLIENT_QUERY", "dns_extra": mark}
        if padding:
            extra["dns_query_message"] = padding  # type: ignore[assignment]
        self.logger.info("marked", extra=extra)

    def close(self) -> Stats:
        """Close the handler, check the books and return them."""
        self.handler.close()
        stats = self.stats()
        assert (stats.queued, stats.in_flight, stats.connected) == (0, 0, False), stats
        return stats

    def stats(self) -> Stats:
        """Return the books, after a look whether they balance."""
        stats = self.handler.stats()
        assert_balanced(stats)
        return stats


def marks_in(payloads: Iterable[bytes]) -> List[str]:
    """Return the marks of messages that `Tap.log_marked` logged, without a handler's numbers."""
    return [decode(payload)["extra"].decode().partition(" seq=")[0] for payload in payloads]


def numbers_in(path: Path) -> List[int]:
    """Return the numbers of messages that `Tap.log_numbers` logged."""
    return [int(mark) for mark in marks_in(read_capture(path).payloads)]


def check_capture(path: Path, count: int) -> None:
    """Check a whole capture of the corpus's first messages, with our reader and the tools."""
    capture = read_capture(path)
    assert capture.complete, f"{path} does not end with STOP"
    decoded = [decode(payload) for payload in capture.payloads]
    assert_same(decoded, corpus.all_fields(count), "messages on the wire")
    dump = fstrm_dump(path)
    assert_same(dump.payloads, [as_dumped(each) for each in capture.payloads], "dumped frames")
    assert dump.control == WHOLE_DUMP
    assert_same(dnstap_json(path), corpus.all_shown(count), "messages shown")


def message_fields(message: DnstapMessage) -> Fields:
    """Return a message of the library as `captures.decode` returns it from the wire."""
    values = message._asdict()
    around = {key: values.pop(key) for key in ("identity", "version", "extra")}
    values["type"] = values.pop("message_type")
    for side in ("query", "response"):
        moment = values.pop(f"{side}_time")
        if moment is not None:
            parts = divmod(moment, 10**9)
            values[f"{side}_time_sec"], values[f"{side}_time_nsec"] = parts
    if message.policy is not None:
        values["policy"] = {**message.policy._asdict(), "type": b"RPZ"}
    present = {key: value for key, value in values.items() if value is not None}
    return {
        **{key: value for key, value in around.items() if value},
        "type": 1,
        "message": present,
    }
