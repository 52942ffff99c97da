"""The README is true: its example logs, its commands read, and its names are there."""

from __future__ import annotations

import contextlib
import importlib
import operator
import re
from pathlib import Path

import pytest

import dnstap_logging
from dnstap_logging import DnstapReader, MessageType, SocketProtocol
from tests.benchmarks.page import insert
from tests.benchmarks.results import load
from tests.helpers.pages import DOCS, FENCE, REPOSITORY, code_blocks, code_in, run, run_command

PAGE = REPOSITORY / "README.md"
TEXT = PAGE.read_text(encoding="utf-8")
(EXAMPLE,) = code_in(PAGE, "python")
INSTALL, READ, DEMO, TEST = code_in(PAGE, "sh")
(OUTPUT,) = code_in(PAGE, "")
TIME = r"\d\d:\d\d:\d\d\.\d{6}"


def test_there_is_no_other_code() -> None:
    """All blocks are those that the tests here run, but for the install (tests/docs) and make."""
    blocks = [block.code for block in code_blocks(PAGE)]

    assert blocks == [INSTALL, EXAMPLE, READ, OUTPUT, DEMO, TEST]
    assert (DEMO, TEST) == ("make demo\n", "make test\n")


def test_it_is_short() -> None:
    """Somebody with two minutes reads it to its end: 150 lines, and eight of code."""
    assert len(TEXT.splitlines()) <= 150
    assert len([line for line in EXAMPLE.splitlines() if line]) == 8


def test_the_first_example_logs_a_message(tmp_path: Path) -> None:
    """The eight lines write a whole capture of the query, with its client and its protocol."""
    assert run(tmp_path, EXAMPLE) == ""

    with DnstapReader(tmp_path / "dns.fstrm") as reader:
        (message,) = reader
        assert reader.complete
    assert message.message_type is MessageType.CLIENT_QUERY
    assert (str(message.query_ip), message.query_port) == ("192.0.2.1", 5353)
    assert message.socket_protocol is SocketProtocol.UDP


def test_the_line_is_what_the_command_prints(tmp_path: Path) -> None:
    """Letter by letter, but for the time of day."""
    run(tmp_path, EXAMPLE)

    printed = run_command(tmp_path, READ)

    assert re.fullmatch(TIME + re.escape(re.sub(TIME, "", OUTPUT, count=1)), printed), printed


@pytest.mark.parametrize("command", [DEMO, TEST])
def test_the_commands_are_targets_of_the_makefile(command: str) -> None:
    """Both are targets; .ci/run runs the one, and the tests of the demo what the other runs."""
    program, target = command.split()
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")

    assert program == "make"
    assert re.search(rf"^{target}: ", makefile, re.MULTILINE)


def test_the_figure_is_that_of_the_results() -> None:
    """What a query costs was measured in the run whose results the manual shows."""
    assert TEXT.count("<!-- measured: ") == 2, "a place and its end"
    assert insert(TEXT, load(DOCS / "performance.json")) == TEXT


def test_the_number_of_types_is_right() -> None:
    """It says how many message types there are."""
    assert f"There are {len(MessageType)} types of messages" in TEXT


GUIDES = ("logging", "reading", "collecting", "processes", "captures", "reliability")


def test_promised_names_are_public() -> None:
    """Every name of the package in the README and the guides can be imported from where it says."""
    pages = [PAGE, *(DOCS / f"{name}.md" for name in GUIDES)]
    prose = FENCE.sub("", "".join(page.read_text(encoding="utf-8") for page in pages))
    dotted = set(re.findall(r"`dnstap_logging\.([\w.]+)", prose))

    assert {"get_handler", "handlers", "text.format_line", "text", "filters"} <= dotted
    for name in dotted:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(f"dnstap_logging.{name}")
        assert operator.attrgetter(name)(dnstap_logging) is not None, name
