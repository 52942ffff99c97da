"""The line of an adapter's records: text for filters and handlers of any kind, made when asked."""

from __future__ import annotations

import copy
import io
import json
import logging
import logging.handlers
import pickle
import queue
import re
from pathlib import Path
from typing import Any, Callable, List

import pytest

from dnstap_logging import DnstapAdapter, DnstapHandler, DnstapReader
from dnstap_logging.filters import AnonymizingFilter

WIRE = bytes.fromhex("12340100000100000000000003777777076578616d706c65036f72670000010001")
CLIENT = ("192.0.2.1", 5353)
LINE = "CLIENT_QUERY 192.0.2.1#5353 UDP www.example.org. IN A"

# What filters and handlers do with a message; each is true of the line.
USES: List[Callable[[Any], object]] = [
    lambda msg: isinstance(msg, str),
    lambda msg: "example" in msg,
    lambda msg: "nothing of the kind" not in msg,
    lambda msg: msg == LINE and LINE.__eq__(msg) is True,
    lambda msg: msg != "CLIENT_QUERY",
    lambda msg: msg.startswith("CLIENT_") and msg.endswith("IN A"),
    lambda msg: msg.lower() == LINE.lower() and msg.upper() == LINE.upper(),
    lambda msg: msg.split() == LINE.split(),
    lambda msg: msg.replace("192.0.2.1", "-") == LINE.replace("192.0.2.1", "-"),
    lambda msg: msg.find("UDP") == LINE.find("UDP") and msg.count("e") == LINE.count("e"),
    lambda msg: len(msg) == len(LINE) and bool(msg),
    lambda msg: msg[:6] == "CLIENT" and list(msg) == list(LINE),
    lambda msg: msg + "!" == LINE + "!" and "!" + msg == "!" + LINE,
    lambda msg: msg % () == LINE and "%s" % msg == LINE,  # noqa: UP031 - as filters do
    lambda msg: f"{msg:>80}" == f"{LINE:>80}" and f"{msg}" == LINE,
    lambda msg: " ".join([msg, msg]) == f"{LINE} {LINE}",
    lambda msg: re.search(r"www\.example\.org", msg) is not None,
    lambda msg: re.compile("IN A$").search(msg) is not None,
    lambda msg: json.dumps({"msg": msg}) == json.dumps({"msg": LINE}),
    lambda msg: msg.encode() == LINE.encode() and bytes(msg, "utf-8") == LINE.encode(),
    lambda msg: hash(msg) == hash(LINE) and {LINE: 1}[msg] == 1 and msg in {LINE},
    lambda msg: sorted([msg, "A"]) == ["A", LINE] and msg > "A",
    lambda msg: repr(msg) == repr(LINE) and str(msg) == LINE and type(str(msg)) is str,
    lambda msg: pickle.loads(pickle.dumps(msg)) == LINE,
    lambda msg: copy.copy(msg) == LINE and copy.deepcopy(msg) == LINE,
    lambda msg: io.StringIO().write(msg) == len(LINE),
    lambda msg: int(msg.isprintable()) == 1 and msg.partition(" ")[0] == "CLIENT_QUERY",
]


class Plain(logging.LogRecord):
    """A program's own record."""


