"""The figures of the table, how much is measured for them, and rounds that alternate."""

from __future__ import annotations

import statistics
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

AT_MOST, AT_LEAST = "at most", "at least"


class Figure(NamedTuple):
    """A line of the table.

    Attributes:
        name: of what was measured.
        measured: the figure.
        unit: of the figure and its goal; "x" for a ratio.
        goal: what it ought to be; None: it is there for orientation.
        bound: whether the goal is AT_MOST or AT_LEAST that.
    """

    name: str
    measured: float
    unit: str = "x"
    goal: Optional[float] = None
    bound: str = AT_MOST

    @property
    def verdict(self) -> str:
        """Whether the goal is met, in words; empty without a goal."""
        if self.goal is None:
            return ""
        if self.bound == AT_MOST:
            return "met" if self.measured <= self.goal else "not met"
        return "met" if self.measured >= self.goal else "not met"

    @property
    def aim(self) -> str:
        """The goal, in words."""
        return "" if self.goal is None else f"{self.bound} {self.goal:g} {self.unit}"


Quantities = Dict[str, float]
"""What was measured of one contender, by name: medians."""


class Section(NamedTuple):
    """One group of measurements that were made side by side.

    Attributes:
        title: what was measured, in a line.
        figures: for the table.
        details: the quantities of each contender, from which the figures were made.
    """

    title: str
    figures: List[Figure]
    details: Dict[str, Quantities]


class Scale(NamedTuple):
    """How much is measured. The defaults are those of `make bench`.

    Attributes:
        rounds: alternating rounds, of which the medians are taken.
        messages: logged by each contender in a round.
        counts: numbers of messages logged in one go; each message must cost the same.
        threads: numbers of logging threads; a message must cost the same.
        reading: messages in the capture that is read.
        printed: messages in the capture that commands read.
        printing_rounds: of those.
        seconds: of each load on a DNS server.
        server_rounds: of those.
        imports: fresh interpreters that import the package.
        spooled: records that wait on disk for a collector.
        spool_rounds: of those.
    """

    rounds: int = 7
    messages: int = 40_000
    counts: Sequence[int] = (10_000, 100_000, 1_000_000)
    threads: Sequence[int] = (1, 2, 4, 8, 16)
    reading: int = 50_000
    printed: int = 200_000
    printing_rounds: int = 3
    seconds: float = 3
    server_rounds: int = 7
    imports: int = 15
    spooled: int = 200_000
    spool_rounds: int = 3


TINY = Scale(
    rounds=1,
    messages=320,
    counts=(10, 100),
    threads=(1, 2),
    reading=100,
    printed=100,
    printing_rounds=1,
    seconds=0.3,
    server_rounds=1,
    imports=1,
    spooled=320,
    spool_rounds=1,
)
"""Says nothing about speed, but runs everything."""

FULL = Scale(
    rounds=11,
    counts=(10_000, 100_000, 1_000_000, 10_000_000),
    printed=1_000_000,
    server_rounds=11,
    spooled=1_000_000,
)


def alternate(
    contenders: Mapping[str, Callable[[], Quantities]], rounds: int
) -> Dict[str, Quantities]:
    """Measure all contenders in turn, round by round; return the medians of each quantity.

    A machine that slows down for a while slows all of them.
    """
    found: Dict[str, List[Quantities]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            found[name].append(measure())
    return {name: medians(each) for name, each in found.items()}


def medians(measured: Sequence[Quantities]) -> Quantities:
    """Return the median of each quantity over all rounds."""
    return {name: statistics.median(each[name] for each in measured) for name in measured[0]}
