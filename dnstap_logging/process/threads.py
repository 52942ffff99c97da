"""What the writer thread needs: a daemon thread, SIGPIPE blocked; under gevent, a greenlet."""

from __future__ import annotations

import codecs
import signal
import threading

from ..exceptions import DnstapLoggingError

__all__ = ["become_writer", "import_ahead", "require_threads"]


def require_threads() -> None:
    """Check that daemon threads are possible here.

    Raises:
        DnstapLoggingError: they are not, as in an isolated subinterpreter (PEP 684, Python 3.12 and
            newer).
    """
    try:
        threading.Thread(daemon=True)
    except RuntimeError as error:
        raise DnstapLoggingError(
            f"{error}, and a handler needs one: make it in the main interpreter"
        ) from None


def import_ahead() -> None:
    """Import what socket functions import at their first call with a host name.

    If the process forked while the writer thread did that, the import lock would stay locked in the
    child, and its writer thread would wait for ever.
    """
    codecs.lookup("idna")


def become_writer(starter: int) -> bool:
    """Prepare the calling thread for writing; return whether it is a greenlet.

    A greenlet shares its thread's signal mask with the whole program, and nothing else runs until
    it waits.

    Args:
        starter: the native id of the thread that started this one.
    """
    if threading.get_native_id() == starter:
        return True
    if hasattr(signal, "pthread_sigmask"):
        # ssl cannot use MSG_NOSIGNAL, and a program may have reset SIGPIPE, which would kill it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    return False
