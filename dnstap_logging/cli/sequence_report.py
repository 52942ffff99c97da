"""``check --sequence``: whether messages of handlers with ``sequence=True`` are missing.

All captures are read as one, in any order. What a run lost behind its last message cannot be seen
here; the handler names its last number when it is closed.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from typing import Any, Dict, List, Optional, Tuple

from ..message.message import DnstapMessage
from ..text.json import json_text
from ..text.octets import clean, plain
from . import numbers
from .capture_input import NO_STOP, Capture
from .common import DAMAGED, OK, CommandError, complain
from .sequences import NumberSet

__all__ = ["run"]

MOST_IDENTITIES = 16  # kept of one run: it has one, but for what a program sets itself
MAX_IDENTITY = 256  # bytes of one
MOST_SHOWN = 10  # gaps of one run
WIDTH = len("identities") + 2


class Run:
    """What came of one run."""

    __slots__ = ("_came", "count", "dropped", "identities", "twice")

    def __init__(self) -> None:
        self._came = NumberSet()
        self.identities: Dict[Optional[bytes], None] = {}  # in the order in which they came
        self.count = 0
        self.twice = 0
        self.dropped = 0

    def add(self, identity: Optional[bytes], number: int, dropped: int) -> None:
        """Count a message."""
        if self._came.add(number):
            self.count += 1
        else:
            self.twice += 1
        if dropped > self.dropped:
            self.dropped = dropped
        if identity not in self.identities and len(self.identities) < MOST_IDENTITIES:
            self.identities[identity and identity[:MAX_IDENTITY]] = None

    @property
    def missing(self) -> int:
        """How many numbers from 1 to the last did not come."""
        return self._came.last - self.count

    def fields(self) -> Dict[str, Any]:
        """Return what is printed, by its names."""
        return {
            "identities": [plain(each) for each in self.identities if each is not None],
            "first": self._came.first,
            "last": self._came.last,
            "count": self.count,
            "missing": self.missing,
            "twice": self.twice,
            "dropped": self.dropped,
        }

    def gaps(self) -> List[Tuple[int, int]]:
        """Return the first gaps."""
        return list(islice(self._came.gaps(), MOST_SHOWN))

    def gaps_text(self) -> str:
        """Return the first gaps for people."""
        shown = [f"{low}" if low == high else f"{low}-{high}" for low, high in self.gaps()]
        more = next(islice(self._came.gaps(), MOST_SHOWN, None), None) is not None
        return ", ".join([*shown, *(["..."] if more else [])])


class _Audit:
    """The runs of all captures."""

    def __init__(self) -> None:
        self.runs: Dict[str, Run] = {}
        self.unnumbered = 0

    def add(self, message: DnstapMessage) -> None:
        """Count a message."""
        sequence = message.sequence
        if sequence is None:
            self.unnumbered += 1
            return
        name, number, dropped = sequence
        found = self.runs.get(name)
        if found is None:
            found = self.runs[name] = Run()
        found.add(message.identity, number, dropped)

    @property
    def missing(self) -> int:
        return sum(each.missing for each in self.runs.values())

    def print_text(self) -> None:
        for name, found in self.runs.items():
            print(f"run {name}")
            for title, value in found.fields().items():
                text = (", ".join(value) or "-") if title == "identities" else value
                if title == "missing" and value:
                    text = f"{value}: {found.gaps_text()}"
                print(clean(f"  {title:<{WIDTH}}{text}"))
        print(
            f"{numbers.counted(len(self.runs), 'run')}, {self.missing} missing, "
            f"{numbers.counted(self.unnumbered, 'message')} without a number"
        )

    def print_json(self) -> None:
        for name, found in self.runs.items():
            print(json_text({"run": name, **found.fields(), "gaps": found.gaps()}))


def run(options: argparse.Namespace) -> int:
    """Print each run of the files; return 1 if anything is missing or could not be read."""
    if options.repair is not None:
        raise CommandError("--sequence only reads: repair the capture first, without it")
    audit = _Audit()
    status = OK
    for name in options.files:
        try:
            status = max(status, _read(name, options.command, audit))
        except CommandError as error:
            complain(options.command, str(error))
            status = max(status, error.status)
    (audit.print_json if options.json else audit.print_text)()
    sys.stdout.flush()
    return max(status, DAMAGED if audit.missing else OK)


def _read(name: str, command: str, audit: _Audit) -> int:
    with Capture(name) as capture:
        for message in capture.messages():
            audit.add(message)
    if capture.damage is None:
        return OK
    complain(command, str(capture.damage))
    # Without STOP all that is there was read; behind other damage nothing was.
    return OK if capture.damage.reason == NO_STOP and not capture.damage.more else DAMAGED
