"""The handler's arguments: each bad one is refused at construction, by name, with what is right."""

from __future__ import annotations

import ast
import inspect
import re
import ssl
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest

import dnstap_logging
from dnstap_logging import DnstapHandler
from dnstap_logging.delivery.options import (
    CHECKS,
    DEFAULT_KAFKA_KEY,
    DEFAULT_RESEND_BYTES,
    DEFAULT_SPOOL_BYTES,
    FOR_FILES,
    NOT_FOR_KAFKA,
    TLS_ARGUMENTS,
    Options,
)
from dnstap_logging.exceptions import TransportError
from dnstap_logging.transport.tls import TlsOptions

UNIX = "unix:///run/dnstap.sock"
TLS = "tls://collector.example:6000"

# address, arguments, the error, and what its text must name: argument, value, what is right
BAD: List[Tuple[str, Dict[str, Any], type, List[str]]] = [
    (UNIX, {"colour": "red"}, TypeError, ["colour"]),
    ("tcp://127.0.0.1:70000", {}, ValueError, ["address", "70000", "65535"]),
    ("tcp://127.0.0.1", {}, ValueError, ["address", "tcp://127.0.0.1", "port"]),
    ("http://127.0.0.1:80", {}, ValueError, ["address", "http", "tcp://"]),
    ("127.0.0.1:6000", {}, ValueError, ["address", "127.0.0.1:6000", "tcp://"]),
    ("/run/dnstap.sock", {}, ValueError, ["address", "/run/dnstap.sock", "unix://"]),
    (UNIX, {"level": "LOUD"}, ValueError, ["LOUD"]),
    (UNIX, {"identity": 5}, TypeError, ["identity", "5", "str or bytes"]),
    (UNIX, {"version": 1.0}, TypeError, ["version", "1.0", "str or bytes"]),
    (UNIX, {"sequence": 1}, TypeError, ["sequence", "1", "True or False"]),
    (UNIX, {"full": "yes"}, TypeError, ["full", "yes", "True or False"]),
    (UNIX, {"queue_size": 0}, ValueError, ["queue_size", "0", "at least 1"]),
    (UNIX, {"queue_size": 1.5}, TypeError, ["queue_size", "1.5", "integer"]),
    (UNIX, {"queue_size": True}, TypeError, ["queue_size", "True", "integer"]),
    (UNIX, {"queue_bytes": -1}, ValueError, ["queue_bytes", "-1", "at least 1"]),
    (UNIX, {"overflow": "wait"}, ValueError, ["overflow", "wait", "'drop' or 'block'"]),
    (UNIX, {"bidirectional": 1}, TypeError, ["bidirectional", "1", "True or False"]),
    ("file:///tmp/x.fstrm", {"bidirectional": True}, ValueError, ["bidirectional", "file"]),
    (UNIX, {"timeout": -1}, ValueError, ["timeout", "-1", "seconds"]),
    (UNIX, {"timeout": 0}, ValueError, ["timeout", "0", "above 0"]),
    (UNIX, {"timeout": "5"}, TypeError, ["timeout", "'5'", "seconds"]),
    (UNIX, {"timeout": float("nan")}, ValueError, ["timeout", "nan", "seconds"]),
    (UNIX, {"timeout": float("inf")}, ValueError, ["timeout", "inf", "seconds"]),
    (UNIX, {"reconnect_interval": 0}, ValueError, ["reconnect_interval", "0", "above 0"]),
    (
        UNIX,
        {"reconnect_interval": 2, "max_reconnect_interval": 1},
        ValueError,
        ["max_reconnect_interval", "1", "at least reconnect_interval=2"],
    ),
    (UNIX, {"max_reconnect_attempts": -1}, ValueError, ["max_reconnect_attempts", "-1", "None"]),
    (UNIX, {"close_timeout": -0.1}, ValueError, ["close_timeout", "-0.1", "0 or more"]),
    (UNIX, {"close_timeout": None}, TypeError, ["close_timeout", "None", "seconds"]),
    (UNIX, {"max_frame_size": 10}, ValueError, ["max_frame_size", "10", "512"]),
    (UNIX, {"max_frame_size": 1 << 32}, ValueError, ["max_frame_size", str(1 << 32)]),
    (UNIX, {"report_interval": -1}, ValueError, ["report_interval", "-1", "seconds"]),
    (UNIX, {"cafile": "/ca.pem"}, ValueError, ["cafile", "/ca.pem", "tls://"]),
    ("tcp://h:1", {"server_hostname": "x"}, ValueError, ["server_hostname", "x", "tls://"]),
    (TLS, {"cafile": "/nowhere/ca.pem"}, ValueError, ["cafile", "/nowhere/ca.pem"]),
    (TLS, {"keyfile": "/nowhere/key.pem"}, ValueError, ["keyfile", "certfile"]),
    (
        TLS,
        {"ssl_context": ssl.create_default_context(), "cafile": "/ca.pem"},
        ValueError,
        ["cafile", "/ca.pem", "ssl_context"],
    ),
    (UNIX, {"mode": "w"}, ValueError, ["mode", "'w'", "file"]),
    (UNIX, {"delay": True}, ValueError, ["delay", "True", "file"]),
    (UNIX, {"permissions": 0o600}, ValueError, ["permissions", "file"]),
    ("file:///tmp/x.fstrm", {"mode": "r"}, ValueError, ["mode", "'r'", "'a' or 'w' or 'x'"]),
    ("file:///tmp/x.fstrm", {"delay": 1}, TypeError, ["delay", "1", "True or False"]),
    (
        "file:///tmp/x.fstrm",
        {"permissions": 0o1777},
        ValueError,
        ["permissions", "0o777", "'0640'"],
    ),
    ("file:///tmp/x.fstrm", {"permissions": 640}, ValueError, ["=640:", "did you mean 0o640?"]),
    ("file:///tmp/x.fstrm", {"permissions": -1}, ValueError, ["permissions=-1", "0o640"]),
    *[
        ("file:///tmp/x.fstrm", {"permissions": text}, ValueError, [f"={text!r}:", "'0640'"])
        for text in ("", "0x1a0", "rw-r-----", "0o1777", "888", " 640", "6_4", "-640", "64", "٦٤٠")
    ],
    ("file:///tmp/x.fstrm", {"permissions": 416.0}, TypeError, ["permissions=416.0", "'0640'"]),
    ("file:///tmp/x.fstrm", {"permissions": None}, TypeError, ["permissions=None", "'0640'"]),
    (UNIX, {"permissions": "0600"}, ValueError, ["permissions", "file"]),
]


