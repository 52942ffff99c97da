"""Choose a command, run it, and turn what it raises into one line and an exit status."""

from __future__ import annotations

import errno
import sys
from types import ModuleType
from typing import Dict, Optional, Sequence

from .._version import __version__
from ..exceptions import DnstapLoggingError
from . import check, listen, read, send, top
from .common import (
    INTERRUPTED,
    PROGRAM,
    USAGE,
    CommandError,
    Parser,
    complain,
    die_of_broken_pipe,
    let_go_of_output,
    unwritable,
)
from .demo import command as demo

__all__ = ["COMMANDS", "main"]

# Each has a docstring whose first line is its help, add_arguments(parser) and run(options) -> int.
COMMANDS: Dict[str, ModuleType] = {
    "read": read,
    "check": check,
    "listen": listen,
    "send": send,
    "top": top,
    "demo": demo,
}


OF_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What is raised without the name of a file where standard output cannot be written."""


def make_parser() -> Parser:
    """Return the parser of the whole command line."""
    parser = Parser(prog=PROGRAM, description="Read, receive, send and look at dnstap.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    for name, module in COMMANDS.items():
        line = (module.__doc__ or "").partition("\n")[0].rstrip(".")
        sub = commands.add_parser(name, help=line[0].lower() + line[1:], description=line + ".")
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; return the exit status.

    Args:
        arguments: those of the command line; None: those of the process.
    """
    try:
        options = make_parser().parse_args(arguments)
        if sys.stdout is None:  # the program was started without one
            raise CommandError("standard output is closed: send it to /dev/null instead")
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        die_of_broken_pipe()
    except KeyboardInterrupt:
        return INTERRUPTED
    except CommandError as error:
        complain(options.command, str(error))
        return error.status
    except DnstapLoggingError as error:  # some are OSErrors, which say more than the system did
        complain(options.command, str(error))
        return USAGE
    except OSError as error:
        complain(options.command, _explained(error))
        return USAGE
    finally:
        _end_output()
    return status


def _explained(error: OSError) -> str:
    if error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    return str(unwritable(error) if error.errno in OF_OUTPUT else error.strerror or error)


def _end_output() -> None:
    """Leave nothing unwritable for the interpreter to write at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        let_go_of_output()
