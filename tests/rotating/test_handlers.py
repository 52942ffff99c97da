"""The rotating handlers as logging sees them: twins of RotatingFileHandler and of the timed one."""

from __future__ import annotations

import copy
import datetime
import inspect
import logging
import logging.config
import logging.handlers
import os
import pickle
import re
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple, Type, Union

import pytest

from dnstap_logging import (
    DnstapHandler,
    RotatingDnstapHandler,
    TimedRotatingDnstapHandler,
    get_handler,
    handlers,
)
from tests.rotating.load import log, marks

Rotating = Union[RotatingDnstapHandler, TimedRotatingDnstapHandler]
BOTH = [RotatingDnstapHandler, TimedRotatingDnstapHandler]
TWINS: List[Tuple[Type[Rotating], Type[logging.Handler]]] = [
    (RotatingDnstapHandler, logging.handlers.RotatingFileHandler),
    (TimedRotatingDnstapHandler, logging.handlers.TimedRotatingFileHandler),
]


@pytest.fixture
def made() -> Iterator[List[Rotating]]:
    """Close the handlers that a test puts here."""
    handlers: List[Rotating] = []
    yield handlers
    for handler in handlers:
        handler.close()


@pytest.fixture
def _logging_is_restored() -> Iterator[None]:
    yield
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})


@pytest.mark.parametrize(("ours", "twin"), TWINS)
def test_arguments_stand_where_the_twin_has_them(
    ours: Type[Rotating], twin: Type[logging.Handler]
) -> None:
    """By position the twin's arguments are taken, up to its encoding; its others by name."""
    theirs = inspect.signature(twin).parameters
    parameters = inspect.signature(ours).parameters
    by_position = [
        name
        for name, each in parameters.items()
        if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]

    assert by_position == list(theirs)[: list(theirs).index("encoding")]
    shared = [name for name in parameters if name in theirs]
    assert {name: parameters[name].default for name in shared} == {
        name: theirs[name].default for name in shared
    }
    left = set(theirs) - set(parameters) - {"encoding", "errors", "delay"}
    assert not left, f"arguments of the twin that are not there: {left}"


def test_by_size_takes_all_its_arguments(capture: Path, made: List[Rotating]) -> None:
    """What is given by position or by name can be read from the attributes of that name."""
    handler = RotatingDnstapHandler(
        capture, "w", 1000, 3, level="WARNING", identity="ns1", queue_size=5, permissions=0o600
    )
    made.append(handler)

    assert (handler.maxBytes, handler.backupCount) == (1000, 3)
    assert (handler.baseFilename, handler.level) == (str(capture), logging.WARNING)
    assert capture.stat().st_mode & 0o777 == 0o600
    assert (handler.namer, handler.rotator) == (None, None)


def test_by_time_takes_all_its_arguments(capture: Path, made: List[Rotating]) -> None:
    """The same by time; as in the twin, when is in upper case and the interval in seconds."""
    noon = datetime.time(12, 0)
    handler = TimedRotatingDnstapHandler(
        capture, "midnight", 2, 3, utc=True, atTime=noon, level=logging.ERROR
    )
    made.append(handler)

    assert (handler.when, handler.interval, handler.backupCount) == ("MIDNIGHT", 2 * 86400, 3)
    assert (handler.utc, handler.atTime, handler.suffix) == (True, noon, "%Y-%m-%d")
    assert handler.baseFilename == str(capture)
    assert handler.extMatch.search("capture.fstrm.2026-01-31".rpartition("fstrm.")[2])
    assert handler.rolloverAt % 86400 == 12 * 3600
    assert handler.rolloverAt > time.time()


def test_by_time_times_are_the_twins(tmp_path: Path, made: List[Rotating]) -> None:
    """The next time is the one that the twin computes for a file of the same age."""
    ours, theirs = tmp_path / "ours.fstrm", tmp_path / "theirs.log"
    for when in ("S", "m", "H", "d", "midnight", "W0", "w6"):
        for path in (ours, theirs):
            path.write_bytes(b"")
            os.utime(path, (1_700_000_000, 1_700_000_000))
        handler = TimedRotatingDnstapHandler(ours, when, 3, delay=True)
        made.append(handler)
        twin = logging.handlers.TimedRotatingFileHandler(theirs, when, 3, delay=True)
        twin.close()
        names = ("when", "interval", "suffix", "rolloverAt")
        assert [getattr(handler, name) for name in names] == [
            getattr(twin, name) for name in names
        ], when


