"""Copies: what workers exchange can be copied; everything else refuses, and says why."""

from __future__ import annotations

import contextlib
import copy
import enum
import importlib
import inspect
import logging
import multiprocessing
import pickle
import pkgutil
import socket
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple, Type

import dns.resolver
import pytest
from dnslib.server import DNSLogger

import dnstap_logging
from dnstap_logging import (
    DnstapAdapter,
    DnstapHandler,
    DnstapMessage,
    DnstapReader,
    DnstapReceiver,
    MessageType,
    Policy,
    RotatingDnstapHandler,
    Stats,
    TimedRotatingDnstapHandler,
)
from dnstap_logging.address import Address, parse_address
from dnstap_logging.cli.common import CommandError
from dnstap_logging.exceptions import (
    DecodeError,
    DiskFull,
    FileLocked,
    PeerClosed,
    TransportError,
    TransportTimeout,
)
from dnstap_logging.filters import (
    AnonymizingFilter,
    MessageTypeFilter,
    QnameFilter,
    RcodeFilter,
    SamplingFilter,
)
from dnstap_logging.integrations.dnslib import DnstapLogger, DnstapProxyResolver, DnstapUpstream
from dnstap_logging.integrations.dnspython import DnstapClient
from dnstap_logging.integrations.prometheus import DnstapCollector
from dnstap_logging.integrations.socketserver import DnstapMixin
from dnstap_logging.receiver import ReceiverStats
from dnstap_logging.transport.file import FileTransport
from dnstap_logging.transport.stream import StreamTransport

WIRE = bytes.fromhex("123401000001000000000000 03777777076578616d706c65036f7267 0000010001")
LOGGER = logging.getLogger("dns.copies")  # loggers are pickled by their names
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)

Copier = Callable[[Any], Any]
COPIERS: Dict[str, Copier] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": (lambda v, n=n: pickle.loads(pickle.dumps(v, n))) for n in PROTOCOLS},
}


@pytest.fixture(params=list(COPIERS))
def copied(request: pytest.FixtureRequest) -> Copier:
    """Return one way to make a copy: copy, deepcopy, and pickle by each protocol."""
    return COPIERS[request.param]


# -- all that is public ----------------------------------------------------------------------------


def modules() -> Iterator[Any]:
    """Yield every module of the package, whatever it is called."""
    yield dnstap_logging
    for info in pkgutil.walk_packages(dnstap_logging.__path__, "dnstap_logging."):
        if not info.name.endswith("__main__"):
            yield importlib.import_module(info.name)


def is_value(kind: type) -> bool:
    """Return whether a class is an error or an enumeration: such travel, wherever they are."""
    return issubclass(kind, (BaseException, enum.Enum))


