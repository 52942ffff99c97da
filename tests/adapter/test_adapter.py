"""`DnstapAdapter`: one method for each message type, two ways, the same bytes."""

from __future__ import annotations

import gc
import inspect
import io
import logging
import time
import weakref
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, Iterator, List

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnstap_logging import (
    DnstapAdapter,
    DnstapHandler,
    DnstapMessage,
    DnstapReader,
    MessageType,
    Policy,
    SocketFamily,
    SocketProtocol,
)
from dnstap_logging.adapter import base as adapter_base
from tests.helpers.support import STOP, assert_balanced, control, wait_until

WIRE = bytes.fromhex("a1b20100000100000000000003777777076578616d706c65036f72670000010001")
REPLY = bytes.fromhex("a1b28183000100000000000003777777076578616d706c65036f72670000010001")
CLIENT = ("192.0.2.1", 5353)
STOP_FRAME = control(STOP)


class Bench:
    """A logger of its own with a dnstap handler, and what ends up in the capture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logger = logging.Logger("dns", logging.INFO)
        self.handler = DnstapHandler(path)
        self.logger.addHandler(self.handler)
        self.snapshots = 0
        emit_snapshot = self.handler.emit_snapshot

        def counted(snapshot: Any) -> None:
            self.snapshots += 1
            emit_snapshot(snapshot)

        self.handler.emit_snapshot = counted  # type: ignore[method-assign]

    def messages(self) -> List[DnstapMessage]:
        """Close the handler and read what it has written."""
        self.handler.close()
        assert_balanced(self.handler.stats())
        with DnstapReader(self.path) as reader:
            return list(reader)

    def message(self) -> DnstapMessage:
        """Return the only message."""
        messages = self.messages()
        assert len(messages) == 1, self.handler.stats()
        return messages[0]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a logger and its capture."""
    made = Bench(tmp_path / "capture.fstrm")
    yield made
    made.handler.close()


@pytest.mark.parametrize("message_type", list(MessageType))
def test_there_is_a_method_for_each_type(bench: Bench, message_type: MessageType) -> None:
    """Each method logs its type, with the message and the time of its own side."""
    before = time.time_ns()
    getattr(DnstapAdapter(bench.logger), message_type.name.lower())(WIRE, query_address=CLIENT)
    after = time.time_ns()

    message = bench.message()
    assert message.message_type is message_type
    assert (message.query_address, message.query_port) == (bytes([192, 0, 2, 1]), 5353)
    own = (message.query_message, message.query_time)
    other = (message.response_message, message.response_time)
    if not message_type.is_query:
        own, other = other, own
    assert own[0] == WIRE
    assert before <= (own[1] or 0) <= after
    assert other == (None, None)


@pytest.mark.parametrize("message_type", [MessageType.TOOL_RESPONSE, "TOOL_RESPONSE", 12])
def test_log_message_takes_any_type(bench: Bench, message_type: Any) -> None:
    """log_message takes a member, a name or a number, and the message of its own side."""
    DnstapAdapter(bench.logger).log_message(message_type, REPLY, query_message=WIRE)

    message = bench.message()
    assert message.message_type is MessageType.TOOL_RESPONSE
    assert (message.query_message, message.response_message) == (WIRE, REPLY)


def test_every_keyword_arrives(bench: Bench) -> None:
    """Each keyword is the dns extra of its name; dns_extra is Dnstap.extra."""
    policy = Policy(type="RPZ", action="DROP")
    DnstapAdapter(bench.logger).client_response(
        REPLY,
        query_message=WIRE,
        query_address="2001:db8::1",
        query_port=1,
        response_address="2001:db8::2",
        response_port=2,
        query_time=1_700_000_000_000_000_001,
        response_time=1_700_000_000_000_000_002,
        socket_family="INET6",
        socket_protocol="DoH",
        http_protocol="HTTP2",
        query_zone="example.org",
        policy=policy,
        dns_extra="trace",
        identity="ns1",
        version="1.0",
    )

    message = bench.message()
    assert message == DnstapMessage(
        "CLIENT_RESPONSE",
        response_message=REPLY,
        query_message=WIRE,
        query_address="2001:db8::1",
        query_port=1,
        response_address="2001:db8::2",
        response_port=2,
        query_time=1_700_000_000_000_000_001,
        response_time=1_700_000_000_000_000_002,
        socket_protocol="DoH",
        http_protocol="HTTP2",
        query_zone="example.org",
        policy=policy,
        extra="trace",
        identity="ns1",
        version="1.0",
    )


