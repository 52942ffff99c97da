"""What a thread of ours is: a daemon, with a signal mask of its own; under gevent, a greenlet."""

from __future__ import annotations

import codecs
import signal
import threading

from ..exceptions import DnstapLoggingError

__all__ = ["become_writer", "import_ahead", "require_threads"]


def require_threads() -> None:
    """Make sure that daemon threads are possible here.

    Raises:
        DnstapLoggingError: they are not, as in an isolated subinterpreter (PEP 684, from Python
            3.12 on; before, the first start of a thread tells).
    """
    try:
        threading.Thread(daemon=True)
    except RuntimeError as error:
        raise DnstapLoggingError(
            f"{error}, and a handler needs one: make it in the main interpreter"
        ) from None


def import_ahead() -> None:
    """Import what socket functions import on their first call with a host: its encoding.

    A process that forks while the writer thread is in the middle of an import leaves that module's
    lock held for ever in the child, whose writer thread would wait for it.
    """
    codecs.lookup("idna")


def become_writer(starter: int) -> bool:
    """Prepare the calling thread for writing; tell whether it is a greenlet.

    A greenlet is not a thread: the signal mask is that of the whole program, and nobody else runs
    until it waits.

    Args:
        starter: the native id of the thread that has started this one.
    """
    if threading.get_native_id() == starter:
        return True
    if hasattr(signal, "pthread_sigmask"):
        # TLS writes cannot be told MSG_NOSIGNAL: a program that set SIGPIPE back to its default
        # action would die with its collector.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    return False