def public_classes() -> List[type]:
    """Return the classes that the manual's page of the API has, and all errors and enumerations."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text("utf-8")
    found: Dict[type, None] = {}
    for module in modules():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if not inspect.isclass(value) or not value.__module__.startswith("dnstap_logging"):
                continue
            if f"autoclass:: {module.__name__}.{name}\n" in page or is_value(value):
                found[value] = None
    for name in dnstap_logging.__all__:
        value = getattr(dnstap_logging, name)
        if inspect.isclass(value):
            found[value] = None
    return list(found)


# Errors whose constructor takes something else than a text.
ERRORS: Dict[str, Callable[[Type[Any]], BaseException]] = {
    "CommandError": lambda kind: kind("no such file", 2),
    "DecodeError": lambda kind: kind("damaged", 17),
    "SegmentDamaged": lambda kind: kind(17, "damaged", torn=True),
    "WriteError": lambda kind: kind(DiskFull("file:///x", "full", 3), 1, 2),
}

MESSAGE = DnstapMessage(
    "CLIENT_QUERY", query_message=WIRE, query_address=("192.0.2.1", 53), policy=Policy("RPZ")
)


def some_stats() -> Stats:
    """Return the books of a handler that logged something."""
    handler = DnstapHandler("/dev/null/not-there", delay=True)
    handler.close()
    handler.handle(logging.makeLogRecord({"dns_message_type": "CLIENT_QUERY"}))
    return handler.stats()


def plain_adapter() -> DnstapAdapter:
    """Return an adapter that has not been used."""
    return DnstapAdapter(LOGGER, {"dns_socket_protocol": "UDP", "colour": "red"}, level="WARNING")


# What survives: at least one object of each class, made here.
SURVIVE: Dict[type, Callable[[], Any]] = {
    Address: lambda: parse_address("tcp://127.0.0.1:53"),
    AnonymizingFilter: lambda: AnonymizingFilter(key=bytes(range(32)), ipv4_prefix=20),
    DnstapAdapter: plain_adapter,
    DnstapClient: lambda: DnstapClient(LOGGER, "STUB"),
    DnstapCollector: DnstapCollector,
    DnstapLogger: lambda: DnstapLogger(LOGGER, "AUTH", protocol="DOH", text=DNSLogger()),
    DnstapMessage: lambda: MESSAGE,
    DnstapMixin: DnstapMixin,
    DnstapProxyResolver: lambda: DnstapProxyResolver("192.0.2.1", 53, 5, logger=LOGGER),
    DnstapUpstream: lambda: DnstapUpstream(LOGGER),
    MessageTypeFilter: lambda: MessageTypeFilter("CLIENT_*"),
    Policy: lambda: Policy("RPZ", "example.org", "DROP", "QNAME", b"\0"),
    QnameFilter: lambda: QnameFilter(["example.org"], "www.example.org"),
    RcodeFilter: lambda: RcodeFilter(exclude=["NXDOMAIN", 2]),
    ReceiverStats: lambda: ReceiverStats(1, 0, 1, 0, 0, 0, 5, 0, 0, "closed"),
    SamplingFilter: lambda: SamplingFilter(10, state_rate=True),
    Stats: some_stats,
}
# What refuses: a test below makes one of each.
REFUSE = {
    DnstapHandler, DnstapReader, DnstapReceiver, RotatingDnstapHandler, TimedRotatingDnstapHandler
}  # fmt: skip


def test_every_public_class_is_tried() -> None:
    """A new class that programs may use is added to one of the two, or this fails."""
    public = public_classes()
    missing = [kind for kind in public if not is_value(kind) and kind not in {*SURVIVE, *REFUSE}]

    assert missing == [], "say in this file whether they can be copied"
    assert {*SURVIVE, *REFUSE} <= set(public)
    assert {TransportError, CommandError, MessageType} <= set(public)


# -- what survives ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SURVIVE, ids=lambda kind: kind.__name__)
def test_objects_survive(kind: type, copied: Copier) -> None:
    """A copy is of the same class, has the same attributes, and is equal where objects can be."""
    value = SURVIVE[kind]()
    again = copied(value)

    assert type(again) is kind
    if isinstance(value, tuple):
        assert again == value
        assert repr(again) == repr(value)
        assert [*map(type, again)] == [*map(type, value)]
        if kind is not Stats:  # which has a mapping, and no hash
            assert hash(again) == hash(value)
    else:
        assert vars(again).keys() == vars(value).keys()
    assert copied(again) is not None  # and so does the copy


def test_the_books_stay_read_only(copied: Copier) -> None:
    """What was dropped, by cause, is a read-only mapping in the copy, too."""
    again = copied(some_stats())

    assert again.dropped["closed"] == 1
    with pytest.raises(TypeError):
        again.dropped["closed"] = 0


@pytest.mark.parametrize(
    "kind",
    [k for k in public_classes() if issubclass(k, enum.Enum)],
    ids=lambda kind: kind.__name__,
)
def test_enumerations_survive(kind: Any, copied: Copier) -> None:
    """A member is the same object again."""
    assert [copied(member) for member in kind] == list(kind)
    assert all(copied(member) is member for member in kind)


def make_error(kind: Type[Any]) -> BaseException:
    """Make an error as the library does."""
    if kind.__name__ in ERRORS:
        return ERRORS[kind.__name__](kind)
    if issubclass(kind, TransportError):
        return kind("tcp://192.0.2.1:53", "no route to host", 7)  # type: ignore[no-any-return]
    return kind("what went wrong")  # type: ignore[no-any-return]


OF_OSERROR = ("errno", "strerror", "filename", "filename2")
"""Attributes that an OSError keeps elsewhere than in its ``__dict__``."""


def facts(error: Any) -> Dict[str, Any]:
    """Return all that an error says; errors among its attributes by what they say."""
    named = {name: getattr(error, name, None) for name in OF_OSERROR}
    values = {**vars(error), **named, "args": error.args, "str": str(error), "repr": repr(error)}
    return {
        name: facts(value) if isinstance(value, BaseException) else value
        for name, value in values.items()
    }


@pytest.mark.parametrize(
    "kind",
    [k for k in public_classes() if issubclass(k, BaseException)],
    ids=lambda kind: kind.__name__,
)
def test_errors_survive(kind: Type[Any], copied: Copier) -> None:
    """An error keeps its class, text and attributes, and whatever was added to it."""
    error: Any = make_error(kind)
    error.worker = 3  # as a framework may add
    error.__notes__ = ["in worker 3"]  # as add_note does since Python 3.11

    again = copied(error)

    assert type(again) is kind
    assert facts(again) == facts(error)
    assert again.worker == 3


@pytest.mark.parametrize("kind", [TransportTimeout, PeerClosed, DiskFull, FileLocked])
def test_the_attributes_of_transport_errors_survive(kind: Any, copied: Copier) -> None:
    """Address, reason and what was taken are those of the original."""
    again = copied(kind("unix:///run/dnstap.sock", "refused", 12))

    assert (again.address, again.reason, again.taken) == ("unix:///run/dnstap.sock", "refused", 12)
    assert str(again) == "unix:///run/dnstap.sock: refused"
    assert copied(DecodeError("damaged", 17)).offset == 17


class OwnError(TransportError):
    """An error of a program, with arguments of its own."""

    def __init__(self, worker: int) -> None:
        super().__init__("tcp://192.0.2.1:53", "refused")
        self.worker = worker


def test_an_error_of_a_program_survives(copied: Copier) -> None:
    """A subclass may take what arguments it likes."""
    again = copied(OwnError(5))

    assert (type(again), again.worker, again.reason) == (OwnError, 5, "refused")


# -- after use -------------------------------------------------------------------------------------


def use(tap: DnstapAdapter) -> None:
    """Log by all methods of an adapter, so that it caches its plans."""
    tap.client_query(WIRE, query_address=("192.0.2.1", 53))
    tap.client_response(WIRE, query_address=("192.0.2.1", 53), query_time=1_700_000_000.0)
    tap.log_message("AUTH_QUERY", WIRE, response_port=53)
    tap.client_query(WIRE, extra={"colour": "blue"})


def test_an_adapter_survives_at_any_moment(capture: Path, copied: Copier) -> None:
    """A copy of an adapter that was used logs as it does; setting its constants changes only it."""
    handler = DnstapHandler(capture)
    LOGGER.addHandler(handler)
    try:
        tap = plain_adapter()
        use(tap)
        again = copied(tap)
        use(again)
        again.extra = {"dns_socket_protocol": "TCP"}
        use(again)
        use(tap)
        assert dict(tap.extra) == {"dns_socket_protocol": "UDP", "colour": "red"}
        assert (again.logger, again.level, again.merge_extra) == (LOGGER, logging.WARNING, True)
    finally:
        LOGGER.removeHandler(handler)
        handler.close()

    protocols = [message.socket_protocol.name for message in DnstapReader(capture)]
    assert protocols == ["UDP"] * 8 + ["TCP"] * 4 + ["UDP"] * 4


def test_an_adapter_survives_while_others_log(capture: Path, copied: Copier) -> None:
    """An adapter can be copied in the middle of another thread's calls."""
    handler = DnstapHandler(capture)
    LOGGER.addHandler(handler)
    tap = plain_adapter()
    stop = threading.Event()

    def log() -> None:
        while not stop.is_set():
            tap.extra = {"dns_socket_protocol": "UDP"}
            use(tap)

    thread = threading.Thread(target=log)
    thread.start()
    try:
        for _ in range(50):
            assert copied(tap).logger is LOGGER
    finally:
        stop.set()
        thread.join()
        LOGGER.removeHandler(handler)
        handler.close()