def test_constants_are_merged_and_the_call_wins(bench: Bench) -> None:
    """The adapter's extra holds the server's constants; keywords of a call replace them."""
    tap = DnstapAdapter(
        bench.logger, {"dns_socket_protocol": "UDP", "dns_response_address": ("192.0.2.53", 53)}
    )
    tap.client_query(WIRE)
    tap.client_query(WIRE, socket_protocol="TCP")
    tap.info("query", extra={"dns_message_type": "CLIENT_QUERY", "dns_socket_protocol": "DOT"})

    protocols = [(m.socket_protocol or 0).name for m in bench.messages()]  # type: ignore[union-attr]
    assert protocols == ["UDP", "TCP", "DOT"]


def test_merge_extra_false_is_the_stock_adapter(bench: Bench) -> None:
    """With merge_extra=False info() has its extra replaced; the typed methods merge anyway."""
    tap = DnstapAdapter(bench.logger, {"dns_message_type": "AUTH_QUERY"}, merge_extra=False)
    tap.info("query", extra={"dns_message_type": "CLIENT_QUERY"})
    tap.tool_query(WIRE)

    types = [m.message_type.name for m in bench.messages()]
    assert types == ["AUTH_QUERY", "TOOL_QUERY"]


def test_a_message_may_be_missing(bench: Bench) -> None:
    """None is a message without its wire bytes: a timeout, a policy's drop."""
    DnstapAdapter(bench.logger).client_response(None, query_address=CLIENT)

    assert bench.message().response_message is None


class NoHash(type):
    """The class of classes that cannot be looked up in a set."""

    __hash__ = None  # type: ignore[assignment]


class Odd(metaclass=NoHash):
    """No DNS message, and no address."""


@pytest.mark.parametrize("keywords", [{}, {"query_address": CLIENT}, {"query_address": Odd()}])
def test_no_value_raises_whatever_its_type_is(bench: Bench, keywords: Dict[str, Any]) -> None:
    """What cannot be used is left out and counted, also where its class cannot even be hashed."""
    tap = DnstapAdapter(bench.logger)
    for _ in range(2):
        tap.client_query(Odd(), **keywords)  # type: ignore[arg-type]

    assert [message.query_message for message in bench.messages()] == [None, None]
    assert bench.handler.stats().invalid_fields >= 2


def test_the_direct_way_is_taken_where_nobody_could_tell(bench: Bench) -> None:
    """With only dnstap handlers on the way, no LogRecord is made, whatever stacklevel says."""
    tap = DnstapAdapter(bench.logger, {"dns_socket_protocol": "UDP"})
    tap.client_query(WIRE)
    tap.client_query(WIRE, stacklevel=2)

    assert bench.snapshots == 2


class OtherAdapter(DnstapAdapter):
    """An adapter that wants to see each call."""

    def process(self, msg: Any, kwargs: Any) -> Any:
        return super().process(msg, kwargs)


class OtherLogger(logging.Logger):
    """A logger that wants to see each record."""

    def handle(self, record: logging.LogRecord) -> None:
        super().handle(record)


