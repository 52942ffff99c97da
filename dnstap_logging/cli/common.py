"""What all commands share: their errors, exit statuses and the ends of a pipe."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
from typing import Any, Iterable, NoReturn

from ..text.octets import clean

__all__ = [
    "DAMAGED",
    "INTERRUPTED",
    "OK",
    "PROGRAM",
    "USAGE",
    "CommandError",
    "Parser",
    "complain",
    "did_you_mean",
    "die_of_broken_pipe",
    "let_go_of_output",
    "say",
    "unwritable",
]

PROGRAM = "dnstap-logging"

OK = 0
DAMAGED = 1  # a capture is torn or damaged, or something was lost
USAGE = 2  # what was asked for cannot be done: bad arguments, no such file, address in use
INTERRUPTED = 128 + signal.SIGINT  # what a shell makes of the end by Ctrl-C


_INVALID_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``, did you mean 'read'?`` for a word that is like one of the known, else nothing."""
    import difflib  # here, for it is slow to import

    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), names, n=1)
    return f", did you mean {names[near[0]]!r}?" if near else ""


class CommandError(Exception):
    """A command cannot go on; the text is one line that says what is wrong and what to do.

    Args:
        text: the line.
        status: the exit status.
    """

    def __init__(self, text: str, status: int = USAGE) -> None:
        super().__init__(text)
        self.status = status


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the usage."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown options here, because this parser knows the command's own options."""
        namespace, unknown = super().parse_known_args(args, namespace)
        option = next((each for each in unknown if each.startswith("--")), None)
        if option is not None:
            near = did_you_mean(option.partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """Print the line; exit with status 2."""
        wrong = _INVALID_CHOICE.search(message)
        if wrong:
            message += did_you_mean(wrong[1], re.findall(r"[\w-]+", wrong[2]))
        say(f"{self.prog}: {clean(message)} (try {self.prog} --help)")
        sys.exit(USAGE)


def complain(command: str, text: str) -> None:
    """Print a line on standard error.

    Args:
        command: who says it.
        text: what is wrong; what of it comes from files and their names may be anything.
    """
    say(f"{PROGRAM} {command}: {clean(text)}")


def say(text: str) -> None:
    """Print a line that is safe on a terminal on standard error, unless that is closed."""
    if sys.stderr is not None:  # with None, print would take standard output
        print(text, file=sys.stderr, flush=True)


def unwritable(error: OSError, status: int = USAGE) -> CommandError:
    """Return the error of a command whose standard output cannot be written."""
    return CommandError(f"standard output: {error.strerror or error}", status)


def let_go_of_output() -> None:
    """Discard what is still buffered for standard output: it is full, or nobody reads it.

    Otherwise the interpreter would try again at exit, complain, and choose its own exit status.
    """
    with contextlib.suppress(OSError):  # no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def die_of_broken_pipe() -> NoReturn:
    """End as programs do whose reader has gone: of SIGPIPE, with no message.

    Python ignores the signal, and a command may have sockets that must not be killed by it; so it
    is allowed only now.
    """
    let_go_of_output()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(128 + signal.SIGPIPE)  # where the signal is blocked
