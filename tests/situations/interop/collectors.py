"""Real collectors, started and stopped by the tests: fstrm_capture and the dnstap tool.

Both are ready when they answer a handshake, which is looked for, never slept for. Both write what
they take into a capture, and both have a way of their own to get it there whole.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from signal import SIGCONT, SIGHUP, SIGKILL, SIGSTOP, SIGTERM, Signals
from types import TracebackType
from typing import Iterator, List, Optional, Type, TypeVar

import pytest

from tests.helpers.once_more import CRASHES, CollectorCrashed
from tests.helpers.support import (
    CONTENT_TYPE,
    READY,
    capture,
    control,
    free_port,
    require_program,
    wait_until,
)
from tests.situations.interop.captures import read_capture

READY_FOR_ANY = control(READY)
"""READY without a content type, which every collector answers with an ACCEPT."""

ACCEPT_BEGINS = b"\0\0\0\0"
PROBE_TIMEOUT = 2.0
STOP_TIMEOUT = 20.0

C = TypeVar("C", bound="Collector")


def free_address(scheme: str, folder: Path) -> str:
    """Return an address on which nothing listens yet."""
    if scheme == "unix":
        return f"unix://{folder / 'dnstap.sock'}"
    return f"{scheme}://127.0.0.1:{free_port()}"


def dial(address: str) -> socket.socket:
    """Connect to a unix:// or tcp:// address."""
    scheme, _, rest = address.partition("://")
    if scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        target: object = rest
    else:
        host, _, port = rest.rpartition(":")
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        target = (host, int(port))
    try:
        sock.settimeout(PROBE_TIMEOUT)
        sock.connect(target)  # type: ignore[arg-type]
    except BaseException:
        sock.close()
        raise
    return sock


class Collector:
    """A program that collects dnstap; running inside its ``with``.

    Args:
        address: ``unix:///path`` or ``tcp://127.0.0.1:port``.
        output: the capture that it writes.
    """

    program = ""

    def __init__(self, address: str, output: Path) -> None:
        self.address = address
        self.output = output
        self._executable = require_program(self.program)
        self._log = output.with_name(output.name + ".log")
        self._process: Optional[subprocess.Popen[bytes]] = None

    def arguments(self) -> List[str]:
        """Return the command line after the program's name."""
        raise NotImplementedError

    def start(self: C) -> C:
        """Start the program, and wait until it answers a handshake."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._executable, *self.arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(self._answers, f"{self.program} to answer on {self.address}")
        except BaseException:
            self.kill()
            raise
        return self

    def __enter__(self: C) -> C:
        return self if self.running else self.start()

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What the program has printed."""
        return self._log.read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether the program runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it without a chance to save anything (also when it is paused)."""
        self._end(SIGKILL)

    def stop(self) -> None:
        """End it in order, as an operator does."""
        self._end(SIGTERM)

    def pause(self) -> None:
        """Stop it in its tracks; its connections stay open, and the kernel takes for it."""
        self.signal(SIGSTOP)
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/stat")
        wait_until(
            lambda: status.read_text().rpartition(")")[2].split()[0] == "T",
            f"{self.program} to stand still",
        )

    def resume(self) -> None:
        """Let it go on."""
        self.signal(SIGCONT)

    def signal(self, number: Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        status = self._process.wait(STOP_TIMEOUT)
        self._process = None
        if status in CRASHES:
            raise CollectorCrashed(f"{self.program} ended with status {status}: {self.log[-500:]}")

    def _answers(self) -> bool:
        """Shake hands as far as ACCEPT, and hang up."""
        if not self.running:
            pytest.fail(f"{self.program} ended at once: {self.log}")
        try:
            with dial(self.address) as sock:
                sock.sendall(READY_FOR_ANY)
                return sock.recv(4) == ACCEPT_BEGINS
        except OSError:
            return False


class FstrmCapture(Collector):
    """fstrm_capture, the reference collector; `stop` makes its file whole, `flush` brings it on."""

    program = "fstrm_capture"

    def __init__(self, address: str, output: Path, content_type: bytes = CONTENT_TYPE) -> None:
        super().__init__(address, output)
        self._content_type = content_type

    def arguments(self) -> List[str]:
        """Return the command line after the program's name."""
        scheme, _, rest = self.address.partition("://")
        host, _, port = rest.rpartition(":")
        where = ["-u", rest] if scheme == "unix" else ["-a", host, "-p", port]
        return ["-t", self._content_type.decode(), *where, "-w", str(self.output)]

    def flush(self) -> None:
        """Have what was taken so far written to the file, soon."""
        self.signal(SIGHUP)

    def stop(self) -> None:
        """End it in order; afterwards its file is whole, with STOP."""
        super().stop()
        assert read_capture(self.output).complete, f"no STOP in {self.output}: {self.log}"


class DnstapTool(Collector):
    """The dnstap tool as a collector; its file is whole only once it was moved away."""

    program = "dnstap"

    def arguments(self) -> List[str]:
        """Return the command line after the program's name."""
        scheme, _, rest = self.address.partition("://")
        return ["-u" if scheme == "unix" else "-l", rest, "-w", str(self.output)]

    def take(self, count: int) -> Path:
        """Return a whole capture of all that the tool has taken.

        It confirms the end of a stream a moment before the last frames reach its output: what
        then comes into the file after the one that is moved away belongs to the capture too.

        Args:
            count: how many frames there must be.
        """
        parts: List[Path] = []

        def enough() -> bool:
            parts.append(self._next_part(len(parts)))
            return sum(len(read_capture(part).payloads) for part in parts) >= count

        wait_until(enough, f"{count} frames in the tool's captures")
        return parts[0] if len(parts) == 1 else self._join(parts)

    def _next_part(self, number: int) -> Path:
        """Move the capture away, and have the tool end it and begin another."""
        moved = self.output.with_name(f"{self.output.name}.{number}")
        self.output.rename(moved)
        self.signal(SIGHUP)
        wait_until(lambda: read_capture(moved).complete, "STOP in the capture that was moved away")
        wait_until(self.output.exists, "the tool's next capture")
        return moved

    def _join(self, parts: List[Path]) -> Path:
        whole = self.output.with_name(self.output.name + ".whole")
        payloads = [payload for part in parts for payload in read_capture(part).payloads]
        whole.write_bytes(capture(payloads))
        return whole


@contextlib.contextmanager
def stopwatch(most: float, what: str) -> Iterator[None]:
    """Fail if the body takes longer than that many seconds."""
    started = time.monotonic()
    yield
    taken = time.monotonic() - started
    assert taken <= most, f"{what} took {taken:.2f} s, more than {most:g} s"