class OtherHandler(DnstapHandler):
    """A handler that wants to see each record."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)


def with_stream_handler(bench: Bench) -> None:
    bench.logger.addHandler(logging.StreamHandler(io.StringIO()))


def with_parent(bench: Bench) -> None:
    bench.logger.parent = logging.Logger("parent")
    bench.logger.parent.addHandler(logging.NullHandler())


def with_instance_method(bench: Bench) -> None:
    handle = bench.logger.handle
    bench.logger.handle = lambda record: handle(record)  # type: ignore[method-assign]


def with_handler_method(bench: Bench) -> None:
    emit = bench.handler.emit
    bench.handler.emit = lambda record: emit(record)  # type: ignore[method-assign]


NOTICEABLE: Dict[str, Callable[[Bench], None]] = {
    "another handler": with_stream_handler,
    "a handler of the parent": with_parent,
    "a filter of the logger": lambda bench: bench.logger.addFilter(lambda record: True),
    "a filter of the handler": lambda bench: bench.handler.addFilter(lambda record: True),
    "a formatter": lambda bench: bench.handler.setFormatter(logging.Formatter("%(message)s")),
    "a method of the logger": with_instance_method,
    "a method of the handler": with_handler_method,
}


@pytest.mark.parametrize("change", NOTICEABLE.values(), ids=list(NOTICEABLE))
def test_the_direct_way_is_left_where_somebody_could_tell(
    bench: Bench, change: Callable[[Bench], None]
) -> None:
    """If anything could notice a LogRecord, one is made, and the message still arrives."""
    tap = DnstapAdapter(bench.logger)
    tap.client_query(WIRE)
    change(bench)
    tap.client_query(WIRE)

    assert bench.snapshots == 1
    assert len(bench.messages()) == 2


METHODS = [
    *((logging.Logger, name) for name in ("handle", "makeRecord", "callHandlers", "filter")),
    *((logging.Logger, name) for name in ("log", "_log")),
    *((DnstapHandler, name) for name in ("handle", "emit", "filter")),
]


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_a_method_that_is_replaced_in_a_class_is_honoured_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: type, name: str
) -> None:
    """Instrumentation that replaces a method of logging, or of ours, sees the very next message."""
    tap = DnstapAdapter(bench.logger)
    tap.client_query(WIRE)
    original = getattr(kind, name)
    seen: List[Any] = []

    def replaced(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(kind, name, replaced)
    tap.client_query(WIRE)
    monkeypatch.undo()
    tap.client_query(WIRE)

    assert len(seen) == 1
    assert bench.snapshots == 2
    assert len(bench.messages()) == 3


@pytest.mark.parametrize("keywords", [{"extra": {"a": 1}}, {"stack_info": True}, {"exc_info": 1}])
def test_loggings_own_keywords_need_a_record(bench: Bench, keywords: Dict[str, Any]) -> None:
    """extra=, exc_info= and stack_info= are for other handlers' eyes: a record is made."""
    DnstapAdapter(bench.logger).client_query(WIRE, **keywords)

    assert bench.snapshots == 0
    assert len(bench.messages()) == 1


def test_subclasses_and_factories_see_every_record(bench: Bench, tmp_path: Path) -> None:
    """Overrides of process, Logger.handle and emit, and a record factory, are all honoured."""
    OtherAdapter(bench.logger).client_query(WIRE)
    logger = OtherLogger("other", logging.INFO)
    logger.addHandler(bench.handler)
    DnstapAdapter(logger).client_query(WIRE)
    logger = logging.Logger("other", logging.INFO)
    handler = OtherHandler(tmp_path / "other.fstrm")
    logger.addHandler(handler)
    DnstapAdapter(logger).client_query(WIRE)
    handler.close()
    made: List[logging.LogRecord] = []

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made.append(logging.LogRecord(*args, **kwargs))
        return made[-1]

    logging.setLogRecordFactory(factory)
    try:
        DnstapAdapter(bench.logger).client_query(WIRE)
    finally:
        logging.setLogRecordFactory(logging.LogRecord)

    assert len(made) == 1
    assert bench.snapshots == 0
    assert len(bench.messages()) == 3


def test_a_handler_that_is_dropped_without_a_close_is_not_kept(tmp_path: Path) -> None:
    """An adapter does not hold on to handlers that its logger had: they end, and are written."""
    logger = logging.Logger("dns", logging.INFO)
    tap = DnstapAdapter(logger)
    paths = [tmp_path / f"{number}.fstrm" for number in range(3)]
    for path in paths:
        handler = DnstapHandler(path)
        logger.addHandler(handler)
        tap.client_query(WIRE)
        logger.removeHandler(handler)
        dropped = weakref.ref(handler)
        del handler
        gc.collect()

        assert dropped() is None
    for path in paths:
        wait_until(lambda: path.read_bytes().endswith(STOP_FRAME))  # noqa: B023 - called at once
        with DnstapReader(path) as reader:
            assert len(list(reader)) == 1


