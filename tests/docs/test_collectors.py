"""The how-tos about collectors: their commands collect what their handlers send."""

from __future__ import annotations

import contextlib
import importlib
import logging
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from dnstap_logging import DnstapHandler
from tests.helpers.pages import DOCS, LOG_ONE, code_in, example, names, rows_of, run
from tests.helpers.support import free_port, require_program, wait_until
from tests.situations.interop.captures import read_capture
from tests.situations.interop.collectors import Collector

DEADLINE = 60  # seconds for a program
TCP = "tcp://127.0.0.1:6000"  # on the pages

FSTRM, DNSTAP = "howto/fstrm_capture.md", "howto/dnstap.md"
# Here and not in the tests: tests/docs/test_docs.py looks whether every example is used by one.
FSTRM_COMMANDS = [example(FSTRM, "sh", number) for number in range(3)]
DNSTAP_WATCH, DNSTAP_WRITE, DNSTAP_SHOW = (example(DNSTAP, "sh", number) for number in range(3))
FSTRM_UNIX, FSTRM_TCP = example(FSTRM, "python", 0), example(FSTRM, "python", 1)
DNSTAP_UNIX, DNSTAP_TCP = example(DNSTAP, "python", 0), example(DNSTAP, "python", 1)


class Documented(Collector):
    """A collector that is started by a command of a page.

    Args:
        command: as on the page.
        address: as in the handler on the page.
        folder: where its socket and its captures are here.
    """

    def __init__(self, command: str, address: str, folder: Path) -> None:
        self._arguments = shlex.split(command.strip())
        self.program = self._arguments.pop(0)
        here = address.replace("6000", str(free_port())) if "tcp" in address else ""
        super().__init__(here or f"unix://{folder}/dnstap.sock", folder / "dns.fstrm")

    def arguments(self) -> List[str]:
        """Return the page's arguments, with our paths and our port."""
        port = self.address.rpartition(":")[2]
        folder = self.output.parent
        return [
            str(folder / Path(each).name) if each.endswith((".sock", ".fstrm"))
            else each.replace("6000", port)
            for each in self._arguments
        ]  # fmt: skip


def send_one(collector: Documented, code: str, folder: Path) -> None:
    """Run the handler of a page, and log one message by it."""
    address = re.findall(r'DnstapHandler\("(.*)"\)', code)[0]
    run(folder, code.replace(address, collector.address) + LOG_ONE)


@pytest.mark.parametrize(
    ("command", "code", "address"),
    list(zip(FSTRM_COMMANDS, (FSTRM_UNIX, FSTRM_TCP, FSTRM_UNIX), ("unix", TCP, "unix"))),
    ids=["unix", "tcp", "a file each hour"],
)
def test_fstrm_capture(tmp_path: Path, command: str, code: str, address: str) -> None:
    """Each command starts, takes the handler's stream, and its file is whole in the end."""
    collector = Documented(command, address, tmp_path)
    with collector:
        send_one(collector, code, tmp_path)
        collector.stop()

    (written,) = tmp_path.glob("dns*.fstrm")
    assert "%" not in written.name
    capture = read_capture(written)
    assert (len(capture.payloads), capture.complete) == (1, True)


def test_options_of_fstrm_capture() -> None:
    """Every option in the table is one of the installed fstrm_capture's."""
    done = subprocess.run(
        [require_program("fstrm_capture"), "--help"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    known = set(re.findall(r"(?<![\w-])(-\w|--[a-z]+)\b", done.stdout + done.stderr))
    listed = [
        name for row in rows_of((DOCS / FSTRM).read_text(), "option") for name in names(row[0])
    ]

    assert listed
    assert set(listed) <= known


def test_watching_by_the_dnstap_tool(tmp_path: Path) -> None:
    """The first command shows a line for the message."""
    collector = Documented(DNSTAP_WATCH, "unix", tmp_path)
    with collector:
        send_one(collector, DNSTAP_UNIX, tmp_path)
        wait_until(lambda: " CQ " in collector.log, "the line")


def test_a_capture_by_the_dnstap_tool(tmp_path: Path) -> None:
    """Moved away, and then told so, the file is whole; the last command shows what is in it."""
    collector = Documented(DNSTAP_WRITE, TCP, tmp_path)
    moved = tmp_path / "moved" / "dns.fstrm"
    moved.parent.mkdir()
    with collector:
        send_one(collector, DNSTAP_TCP, tmp_path)
        collector.output.rename(moved)
        collector.signal(signal.SIGHUP)
        wait_until(lambda: read_capture(moved).complete, "the end of the moved file")

    program, *arguments = shlex.split(DNSTAP_SHOW)
    shown = subprocess.run(
        [require_program(program), *arguments],
        cwd=moved.parent,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    assert shown.stdout.count(" CQ ") == 1


# -- those that cannot be run here: their handlers are made, and their configuration is one --------

OTHERS = ["howto/dns-collector.md", "howto/vector.md", "fleet.md", "howto/metrics.md"]


@contextlib.contextmanager
def made(code: str) -> Iterator[DnstapHandler]:
    """Make a handler of a page, without its certificates, which are not here.

    The page's code attaches it to its logger.
    """
    code = re.sub(r" *(cafile|certfile|keyfile)=.*\n", "", code)
    found: dict[str, Any] = {}
    level = logging.getLogger("dns").level
    exec(code, found)
    logger, handler = found["logger"], found["handler"]
    try:
        assert logger is logging.getLogger("dns")
        assert handler in logger.handlers
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


@pytest.mark.parametrize(
    "code", [example(page, "python", number) for page in OTHERS[:2] for number in (0, 1)]
)
def test_handlers_are_made(code: str) -> None:
    """The handler for a collector that is not here yet can be made all the same."""
    address = re.findall(r'"((?:unix|tls)://[^"]+)"', code)[0]

    with made(code) as handler:
        assert handler.stats().address == address


def configurations(language: str) -> List[Any]:
    """Return the blocks of these pages in a language, each with its page's name."""
    return [
        pytest.param(code, id=f"{page} {number}")
        for page in OTHERS
        for number, code in enumerate(code_in(DOCS / page, language))
    ]


@pytest.mark.parametrize("code", configurations("toml"))
def test_toml_is_toml(code: str) -> None:
    """Every configuration for Vector is TOML, and all that a sink reads is there."""
    library = pytest.importorskip("tomllib", reason="since Python 3.11")
    read = library.loads(code)

    for sink in read.get("sinks", {}).values():
        assert set(sink["inputs"]) <= set(read["sources"])


@pytest.mark.parametrize("code", configurations("yaml"))
def test_yaml_is_yaml(code: str) -> None:
    """Every configuration in YAML is YAML, and pipelines forward to others that are there."""
    try:
        library = importlib.import_module("yaml")
    except ImportError:
        pytest.skip("PyYAML comes with the extra docs")
    read = library.safe_load(code)

    pipelines = read.get("pipelines", [])
    there = {each["name"] for each in pipelines}
    for each in pipelines:
        assert set(each.get("routing-policy", {}).get("forward", [])) <= there


@pytest.mark.parametrize("page", OTHERS[:3])
def test_a_page_says_that_it_is_not_run(page: str) -> None:
    """What is from other programs' documentation is marked as such, and linked."""
    text = (DOCS / page).read_text(encoding="utf-8")

    assert "> **Not run by our tests.**" in text
    assert re.search(r"\]\(https://", text)
