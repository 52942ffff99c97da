"""The examples as programs: run to their end, or started, asked something, and ended in order."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import ContextManager, Iterator, List, NamedTuple, Sequence

import dns.message
import pytest

from dnstap_logging import DnstapMessage, DnstapReader, MessageType
from tests.helpers.programs import run_program, started_program

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
DEADLINE = 60  # seconds for a program: generous, since nothing here is a matter of speed
START_ATTEMPTS = 3  # where a free port for UDP is taken for TCP
LISTENING = re.compile(r"(?:listening|collecting) on (?:tls://)?([\d.]+)(?: port |:)(\d+)")


def command(name: str, *arguments: object) -> List[str]:
    """Return the command line of an example; warnings are errors there too."""
    return [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]


def run(folder: Path, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run an example to its end, in this folder."""
    return run_program(folder, command(name, *arguments))


def started(folder: Path, name: str, *arguments: object) -> ContextManager[subprocess.Popen[str]]:
    """Start an example in this folder; kill it if the test leaves it running."""
    return started_program(folder, command(name, *arguments))


class Program(NamedTuple):
    """An example that listens.

    Attributes:
        process: it.
        host: the address that it listens on.
        port: the port.
    """

    process: subprocess.Popen[str]
    host: str
    port: int

    def end(self, number: signal.Signals = signal.SIGTERM) -> str:
        """End it in order; return what it printed since it listened."""
        self.process.send_signal(number)
        printed, said = self.process.communicate(timeout=DEADLINE)
        assert (self.process.returncode, said) == (0, ""), said
        return printed


@contextlib.contextmanager
def listening(folder: Path, name: str, *arguments: object) -> Iterator[Program]:
    """Start an example in this folder, and wait until it says where it listens."""
    for attempt in range(1, START_ATTEMPTS + 1):
        with started(folder, name, *arguments) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            match = LISTENING.match(line)
            if match:
                yield Program(process, match.group(1), int(match.group(2)))
                return
            said = line + process.stderr.read()
            if "in use" not in said or attempt == START_ATTEMPTS:
                pytest.fail(f"{name} does not listen: {said}")
        for left_over in arguments:  # the attempt may have begun its capture
            if isinstance(left_over, Path):
                left_over.unlink(missing_ok=True)


def read(path: Path) -> List[DnstapMessage]:
    """Read a whole capture."""
    with DnstapReader(path) as reader:
        messages = list(reader)
        assert reader.complete, f"{path} has no STOP"
    return messages


def responses(messages: Sequence[DnstapMessage]) -> List[dns.message.Message]:
    """Parse the responses with another library than the server's."""
    return [
        dns.message.from_wire(message.response_message or b"")
        for message in messages
        if message.message_type is MessageType.CLIENT_RESPONSE
    ]