def test_an_adapter_that_decides_for_itself_is_asked(bench: Bench) -> None:
    """A subclass with an isEnabledFor of its own is asked before each message."""

    class Picky(DnstapAdapter):
        answers: ClassVar[List[bool]] = [True, False, True]

        def isEnabledFor(self, level: int) -> bool:  # noqa: N802
            return self.answers.pop()

    tap = Picky(bench.logger)
    for number in range(3):
        tap.client_query(WIRE, query_address=("192.0.2.1", number))

    assert [message.query_port for message in bench.messages()] == [0, 2]


@pytest.mark.parametrize("given", [{}, {"query_time": 1_700_000_000 * 10**9}])
@pytest.mark.parametrize("address", [CLIENT, ["192.0.2.1", 5353], None, "nowhere", 5])
def test_the_usual_call_and_any_other_write_the_same(
    bench: Bench, given: Dict[str, Any], address: Any
) -> None:
    """The keywords that are parameters mean what they mean among others, whatever their values."""
    tap = DnstapAdapter(bench.logger, {"dns_query_address": "198.51.100.1"})
    for _ in range(3):
        tap.client_response(WIRE, query_address=address, **given)
        tap.client_response(WIRE, query_address=address, socket_protocol=None, **given)

    messages = [message._replace(response_time=0) for message in bench.messages()]
    assert len(messages) == 6
    assert len(set(messages)) == 1, messages


@pytest.mark.parametrize(
    "keywords",
    [{}, {"query_address": CLIENT}, {"query_address": CLIENT, "query_time": 1.7e9},
     {"response_port": 53}, {"stacklevel": 2}, {"extra": {"shape": "round"}}],
)  # fmt: skip
@pytest.mark.parametrize("message_type", [MessageType.CLIENT_QUERY, "CLIENT_QUERY"])
def test_constants_for_formatters_are_taken(
    bench: Bench, message_type: Any, keywords: Dict[str, Any]
) -> None:
    """Constants that are no dns extras are the formatters', in each kind of call."""
    bench.handler.setFormatter(logging.Formatter("colour=%(colour)s"))
    tap = DnstapAdapter(bench.logger, {"colour": "red", "dns_socket_protocol": "UDP"})

    tap.log_message(message_type, WIRE, **keywords)

    message = bench.message()
    assert (message.extra, message.socket_protocol) == (b"colour=red", SocketProtocol.UDP)


def test_constants_are_read_only_and_can_be_set(bench: Bench) -> None:
    """`extra` cannot be changed behind the adapter's back; what is set in its place is used."""
    tap = DnstapAdapter(bench.logger, {"dns_socket_protocol": "UDP"})
    tap.client_query(WIRE)
    with pytest.raises(TypeError):
        tap.extra["dns_socket_protocol"] = "TCP"  # type: ignore[index]
    tap.extra = {"dns_socket_protocol": "TCP"}
    tap.client_query(WIRE)
    with pytest.raises(ValueError, match="did you mean dns_socket_protocol"):
        tap.extra = {"dns_socket_protocl": "TCP"}

    protocols = [message.socket_protocol for message in bench.messages()]
    assert protocols == [SocketProtocol.UDP, SocketProtocol.TCP]


@pytest.mark.parametrize("keywords", [{}, {"query_address": CLIENT}, {"query_port": 5}])
def test_constants_are_set_while_another_thread_logs(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, keywords: Dict[str, Any]
) -> None:
    """What a call has worked out from the old constants is not used with the new ones."""
    tap = DnstapAdapter(bench.logger, {"dns_socket_protocol": "UDP"})
    make_plan = adapter_base.make_plan

    def make_it_slowly(*args: Any) -> Any:
        plan = make_plan(*args)
        if dict(tap.extra)["dns_socket_protocol"] == "UDP":
            tap.extra = {"dns_socket_protocol": "TCP"}
        return plan

    monkeypatch.setattr(adapter_base, "make_plan", make_it_slowly)
    for _ in range(3):
        tap.client_query(WIRE, **keywords)

    protocols = [message.socket_protocol for message in bench.messages()]
    assert protocols[1:] == [SocketProtocol.TCP] * 2


