"""The full screen in a real terminal: what it shows, how it is left, and what it leaves behind."""

from __future__ import annotations

import os
import re
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import List

import pytest

from dnstap_logging.codec.encoding import Encoder
from tests.cli.top.samples import send_queries, side, wire
from tests.cli.top.terminal import Terminal
from tests.cli.top.traffic import write_traffic
from tests.helpers.support import capture as capture_of
from tests.helpers.support import wait_until

EXCHANGES = 400
ALTERNATE, NORMAL = b"\x1b[?1049h", b"\x1b[?1049l"
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
COLOUR = re.compile(rb"\x1b\[[0-9;]*3[0-9]")
DONE = "whole file read"


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a capture of 400 exchanges."""
    path = tmp_path_factory.mktemp("screen") / "traffic.dnstap"
    with path.open("wb") as file:
        write_traffic(file, EXCHANGES)
    return path


def top(*arguments: str) -> List[str]:
    """Return the command line."""
    return [sys.executable, "-W", "error", "-m", "dnstap_logging", "top", *arguments]


def assert_left_in_order(terminal: Terminal) -> None:
    """The normal screen is back, with its cursor, and the keys are echoed again."""
    written = terminal.written
    assert written.index(ALTERNATE) < written.rindex(NORMAL)
    assert written.rindex(HIDDEN) < written.rindex(SHOWN)
    assert terminal.settings == terminal.settings_before


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (160, 50)])
def test_narrow_and_wide(traffic: Path, columns: int, lines: int) -> None:
    """From the first line to the last column: the facts, four tables, names and clients; q ends
    it with status 0.
    """
    with Terminal(top(str(traffic)), columns, lines) as terminal:
        shown = terminal.wait_for(DONE)
        terminal.press(b"q")
        status = terminal.end()

        assert status == 0
        assert_left_in_order(terminal)
    assert shown[0].rstrip().endswith(f"{DONE}  q quits")
    assert len(shown[0].rstrip()) == columns - 1
    assert re.match(r" messages   79\d ", shown[1])
    for title in ("TYPES", "RCODES", "PROTOCOLS", "QUERY TYPES", "NAMES", "CLIENTS"):
        assert sum(title in line for line in shown[4:]) >= 1, title
    query = next(line for line in shown if line.startswith("CLIENT_QUERY"))
    assert ("400" in query) == (columns == 160)
    assert any("example.org." in line and "192.0.2." in line for line in shown)
    assert shown[-1].strip(), "the last line is used too"


def test_a_change_of_size_is_followed(traffic: Path) -> None:
    """Wider, then narrower: the next picture has the new size."""
    with Terminal(top(str(traffic)), 80, 24) as terminal:
        terminal.wait_for(DONE)
        for columns, lines in ((130, 40), (60, 20)):
            terminal.resize(columns, lines)
            wait_until(partial(in_size, terminal, columns), f"{columns} columns", 60.0)
            shown = terminal.next_picture()
            assert len(shown) == lines
            assert sum("CLIENT_QUERY" in line for line in shown) == 1, "of one picture only"
            assert ("400" in next(line for line in shown if "CLIENT_Q" in line)) == (columns > 120)
        terminal.press(b"q")
        assert terminal.end() == 0


def in_size(terminal: Terminal, columns: int) -> List[str]:
    """Return the screen if it is drawn in that many columns, down to its last line."""
    shown = terminal.lines()
    head = shown[0].rstrip()
    whole = len(head) == columns - 1 and head.endswith("q quits") and shown[-1].strip()
    return shown if whole else []


def test_ctrl_c_ends_it(traffic: Path) -> None:
    """It quits as q does."""
    with Terminal(top(str(traffic))) as terminal:
        terminal.wait_for(DONE)
        terminal.press(b"\x03")

        assert terminal.end() == 0
        assert_left_in_order(terminal)


def test_ctrl_z_does_nothing(traffic: Path) -> None:
    """It would leave the shell on the wrong screen; the keys work as before."""
    with Terminal(top(str(traffic))) as terminal:
        terminal.wait_for(DONE)
        terminal.press(b"\x1a")
        terminal.next_picture()
        terminal.press(b"q")

        assert terminal.end() == 0
        assert_left_in_order(terminal)


def test_sigterm_leaves_the_terminal_in_order(traffic: Path, tmp_path: Path) -> None:
    """And the report is written."""
    report = tmp_path / "report.html"
    with Terminal(top("--report", str(report), str(traffic))) as terminal:
        terminal.wait_for(DONE)
        terminal.terminate()

        assert terminal.end() == 0
        assert_left_in_order(terminal)
    assert report.exists()


def test_a_live_source_is_counted_while_it_flows(tmp_path: Path) -> None:
    """What a handler sends is on the screen, and q ends the collector in order."""
    address = f"unix://{tmp_path / 'dnstap.sock'}"
    with Terminal(top(address)) as terminal:
        terminal.wait_for("live  q quits")
        send_queries(address, 30)
        shown = terminal.wait_for("messages   30 ")
        terminal.press(b"q")

        assert terminal.end() == 0
    assert shown[0].startswith(f" dnstap-logging top  {address}"[:60])
    assert any("192.0.2.1 " in line for line in shown)


def test_standard_input_leaves_the_keys_to_the_terminal(traffic: Path) -> None:
    """The capture comes through a pipe, and q is still read."""
    command = f"cat {shlex.quote(str(traffic))} | {shlex.join(top('-'))}"
    with Terminal(["sh", "-c", command]) as terminal:
        terminal.wait_for(DONE)
        terminal.press(b"q")

        assert terminal.end() == 0


def test_no_color_is_respected(traffic: Path) -> None:
    """With NO_COLOR no colour is sent; without it there are some."""
    for environment in ({}, {"NO_COLOR": "1"}):
        with Terminal(top(str(traffic)), environment=environment) as terminal:
            terminal.wait_for(DONE)
            terminal.press(b"q")
            terminal.end()
            assert bool(COLOUR.search(terminal.written)) == (not environment)


def test_names_cannot_speak_to_the_terminal(tmp_path: Path) -> None:
    """A name with an escape sequence (a new title of the window) is shown in decimal escapes."""
    evil = b"\x0c\x1b]0;\x07owned\x9b2\7example\0"
    path = tmp_path / "evil.dnstap"
    payload = Encoder(b"", b"", full=True).encode(
        side("CLIENT_QUERY", 0, query_message=wire(evil)), []
    )
    path.write_bytes(capture_of([payload]))
    with Terminal(top(str(path))) as terminal:
        terminal.wait_for("\\027]0\\;\\007owned\\1552.example.")
        terminal.press(b"q")
        assert terminal.end() == 0
        assert b"]0;" not in terminal.written
        assert b"\x07" not in terminal.written


def test_a_damaged_capture_is_said_on_the_screen_and_after_it(
    traffic: Path, tmp_path: Path
) -> None:
    """The screen says damaged; the line with the place comes when it is left, with status 1."""
    torn = tmp_path / "torn.dnstap"
    torn.write_bytes(traffic.read_bytes()[:-40])
    with Terminal(top(str(torn))) as terminal:
        terminal.wait_for("damaged  q quits")
        terminal.press(b"q")

        assert terminal.end() == 1
        after = terminal.written[terminal.written.rindex(NORMAL) :]
        assert b"the file ends inside a frame" in after.replace(b"\r\n", b"")


WITHOUT_RICH = """if 1:
    import sys
    sys.modules["rich"] = None
    from dnstap_logging.cli.main import main
    sys.exit(main(["top", *sys.argv[1:]]))"""


def test_without_rich_a_line_says_how_to_get_it(traffic: Path) -> None:
    """Status 2 and one line; the summary needs nothing of it."""
    with Terminal([sys.executable, "-c", WITHOUT_RICH, str(traffic)], 200) as terminal:
        assert terminal.end() == 2
        (line,) = [line.rstrip() for line in terminal.lines() if line.strip()]
    assert line == (
        "dnstap-logging top: the full-screen view needs rich: "
        "install it, or dnstap-logging with its extra 'cli', "
        "or print a summary at the end with --summary"
    )
    command = [sys.executable, "-c", WITHOUT_RICH, "--summary", str(traffic)]
    with Terminal(command, 100, 100) as terminal:
        assert terminal.end() == 0
        assert any(line.startswith("messages  ") for line in terminal.lines())


def test_a_dumb_terminal_gets_the_summary(traffic: Path) -> None:
    """Where the cursor cannot be moved there is no screen to fill."""
    with Terminal(top(str(traffic)), 100, 100, {"TERM": "dumb"}) as terminal:
        assert terminal.end() == 0
        assert any(line.startswith("messages  ") for line in terminal.lines())
        assert b"\x1b" not in terminal.written


def test_q_ends_it_while_a_pipe_is_silent(traffic: Path, tmp_path: Path) -> None:
    """The pipe's writer is alive and silent: q still ends it, quietly."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = f"exec {shlex.join(top('-'))} < {shlex.quote(str(pipe))}"
    with Terminal(["sh", "-c", command]) as terminal:
        with pipe.open("wb") as writer:
            writer.write(traffic.read_bytes()[:20_000])
            writer.flush()
            terminal.wait_for("CLIENT_QUERY")
            terminal.press(b"q")

            assert terminal.end() == 0
            assert b"Fatal" not in terminal.written
            assert_left_in_order(terminal)
