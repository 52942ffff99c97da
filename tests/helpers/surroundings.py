"""What the shell that the tests are started from may have set, and what they do about it.

Whatever is set there, the tests and the programs that they run do the same. `tests/conftest.py`
calls this before anything else; the tests of what a variable does set it for themselves.
"""

from __future__ import annotations

import os
import signal
import tempfile

__all__ = ["HAVE_EFFECTS", "make_ordinary"]

HAVE_EFFECTS = (
    # Of a `make` that runs the tests, to each `make` that a test runs.
    "GNUMAKEFLAGS",
    "MAKEFILES",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MFLAGS",
    # On colours and widths: rich, and from Python 3.13 on each traceback.
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "PYTHON_COLORS",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
    # On messages of other programs, and on encodings.
    "LANG",
    "LANGUAGE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_NUMERIC",
    "LC_TIME",
    "PYTHONIOENCODING",
    "PYTHONUTF8",
    # On Python programs in other ways.
    "PYTHONASYNCIODEBUG",
    "PYTHONDEVMODE",
    "PYTHONINSPECT",
    "PYTHONOPTIMIZE",
    "PYTHONSAFEPATH",
    "PYTHONSTARTUP",
    "PYTHONTRACEMALLOC",
    "PYTHONUNBUFFERED",
    "PYTHONVERBOSE",
    "PYTHONWARNINGS",
    # On the shell's programs.
    "POSIXLY_CORRECT",
)
"""Variables that change what the programs print that the tests run, or what they do."""

LONGEST_TEMPORARY = 32
"""Bytes of a folder for temporary files in which each test may have its unix sockets: their paths
have at most 107, and pytest adds up to 60 for a test's own folder."""


def make_ordinary() -> None:
    """Leave out of this process what would change what tests and their programs do."""
    for name in HAVE_EFFECTS:
        os.environ.pop(name, None)
    os.environ["LC_ALL"] = "C.UTF-8"
    os.environ.setdefault("HOME", "/")
    os.umask(0o022)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # of a shell that runs them behind it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) == signal.SIG_IGN:  # under nohup
        signal.signal(hangup, lambda *_: None)  # still ignored here, and not by the programs
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_TEMPORARY and os.access("/tmp", os.W_OK):
        os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"
