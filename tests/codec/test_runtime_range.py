"""The promised range of protobuf runtimes: stated in setup.cfg, tested at both ends by .ci/run."""

from __future__ import annotations

import ast
import configparser
from pathlib import Path

import pytest
from google.protobuf import __version__ as protobuf_version

from dnstap_logging.codec.proto import dnstap_pb2
from tests.helpers.programs import run_python

REPOSITORY = Path(__file__).resolve().parents[2]
OLDEST = (4, 21)

ROUND_TRIP = """
import sys
from google.protobuf.internal import api_implementation
assert api_implementation.Type() == sys.argv[1], api_implementation.Type()

from dnstap_logging.codec.proto import Dnstap, Message
dnstap = Dnstap(type=Dnstap.MESSAGE, message=Message(type=Message.TOOL_QUERY, query_message=b"q"))
assert Dnstap.FromString(dnstap.SerializeToString()) == dnstap
dnstap.Clear()
assert not dnstap.HasField("message")
print("works")
"""


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_imports_and_works_without_a_warning(implementation: str) -> None:
    """The runtime that is installed here imports and runs our classes, warnings being errors."""
    done = run_python(ROUND_TRIP, implementation, protobuf=implementation)

    assert (done.returncode, done.stdout) == (0, "works\n"), done.stderr


def test_runtime_is_within_the_promise() -> None:
    """These tests run on a protobuf that the metadata allows."""
    version = tuple(int(part) for part in protobuf_version.split(".")[:2])

    assert version >= OLDEST, f"protobuf {protobuf_version} is older than {OLDEST}"


def test_ci_tests_the_lower_bound_of_the_metadata() -> None:
    """The oldest protobuf that setup.cfg allows is the one that .ci/run tests with."""
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    promised = config["options"]["install_requires"].split()
    constraints = (REPOSITORY / ".ci" / "oldest-constraints.txt").read_text(encoding="utf-8")
    tested = [line for line in constraints.splitlines() if line and not line.startswith("#")]
    oldest = ".".join(map(str, OLDEST))

    assert promised == [f"protobuf>={oldest}"]
    assert tested == [f"protobuf=={oldest}.*"]


def test_module_asks_for_no_particular_runtime() -> None:
    """The generated module imports only what every runtime has: protoc's own version check is out.

    google.protobuf.runtime_version came with 5.26 and refuses runtimes older than the compiler.
    """
    tree = ast.parse(Path(dnstap_pb2.__file__).read_text(encoding="utf-8"))
    imported = {
        f"{node.module}.{name.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }

    assert imported == {
        "google.protobuf.descriptor_pool",
        "google.protobuf.message_factory",
        "google.protobuf.internal.enum_type_wrapper",
    }
