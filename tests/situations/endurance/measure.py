"""A process at work, and what it holds of memory, seen from outside.

tracemalloc and the like see what Python allocates, not what an extension in C does; what the system
counts as resident is all of it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Iterator, List, NamedTuple, Optional, Sequence

IMPLEMENTATIONS = ("upb", "python")
"""Of protobuf: in C, where an arena keeps what was ever assigned to a message, and in Python."""

MARKS = 20
"""How often the memory is looked at, in equal distances."""

TENTH = MARKS // 10

TOLERANCE = 4 << 20
"""Bytes by which the memory may be more at the end than after the first tenth: what the allocators
of C and Python leave unused here or there. A leak of 16 bytes, the smallest that malloc gives, for
each of two million records would be 29 MB."""

PATIENCE = 120.0
"""Seconds for whatever has to happen."""

REPOSITORY = Path(__file__).resolve().parents[3]
_PAGE = os.sysconf("SC_PAGE_SIZE")


def resident(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


class Figures(NamedTuple):
    """The resident memory in bytes, at each mark; the first is that of the beginning."""

    samples: List[int]

    @property
    def tenth(self) -> int:
        """After the first tenth."""
        return self.samples[TENTH]

    @property
    def end(self) -> int:
        """The least of the last three: what grows without bound is above that before, too."""
        return min(self.samples[-3:])

    @property
    def grown(self) -> int:
        """Bytes by which it grew after the first tenth."""
        return self.end - self.tenth

    def __str__(self) -> str:
        start, tenth, end = (each / 2**20 for each in (self.samples[0], self.tenth, self.end))
        return f"{start:6.1f} -> {tenth:6.1f} -> {end:6.1f} MB"


def assert_flat(figures: Figures, spare: int = 0) -> None:
    """Fail if the memory went on growing, by more than bytes that are spare."""
    course = " ".join(f"{each / 2**20:.1f}" for each in figures.samples)
    assert len(figures.samples) == MARKS + 1, figures
    assert figures.grown < TOLERANCE + spare, f"{figures}; at each mark: {course}"


class Process:
    """A measured process: Python, with a pipe for its input; what it prints goes to files.

    Args:
        arguments: of Python.
        folder: for the files.
        implementation: of protobuf.
        marks: whether it prints a line at each mark, which is read here.
    """

    def __init__(
        self, arguments: Sequence[str], folder: Path, implementation: str, marks: bool = False
    ) -> None:
        self._folder = folder
        env = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if marks else out,
                stderr=err,
                env=env,
                cwd=REPOSITORY,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self._process.wait()

    @property
    def input(self) -> IO[bytes]:
        """Where it reads from."""
        assert self._process.stdin is not None
        return self._process.stdin

    def at_marks(self) -> Iterator[int]:
        """Yield the memory at each mark that the process comes to by itself."""
        assert self._process.stdout is not None
        for _ in self._process.stdout:
            yield resident(self.pid)
            self.input.write(b"\n")
            self.input.flush()

    def said(self) -> str:
        """Return what it has printed so far."""
        return (self._folder / "out").read_text() + (self._folder / "err").read_text()

    def end(self, number: Optional[signal.Signals] = None) -> str:
        """Wait for its end, after a signal if one is given; return what it printed."""
        if number is not None:
            self._process.send_signal(number)
        else:
            self.input.close()
        status = self._process.wait(PATIENCE)
        assert status == 0, f"status {status}: {self.said()[-2000:]}"
        return self.said()