@pytest.mark.parametrize(
    ("address", "arguments", "error", "texts"),
    BAD,
    ids=[f"{address} {list(arguments)}" for address, arguments, _, _ in BAD],
)
def test_bad_argument_is_refused_by_name(
    address: str, arguments: Dict[str, Any], error: type, texts: List[str]
) -> None:
    """A wrong argument raises at construction and names the argument, the value, what is right."""
    with pytest.raises(error) as caught:
        DnstapHandler(address, **arguments)

    for text in texts:
        assert text in str(caught.value), f"expected {text!r} in {caught.value}"


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_folder_is_no_capture(tmp_path: Any, form: str) -> None:
    """A folder as file is refused at construction, naming the argument and the path."""
    with pytest.raises(ValueError, match="directory") as caught:
        DnstapHandler(form.format(tmp_path))

    assert "address" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_file_that_cannot_be_opened_is_refused(tmp_path: Any) -> None:
    """A capture in a folder that is not there fails at construction, as FileHandler does."""
    with pytest.raises(TransportError) as caught:
        DnstapHandler(tmp_path / "nowhere" / "x.fstrm")

    assert "address" in str(caught.value)
    assert str(tmp_path / "nowhere" / "x.fstrm") in str(caught.value)
    assert "directory does not exist" in str(caught.value)


def options_of(*args: Any, **kwargs: Any) -> Options:
    handler = DnstapHandler(*args, **kwargs)
    handler.close()
    return handler._options


