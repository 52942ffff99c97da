"""Distinguish exceptions of user code from those that interrupt the program.

A log call raises nothing that a filter, a formatter or a value's method raises, not even
`SystemExit`. But what a signal handler raises meanwhile is meant for the program: Ctrl-C, and
``sys.exit()`` in a handler of SIGTERM. So are the exceptions that cancel greenlets and tasks.
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
    """Raise the exception that is being handled if it is meant for the program; else return."""
    if isinstance(error, (Exception, GeneratorExit)):
        return
    if isinstance(error, SystemExit) and not _comes_from_signal(error):
        return
    raise error


def ends_greenlet(error: BaseException) -> bool:
    """Return whether an exception kills the greenlet that runs instead of a thread of ours.

    It must end then, because the killer may wait for that. Threads of ours get no other such
    exception: signal handlers run in the main thread.
    """
    greenlet = sys.modules.get("greenlet")
    return greenlet is not None and isinstance(error, greenlet.GreenletExit)


def _comes_from_signal(error: BaseException) -> bool:
    """Return whether an exception was raised in a signal handler, by its traceback."""
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
