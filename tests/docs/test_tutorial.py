"""The tutorial: every step of it is done here, by its own commands, with its own files."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from tests.helpers.pages import DOCS, REPOSITORY, CodeBlock, code_blocks
from tests.helpers.support import free_port, require_program, wait_until

PAGE = DOCS / "tutorial.md"
BLOCKS = code_blocks(PAGE)
DEADLINE = 60  # seconds for a program
SAVED_AS = re.compile(r"`(\w+\.py)`")


def files() -> Dict[str, List[str]]:
    """Return the programs that the reader saves, each in all of its versions."""
    found: Dict[str, List[str]] = {}
    for block in BLOCKS:
        if block.language == "python" and "\n" in block.code.strip():
            name = SAVED_AS.findall(block.before)[-1]
            found.setdefault(name, []).append(block.code)
    return found


def shell_lines() -> List[str]:
    """Return the commands that the reader types, in order."""
    return [line for block in BLOCKS if block.language == "sh" for line in block.code.splitlines()]


FILES = files()
LINES = shell_lines()


class Reader:
    """Somebody who follows the tutorial in a folder of their own.

    Args:
        folder: where the files are saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = str(free_port(socket.SOCK_DGRAM))
        self.typed: List[str] = []

    def ours(self, text: str) -> str:
        """Return a text of the page with a port and a socket that nobody else has."""
        return text.replace("5300", self._port).replace("/tmp/dnstap.sock", str(self._socket))

    @property
    def _socket(self) -> Path:
        return self._folder / "dnstap.sock"

    def save(self, name: str, code: str) -> None:
        """Save a file of the page."""
        (self._folder / name).write_text(self.ours(code), encoding="utf-8")

    def command(self, line: str) -> List[str]:
        """Return a line of the page as a command; note that it was typed."""
        self.typed.append(line.partition(" +tries")[0])
        program, *arguments = shlex.split(self.ours(line))
        if program == "python":
            return [sys.executable, "-u", "-W", "error", *arguments]
        if program == "dnstap-logging":
            return [sys.executable, "-W", "error", "-m", "dnstap_logging", *arguments]
        return [require_program(program), *arguments]

    def run(self, line: str) -> str:
        """Type a line; return what it prints."""
        done = subprocess.run(
            self.command(line),
            cwd=self._folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    @contextlib.contextmanager
    def terminal(self, line: str) -> Iterator[Terminal]:
        """Type a line in a terminal of its own, and leave it there."""
        log = self._folder / f"terminal-{len(self.typed)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(line),
                cwd=self._folder,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        with process:
            try:
                yield Terminal(process, log)
            finally:
                process.kill()

    def ask(self, line: str) -> str:
        """Ask the server once it is there; once only, since each query is counted."""
        wait_until(self._serves, "the server", DEADLINE)
        return self.run(f"{line} +tries=1 +timeout={DEADLINE // 2}")

    def _serves(self) -> bool:
        # Not by binding the port, which the server might be about to do.
        return f":{int(self._port):04X} " in Path("/proc/net/udp").read_text()


class Terminal:
    """A program in the reader's terminal."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def wait_for(self, pattern: str, times: int = 1) -> str:
        """Wait until the terminal shows lines that match; return all that it shows."""

        def shown() -> str:
            text = self._log.read_text(encoding="utf-8")
            return text if len(re.findall(pattern, text, re.MULTILINE)) >= times else ""

        return wait_until(shown, f"{pattern!r} in {self._log.name}", DEADLINE)

    def press_enter(self) -> None:
        """Press Enter, and see the program end."""
        self._process.communicate(b"\n", timeout=DEADLINE)
        assert self._process.returncode == 0, self._log.read_text()

    def interrupt(self) -> str:
        """Press Ctrl-C, and see the program end; return all that it has shown."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(DEADLINE)
        return self._log.read_text(encoding="utf-8")


def environment() -> Dict[str, str]:
    """Return an environment in which the package is found, installed or not."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY)}


INSTALL, SERVE, ASK, COLLECT = LINES[:3], LINES[3], LINES[4], LINES[5]
SERVE_AGAIN, ASK_AGAIN, ASK_AWAY, COLLECT_AGAIN = LINES[6:10]
SERVE_FILE, ASK_WWW, ASK_MAIL, READ, SHOW, SUM_UP = LINES[10:]


def test_installing_is_what_ci_does() -> None:
    """The command that installs is the one that .ci/run runs in a fresh environment."""
    assert INSTALL[-1] == "python -m pip install ."
    assert "-m pip install --quiet ." in (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")


def test_every_step(tmp_path: Path) -> None:
    """Followed to its end: the answers come, and each message is seen where the page says."""
    reader = Reader(tmp_path)
    plain, logged = FILES["server.py"]
    for name in ("collector.py", "read.py"):
        (code,) = FILES[name]
        reader.save(name, code)

    reader.save("server.py", plain)
    with reader.terminal(SERVE) as server:
        assert reader.ask(ASK) == "192.0.2.80\n"
        server.interrupt()

    reader.save("server.py", logged)
    with reader.terminal(SERVE_AGAIN) as server:
        with reader.terminal(COLLECT) as collector:
            collector.wait_for("^collecting")
            assert reader.ask(ASK_AGAIN) == "192.0.2.80\n"
            seen = collector.wait_for(r" C[QR] 127\.0\.0\.1:.* UDP .*www\.example\.org\. IN A", 2)
            assert seen.index(" CQ ") < seen.index(" CR ")
            server.wait_for(reader.ours(line_of("INFO:dnstap_logging")))
            collector.press_enter()
        server.wait_for("WARNING:dnstap_logging|session ended")
        assert reader.ask(ASK_AWAY) == "192.0.2.80\n"
        with reader.terminal(COLLECT_AGAIN) as collector:
            collector.wait_for(r" C[QR] .*mail\.example\.org\. IN A", 2)
            collector.press_enter()
        server.interrupt()

    reader.save("server.py", with_file(logged))
    with reader.terminal(SERVE_FILE) as server:
        assert reader.ask(ASK_WWW) == reader.ask(ASK_MAIL) == "192.0.2.80\n"
        assert line_of("4 of 4 written") in server.interrupt().splitlines()
    lines = reader.run(READ).splitlines()
    assert [line.split()[1] for line in lines[:-1]] == ["CQ", "CR", "CQ", "CR"]
    assert lines[-1] == "whole"
    shown = reader.run(SHOW).splitlines()
    assert [line.split()[1] for line in shown] == ["CQ", "CR", "CQ", "CR"]
    assert re.search(r"^  CLIENT_QUERY +2 ", reader.run(SUM_UP), re.MULTILINE)
    assert sorted([*INSTALL, *reader.typed]) == sorted(LINES), "a command was not typed"


def line_of(begin: str) -> str:
    """Return the line that the page shows of what a program prints."""
    (found,) = [
        line
        for block in BLOCKS
        if block.language == ""
        for line in block.code.splitlines()
        if line.startswith(begin)
    ]
    return found


def with_file(code: str) -> str:
    """Return the server with the one line changed that the page has changed."""
    (block,) = [each for each in BLOCKS if is_a_line(each)]
    (old,) = re.findall(r"^handler = .*\n", code, re.MULTILINE)
    return code.replace(old, block.code)


def is_a_line(block: CodeBlock) -> bool:
    """Return whether a block is one line of Python, which replaces another line."""
    return block.language == "python" and "\n" not in block.code.strip()


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_file_is_used(name: str) -> None:
    """Whatever the reader saves is run by a command of the page."""
    assert f"python {name}" in LINES