def test_a_relative_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: List[Rotating]
) -> None:
    """The capture and its backups stay where they were begun, wherever the program goes."""
    monkeypatch.chdir(tmp_path)
    handler = RotatingDnstapHandler("capture.fstrm", backupCount=1)
    made.append(handler)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    log(handler, 1)
    handler.doRollover()
    log(handler, 2)
    handler.close()

    assert handler.baseFilename == str(tmp_path / "capture.fstrm")
    assert marks(tmp_path / "capture.fstrm.1") == [(0, 1)]
    assert marks(tmp_path / "capture.fstrm") == [(0, 2)]


WRONG: List[Tuple[Type[Rotating], Dict[str, Any], List[str]]] = [
    (RotatingDnstapHandler, {"maxBytes": -1}, ["maxBytes=-1", "0"]),
    (RotatingDnstapHandler, {"maxBytes": "1k"}, ["maxBytes='1k'", "int"]),
    (RotatingDnstapHandler, {"backupCount": -1}, ["backupCount=-1", "0"]),
    (RotatingDnstapHandler, {"mode": "b"}, ["mode='b'", "'a'"]),
    (TimedRotatingDnstapHandler, {"backupCount": 1.5}, ["backupCount=1.5", "int"]),
    (TimedRotatingDnstapHandler, {"when": "X"}, ["when='X'", "midnight", "W0"]),
    (TimedRotatingDnstapHandler, {"when": "W7"}, ["when='W7'", "W6"]),
    (TimedRotatingDnstapHandler, {"when": 5}, ["when=5"]),
    (TimedRotatingDnstapHandler, {"interval": 0}, ["interval=0", "1"]),
    (TimedRotatingDnstapHandler, {"utc": 1}, ["utc=1", "True or False"]),
    (TimedRotatingDnstapHandler, {"atTime": "noon"}, ["atTime='noon'", "datetime.time"]),
    (TimedRotatingDnstapHandler, {"mode": "w"}, ["mode"]),
]
WRONG_FOR_BOTH: List[Tuple[Dict[str, Any], List[str]]] = [
    ({"filename": "unix:///run/dns.sock"}, ["filename='unix:///run/dns.sock'", "file"]),
    ({"filename": "tcp://127.0.0.1:6000"}, ["filename='tcp://127.0.0.1:6000'", "file"]),
    ({"filename": None}, ["filename", "None"]),
    ({"colour": "red"}, ["colour"]),
    ({"encoding": "utf-8"}, ["encoding"]),
    ({"address": "capture.fstrm"}, ["address"]),
    ({"bidirectional": True}, ["bidirectional"]),
    ({"cafile": "ca.pem"}, ["cafile"]),
    ({"server_hostname": "collector"}, ["server_hostname"]),
    ({"queue_size": 0}, ["queue_size=0", "1"]),
    ({"level": "LOUD"}, ["LOUD"]),
]


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [*WRONG, *((kind, *each) for kind in BOTH for each in WRONG_FOR_BOTH)],
)
def test_a_wrong_argument_is_named(
    kind: Type[Rotating], arguments: Dict[str, Any], said: List[str], capture: Path
) -> None:
    """A bad argument raises at once, with its name, its value and what is right."""
    before = handlers()

    with pytest.raises((TypeError, ValueError)) as caught:
        kind(**{"filename": capture, **arguments})

    for text in said:
        assert text in str(caught.value), caught.value
    assert not capture.exists(), "a handler that was refused has left a file"
    assert handlers() == before


def test_only_our_handlers_are_known_to_logging(capture: Path, made: List[Rotating]) -> None:
    """No twin is at work inside: logging knows our two handlers, and we find them by name."""
    known = list(logging._handlerList)  # type: ignore[attr-defined]
    for number, kind in enumerate(BOTH):
        handler = kind(capture.with_name(f"{number}.fstrm"))
        handler.set_name(f"rotating {number}")
        made.append(handler)

    added = [each() for each in logging._handlerList if each not in known]  # type: ignore[attr-defined]
    assert added == made
    assert [each for each in handlers() if each in made] == made
    assert [get_handler(f"rotating {number}") for number in (0, 1)] == made
    if hasattr(logging, "getHandlerByName"):
        names = {name for name in logging.getHandlerNames() if "rotating" in name}
        assert names == {"rotating 0", "rotating 1"}
        assert [logging.getHandlerByName(name) for name in sorted(names)] == made
    assert all(isinstance(each, DnstapHandler) for each in made)


