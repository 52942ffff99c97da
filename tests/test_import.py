"""`import dnstap_logging` in a fresh interpreter: no warning, nothing optional, nothing heavy."""

from __future__ import annotations

from pathlib import Path
from typing import Set

import pytest

import dnstap_logging
from tests.helpers.programs import run_python

# What some users have and nobody needs for the handler; an import of one of these is never right.
OPTIONAL = {
    "cryptography",
    "dns",
    "dnslib",
    "dnstap_pb",
    "prometheus_client",
    "pyarrow",
    "rich",
    "trustme",
    "yaml",
}

# Parts of the standard library that cost milliseconds and that only some uses need: they are
# imported in the functions that use them. One that protobuf or logging imports is not ours.
HEAVY = {
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "hashlib",
    "importlib.metadata",
    "inspect",
    "ipaddress",
    "json",
    "multiprocessing",
    "socketserver",
    "ssl",
    "subprocess",
    "tempfile",
    "urllib",
}

BASIS = """
import logging.handlers
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper
"""


def modules_after(code: str) -> Set[str]:
    """Run code in a fresh interpreter, warnings being errors, and return what it has imported."""
    program = f"{code}\nimport sys\nprint('\\n'.join(sorted(sys.modules)))"
    done = run_python(program)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return set(done.stdout.split())


def test_import_gives_no_warning_and_nothing_optional() -> None:
    """The import passes with -W error and loads no third-party module but protobuf."""
    modules = modules_after("import dnstap_logging")

    assert "dnstap_logging" in modules
    assert OPTIONAL & modules == set()


def test_import_adds_nothing_heavy() -> None:
    """Beyond what logging and protobuf load, the import adds none of the slow modules."""
    added = modules_after(BASIS + "import dnstap_logging") - modules_after(BASIS)

    assert "dnstap_logging" in added
    assert HEAVY & added == set()


LATER = {f"dnstap_logging.{name}" for name in ("adapter", "reader", "receiver", "rotating")}
"""Rooms of public names that are imported when somebody asks for one of these."""

FOR_FILES = {"dnstap_logging.capture", "dnstap_logging.codec.decoding", "logging.handlers"}


def test_what_few_need_is_imported_when_it_is_asked_for() -> None:
    """Adapter, reader, receiver and rotating handlers cost nothing until then, and are there."""
    names = (
        "DnstapAdapter, DnstapReader, DnstapReceiver, "
        "RotatingDnstapHandler, TimedRotatingDnstapHandler"
    )

    assert LATER & modules_after("import dnstap_logging") == set()
    assert modules_after(f"from dnstap_logging import {names}") >= LATER
    assert set(dnstap_logging.__all__) <= set(dir(dnstap_logging))
    assert not hasattr(dnstap_logging, "DnstapWriter")


@pytest.mark.parametrize("address", ["unix:///not/there", "tcp://127.0.0.1:1"])
def test_a_handler_to_a_socket_needs_nothing_of_files_and_texts(address: str) -> None:
    """It loads no decoding, no text, no TLS and no rotation."""
    unused = LATER | FOR_FILES | {"dnstap_logging.text", "ssl"}
    made = f"import dnstap_logging\ndnstap_logging.DnstapHandler({address!r}).close()"

    assert unused & modules_after(made) == set()


def test_a_destination_is_imported_with_the_first_handler_that_has_it(tmp_path: Path) -> None:
    """The import alone loads neither kind and no TLS; a handler to a file no sockets."""
    transports = {f"dnstap_logging.transport.{name}" for name in ("connect", "stream")}
    sockets = transports | {"dnstap_logging.delivery.stream_destination"}
    files = {f"dnstap_logging.{name}" for name in ("transport.file", "delivery.file_destination")}
    path = str(tmp_path / "capture.fstrm")
    made = f"import dnstap_logging\ndnstap_logging.DnstapHandler({path!r}).close()"

    unused = sockets | files | {"dnstap_logging.transport.tls"}
    assert unused & modules_after("import dnstap_logging") == set()
    assert (sockets | files) & modules_after(made) == files


AFTERWARDS = """
import logging, sys
import dnstap_logging
handler = dnstap_logging.DnstapHandler({address!r}, reconnect_interval=0.1, close_timeout=0.3)
logger = logging.Logger("dns")
logger.addHandler(handler)
logger.addHandler(logging.NullHandler())
lines = logging.Handler()
lines.emit = lines.format
logger.addHandler(lines)
tap = dnstap_logging.DnstapAdapter(logger)
before = set(sys.modules)
for extra in ({{"dns_query_message": bytes(20)}}, {{"dns_query_zone": 5}}, {{"dns_typo": 1}}):
    logger.info("query", extra={{"dns_message_type": "CLIENT_QUERY", **extra}})
tap.client_query(bytes(20), query_address="2001:db8::1")
handler.flush({timeout})
handler.close()
late = {{name for name in set(sys.modules) - before if name.startswith("dnstap_logging")}}
sys.exit(" ".join(late) or 0)
"""


@pytest.mark.parametrize("scheme", ["file", "unix", "tcp", "tls"])
def test_a_handler_imports_nothing_once_it_is_made(scheme: str, tmp_path: Path) -> None:
    """An import in a log call, the writer thread, a forked child or at exit could wait for ever.

    Records good and bad, a file or a connection that is refused, a line for another handler, flush
    and close: all that they need is there.
    """
    address = {
        "file": str(tmp_path / "capture.fstrm"),
        "unix": f"unix://{tmp_path}/not-there",
        "tcp": "tcp://127.0.0.1:1",
        "tls": "tls://127.0.0.1:1",
    }[scheme]
    timeout = None if scheme == "file" else 0.3
    done = run_python(AFTERWARDS.format(address=address, timeout=timeout), warnings="default")

    assert done.returncode == 0, done.stderr


HOOKS = """
import os, sys
hooks, register = [], os.register_at_fork
def noted(**functions):
    hooks.append(getattr(functions.get("after_in_child"), "__module__", ""))
    register(**functions)
os.register_at_fork = noted
import dnstap_logging
dnstap_logging.DnstapHandler(sys.argv[1]).close()
print(*[hook for hook in hooks if hook.startswith("dnstap_logging.")])
"""


def test_a_forked_child_closes_before_it_makes_what_is_its_own(tmp_path: Path) -> None:
    """Whatever is imported first: else the child would close what it has just opened."""
    done = run_python(HOOKS, tmp_path / "capture.fstrm")

    modules = ("process.inherited", "diagnostics", "process.process")
    assert done.stderr == ""
    assert done.stdout.split() == [f"dnstap_logging.{name}" for name in modules]


def test_importing_star_gives_the_public_names_only() -> None:
    """Every name in __all__ is there, and stays there without an optional module."""
    modules = modules_after("from dnstap_logging import *")

    assert OPTIONAL & modules == set()
