"""The program under test, a process of its own: threads that log, and do all else that programs do.

    python -m tests.situations.chaos.program FOLDER

The folder has ``program.json`` (see `Setup`). What the program says of itself and of its books goes
to ``reports/`` in it, one file for each process.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import re
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

END_SECONDS = 90.0
"""Seconds that anything may take once all is well: beyond them it hangs."""

SLACK = 5.0
"""Seconds beyond its own bound that a call may take: the machine may be busy."""

LOOKS_APART = 0.004

OTHERS = re.compile(r"-> pipe:|/said$")
"""What may be left at the interpreter's end, and is not the library's: pipes to multiprocessing's
children, and the diagnostics' file, which logging opens again when it was closed."""

# Open from the beginning: a descriptor that comes and goes could be taken for one of the library's.
_statm = os.open("/proc/self/statm", os.O_RDONLY)


class Setup(NamedTuple):
    """What the program has to know.

    Attributes:
        plan: as JSON.
        address: the destination's, as text.
        arguments: of the handler, beyond the plan's options.
    """

    plan: Dict[str, Any]
    address: str
    arguments: Dict[str, Any]


class Process:
    """What one process knows of itself: the program, or a forked child of it.

    Args:
        name: of the process, see `records.Mark`.
        setup: what it has to know.
        folder: where it reports.
        writes_to: what its descriptors must not lead to once it has closed all.
    """

    def __init__(self, name: str, setup: Setup, folder: Path, writes_to: str) -> None:
        self.name = name
        self.setup = setup
        self.folder = folder
        self.writes_to = writes_to
        self.violations: List[str] = []
        self.longest: Dict[str, float] = {}
        self.all_books: List[Any] = []
        self.stopping = threading.Event()
        self.most_memory = 0
        self._watcher: Optional[threading.Thread] = None
        self._watched = threading.Event()

    def timed(self, what: str, call: Callable[[], Any], bound: Optional[float] = None) -> Any:
        """Call something that must not raise, and must not take longer than its bound."""
        began = time.monotonic()
        try:
            return call()
        except BaseException:  # noqa: BLE001 - whatever it is, it must not be
            self.violations.append(f"{what} raised:\n{traceback.format_exc()}")
            return None
        finally:
            took = time.monotonic() - began
            self.longest[what] = max(took, self.longest.get(what, 0.0))
            if bound is not None and took > bound + SLACK:
                self.violations.append(f"{what} took {took:.1f} s, its bound is {bound:g} s")

    def watch(self) -> None:
        """Look at the books all the time, in a thread of its own, until `stop_watching`."""
        self._watcher = threading.Thread(target=self._watch, name="watcher", daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._watched.wait(LOOKS_APART):
            for books in list(self.all_books):
                books.look()
            self.most_memory = max(self.most_memory, resident())

    def stop_watching(self) -> None:
        """Look no more."""
        self._watched.set()
        if self._watcher is not None:
            self._watcher.join()

    def check_leftovers(self, own: List[str], patience: float) -> None:
        """See that no descriptor and no writer thread is left, after some time if need be.

        Args:
            own: the descriptors that there were before.
            patience: seconds that abandoned threads may take to end.
        """
        deadline = time.monotonic() + patience
        while True:
            left = [each for each in descriptors() if each not in own and not OTHERS.search(each)]
            threads = [each.name for each in threading.enumerate() if "writer" in each.name]
            if not left and not threads:
                return
            if time.monotonic() > deadline:
                self.violations.append(f"left behind: descriptors {left}, threads {threads}")
                return
            threading.Event().wait(0.01)

    def report(self) -> None:
        """Write what is known; whole or not at all."""
        found = {
            "process": self.name,
            "books": [books.report() for books in self.all_books],
            "violations": self.violations,
            "longest": self.longest,
            "most_memory": self.most_memory,
        }
        place = self.folder / "reports" / f"{self.name}.json"
        partial = place.with_suffix(".partial")
        partial.write_text(json.dumps(found))
        partial.rename(place)


def resident() -> int:
    """Return the bytes of memory that this process has."""
    text = os.pread(_statm, 100, 0)
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(*kinds: str) -> List[str]:
    """Return the open descriptors, each with what it leads to."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue  # the one that listdir had
        if not kinds or target.startswith(kinds):
            found.append(f"{name} -> {target}")
    return found


def talk(word: str) -> None:
    """Tell the runner how far this is, and wait until it answers.

    Without the locks of sys.stdin and sys.stdout: a fork in another thread would leave them held in
    the child for ever, and a child of multiprocessing begins by closing its sys.stdin.
    """
    os.write(1, f"{word}\n".encode())
    while os.read(0, 1) not in (b"\n", b""):
        pass


def main() -> None:
    """Run the plan of the folder."""
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    folder = Path(sys.argv[1])
    setup = Setup(**json.loads((folder / "program.json").read_text()))

    # Registered before logging's own, and so called after it.
    last_calls: List[Callable[[], None]] = []
    atexit.register(lambda: [call() for call in last_calls])

    from tests.situations.chaos.actor import Actor

    place = setup.address.partition("://")[2]
    process = Process("0", setup, folder, os.path.dirname(place))
    actor = Actor(process, Path(place))
    try:
        actor.run(talk)
    except BaseException:  # noqa: BLE001 - it is reported
        process.violations.append(f"the program itself failed:\n{traceback.format_exc()}")
    if setup.plan["ending"].startswith("exit"):
        last_calls.append(lambda: actor.end())
    else:
        actor.end()


if __name__ == "__main__":
    main()
