"""The way without a LogRecord sees at once whatever is replaced, in an object or in a class."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from dnstap_logging import DnstapAdapter, DnstapHandler
from tests.helpers.programs import run_python

WIRE = bytes.fromhex("a1b20100000100000000000003777777076578616d706c65036f72670000010001")
CLIENT = ("192.0.2.1", 5353)


class Calls:
    """How often what was put in a method's place is called."""

    def __init__(self) -> None:
        self.number = 0

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that counts its calls and calls the original."""

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.number += 1
            return original(*args, **kwargs)

        return counted


class Subclass(DnstapAdapter):
    """An adapter of a program's own."""


@contextlib.contextmanager
def known(logger: logging.Logger) -> Iterator[None]:
    """Have logging know of a logger, so that a new level counts at once.

    Only for a while: pytest gives handlers of its own to all loggers that are known before a test.
    """
    loggers = logging.Logger.manager.loggerDict
    loggers["tests.direct"] = logger
    try:
        yield
    finally:
        del loggers["tests.direct"]


@pytest.fixture
def handler(capture: Path, logger: logging.Logger) -> DnstapHandler:
    """Return the handler of the logger."""
    handler = DnstapHandler(capture)
    logger.addHandler(handler)
    return handler


METHODS: List[Tuple[str, str]] = [
    *(("handler", name) for name in ("handle", "emit", "filter")),
    *(("logger", name) for name in ("handle", "makeRecord", "callHandlers", "filter")),
    *(("logger", name) for name in ("log", "_log")),
    *(("adapter", name) for name in ("process", "isEnabledFor")),
]


def objects(logger: logging.Logger, handler: DnstapHandler) -> Dict[str, Any]:
    """Return what a message passes on its way, with an attribute of the program's own each."""
    found = {"handler": handler, "logger": logger, "adapter": Subclass(logger)}
    for each in found.values():
        each.spare = each.last = 1
    return found


def log(tap: DnstapAdapter) -> None:
    """Log one message in each form that has a short way of its own."""
    tap.client_query(WIRE, query_address=CLIENT)
    tap.client_query(WIRE, query_address=CLIENT, query_time=1_700_000_000_000_000_000)
    tap.client_query(WIRE, socket_protocol="UDP")


@pytest.mark.parametrize(("place", "name"), METHODS)
def test_an_override_in_the_place_of_another_attribute(
    logger: logging.Logger, handler: DnstapHandler, place: str, name: str
) -> None:
    """It is seen though the object has as many attributes as before, and again when it is gone."""
    found = objects(logger, handler)
    tap = found["adapter"]
    log(tap)
    calls = Calls()
    target = found[place]
    override = calls.around(getattr(target, name))
    del target.spare
    setattr(target, name, override)
    log(tap)
    assert calls.number == 3
    delattr(target, name)
    target.spare = 1
    log(tap)
    assert calls.number == 3
    handler.close()
    assert handler.stats().written == 9


@pytest.mark.parametrize(("place", "name"), [each for each in METHODS if each[0] != "adapter"])
def test_an_override_in_the_dict_whatever_comes_behind_it(
    logger: logging.Logger, handler: DnstapHandler, place: str, name: str
) -> None:
    """Nothing depends on how it came there, on how many attributes there are or in which order."""
    found = objects(logger, handler)
    tap = found["adapter"]
    log(tap)
    calls = Calls()
    target = found[place]
    override = calls.around(getattr(target, name))
    attributes = target.__dict__
    del attributes["spare"]
    attributes[name] = override
    attributes["last"] = attributes.pop("last")
    log(tap)
    assert calls.number == 3
    for _ in range(2):  # one override in the place of another
        calls.number = 0
        attributes[name] = attributes.pop(name)
        log(tap)
        assert calls.number == 3
    handler.close()
    assert handler.stats().written == 12


CLASSES: List[Tuple[type, str]] = [
    *((DnstapHandler, name) for name in ("handle", "emit", "filter")),
    *((logging.Logger, name) for name in ("handle", "makeRecord", "callHandlers", "log", "_log")),
    (logging.Filterer, "filter"),
    *((kind, "process") for kind in (Subclass, DnstapAdapter)),
    *((kind, "isEnabledFor") for kind in (Subclass, DnstapAdapter, logging.LoggerAdapter)),
]


