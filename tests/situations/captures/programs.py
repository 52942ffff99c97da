"""Programs that log into captures: processes of their own, told what to do line by line."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Any, List, Optional, Type

from tests.helpers.support import wait_until

STOP_TIMEOUT = 20.0
DEADLINE = 240  # seconds for a script: generous, since nothing here is a matter of speed

PRELUDE = """
import json, logging, os, signal, sys, threading, warnings
from pathlib import Path
import dnstap_logging
from dnstap_logging import DnstapHandler, RotatingDnstapHandler
from dnstap_logging.exceptions import FileLocked
from dnstap_logging.transport.file import FileTransport

class Said(logging.Handler):
    lines = []
    def emit(self, record):
        self.lines.append([record.levelname, record.getMessage()])

logging.getLogger("dnstap_logging").addHandler(Said())
logging.getLogger("dnstap_logging").setLevel(logging.DEBUG)
logger = logging.getLogger("dns")
logger.setLevel(logging.INFO)
logger.propagate = False

def attach(*address, kind=DnstapHandler, **arguments):
    global handler
    arguments.setdefault("close_timeout", 60)       # this machine may be slow
    handler = kind(*address, **arguments)
    logger.addHandler(handler)

def log(*marks):
    for mark in marks:
        logger.info("", extra={"dns_message_type": "CLIENT_QUERY", "dns_extra": str(mark)})

def locked(path):
    try:
        FileTransport(path).close()
    except FileLocked:
        return True
    return False

def balanced(**expected):
    stats = handler.stats()
    total = stats.written + stats.queued + stats.in_flight + sum(stats.dropped.values())
    assert stats.logged == total, stats
    for name, value in expected.items():
        assert getattr(stats, name) == value, (name, value, stats)

def fork(work):
    '''Return the pid of a child that does this work and ends; what it raises, it shows.'''
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)     # threads and fork: our subject
        child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except SystemExit:
            raise                       # as in any program: what atexit has runs
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return child

def reap(*children):
    for child in children:
        status = os.waitpid(child, 0)[1]
        assert status == 0, f"child {child} ended with status {status:#x}"
"""

LISTEN = """
for line in sys.stdin:
    code = json.loads(line)
    try:
        value = eval(code)
    except SyntaxError:
        value = exec(code)
    print(json.dumps(value), flush=True)
"""


class Program:
    """A Python process that does what it is told; inside its ``with``. It ends as programs do."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", PRELUDE + LISTEN],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._killed = False

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        exc_type: Optional[Type[BaseException]],
        exc: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        if exc is not None:
            self.kill()
        status = self.end()
        assert self._killed or status == 0, f"it ended with status {status}"

    def do(self, code: str) -> Any:
        """Have an expression, or some statements, evaluated; return the value."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(textwrap.dedent(code)) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"it ended: {code}"
        return json.loads(answer)

    def wait_until(self, code: str) -> Any:
        """Wait until an expression is true."""
        return wait_until(lambda: self.do(code), code)

    def said(self, text: str) -> List[List[str]]:
        """Return the levels and the lines with this text that the library has said there."""
        return [line for line in self.do("Said.lines") if text in line[1]]

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._killed = True
        self._process.kill()
        self._process.wait(STOP_TIMEOUT)

    def end(self) -> int:
        """Have it end in order; return its status."""
        if self._process.poll() is None:
            self._process.communicate(timeout=STOP_TIMEOUT)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return self._process.returncode


def numbered(name: str, count: int) -> List[str]:
    """Return that many marks that begin with a name."""
    return [f"{name} {number}" for number in range(count)]


def run_program(script: str, *arguments: object) -> None:
    """Run a script behind the same prelude, its arguments in sys.argv, to its end."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(script)),
            *map(str, arguments),
        ],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
