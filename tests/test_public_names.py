"""The public names: each path in the manual can be imported, and is what users are shown."""

from __future__ import annotations

import enum
import inspect
import io
import pickle
import re
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple, Type

import pytest

import dnstap_logging
import dnstap_logging.exceptions
import dnstap_logging.filters
import dnstap_logging.integrations.dnspython
import dnstap_logging.receiver

REPOSITORY = Path(__file__).parents[1]

# Written out, so that a name that disappears from the package is missed here.
NAMES: Dict[str, str] = {
    "dnstap_logging": """
        DnstapAdapter DnstapHandler DnstapLoggingError DnstapMessage DnstapReader DnstapReceiver
        HttpProtocol MessageType Policy PolicyAction PolicyMatch RotatingDnstapHandler SocketFamily
        SocketProtocol Stats TimedRotatingDnstapHandler TransportError __version__ get_handler
        handlers
        """,
    "dnstap_logging._version": "__version__",
    "dnstap_logging.address": "Address",
    "dnstap_logging.cli.main": "main",
    "dnstap_logging.exceptions": """
        ContentTypeMismatch DecodeError DiskFull DnstapLoggingError EncodeError FileLocked
        FrameStreamError FrameTooLarge InvalidMessage LocalProtocolError MessageTooLarge PeerClosed
        RemoteProtocolError TransportError TransportTimeout
        """,
    "dnstap_logging.filters": """
        AnonymizingFilter MessageTypeFilter QnameFilter RcodeFilter SamplingFilter
        """,
    "dnstap_logging.integrations.dnslib": "DnstapLogger DnstapProxyResolver DnstapUpstream",
    "dnstap_logging.integrations.dnspython": "DnstapClient",
    "dnstap_logging.integrations.prometheus": "DnstapCollector",
    "dnstap_logging.integrations.socketserver": "DnstapMixin",
    "dnstap_logging.receiver": "DnstapReceiver ReceiverStats",
    "dnstap_logging.text": """
        UNKNOWN address_text format_line format_summary mnemonic own_time own_wire
        """,
}
PATHS = [(module, name) for module, names in NAMES.items() for name in names.split()]


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, warnings being errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=REPOSITORY,
    )


EACH_IN_A_CHILD = """
import logging, os, sys
from google.protobuf.internal import builder
for program in {programs!r}:
    child = os.fork()
    if not child:
        os.dup2(1, 2)
        try:
            exec(program, {{"__name__": "__main__"}})
        except BaseException:
            sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"\\0")
"""
"""Children of an interpreter that has imported protobuf, and nothing of the library."""


def said_by_each(programs: Sequence[str]) -> Dict[str, str]:
    """Run each program as if in a fresh interpreter; return what those said that said something."""
    done = run(EACH_IN_A_CHILD.format(programs=programs))
    said = done.stdout.split("\0")
    assert (done.returncode, done.stderr, len(said)) == (0, "", len(programs) + 1)
    return {program: text for program, text in zip(programs, said) if text}


def test_every_name_can_be_imported_first() -> None:
    """A program may begin with any of these imports; each works in a fresh interpreter."""
    assert said_by_each([f"from {module} import {name}" for module, name in PATHS]) == {}


def test_every_module_can_be_imported_as_one() -> None:
    """`import dnstap_logging.text` gives the module with its names as attributes."""
    programs = [
        f"import {module}\n{', '.join(f'{module}.{name}' for name in names.split())}"
        for module, names in NAMES.items()
    ]

    assert said_by_each(programs) == {}


def test_what_cannot_be_imported_is_found() -> None:
    """The programs are run apart from each other, and their errors are seen."""
    wrong = "import dnstap_logging\ndnstap_logging.filters"
    programs = ["import dnstap_logging.filters", wrong, "from dnstap_logging import Nothing"]

    assert list(said_by_each(programs)) == programs[1:]


def test_the_list_above_is_whole() -> None:
    """It has the public names of the package, and what the manual's page of the API documents."""
    page = (REPOSITORY / "docs" / "reference" / "api.md").read_text("utf-8")
    documented = set(re.findall(r"auto(?:class|function|data):: (\S+)", page))
    listed = {f"{module}.{name}" for module, name in PATHS}

    assert len(documented) > 20
    assert documented - listed == set()
    for module in ("", ".exceptions", ".filters", ".text"):
        names = NAMES["dnstap_logging" + module].split()
        assert sorted(sys.modules[f"dnstap_logging{module}"].__all__) == sorted(names)


# -- what users are shown --------------------------------------------------------------------------


