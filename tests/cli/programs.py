"""Commands that run for a while, or in a folder: started, waited for, signalled and ended."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from tests.cli.running import PROGRAM, TIMEOUT, with_environment
from tests.helpers.support import wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
DEADLINE = TIMEOUT
LISTENING = re.compile(r"^dnstap-logging listen: listening on (\S+)$", re.MULTILINE)


def command(*arguments: object) -> List[str]:
    """Return a command line of ``dnstap-logging``; warnings are errors there too."""
    return [*PROGRAM, *map(str, arguments)]


def run(folder: Path, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in this folder.

    Args:
        folder: the current one of the command.
        arguments: of the command line.
        options: of `subprocess.run`.
    """
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        **{"env": with_environment(), "stdin": subprocess.DEVNULL, **options},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@contextlib.contextmanager
def started(folder: Path, *arguments: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a command in this folder; kill it if the test leaves it running."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        command(*arguments), cwd=folder, env=with_environment(), **{**pipes, **options}
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


class Listener:
    """A running ``listen``; started and ended by its ``with``, unless the test ends it before.

    Args:
        folder: the current one of the command, and where its output goes.
        arguments: its addresses and options.

    Attributes:
        addresses: where it listens, with real ports.
        process: it.
    """

    def __init__(self, folder: Path, *arguments: object) -> None:
        self._folder = folder
        self._arguments = ("listen", *arguments)
        self._out = folder / "listen.out"
        self._err = folder / "listen.err"
        self.addresses: List[str] = []

    def __enter__(self) -> Listener:
        count = sum("://" in str(argument) for argument in self._arguments)
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                command(*self._arguments),
                cwd=self._folder,
                env=with_environment(),
                stdout=out,
                stderr=err,
            )
        try:
            wait_until(lambda: self._listens(count), "listen to say where it listens", DEADLINE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)

    def _listens(self, count: int) -> bool:
        if self.process.poll() is not None:
            pytest.fail(f"listen ended at once: {self.said}")
        self.addresses = LISTENING.findall(self.said)
        return len(self.addresses) == count

    @property
    def printed(self) -> str:
        """What it has printed on standard output so far."""
        return self._out.read_text()

    @property
    def said(self) -> str:
        """What it has said on standard error so far."""
        return self._err.read_text()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """End it as an operator does; return its exit status."""
        self.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit status."""
        status = self.process.wait(DEADLINE)
        assert "Traceback" not in self.said, self.said
        return status
