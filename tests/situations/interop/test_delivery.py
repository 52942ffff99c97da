"""From logger.info to real collectors: every message whole, in order, in every reader's eyes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.situations.interop import corpus
from tests.situations.interop.captures import decode, read_capture
from tests.situations.interop.collectors import DnstapTool, FstrmCapture, free_address
from tests.situations.interop.taps import assert_all_written, check_capture, configured, tapped

COUNT = 10_000
"""Messages in a row: as many as the queue holds, so that none may be dropped on the way."""


def send(address: str) -> None:
    """Log the messages through a handler that dictConfig made; none may be lost."""
    with configured(address, identity=corpus.IDENTITY, version=corpus.VERSION) as tap:
        tap.log_corpus(COUNT)
        stats = tap.close()
    assert_all_written(stats, COUNT)
    assert (stats.connects, stats.disconnects, stats.unconfirmed) == (1, 0, 0), stats


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_fstrm_capture_gets_every_message(scheme: str, tmp_path: Path) -> None:
    """10,000 messages reach fstrm_capture unchanged and in order."""
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address(scheme, tmp_path), path) as collector:
        send(collector.address)
        collector.stop()

    check_capture(path, COUNT)


@pytest.mark.parametrize("scheme", ["unix", "tcp"])
def test_the_dnstap_tool_gets_every_message(scheme: str, tmp_path: Path) -> None:
    """10,000 messages reach the dnstap tool unchanged and in order."""
    with DnstapTool(free_address(scheme, tmp_path), tmp_path / "capture.fstrm") as collector:
        send(collector.address)
        path = collector.take(COUNT)

    check_capture(path, COUNT)


def test_a_time_left_out_is_the_records_creation(tmp_path: Path) -> None:
    """A query without query_time carries the moment of logging; a response, response_time."""
    path = tmp_path / "capture.fstrm"
    with FstrmCapture(free_address("unix", tmp_path), path) as collector:
        with tapped(collector.address) as tap:
            before = time.time()
            tap.logger.info("query", extra={"dns_message_type": "STUB_QUERY"})
            tap.logger.info("response", extra={"dns_message_type": "STUB_RESPONSE"})
            after = time.time()
        collector.stop()

    query, response = (decode(payload)["message"] for payload in read_capture(path).payloads)
    for message, side, other in ((query, "query", "response"), (response, "response", "query")):
        moment = message[f"{side}_time_sec"] + message[f"{side}_time_nsec"] / 1e9
        assert before - 1e-3 <= moment <= after + 1e-3, f"{side}_time: {moment}"
        assert f"{other}_time_sec" not in message
