"""Commands that run for a while, or in a folder: started, waited for, signalled and ended."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any, ContextManager, List, Sequence

import pytest

from tests.cli.running import PROGRAM, TIMEOUT
from tests.helpers.programs import run_program, started_program, with_environment
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
    return run_program(folder, command(*arguments), **options)


def started(
    folder: Path, *arguments: object, **options: Any
) -> ContextManager[subprocess.Popen[str]]:
    """Start a command in this folder; kill it if the test leaves it running."""
    return started_program(folder, command(*arguments), **options)


class Listener:
    """A running ``listen``; started and ended by its ``with``, unless the test ends it before.

    Args:
        folder: the current one of the command, and where its output goes.
        arguments: its addresses and options.
        prefix: a program that runs it, with its arguments.

    Attributes:
        addresses: where it listens, with real ports.
        process: it.
    """

    def __init__(self, folder: Path, *arguments: object, prefix: Sequence[str] = ()) -> None:
        self._folder = folder
        self._prefix = prefix
        self._arguments = ("listen", *arguments)
        self._out = folder / "listen.out"
        self._err = folder / "listen.err"
        self.addresses: List[str] = []

    def __enter__(self) -> Listener:
        count = sum("://" in str(argument) for argument in self._arguments)
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                [*self._prefix, *command(*self._arguments)],
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