def public_classes() -> List[Tuple[str, Type[Any]]]:
    """Return the public classes, each with the path that tracebacks must show."""
    found: Dict[Type[Any], str] = {}
    for module, name in PATHS:
        kind = getattr(sys.modules.get(module), name, None)
        if inspect.isclass(kind):
            found.setdefault(kind, f"{module}.{name}")
    return [(path, kind) for kind, path in found.items()]


CLASSES = public_classes()
ids = [path for path, _ in CLASSES]


@pytest.mark.parametrize(("path", "kind"), CLASSES, ids=ids)
def test_a_class_shows_the_path_that_people_import(path: str, kind: Type[Any]) -> None:
    """The repr of a class, which documentation tools and type checkers show too, has this path."""
    assert repr(kind) in (f"<class '{path}'>", f"<enum '{kind.__name__}'>")
    assert f"{kind.__module__}.{kind.__qualname__}" == path


@pytest.mark.parametrize(("path", "kind"), CLASSES, ids=ids)
def test_the_hints_of_a_class_can_be_read(path: str, kind: Type[Any]) -> None:
    """`typing.get_type_hints` works for each, though a class does not name its own module."""
    hints = typing.get_type_hints(kind)

    assert set(getattr(kind, "_fields", ())) <= set(hints)


def test_a_traceback_names_the_error_as_it_is_imported() -> None:
    """The last line of a traceback begins with a name that an `except` clause can use."""
    raised = {
        f"import {path.rpartition('.')[0]}\nraise {path}({arguments_of(kind)})": path
        for path, kind in CLASSES
        if issubclass(kind, Exception)
    }
    said = said_by_each(list(raised))

    assert len(said) == len(raised) > 10
    for program, path in raised.items():
        assert said[program].splitlines()[-1].startswith(f"{path}: x")


def arguments_of(error: Type[Exception]) -> str:
    """Return the arguments of an error whose text begins with x."""
    return "'x', 'y'" if issubclass(error, dnstap_logging.TransportError) else "'x'"


def test_an_error_of_the_library_is_shown_so() -> None:
    """A capture that cannot be opened ends a program with dnstap_logging.TransportError."""
    done = run("import dnstap_logging\ndnstap_logging.DnstapHandler('file:///not/there/x.fstrm')")

    last = done.stderr.splitlines()[-1]
    assert last.startswith("dnstap_logging.TransportError: address=")


class Globals(pickle.Unpickler):
    """Loads a pickle and remembers which names it had to import."""

    def __init__(self, pickled: bytes) -> None:
        super().__init__(io.BytesIO(pickled))
        self.names: List[str] = []

    def find_class(self, module: str, name: str) -> Any:
        """Import a name of the pickle."""
        self.names.append(f"{module}.{name}")
        return super().find_class(module, name)


def some_stats() -> dnstap_logging.Stats:
    """Return the statistics of a closed handler."""
    handler = dnstap_logging.DnstapHandler("/dev/null/not-there", delay=True)
    handler.close()
    return handler.stats()


VALUES: List[Any] = [
    dnstap_logging.DnstapMessage("CLIENT_QUERY", socket_protocol="UDP", policy={"action": "DROP"}),
    some_stats(),
    dnstap_logging.receiver.ReceiverStats(1, 0, 1, 0, 0, 0, 5, 0, 0, None),
    dnstap_logging.TransportError("tcp://127.0.0.1:1", "refused"),
    dnstap_logging.exceptions.DecodeError("damaged", 17),
    dnstap_logging.filters.QnameFilter("example.org"),
    *(kind for _, kind in CLASSES),
    *(next(iter(kind)) for _, kind in CLASSES if issubclass(kind, enum.Enum)),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_names_what_people_import(protocol: int) -> None:
    """A pickle needs public paths only, so it can be read after the package was rearranged."""
    public = {f"{module}.{name}" for module, name in PATHS}
    for value in VALUES:
        unpickler = Globals(pickle.dumps(value, protocol))

        again = unpickler.load()

        ours = {name for name in unpickler.names if name.startswith("dnstap_logging")}
        assert type(again) is type(value)
        assert ours != set(), value
        assert ours - public == set(), value


def test_a_pickle_is_read_by_a_fresh_interpreter(tmp_path: Path) -> None:
    """What a worker sent can be loaded by a process that has imported nothing."""
    values = [value for value in VALUES if not inspect.isclass(value)]
    file = tmp_path / "values.pickle"
    file.write_bytes(pickle.dumps(values))

    done = run(f"import pickle\nprint(len(pickle.load(open({str(file)!r}, 'rb').__enter__())))")

    assert done.stdout.strip() == str(len(values)), done.stderr
