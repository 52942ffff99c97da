"""`import dnstap_logging` in a fresh interpreter: no warning, nothing optional, nothing heavy."""

from __future__ import annotations

from typing import Set

import dnstap_logging
from tests.helpers.programs import run_python

# What some users have and nobody needs for the handler; an import of one of these is never right.
OPTIONAL = {
    "cryptography",
    "dns",
    "dnslib",
    "dnstap_pb",
    "prometheus_client",
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


def test_what_few_need_is_imported_when_it_is_asked_for() -> None:
    """Reader, receiver and rotating handlers cost nothing until then, and are there by name."""
    later = {f"dnstap_logging.{name}" for name in ("reader", "receiver", "rotating")}
    names = "DnstapReader, DnstapReceiver, RotatingDnstapHandler, TimedRotatingDnstapHandler"

    assert later & modules_after("import dnstap_logging") == set()
    assert later <= modules_after(f"from dnstap_logging import {names}")
    assert not hasattr(dnstap_logging, "DnstapWriter")


def test_importing_star_gives_the_public_names_only() -> None:
    """Every name in __all__ is there, and stays there without an optional module."""
    modules = modules_after("from dnstap_logging import *")

    assert OPTIONAL & modules == set()
