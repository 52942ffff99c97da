"""Wrong arguments raise where they are given, in every constructor, and the text names them."""

from __future__ import annotations

import decimal
import functools
import inspect
import logging
import queue
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest

from dnstap_logging import (
    DnstapAdapter,
    DnstapHandler,
    DnstapMessage,
    DnstapReader,
    DnstapReceiver,
    Policy,
    RotatingDnstapHandler,
    TimedRotatingDnstapHandler,
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

LOGGER = logging.Logger("dns")


class Unhashable:
    """What is equal to nothing and cannot be a key."""

    __hash__ = None  # type: ignore[assignment]


def waits() -> Any:
    """Return a generator, which is used up by its first reader."""
    yield 1


async def later(message: object) -> None:
    """Do nothing before somebody awaits it."""


# What somebody may give by mistake, by a short name.
JUNK: Dict[str, Callable[[], Any]] = {
    "object": object,
    "unhashable": Unhashable,
    "class": lambda: int,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "minus one": lambda: -1,
    "minus half": lambda: -0.5,
    "half": lambda: 0.5,
    "zero": lambda: 0,
    "one": lambda: 1,
    "huge": lambda: 10**30,
    "True": lambda: True,
    "False": lambda: False,
    "Decimal": lambda: decimal.Decimal("NaN"),
    "complex": lambda: 1j,
    "empty text": str,
    "text": lambda: "nonsense",
    "NUL": lambda: "a\0b",
    "surrogate": lambda: "\ud800",
    "bytes": lambda: b"nonsense",
    "list": list,
    "dict": dict,
    "None": lambda: None,
    "generator": waits,
    "generator function": lambda: waits,
    "coroutine function": lambda: later,
    "function": lambda: lambda: None,
    "logger": lambda: LOGGER,
    "module": lambda: logging,
    "Logger": lambda: logging.Logger,
    "DnstapHandler": lambda: DnstapHandler,
}

TEXTS = "empty text, text, NUL, surrogate"
OCTETS = f"{TEXTS}, bytes, None"
FLAG = "True, False"
SECONDS = "one, half"
HANDLER = {
    "level": "zero, one, huge",
    "identity": OCTETS,
    "version": OCTETS,
    "full": FLAG,
    "sequence": FLAG,
    "queue_size": "one, huge",
    "queue_bytes": "one, huge",
    "overflow": "",
    "bidirectional": "False, None",
    "timeout": SECONDS,
    "resend_bytes": "",
    "reconnect_interval": SECONDS,
    "max_reconnect_interval": f"{SECONDS}, None",
    "max_reconnect_attempts": "zero, one, huge, None",
    "prefer_after": "",
    "close_timeout": f"zero, {SECONDS}",
    "max_frame_size": "",
    "report_interval": f"zero, {SECONDS}",
    "ssl_context": "None",
    "cafile": "None",
    "certfile": "None",
    "keyfile": "None",
    "server_hostname": "None",
    "spool": "None",
    "spool_bytes": "",
    "mode": "",
    "delay": FLAG,
    "permissions": "zero, one",
    "kafka_key": "",
    "kafka_options": "None",
}
SOCKET = {
    **HANDLER,
    "address": "text",  # a file of that name
    "bidirectional": "True, False, None",
    "resend_bytes": "zero, one, huge",
    "prefer_after": f"{SECONDS}, None",
    "spool": "text, None",
    "delay": "False",
    "permissions": "",
}
KAFKA = {
    **HANDLER,
    "address": "text",  # a file of that name
    "bidirectional": "None",
    "max_reconnect_interval": "None",
    "max_reconnect_attempts": "None",
    "spool": "text, None",
    "delay": "False",
    "permissions": "",
    "kafka_key": "None",
    "kafka_options": "dict, None",
}
FILE = {name: HANDLER[name] for name in ("level", "full", "queue_size", "delay", "permissions")}
LOGGERS = f"{TEXTS}, logger"  # names of loggers are taken, whatever they are


class Constructor:
    """A constructor, arguments that it takes, and what of the junk each argument may be."""

    def __init__(self, kind: Any, given: Dict[str, Any], accepted: Dict[str, str]) -> None:
        self.kind = kind
        self.given = given
        self.accepted = {
            name: set(filter(None, text.split(", "))) for name, text in accepted.items()
        }


CONSTRUCTORS: Dict[str, Constructor] = {
    "DnstapAdapter": Constructor(
        DnstapAdapter,
        {"logger": LOGGER},
        {"logger": "logger", "extra": "dict, None", "merge_extra": FLAG, "level": "one, huge"},
    ),
    "Policy": Constructor(
        Policy,
        {},
        {
            "type": "empty text, text, NUL, None",
            "rule": "text, NUL, None",
            "action": "one, None",
            "match": "one, None",
            "value": "bytes, None",
        },
    ),
    "AnonymizingFilter": Constructor(
        AnonymizingFilter,
        {},
        {"ipv4_prefix": "zero, one, None", "ipv6_prefix": "zero, one, None", "key": "None"},
    ),
    "MessageTypeFilter": Constructor(MessageTypeFilter, {}, {"types": "one, generator"}),
    "QnameFilter": Constructor(
        QnameFilter, {}, {"include": "text, NUL, list", "exclude": "text, NUL, list"}
    ),
    "RcodeFilter": Constructor(
        RcodeFilter,
        {},
        {"include": "zero, one, list, generator", "exclude": "zero, one, list, generator"},
    ),
    "SamplingFilter": Constructor(
        SamplingFilter,
        {"rate": 1},
        {"rate": "one, huge", "key": "text, NUL, surrogate, bytes, None", "state_rate": FLAG},
    ),
    "DnstapLogger": Constructor(
        DnstapLogger,
        {"logger": LOGGER},
        {"logger": LOGGERS, "role": "", "protocol": "one, None", "text": "None"},
    ),
    "DnstapUpstream": Constructor(
        DnstapUpstream, {"logger": LOGGER}, {"logger": LOGGERS, "role": ""}
    ),
    "DnstapProxyResolver": Constructor(
        DnstapProxyResolver,
        {"address": "192.0.2.1", "logger": LOGGER},
        {
            "address": "text, NUL, surrogate",  # looked up for each query
            "port": "one",
            "timeout": f"zero, {SECONDS}, None",
            "strip_aaaa": FLAG,
            "logger": LOGGERS,
            "role": "",
        },
    ),
    "DnstapClient": Constructor(DnstapClient, {"logger": LOGGER}, {"logger": LOGGERS, "role": ""}),
    "DnstapCollector": Constructor(DnstapCollector, {}, {"handlers": "list, None"}),
    "DnstapReader": Constructor(
        DnstapReader,
        {"source": "capture.fstrm"},
        {"source": "", "follow": FLAG, "max_frame_size": "one"},
    ),
    "DnstapReceiver": Constructor(
        DnstapReceiver,
        {"address": "tcp://127.0.0.1:0", "on_message": print},
        {
            "address": "",
            "on_message": "",
            "on_frame": "None",
            "before_finish": "function, None",
            "max_frame_size": "one",
            "max_connections": "one, huge",
            "handshake_timeout": SECONDS,
            "ssl_context": "None",
            "report_interval": f"zero, {SECONDS}",
        },
    ),
    "DnstapHandler of a file": Constructor(
        DnstapHandler, {"address": "capture.fstrm"}, {"address": "text", **HANDLER}
    ),
    "DnstapHandler of a socket": Constructor(
        DnstapHandler, {"address": "tcp://127.0.0.1:1"}, SOCKET
    ),
    "DnstapHandler of Kafka": Constructor(
        DnstapHandler, {"address": "kafka://127.0.0.1:1/dnstap"}, KAFKA
    ),
    "DnstapHandler of TLS": Constructor(
        DnstapHandler, {"address": "tls://127.0.0.1:1"}, {**SOCKET, "server_hostname": "text, None"}
    ),
    "RotatingDnstapHandler": Constructor(
        RotatingDnstapHandler,
        {"filename": "capture.fstrm"},
        {
            "filename": "text",
            "mode": "",
            "maxBytes": "zero, one, huge",
            "backupCount": "zero, one, huge",
            **FILE,
        },
    ),
    "TimedRotatingDnstapHandler": Constructor(
        TimedRotatingDnstapHandler,
        {"filename": "capture.fstrm"},
        {
            "filename": "text",
            "when": "",
            "interval": "one",
            "backupCount": "zero, one, huge",
            "utc": FLAG,
            "atTime": "None",
            **FILE,
        },
    ),
}

CASES: List[Tuple[str, str]] = [
    (name, argument) for name, each in CONSTRUCTORS.items() for argument in each.accepted
]


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_every_argument_is_tried(name: str) -> None:
    """A new argument of a constructor is added to the table, or this fails."""
    each = CONSTRUCTORS[name]
    named = {
        parameter.name
        for parameter in inspect.signature(each.kind).parameters.values()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    assert named <= set(each.accepted)


@pytest.mark.parametrize(("name", "argument"), CASES)
def test_wrong_arguments_are_named(
    name: str, argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an argument cannot be is a TypeError or ValueError of the constructor, by name."""
    monkeypatch.chdir(tmp_path)
    DnstapHandler("capture.fstrm").close()
    each = CONSTRUCTORS[name]
    accepted = set()
    unnamed: List[str] = []
    for junk, make in JUNK.items():
        value = make()
        try:
            made = each.kind(**{**each.given, argument: value})
        except (TypeError, ValueError) as error:
            unnamed += [] if argument in str(error) else [f"{junk}: {error!r}"]
        except FileNotFoundError:  # of a reader: nothing is wrong with the argument
            unnamed += [] if argument == "source" else [junk]
        else:
            accepted.add(junk)
            if hasattr(made, "close"):
                made.close()

    assert unnamed == []
    assert accepted == each.accepted[argument]


# -- what is near to right -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "hint"),
    [("dns", r"logging.getLogger\('dns'\)"), (logging, r"logging.getLogger\(\)")],
)
def test_the_name_of_a_logger_gets_a_hint(value: Any, hint: str) -> None:
    """If the adapter gets a logger's name, or logging itself, the error says what to write."""
    with pytest.raises(TypeError, match=hint):
        DnstapAdapter(value)


def test_adapters_of_nothing_are_refused() -> None:
    """A LoggerAdapter is looked through: what it adapts must be a logger."""
    with pytest.raises(TypeError, match="logger="):
        DnstapAdapter(logging.LoggerAdapter("dns", {}))  # type: ignore[arg-type,type-var]
    with pytest.raises(TypeError, match="dnstap_logger"):
        type("Handler", (DnstapMixin,), {"dnstap_logger": logging.Logger})


class Duck:
    """As much of a logger as an adapter asks for; cannot be a key."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - logging's name
        """Answer as the logger."""
        return self._logger.isEnabledFor(level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Hand on to the logger."""
        self._logger.log(level, msg, *args, **kwargs)


class Merging(logging.LoggerAdapter):  # type: ignore[type-arg]
    """An adapter that adds to what is logged."""

    def process(self, msg: Any, kwargs: Any) -> Tuple[Any, Any]:
        """Merge, as the stock adapter can since Python 3.13."""
        return msg, {**kwargs, "extra": {**self.extra, **kwargs.get("extra", {})}}


def by_name(name: str) -> Any:
    """Return a proxy that has every attribute of a logger, as context-local proxies have."""
    return type(name, (), {"__getattr__": lambda self, each: getattr(LOGGER, each)})()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda logger: Merging(logger, {}),
        lambda logger: Merging(Merging(logger, {}), {}),
        lambda logger: DnstapAdapter(logger),
        Duck,
        lambda logger: Merging(Duck(logger), {}),
    ],
)
def test_what_is_like_a_logger_is_taken(
    capture: Path, logger: logging.Logger, wrap: Callable[[logging.Logger], Any]
) -> None:
    """Adapters of adapters, and objects with a logger's methods, are logged through."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)

    DnstapAdapter(wrap(logger)).client_query(b"\0" * 12, query_address="192.0.2.1")
    DnstapUpstream(wrap(logger))
    handler.close()

    assert [message.message_type.name for message in DnstapReader(capture)] == ["CLIENT_QUERY"]


def test_a_proxy_of_a_logger_is_taken() -> None:
    """An object that delegates its attributes to a logger is accepted like one."""
    assert DnstapAdapter(by_name("Proxy")).logger is not LOGGER


@pytest.mark.parametrize(
    ("constants", "error", "text"),
    [
        ({"dns_socket_protocol": "UPD"}, ValueError, "dns_socket_protocol='UPD'"),
        ({"dns_response_address": "ns1.example.net"}, ValueError, "dns_response_address"),
        ({"dns_response_port": "dns"}, ValueError, "dns_response_port='dns'"),
        ({"dns_policy": ["RPZ"]}, ValueError, "dns_policy"),
        ({"dns_query_zone": "a..b"}, ValueError, "dns_query_zone='a..b'"),
        ({53: "dns_response_port"}, TypeError, "53"),
    ],
)
def test_constants_that_cannot_be_used_are_refused(constants: Any, error: Any, text: str) -> None:
    """A constant is given once and for all messages: a mistake in it raises, when it is set too."""
    tap = DnstapAdapter(LOGGER)
    with pytest.raises(error, match=text):
        DnstapAdapter(LOGGER, constants)
    with pytest.raises(error, match=text):
        tap.extra = constants
    assert dict(tap.extra) == {}


def test_constants_that_can_be_used_are_taken() -> None:
    """Values of every kind that a message may have are constants, but None is not."""
    constants = {
        "dns_response_address": ("0.0.0.0", 53),
        "dns_socket_protocol": "DoT",
        "dns_policy": {"type": "RPZ"},
        "dns_query_zone": None,
        "colour": object(),
    }
    assert dict(DnstapAdapter(LOGGER, constants).extra) == constants


@pytest.mark.parametrize(
    "callback",
    [
        print,
        queue.SimpleQueue().put,
        [].append,
        functools.partial(print, "received"),
        lambda message, more=None: None,
        lambda *messages: None,
    ],
)
def test_callbacks_that_can_be_called_are_taken(callback: Any) -> None:
    """Functions of Python and of C, methods and partial calls are callbacks."""
    DnstapReceiver("tcp://127.0.0.1:0", callback)
    DnstapReceiver("tcp://127.0.0.1:0", on_frame=callback)


class Taker:
    """A callback that is an object."""

    async def __call__(self, message: object) -> None:
        """Do nothing before somebody awaits it."""


@pytest.mark.parametrize(
    "callback", [later, waits, Taker(), Taker, functools.partial(later), lambda: None, "print"]
)
@pytest.mark.parametrize("argument", ["on_message", "on_frame"])
def test_callbacks_that_would_do_nothing_are_refused(callback: Any, argument: str) -> None:
    """A coroutine, a class, or a function without an argument would silently do nothing."""
    with pytest.raises(TypeError, match=f"{argument}="):
        DnstapReceiver("tcp://127.0.0.1:0", **{argument: callback})


@pytest.mark.parametrize("attribute", ["namer", "rotator"])
def test_what_moves_captures_must_be_a_function(capture: Path, attribute: str) -> None:
    """A namer or rotator that cannot be called is refused when it is set, not at the rollover."""
    handler = RotatingDnstapHandler(capture)
    for value in ("gzip", 1, dict):
        with pytest.raises(TypeError, match=f"{attribute}="):
            setattr(handler, attribute, value)
    setattr(handler, attribute, None)
    setattr(handler, attribute, lambda *names: None)
    handler.close()


def test_messages_name_the_field() -> None:
    """Each field of a message that is built by hand is checked, and named."""
    for name in inspect.signature(DnstapMessage).parameters:
        given = {"message_type": "CLIENT_QUERY"}
        for value in (object(), Unhashable(), int, float("nan"), -1, True, 1j, (), waits()):
            with pytest.raises((TypeError, ValueError), match=f"{name}="):
                DnstapMessage(**{**given, name: value})  # type: ignore[arg-type]