@pytest.mark.parametrize(
    ("address", "ceiling", "bidirectional"),
    [
        (UNIX, 1.0, True),
        ("unix://@abstract", 1.0, True),
        ("tcp://127.0.0.1:6000", 10.0, True),
        (TLS, 10.0, True),
    ],
)
def test_defaults_follow_the_address(address: str, ceiling: float, bidirectional: bool) -> None:
    """Local addresses are tried again every second, remote ones every ten; sockets shake hands."""
    options = options_of(address)

    assert options.max_reconnect_interval == ceiling
    assert options.bidirectional is bidirectional


def test_defaults_of_a_file(tmp_path: Any) -> None:
    """A file has no handshake, is continued, and is readable by its group only."""
    options = options_of(tmp_path / "x.fstrm")

    assert options.bidirectional is False
    assert (options.mode, options.delay, options.permissions) == ("a", False, 0o640)


@pytest.mark.parametrize(
    ("given", "expected"), [("", b""), ("ns1", b"ns1"), (b"ns\xff", b"ns\xff"), ("ö", b"\xc3\xb6")]
)
def test_identity_and_version_are_text_or_bytes(given: Any, expected: bytes) -> None:
    """identity and version may be str or bytes; "" leaves the field out."""
    options = options_of(UNIX, identity=given, version=given)

    assert (options.identity, options.version) == (expected, expected)


def test_a_large_reconnect_interval_raises_the_default_ceiling() -> None:
    """reconnect_interval alone may be above the default of max_reconnect_interval."""
    assert options_of(UNIX, reconnect_interval=30).max_reconnect_interval == 30.0


# Options are written once: what is missing of a new one fails here, or in tests/docs for its row.
PARAMETERS = inspect.signature(DnstapHandler).parameters
# What the rotating handlers do not take: for sockets only, or a parameter of their own.
NOT_FOR_FILES = {
    *("address", "bidirectional", "timeout", "resend_bytes", "prefer_after", "mode"),
    *("spool", "spool_bytes", "kafka_key", "kafka_options"),
    *TLS_ARGUMENTS,
}


def test_every_argument_has_its_check() -> None:
    """Each parameter of the handler has a line in Options; the level is logging's."""
    assert sorted([*CHECKS, *TLS_ARGUMENTS]) == sorted(PARAMETERS.keys() - {"level"})
    assert Options._fields == (*CHECKS, "tls", "each")
    assert len(TLS_ARGUMENTS) == len(TlsOptions._fields)


def test_every_argument_is_in_the_docstring() -> None:
    """The docstring says of each parameter what it means, in the order of the signature."""
    arguments = inspect.cleandoc(DnstapHandler.__doc__ or "").partition("Args:")[2]
    listed = re.findall(r"^    (\w+): ", arguments.partition("Raises:")[0], re.MULTILINE)

    assert listed == list(PARAMETERS)


def test_defaults_are_said_once() -> None:
    """What is refused for files or sockets is anything but the default in the signature."""
    assert {name: PARAMETERS[name].default for name in FOR_FILES} == FOR_FILES
    assert PARAMETERS["resend_bytes"].default == DEFAULT_RESEND_BYTES
    assert PARAMETERS["spool_bytes"].default == DEFAULT_SPOOL_BYTES
    assert PARAMETERS["kafka_key"].default == DEFAULT_KAFKA_KEY
    assert {PARAMETERS[name].default for name in NOT_FOR_KAFKA} == {None}
    assert {PARAMETERS[name].default for name in TLS_ARGUMENTS} == {None}


def test_type_checkers_see_the_same_arguments_of_rotating_handlers() -> None:
    """FileArguments, a stub, has the parameters of DnstapHandler for files, with their types."""
    stub = Path(dnstap_logging.__file__).parent / "adapter" / "keywords.pyi"
    (arguments,) = [
        node
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "FileArguments"
    ]
    fields = [node for node in arguments.body if isinstance(node, ast.AnnAssign)]
    stubbed = {ast.unparse(field.target): ast.unparse(field.annotation) for field in fields}

    assert stubbed == {
        name: parameter.annotation
        for name, parameter in PARAMETERS.items()
        if name not in NOT_FOR_FILES
    }