@pytest.mark.parametrize("kind", BOTH)
def test_repr_and_copies(kind: Type[Rotating], capture: Path, made: List[Rotating]) -> None:
    """A handler shows its class, its file and its level; it cannot be copied or pickled."""
    handler = kind(capture, level=logging.INFO)
    made.append(handler)

    assert repr(handler) == f"<{kind.__name__} file://{capture} (INFO)>"
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be copied or pickled"):
            attempt(handler)


NOT_ASKED = ["rotate", "rotation_filename", "shouldRollover", "computeRollover", "getFilesToDelete"]


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("name", [*NOT_ASKED, "doRollover"])
def test_an_override_that_nobody_would_call_is_refused(
    kind: Type[Rotating], name: str, capture: Path
) -> None:
    """A subclass with a method that is the twin's to call is told what to use instead."""
    subclass: Type[Rotating] = type("Own", (kind,), {name: lambda self, *_: None})

    with pytest.raises(TypeError, match=rf"Own\.{name}.*\bnamer and rotator"):
        subclass(capture)

    assert not capture.exists()


@pytest.mark.parametrize("kind", BOTH)
def test_a_harmless_subclass_is_welcome(kind: Type[Rotating], capture: Path) -> None:
    """A subclass may override what every handler's may."""
    levels: List[int] = []

    class Own(kind):  # type: ignore[misc,valid-type]
        def emit(self, record: logging.LogRecord) -> None:
            levels.append(record.levelno)
            super().emit(record)

    handler = Own(capture)
    log(handler, 1)
    handler.close()

    assert len(levels) == len(marks(capture)) == 1


@pytest.mark.usefixtures("_logging_is_restored")
def test_dictconfig(tmp_path: Path) -> None:
    """dictConfig makes both, with all arguments; what is set later has an effect."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "size": {
                    "class": "dnstap_logging.RotatingDnstapHandler",
                    "filename": str(tmp_path / "size.fstrm"),
                    "maxBytes": 1,
                    "backupCount": 9,
                    "identity": "ns1",
                },
                "time": {
                    "class": "dnstap_logging.TimedRotatingDnstapHandler",
                    "filename": str(tmp_path / "time.fstrm"),
                    "when": "midnight",
                    "utc": True,
                    "atTime": datetime.time(3),
                    "level": "INFO",
                },
            },
            "root": {"handlers": ["size", "time"], "level": "INFO"},
        }
    )
    size, timed = get_handler("size"), get_handler("time")
    assert isinstance(size, RotatingDnstapHandler)
    assert isinstance(timed, TimedRotatingDnstapHandler)

    for number in range(3):
        extra = {"dns_message_type": "CLIENT_QUERY", "dns_extra": f"0:{number}"}
        logging.getLogger("dns").info("query", extra=extra)
    for handler in (size, timed):
        logging.getLogger().removeHandler(handler)
        handler.close()

    assert marks(tmp_path / "size.fstrm.2") == [(0, 0)]
    assert marks(tmp_path / "size.fstrm") == [(0, 2)]
    assert len(marks(tmp_path / "time.fstrm")) == 3


@pytest.mark.usefixtures("_logging_is_restored")
@pytest.mark.parametrize(
    ("kind", "args", "kwargs"),
    [
        ("Rotating", "('{path}', 'a', 1000, 5)", "{'identity': 'ns1'}"),
        ("TimedRotating", "('{path}', 'W6', 2, 5)", "{'utc': True, 'identity': 'ns1'}"),
    ],
)
def test_fileconfig(kind: str, args: str, kwargs: str, tmp_path: Path, capture: Path) -> None:
    """A configuration file's args, as they are written for the twin, and its kwargs."""
    ini = tmp_path / "logging.ini"
    ini.write_text(
        f"""
[loggers]
keys=root
[handlers]
keys=tap
[formatters]
keys=
[logger_root]
handlers=tap
[handler_tap]
class=dnstap_logging.{kind}DnstapHandler
args={args.format(path=capture)}
kwargs={kwargs}
"""
    )
    logging.config.fileConfig(ini, disable_existing_loggers=False)
    (handler,) = (each for each in logging.getLogger().handlers if isinstance(each, DnstapHandler))
    logging.getLogger().removeHandler(handler)
    log(handler, 1)
    handler.close()

    assert re.fullmatch(rf"<{kind}DnstapHandler .*", repr(handler))
    assert getattr(handler, "backupCount") == 5  # noqa: B009 - of either kind
    assert marks(capture) == [(0, 1)]