def test_the_logger_of_our_own_diagnostics_is_passed_over(tmp_path: Path) -> None:
    """Handlers take nothing from it, with a record or without."""
    logger = logging.Logger("dnstap_logging", logging.INFO)
    handler = DnstapHandler(tmp_path / "capture.fstrm")
    logger.addHandler(handler)
    DnstapAdapter(logger).client_query(WIRE)
    DnstapAdapter(logger).client_query(WIRE, extra={"other": 1})
    handler.close()

    assert handler.stats().logged == 0


def test_clients_of_both_families_with_one_server_address(bench: Bench) -> None:
    """Where a constant address is of the other family it is left out, as for every record."""
    tap = DnstapAdapter(bench.logger, {"dns_response_address": ("192.0.2.53", 53)})
    clients = [("192.0.2.1", 1), ("2001:db8::1", 2, 0, 0), ("192.0.2.2", 3)]
    for client in clients * 2:
        tap.client_query(WIRE, query_address=client)

    messages = bench.messages()
    families = [message.socket_family for message in messages]
    assert families == [SocketFamily.INET, SocketFamily.INET6, SocketFamily.INET] * 2
    assert [message.response_ip is not None for message in messages] == [True, False, True] * 2
    assert bench.handler.stats().invalid_fields == 2


def test_levels_and_disabled_loggers_apply(bench: Bench) -> None:
    """The logger's level, the handler's level, disabled and logging.disable are honoured."""
    quiet = DnstapAdapter(bench.logger, level=logging.DEBUG)
    tap = DnstapAdapter(bench.logger, level="WARNING")
    quiet.client_query(WIRE)
    bench.handler.setLevel(logging.ERROR)
    tap.client_query(WIRE)
    bench.handler.setLevel(logging.NOTSET)
    bench.logger.disabled = True
    tap.client_query(WIRE)
    bench.logger.disabled = False
    tap.client_query(WIRE)

    assert len(bench.messages()) == 1


def test_propagation_applies(bench: Bench) -> None:
    """Handlers of parents get messages as far as loggers propagate."""
    child = logging.Logger("dns.child")
    child.parent = bench.logger
    DnstapAdapter(child).client_query(WIRE)
    child.propagate = False
    child.addHandler(logging.NullHandler())
    DnstapAdapter(child).client_query(WIRE)

    assert len(bench.messages()) == 1


LINES = [
    ("client_query", {"query_address": CLIENT}, "CLIENT_QUERY 192.0.2.1#5353 UDP"),
    ("client_response", {"query_address": CLIENT}, "CLIENT_RESPONSE 192.0.2.1#5353 UDP"),
    (
        "forwarder_query",
        {"query_address": CLIENT, "response_address": ("192.0.2.53", 53)},
        "FORWARDER_QUERY 192.0.2.53#53 UDP",
    ),
    ("tool_query", {"response_address": "2001:db8::1"}, "TOOL_QUERY 2001:db8::1 UDP"),
    ("tool_query", {}, "TOOL_QUERY - UDP"),
]


@pytest.mark.parametrize(("method", "keywords", "begin"), LINES)
def test_other_handlers_get_a_readable_message(
    bench: Bench, method: str, keywords: Dict[str, Any], begin: str
) -> None:
    """A text log of the same logger has one readable line, with the response code of responses."""
    stream = io.StringIO()
    bench.logger.addHandler(logging.StreamHandler(stream))
    wire = REPLY if method.endswith("response") else WIRE

    getattr(DnstapAdapter(bench.logger), method)(wire, socket_protocol="UDP", **keywords)

    end = " NXDOMAIN" if method.endswith("response") else ""
    assert stream.getvalue() == f"{begin} www.example.org. IN A{end}\n"


def test_the_line_of_a_bad_message_says_so(bench: Bench) -> None:
    """What cannot be a dnstap message does not break a text log either."""
    stream = io.StringIO()
    bench.logger.addHandler(logging.StreamHandler(stream))

    DnstapAdapter(bench.logger).log_message("NO_SUCH_TYPE", WIRE)

    assert stream.getvalue().startswith("not a dnstap message: ")
    bench.handler.close()
    assert bench.handler.stats().dropped["invalid"] == 1