@pytest.fixture(params=["plain", "own record", "LoggerAdapter", "own logger", "own log"])
def made(
    request: pytest.FixtureRequest, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> logging.LogRecord:
    """Return the record of a query, as a filter of the logger gets it, by each way of logging."""
    seen: List[logging.LogRecord] = []
    target: Any = logger
    if request.param == "own record":
        monkeypatch.setattr(logging, "_logRecordFactory", Plain)
    elif request.param == "LoggerAdapter":
        target = logging.LoggerAdapter(logger, {"colour": "red"})
    elif request.param == "own logger":
        target.__class__ = type("Own", (logging.Logger,), {"_log": logging.Logger._log})
    elif request.param == "own log":
        target.log = lambda *args, **kwargs: logging.Logger.log(logger, *args, **kwargs)
    logger.addFilter(lambda record: bool(seen.append(record)) or True)
    tap = DnstapAdapter(target, {"dns_socket_protocol": "UDP"})
    tap.client_query(WIRE, query_address=CLIENT)
    (record,) = seen
    assert getattr(record, "colour", "none") == ("red" if "Adapter" in request.param else "none")
    return record


@pytest.mark.parametrize("number", range(len(USES)))
def test_the_line_is_text(made: logging.LogRecord, number: int) -> None:
    """Whatever a filter does with ``record.msg``, it does it with a str."""
    assert USES[number](made.msg)
    assert made.getMessage() == LINE


def test_filters_that_read_the_line_do_not_break_the_log_call(capture: Path) -> None:
    """A filter that searches the message, on logger or handler, chooses records by it."""
    logger = logging.Logger("dns", logging.INFO)
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    logger.addFilter(lambda record: "example" in record.msg)
    handler.addFilter(lambda record: re.search("192[.]0", record.msg) is not None)
    tap = DnstapAdapter(logger)

    tap.client_query(WIRE, query_address=CLIENT)
    tap.client_query(WIRE, query_address=("198.51.100.1", 53))
    tap.client_query(None, query_address=CLIENT)
    handler.close()

    assert [message.query_port for message in DnstapReader(capture)] == [5353]


def test_a_record_can_be_changed(made: logging.LogRecord) -> None:
    """A filter may set, format or delete the message, as of every record."""
    made.msg = "query from %s"
    made.args = ("client",)
    assert made.getMessage() == "query from client"
    assert made.__dict__["msg"] == "query from %s"
    del made.msg
    assert not hasattr(made, "msg")


def test_a_record_keeps_its_line(made: logging.LogRecord) -> None:
    """A copied or pickled record has the line too, and so has its dict."""
    for again in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert again.getMessage() == LINE
        assert again.msg == LINE
        assert again.__dict__["dns_query_message"] == WIRE
    assert "%(msg)s" % made.__dict__ == LINE  # noqa: UP031 - as formatters do
    assert logging.makeLogRecord(made.__dict__).getMessage() == LINE
    assert logging.Formatter("%(msg)s|%(message)s").format(made) == f"{LINE}|{LINE}"


def test_the_line_goes_through_queues_and_sockets(logger: logging.Logger) -> None:
    """QueueHandler's copy and SocketHandler's pickle carry the line."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logger.addHandler(logging.handlers.QueueHandler(records))  # type: ignore[arg-type]
    DnstapAdapter(logger, {"dns_socket_protocol": "UDP"}).client_query(WIRE, query_address=CLIENT)

    record = records.get(timeout=20)
    assert (record.msg, record.getMessage()) == (LINE, LINE)
    sent = logging.handlers.SocketHandler("127.0.0.1", 9).makePickle(record)
    assert pickle.loads(sent[4:])["msg"] == LINE


def test_the_line_is_made_once_and_only_when_asked_for(logger: logging.Logger) -> None:
    """The record's dict has it unmade until somebody reads ``msg``."""
    seen: List[logging.LogRecord] = []
    logger.addFilter(lambda record: bool(seen.append(record)) or True)
    DnstapAdapter(logger, {"dns_socket_protocol": "UDP"}).client_query(WIRE, query_address=CLIENT)
    record = seen[0]

    copied = copy.copy(record)
    assert not isinstance(record.__dict__["msg"], str)
    assert record.msg is record.msg
    assert not isinstance(copied.__dict__["msg"], str)
    assert copied.msg == LINE


def test_an_own_process_gets_text(logger: logging.Logger) -> None:
    """A subclass that changes messages, or another library's adapter, is given a str."""

    class Shouting(DnstapAdapter):
        def process(self, msg: Any, kwargs: Any) -> Any:
            return super().process(msg.upper(), kwargs)

    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    Shouting(logger, {"dns_socket_protocol": "UDP"}).client_query(WIRE, query_address=CLIENT)

    assert stream.getvalue() == LINE.upper() + "\n"


@pytest.mark.parametrize("is_read", [False, True])
def test_an_anonymizing_filter_hides_the_line(capture: Path, is_read: bool) -> None:
    """A formatter of the dnstap handler does not see the address in it, read before or not."""
    logger = logging.Logger("dns", logging.INFO)
    handler = DnstapHandler(capture)
    handler.setFormatter(logging.Formatter("said: %(message)s"))
    handler.addFilter(AnonymizingFilter())
    logger.addHandler(handler)
    if is_read:
        logger.addFilter(lambda record: "192.0.2.1" in record.msg)

    DnstapAdapter(logger).client_query(WIRE, query_address=CLIENT)
    handler.close()

    (message,) = DnstapReader(capture)
    assert message.extra == b"said: "


@pytest.mark.parametrize("extra", [None, {}, {"colour": "red"}])
def test_a_stock_adapter_in_between_keeps_the_extras(capture: Path, extra: Any) -> None:
    """logging's own LoggerAdapter replaces the extras of a call by its own: not those of dnstap."""
    logger = logging.Logger("dns", logging.INFO)
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    wrapped = logging.LoggerAdapter(logging.LoggerAdapter(logger, extra), {"shape": "round"})
    handler.setFormatter(logging.Formatter("%(shape)s"))

    DnstapAdapter(wrapped).client_query(WIRE, query_address=CLIENT)
    handler.close()

    (message,) = DnstapReader(capture)
    assert (message.query_message, message.extra) == (WIRE, b"round")
