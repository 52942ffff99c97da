"""Several addresses as one argument: which are taken, and how the others are refused."""

from __future__ import annotations

import collections
import logging
import logging.config
import pickle
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

from dnstap_logging import DnstapHandler, RotatingDnstapHandler, get_handler
from dnstap_logging.delivery.options import DEFAULT_PREFER_AFTER

UNIX, TCP, TLS = "unix:///run/a.sock", "tcp://127.0.0.1:6000", "tls://a.example:6000"
TLS_TOO = "tls://b.example:6000"

# address, arguments, the error, and what its text must name: argument, value, what is right
BAD: List[Tuple[Any, Dict[str, Any], type, List[str]]] = [
    ([], {}, ValueError, ["address", "[]", "at least one"]),
    ((), {}, ValueError, ["address", "()", "at least one"]),
    ([UNIX, UNIX], {}, ValueError, ["address[1]", UNIX, "twice"]),
    (["tcp://LOCALHOST:1", "tcp://localhost:1"], {}, ValueError, ["address[1]", "twice"]),
    ([UNIX, "/tmp/x.fstrm"], {}, ValueError, ["address[1]", "/tmp/x.fstrm", "socket"]),
    (["file:///tmp/x.fstrm", UNIX], {}, ValueError, ["address[0]", "file:///tmp/x", "tcp://"]),
    ([Path("/tmp/x.fstrm")], {}, ValueError, ["address[0]", "/tmp/x.fstrm", "socket"]),
    ([UNIX, "http://h:1"], {}, ValueError, ["address[1]", "http://h:1", "tcp://"]),
    ([UNIX, 5], {}, TypeError, ["address[1]", "5", "str"]),
    ([UNIX, None], {}, TypeError, ["address[1]", "None", "str"]),
    ([[UNIX], TCP], {}, TypeError, ["address[0]", UNIX, "str"]),
    ({UNIX}, {}, TypeError, ["address", "set"]),
    ([UNIX, TCP], {"cafile": "/ca.pem"}, ValueError, ["cafile", "/ca.pem", UNIX, TCP]),
    ([TLS, TLS_TOO], {"server_hostname": "x"}, ValueError, ["server_hostname", "x", "tls://"]),
    ([UNIX, TLS], {"cafile": "/nowhere/ca.pem"}, ValueError, ["cafile", "/nowhere/ca.pem"]),
    ([UNIX, TCP], {"mode": "w"}, ValueError, ["mode", "'w'", "file"]),
    ([UNIX, TCP], {"prefer_after": 0}, ValueError, ["prefer_after", "0", "above 0"]),
    ([UNIX, TCP], {"prefer_after": -1.0}, ValueError, ["prefer_after", "-1.0", "above 0"]),
    ([UNIX, TCP], {"prefer_after": "5"}, TypeError, ["prefer_after", "'5'", "seconds"]),
    ([UNIX, TCP], {"prefer_after": True}, TypeError, ["prefer_after", "True", "seconds"]),
    ([UNIX, TCP], {"prefer_after": float("nan")}, ValueError, ["prefer_after", "nan"]),
    (UNIX, {"prefer_after": 0}, ValueError, ["prefer_after", "0", "above 0"]),
    ("/tmp/x.fstrm", {"prefer_after": 60.0}, ValueError, ["prefer_after", "60.0", "file"]),
    ("/tmp/x.fstrm", {"prefer_after": None}, ValueError, ["prefer_after", "None", "file"]),
    (
        [UNIX, TCP],
        {"reconnect_interval": 2, "max_reconnect_interval": 1},
        ValueError,
        ["max_reconnect_interval", "1", "at least reconnect_interval=2"],
    ),
]


@pytest.mark.parametrize(("address", "arguments", "error", "named"), BAD, ids=repr)
def test_what_cannot_be_used_is_refused_by_name(
    address: Any, arguments: Dict[str, Any], error: type, named: List[str]
) -> None:
    """The text names the argument, which one of the list, its value and what is right."""
    with pytest.raises(error) as raised:
        DnstapHandler(address, **arguments)
    for part in named:
        assert part in str(raised.value)


