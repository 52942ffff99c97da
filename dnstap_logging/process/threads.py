"""What the writer thread needs, be it a thread or, under gevent, a greenlet."""

from __future__ import annotations

import codecs
import signal
import threading
import time
from typing import Any

from ..exceptions import DnstapLoggingError

__all__ = [
    "become_writer",
    "condition_lock",
    "import_ahead",
    "is_writer",
    "require_threads",
    "wait_on",
]

_mine = threading.local()


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
    _mine.is_writer = True
    if threading.get_native_id() == starter:
        return True
    if hasattr(signal, "pthread_sigmask"):
        # ssl cannot use MSG_NOSIGNAL, and a program may have reset SIGPIPE, which would kill it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
    return False


def is_writer() -> bool:
    """Return whether the calling thread is one that `become_writer` has prepared."""
    return getattr(_mine, "is_writer", False)


def wait_on(condition: threading.Condition, timeout: float) -> None:
    """Wait on a condition, and hold its lock afterwards, whatever a signal handler raises.

    `Condition.wait` does not hold it if that is raised right behind the release.

    Args:
        condition: with a lock that this thread holds once.
        timeout: seconds.
    """
    try:
        condition.wait(timeout)
    except BaseException:
        if not condition._is_owned():  # type: ignore[attr-defined]
            condition.acquire()
        raise


def condition_lock(mutex: Any) -> Any:
    """Return what conditions need to wait for a C RLock: itself, if threads are threads."""
    return mutex if type(threading.Lock()).__module__ == "_thread" else _GreenletsLock(mutex)


class _GreenletsLock:
    """A C RLock as conditions use it, so that greenlets can wait for it.

    All greenlets are one thread to such a lock. One that wakes up while another one, in the middle
    of a signal handler, holds the lock would wait for its own thread, for ever.
    """

    def __init__(self, mutex: Any) -> None:
        self.acquire, self.release = mutex.acquire, mutex.release
        self._release_save, self._is_owned = mutex._release_save, mutex._is_owned
        self._restore = mutex._acquire_restore

    def _acquire_restore(self, state: object) -> None:
        while self._is_owned():
            time.sleep(0.001)  # gevent's: the other greenlet goes on
        self._restore(state)