def records() -> List[logging.LogRecord]:
    """Return some records with dns extras, of a hundred clients."""
    return [
        logging.makeLogRecord(
            {
                "dns_message_type": "CLIENT_QUERY",
                "dns_query_message": WIRE,
                "dns_query_address": (f"192.0.2.{number}", 53),
            }
        )
        for number in range(100)
    ]


FILTERS: List[Callable[[], Any]] = [
    AnonymizingFilter,
    lambda: AnonymizingFilter(key=bytes(range(32))),
    lambda: SamplingFilter(3),
    lambda: SamplingFilter(3, key="of this test", state_rate=True),
    lambda: QnameFilter("example.org"),
    lambda: RcodeFilter(exclude="NXDOMAIN"),
    lambda: MessageTypeFilter("CLIENT_*"),
]


def verdicts(each: Any) -> List[Tuple[bool, Any, Any]]:
    """Return what a filter makes of the records, as on a dnstap handler."""
    ask = getattr(each, "dnstap_filter", each.filter)
    found = []
    for record in records():
        verdict = ask(record)
        kept = verdict if isinstance(verdict, logging.LogRecord) else record
        values = vars(kept)
        found.append((bool(verdict), values["dns_query_address"], values.get("dns_extra")))
    return found


@pytest.mark.parametrize("make", FILTERS)
def test_a_filter_survives_its_use(make: Callable[[], Any], copied: Copier) -> None:
    """A copy of a filter that was used, misplaced too, decides and changes as the filter does."""
    each = make()
    expected = verdicts(each)
    for record in records():
        each.filter(record)  # where it may say that it is misplaced

    again = copied(each)

    assert verdicts(again) == expected
    assert verdicts(each) == expected