def test_the_line_is_made_only_when_somebody_formats_it(bench: Bench) -> None:
    """A record that nobody formats costs no text."""
    records: List[logging.LogRecord] = []
    collector = logging.Handler()
    collector.emit = records.append  # type: ignore[method-assign,assignment]
    bench.logger.addHandler(collector)

    DnstapAdapter(bench.logger).client_query(WIRE)

    assert not isinstance(records[0].__dict__["msg"], str)
    assert records[0].getMessage() == "CLIENT_QUERY - - www.example.org. IN A"
    assert records[0].__dict__["dns_query_message"] == WIRE


def test_other_handlers_name_the_caller(bench: Bench) -> None:
    """%(funcName)s is the function that logs, and stacklevel= works as in logging."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(funcName)s %(lineno)d"))
    bench.logger.addHandler(handler)
    tap = DnstapAdapter(bench.logger)
    nested = DnstapAdapter(logging.LoggerAdapter(bench.logger, {}))  # type: ignore[arg-type]

    def inner() -> int:
        tap.client_query(WIRE)
        tap.log_message("CLIENT_QUERY", WIRE)
        nested.client_query(WIRE)
        tap.client_query(WIRE, stacklevel=2)
        frame = inspect.currentframe()
        assert frame is not None
        return frame.f_lineno

    line = inner()

    functions = [entry.split() for entry in stream.getvalue().splitlines()]
    assert [name for name, _ in functions[:3]] == ["inner"] * 3
    assert int(functions[0][1]) < line
    assert functions[3][0] == "test_other_handlers_name_the_caller"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda tap: tap.client_query(), "query_message"),
        (lambda tap: tap.client_query(WIRE, query_adress="x"), "query_address"),
        (lambda tap: tap.client_query(WIRE, colour="red"), "colour"),
        (lambda tap: tap.client_query(WIRE, message_type=1), "message_type"),
    ],
)
def test_wrong_calls_are_type_errors(bench: Bench, call: Callable[[Any], None], text: str) -> None:
    """A missing message or an unknown keyword is a TypeError, also where the level is off."""
    for level in (logging.INFO, logging.DEBUG):
        with pytest.raises(TypeError, match=text):
            call(DnstapAdapter(bench.logger, level=level))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"extra": {"dns_query_adress": 1}}, ValueError, "dns_query_address"),
        ({"extra": {"message": 1}}, ValueError, "'message'"),
        ({"extra": ["dns_query_port"]}, TypeError, "mapping"),
        ({"level": "LOUD"}, ValueError, "LOUD"),
        ({"level": 1.5}, TypeError, "1.5"),
        ({"level": 0}, ValueError, "level=0"),
    ],
)
def test_wrong_constants_are_refused(arguments: Any, error: Any, text: str) -> None:
    """A mistake in the adapter's own arguments raises at construction and is named."""
    with pytest.raises(error, match=text):
        DnstapAdapter(logging.Logger("dns"), **arguments)


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=40),
    st.sampled_from(["UDP", "DoH", "192.0.2.1", "2001:db8::1", "HTTP2", "example.org"]),
    st.just(CLIENT),
)
calls = st.tuples(
    st.one_of(st.sampled_from(list(MessageType)), junk),
    junk,
    st.dictionaries(
        st.sampled_from(
            [
                "query_address",
                "response_address",
                "query_port",
                "response_port",
                "query_zone",
                "socket_protocol",
                "http_protocol",
                "socket_family",
                "policy",
                "dns_extra",
                "identity",
                "version",
            ]
        ),
        junk,
        max_size=6,
    ),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(calls, max_size=12))
def test_both_ways_write_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: Any
) -> None:
    """Over random calls, the bytes are the same with and without a LogRecord."""
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_123_456_789)
    captures: List[bytes] = []
    for number in (1, 2):
        path = tmp_path / f"{number}.fstrm"
        logger = logging.Logger("dns", logging.INFO)
        handler = DnstapHandler(path, mode="w")
        logger.addHandler(handler)
        if number == 2:
            logger.addFilter(lambda record: True)
        tap = DnstapAdapter(logger)
        for message_type, message, keywords in batch:
            tap.log_message(message_type, message, **keywords)
        handler.close()
        assert_balanced(handler.stats())
        captures.append(path.read_bytes())

    assert captures[0] == captures[1]
