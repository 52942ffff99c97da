"""Choose a command, run it, and turn what it raises into one line and an exit status."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Dict, Optional, Sequence

from .._version import __version__
from ..exceptions import DnstapLoggingError
from . import check, demo, listen, read, send, top
from .common import (
    INTERRUPTED,
    PROGRAM,
    USAGE,
    CommandError,
    Parser,
    complain,
    die_of_broken_pipe,
)

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
    options = make_parser().parse_args(arguments)
    try:
        if sys.stdout is None:  # closed by whoever started the program
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
    except OSError as error:
        about = "" if error.filename is None else f"{error.filename}: "
        complain(options.command, f"{about}{error.strerror or error}")
        return USAGE
    except DnstapLoggingError as error:
        complain(options.command, str(error))
        return USAGE
    return status