def made(address: Any, **arguments: Any) -> DnstapHandler:
    """Return a handler without records, closed: it never had a thread."""
    handler = DnstapHandler(address, **arguments)
    handler.close()
    return handler


@pytest.mark.parametrize("kind", [list, tuple, collections.UserString])
def test_a_list_or_a_tuple_are_addresses_in_order(kind: Any) -> None:
    """The books name all of them from the start, in order; the first one is the address."""
    if kind is collections.UserString:
        with pytest.raises(TypeError, match="address"):
            DnstapHandler(kind(UNIX))
        return
    handler = made(kind([UNIX, TCP, TLS]))
    stats = handler.stats()
    assert stats.address == UNIX
    assert list(stats.attempts.items()) == [(name, (0, None)) for name in (UNIX, TCP, TLS)]
    assert f"{UNIX}, {TCP}, {TLS} (" in repr(handler)


def test_attempts_are_read_only_and_pickle() -> None:
    """Nobody changes the books from outside; they can be sent to another process."""
    stats = made([UNIX, TCP]).stats()
    with pytest.raises(TypeError):
        stats.attempts[UNIX] = (1, "mine")  # type: ignore[index]
    again = pickle.loads(pickle.dumps(stats))
    assert again == stats
    with pytest.raises(TypeError):
        again.attempts[UNIX] = (1, "mine")


def test_a_list_of_one_is_that_one() -> None:
    """As where a configuration has a list, and today one collector."""
    handler = made([UNIX], prefer_after=7)
    assert repr(handler) == repr(made(UNIX))
    assert handler._options.each == ()


def test_each_address_has_its_own_ceiling() -> None:
    """By default that of its scheme; one that is given counts for all."""
    options = made([TCP, UNIX, TLS])._options
    assert [each.max_reconnect_interval for each in options.each] == [10.0, 1.0, 10.0]
    options = made([TCP, UNIX], max_reconnect_interval=3)._options
    assert [each.max_reconnect_interval for each in options.each] == [3.0, 3.0]


def test_tls_arguments_serve_all_tls_addresses() -> None:
    """One of them is enough for the arguments to be taken, and the others have no TLS."""
    options = made([TLS, UNIX, TLS_TOO])._options
    assert options.each[0].tls is options.each[2].tls is not None
    assert options.each[1].tls is None
    options = made([UNIX, TLS], server_hostname="x.example")._options
    assert options.each[1].tls is not None
    assert options.each[1].tls.server_hostname == "x.example"


def test_prefer_after_has_its_default_and_none() -> None:
    """By default five minutes; None is never."""
    assert made([UNIX, TCP])._options.prefer_after == DEFAULT_PREFER_AFTER == 300.0
    assert made([UNIX, TCP], prefer_after=None)._options.prefer_after is None
    assert made([UNIX, TCP], prefer_after=5)._options.prefer_after == 5.0


def test_rotating_handlers_refuse_a_list(tmp_path: Path) -> None:
    """They write files, of which there is one."""
    with pytest.raises(TypeError, match="filename"):
        RotatingDnstapHandler([str(tmp_path / "x.fstrm")])  # type: ignore[arg-type]


def test_a_configuration_has_a_list() -> None:
    """Also one whose addresses are references: cfg:// and ext://."""
    description = {
        "version": 1,
        "disable_existing_loggers": False,
        "backup": {"address": TCP},
        "handlers": {
            "several": {
                "class": "dnstap_logging.DnstapHandler",
                "address": [UNIX, "cfg://backup.address", f"ext://{__name__}.TLS"],
                "prefer_after": 60,
            }
        },
        "loggers": {"tests.failover": {"handlers": ["several"]}},
    }
    logging.config.dictConfig(description)
    handler = get_handler("several")
    assert handler is not None
    try:
        assert list(handler.stats().attempts) == [UNIX, TCP, TLS]
    finally:
        logging.getLogger("tests.failover").removeHandler(handler)
        handler.close()