@pytest.mark.parametrize(("kind", "name"), CLASSES)
def test_an_override_in_a_class(
    logger: logging.Logger,
    handler: DnstapHandler,
    kind: type,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A method that is replaced in a class after the first messages is called for the next ones."""
    tap = Subclass(logger)
    log(tap)
    calls = Calls()
    monkeypatch.setattr(kind, name, calls.around(getattr(kind, name)))
    log(tap)
    monkeypatch.undo()
    assert calls.number == 3
    log(tap)
    assert calls.number == 3
    handler.close()
    assert handler.stats().written == 9


# What instruments a program replaces methods when it starts: before the first adapter is made,
# which is when the adapter's module is imported.
REPLACED_EARLY = """
import logging, sys
import dnstap_logging

path, kind, name, how = sys.argv[1:]
kind = dnstap_logging.DnstapHandler if kind == "DnstapHandler" else getattr(logging, kind)
assert "dnstap_logging.adapter.adapter" not in sys.modules
calls, original = [], getattr(kind, name)

def counted(self, *args, **kwargs):
    if getattr(self, "name", None) != "dnstap_logging":  # whose thread says that a file was opened
        calls.append(type(self).__name__)
    return original(self, *args, **kwargs)

class Proxy:  # as wrapt makes them: all that is asked of it is the original's
    def __get__(self, instance, owner):
        return self if instance is None else counted.__get__(instance, owner)

    def __getattr__(self, name):
        return getattr(original, name)

setattr(kind, name, Proxy() if how == "proxy" else counted)
logger = logging.Logger("direct", logging.INFO)
handler = dnstap_logging.DnstapHandler(path)
logger.addHandler(handler)
tap = dnstap_logging.DnstapAdapter(logger)
for others in [], [logging.NullHandler()]:
    logger.handlers += others
    tap.client_query(bytes(12), query_address=("192.0.2.1", 53))
    tap.client_query(bytes(12), query_address=("192.0.2.1", 53))
    tap.client_query(bytes(12), socket_protocol="UDP")
    print(len(calls), set(calls))
handler.close()
print(handler.stats().written)
"""

EARLY: List[Tuple[str, str]] = [
    *(("DnstapHandler", name) for name in ("handle", "emit", "filter")),
    *(("Logger", name) for name in ("handle", "makeRecord", "callHandlers", "filter")),
    *(("Logger", name) for name in ("log", "_log")),
    ("LoggerAdapter", "isEnabledFor"),
]


@pytest.mark.parametrize("how", ["function", "proxy"])
@pytest.mark.parametrize(("kind", "name"), EARLY)
def test_an_override_from_before_the_first_adapter(
    kind: str, name: str, how: str, capture: Path
) -> None:
    """A method that is replaced before the first adapter is made is called for every message.

    Also where another handler needs a record, and by the object whose class it belongs to.
    """
    done = run_python(REPLACED_EARLY, capture, kind, name, how)

    whose = "DnstapAdapter" if kind == "LoggerAdapter" else kind
    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"3 {{'{whose}'}}", f"6 {{'{whose}'}}", "6"]


def refuse(record: object) -> bool:
    """Refuse all records."""
    return False


def set_attribute(place: str, name: str, value: Any) -> Callable[[Dict[str, Any]], None]:
    """Return what replaces an attribute."""
    return lambda found: setattr(found[place], name, value)


SILENCERS: Dict[str, Callable[[Dict[str, Any]], None]] = {
    "the logger's level": lambda found: found["logger"].setLevel(logging.WARNING),
    "the handler's level": lambda found: found["handler"].setLevel(logging.WARNING),
    "the handler's level, as an attribute": set_attribute("handler", "level", logging.WARNING),
    "logger.disabled": set_attribute("logger", "disabled", True),
    "the adapter's level": set_attribute("adapter", "level", logging.DEBUG),
    "a filter of the logger": lambda found: found["logger"].addFilter(refuse),
    "another list of filters": set_attribute("logger", "filters", [refuse]),
    "another list of the handler's": set_attribute("handler", "filters", [refuse]),
    "another list of handlers": set_attribute("logger", "handlers", [logging.NullHandler()]),
    "a logger without handlers": set_attribute(
        "adapter", "logger", logging.Logger("bare", logging.CRITICAL)
    ),
}


@pytest.mark.parametrize("change", SILENCERS)
def test_what_silences_a_logger_counts_at_once(
    logger: logging.Logger, handler: DnstapHandler, change: str
) -> None:
    """Levels, filters and lists that are replaced after the first messages hold for the next."""
    found = objects(logger, handler)
    with known(logger):
        log(found["adapter"])
        SILENCERS[change](found)
        log(found["adapter"])
    handler.close()
    assert handler.stats().logged == 3


def test_logging_disable(handler: DnstapHandler, logger: logging.Logger) -> None:
    """logging.disable() holds at once, and so does its end."""
    tap = DnstapAdapter(logger)
    try:
        with known(logger):
            log(tap)
            logging.disable(logging.INFO)
            log(tap)
            logging.disable(logging.NOTSET)
            log(tap)
    finally:
        logging.disable(logging.NOTSET)
    handler.close()
    assert handler.stats().logged == 6


def test_propagation_that_changes(tmp_path: Path) -> None:
    """A parent's handler gets messages while the logger propagates; its filters are not asked."""
    parent, child = logging.Logger("parent", logging.INFO), logging.Logger("child", logging.INFO)
    child.parent = parent
    parent.addFilter(refuse)  # a record passes the handlers above only, not the loggers
    handler = DnstapHandler(tmp_path / "capture.fstrm")
    own = DnstapHandler(tmp_path / "own.fstrm")
    parent.addHandler(handler)
    child.addHandler(own)
    tap = DnstapAdapter(child)
    log(tap)
    child.propagate = False
    log(tap)
    child.propagate = True
    log(tap)
    handler.close()
    own.close()
    assert (handler.stats().logged, own.stats().logged) == (6, 9)


def test_handlers_that_are_not_loggings(logger: logging.Logger, handler: DnstapHandler) -> None:
    """An object that only has what logging asks of a handler gets its record."""

    class Duck:
        level = logging.NOTSET

        def __init__(self) -> None:
            self.records: List[object] = []
            self.handle = self.records.append

    duck = Duck()
    logger.handlers.append(duck)  # type: ignore[arg-type]
    log(DnstapAdapter(logger))
    logger.handlers.remove(duck)  # type: ignore[arg-type]
    handler.close()
    assert len(duck.records) == 3
    assert handler.stats().logged == 3