def test_a_resolver_that_is_logged_survives(copied: Copier) -> None:
    """A resolver whose queries are logged can be sent to a worker with its nameservers."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = ["192.0.2.53", "https://dns.example/dns-query"]
    DnstapClient(LOGGER).log_resolver(resolver)

    again = copied(resolver)

    assert [str(each) for each in again.nameservers] == [str(each) for each in resolver.nameservers]
    assert [type(each) for each in again.nameservers] == [
        type(each) for each in resolver.nameservers
    ]


def test_the_adapter_of_an_integration_survives(copied: Copier) -> None:
    """An integration's copy logs with the same logger, role and constants."""
    tap = copied(DnstapUpstream(plain_adapter(), "resolver"))._tap

    assert tap._adapter.logger is LOGGER
    assert dict(tap._adapter.extra) == dict(plain_adapter().extra)
    assert tap._role.response is MessageType.RESOLVER_RESPONSE


# -- what refuses ----------------------------------------------------------------------------------


def refusals(folder: Path) -> Iterator[Tuple[Any, str]]:
    """Yield what cannot be copied, and a word of what to do instead."""
    one, other = socket.socketpair()
    capture = folder / "capture.fstrm"
    rotating = RotatingDnstapHandler(folder / "rotating.fstrm", maxBytes=1000, backupCount=1)
    timed = TimedRotatingDnstapHandler(folder / "timed.fstrm")
    handler = DnstapHandler(capture)
    with contextlib.closing(handler):
        yield handler, "handler"
        yield DnstapCollector([handler]), "collector"
    for each in (rotating, timed):
        yield each, "handler"
        each.close()
    yield handler, "handler"  # closed
    with DnstapReader(capture) as reader:
        yield reader, "reader"
        yield iter(reader), ""  # Python's own generator
    yield reader, "reader"
    receiver = DnstapReceiver("tcp://127.0.0.1:0", print)
    yield receiver, "receiver"
    with receiver:
        yield receiver, "receiver"
    transport = StreamTransport(one, "a pair", 1.0)
    yield transport, ""
    transport.close()
    other.close()
    file = FileTransport(folder / "other.fstrm")
    yield file, ""
    file.close()


def test_what_owns_a_thread_or_a_file_refuses(tmp_path: Path, copied: Copier) -> None:
    """Handlers, readers, receivers and connections say that they cannot be copied, and why."""
    seen = set()
    for value, instead in refusals(tmp_path):
        seen.add(type(value))
        if inspect.isgenerator(value):
            with pytest.raises(TypeError, match="cannot pickle 'generator' object"):
                copied(value)
            continue
        with pytest.raises(TypeError) as caught:
            copied(value)
        assert " owns " in str(caught.value)
        assert ": it cannot be copied or pickled; " in str(caught.value)
        assert instead in str(caught.value).partition("; ")[2]

    assert seen >= REFUSE


# -- a worker --------------------------------------------------------------------------------------


def make_a_handler(path: str) -> None:
    """Do what raises: in a worker."""
    DnstapHandler(path)


def work(sent: Any, record_number: int) -> Any:
    """Use what a worker was sent, and send back what it made of it."""
    return verdicts(sent)[record_number]


def test_a_worker_sends_its_error_back() -> None:
    """A handler that cannot be made in a worker is an error in the parent, not a wait for ever."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        with pytest.raises(TransportError) as caught:
            pool.apply_async(make_a_handler, ("/not/there/capture.fstrm",)).get(timeout=120)
        assert caught.value.address.endswith("/not/there/capture.fstrm'")
        assert "/not/there" in str(caught.value)


def test_a_worker_samples_as_its_parent_does() -> None:
    """A filter that a new process is sent has the key of its parent's, and keeps the same."""
    each = SamplingFilter(3)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        got = [pool.apply_async(work, (each, n)).get(timeout=120) for n in range(10)]

    assert got == verdicts(each)[:10]
