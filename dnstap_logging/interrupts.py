"""What user code raised by itself, and what interrupts the program.

Inside a log call nothing is raised, whatever a filter, a formatter or a value's method raises, also
`SystemExit`. But what a signal handler raises while the call runs is meant for the program: Ctrl-C,
and the ``sys.exit()`` of a handler of SIGTERM. So are the exceptions that cancel greenlets and
tasks. They go on, and the books hold.
"""

from __future__ import annotations

import signal
import sys
import threading
from functools import partial
from types import CodeType
from typing import Set

__all__ = ["ends_greenlet", "pass_on"]


def pass_on(error: BaseException) -> None:
    """Raise an exception again if it is meant for the program; return if user code just failed.

    Args:
        error: being handled now.
    """
    if isinstance(error, (Exception, GeneratorExit)):
        return
    if isinstance(error, SystemExit) and not _comes_from_signal(error):
        return
    raise error


def ends_greenlet(error: BaseException) -> bool:
    """Return whether somebody kills the greenlet that stands in for a thread of ours.

    It must end then: who kills it may be waiting for that. In a thread nothing else is meant for
    us, since signal handlers run in the main thread only.
    """
    greenlet = sys.modules.get("greenlet")
    return greenlet is not None and isinstance(error, greenlet.GreenletExit)


def _comes_from_signal(error: BaseException) -> bool:
    """Return whether an exception went through a signal handler; only the main thread runs them."""
    if threading.current_thread() is not threading.main_thread():
        return False
    handlers = _codes_of_signal_handlers()
    place = error.__traceback__
    while place is not None:
        if place.tb_frame.f_code in handlers:
            return True
        place = place.tb_next
    return False


def _codes_of_signal_handlers() -> Set[CodeType]:
    found = set()
    for number in signal.valid_signals():
        handler = signal.getsignal(number)
        while isinstance(handler, partial):
            handler = handler.func
        for function in (handler, type(handler).__dict__.get("__call__")):
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType):
                found.add(code)
    return found
