"""The numbers of messages from handlers with ``sequence=True``: which came, and ``--distinct``.

Memory follows the runs and the gaps in them, not the messages.
"""

from __future__ import annotations

import argparse
import threading
from array import array
from bisect import bisect_right
from collections import OrderedDict
from typing import Iterator, List, Optional, Tuple, Union

from ..codec.decoding import decode
from ..exceptions import DecodeError
from ..message.message import DnstapMessage

__all__ = ["MOST_RUNS", "Distinct", "NumberSet", "add_distinct", "make_distinct"]

MOST_RUNS = 10_000
"""Runs that a command which never ends keeps: a run is one handler in one process."""

MOST_IN_PART = 1024  # intervals that are moved, at most, to make room for another

MARK = b"seq="  # a payload without it has no sequence


class _Intervals:
    """Some intervals of numbers, in order. Between them are gaps."""

    __slots__ = ("ends", "starts")

    def __init__(self, starts: array[int], ends: array[int]) -> None:
        self.starts = starts
        self.ends = ends

    def add(self, number: int) -> bool:
        """Add a number; return whether it is new."""
        starts, ends = self.starts, self.ends
        behind = bisect_right(starts, number)
        if behind and number <= ends[behind - 1]:
            return False
        continues = behind and ends[behind - 1] == number - 1
        precedes = behind < len(starts) and starts[behind] == number + 1
        if continues and precedes:
            ends[behind - 1] = ends[behind]
            del starts[behind], ends[behind]
        elif continues:
            ends[behind - 1] = number
        elif precedes:
            starts[behind] = number
        else:
            starts.insert(behind, number)
            ends.insert(behind, number)
        return True

    def split(self) -> _Intervals:
        """Keep the lower half; return the upper one."""
        half = len(self.starts) // 2
        upper = _Intervals(self.starts[half:], self.ends[half:])
        del self.starts[half:], self.ends[half:]
        return upper


class NumberSet:
    """A set of numbers below 2**64, kept as intervals.

    These are kept in parts, since inserting into one long array would have to move half of it.
    """

    __slots__ = ("_firsts", "_parts")

    def __init__(self) -> None:
        # A part has all numbers from its first to that of the next part.
        self._firsts: List[int] = []
        self._parts: List[_Intervals] = []

    def add(self, number: int) -> bool:
        """Add a number; return whether it is new."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0:
            at = 0
            if not self._parts:
                self._parts.append(_Intervals(array("Q"), array("Q")))
            self._firsts[:1] = [number]
        part = self._parts[at]
        new = part.add(number)
        if len(part.starts) > MOST_IN_PART:
            upper = part.split()
            self._parts.insert(at + 1, upper)
            self._firsts.insert(at + 1, upper.starts[0])
        return new

    @property
    def first(self) -> int:
        """The lowest number."""
        return self._firsts[0]

    @property
    def last(self) -> int:
        """The highest number."""
        return self._parts[-1].ends[-1]

    def gaps(self) -> Iterator[Tuple[int, int]]:
        """Yield the first and the last number of each gap, from 1 on."""
        expected = 1
        for part in self._parts:
            for start, end in zip(part.starts, part.ends):
                if start > expected:
                    yield expected, start - 1
                expected = end + 1


class Distinct:
    """Tell messages that came before, by run and number. Threads take turns by its lock.

    Args:
        most_runs: runs that are kept; those that are not used for the longest time go first. None:
            all.

    Attributes:
        lock: held while a message is looked at and taken.
        doubles: how many came before.
    """

    def __init__(self, most_runs: Optional[int] = None) -> None:
        self._most_runs = most_runs
        self._runs: OrderedDict[str, NumberSet] = OrderedDict()
        self.lock = threading.Lock()
        self.doubles = 0

    def is_new(self, source: Union[DnstapMessage, bytes]) -> bool:
        """Return whether a message, or a payload's, did not come before.

        One without a sequence is always new.
        """
        message = _decoded(source) if isinstance(source, bytes) else source
        sequence = message and message.sequence
        if not sequence:
            return True
        run, number, _ = sequence
        new = self._seen(run).add(number)
        self.doubles += not new
        return new

    def _seen(self, run: str) -> NumberSet:
        seen = self._runs.get(run)
        if seen is None:
            seen = self._runs[run] = NumberSet()
            if self._most_runs is not None and len(self._runs) > self._most_runs:
                self._runs.popitem(last=False)
        elif self._most_runs is not None:
            self._runs.move_to_end(run)
        return seen


def _decoded(payload: bytes) -> Optional[DnstapMessage]:
    """Return a payload's message, if it can have a sequence."""
    try:
        return decode(payload) if MARK in payload else None
    except DecodeError:
        return None


def add_distinct(parser: argparse.ArgumentParser) -> None:
    """Add the argument that leaves doubles out."""
    parser.add_argument(
        "--distinct",
        action="store_true",
        help="leave out what was sent again, by its number (of handlers with sequence=True)",
    )


def make_distinct(options: argparse.Namespace, endless: bool = False) -> Optional[Distinct]:
    """Return what the argument asks for.

    Args:
        options: parsed by a parser that `add_distinct` was called with.
        endless: the command may never end, so that not all runs can be kept.
    """
    if not options.distinct:
        return None
    return Distinct(MOST_RUNS if endless else None)
