"""What a run of many scenarios came to."""

from __future__ import annotations

from collections import Counter
from typing import Dict, List

from tests.situations.chaos.books import Outcome
from tests.situations.chaos.plan import Plan

__all__ = ["Summary"]

COLUMNS = ("scenarios", "logged", "written", "dropped", "resent", "unconfirmed", "twice")


class Summary:
    """The totals of all scenarios, and by destination and fault.

    Attributes:
        begun: how many scenarios were begun.
        failed: the seeds of those that failed.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.failed: List[int] = []
        self._all: Counter[str] = Counter()
        self._by: Dict[str, Counter[str]] = {}
        self._longest: Dict[str, float] = {}

    def add(self, plan: Plan, outcome: Outcome, seconds: float) -> None:
        """Add a scenario, and print its line."""
        totals = Counter(outcome.totals)
        totals["scenarios"] = 1
        totals["dropped"] = sum(n for name, n in totals.items() if name.startswith("dropped "))
        self._all += totals
        faults = plan.faults or ["none"]
        for name in (f"to {plan.destination}", *(f"with {fault}" for fault in faults)):
            self._by.setdefault(name, Counter()).update(totals)
        for what, took in outcome.longest.items():
            self._longest[what] = max(took, self._longest.get(what, 0.0))
        if outcome.failures:
            self.failed.append(plan.seed)
        numbers = ", ".join(f"{name} {totals[name]}" for name in COLUMNS[1:] if totals[name])
        verdict = "FAILED" if outcome.failures else "ok"
        print(
            f"{verdict} {plan.seed}: {plan.destination}, {' + '.join(faults)}, {plan.ending}, "
            f"{seconds:.1f} s: {numbers or 'nothing logged'}",
            flush=True,
        )

    def show(self) -> None:
        """Print the totals."""
        print("\n" + " " * 26 + "".join(f"{name:>12}" for name in COLUMNS))
        for name, totals in [*sorted(self._by.items()), ("all", self._all)]:
            print(f"{name:<26}" + "".join(f"{totals[column]:>12,}" for column in COLUMNS))
        causes = {n[8:]: number for n, number in self._all.items() if n.startswith("dropped ")}
        print("dropped: " + ", ".join(f"{name} {n:,}" for name, n in sorted(causes.items())))
        print(
            f"handlers {self._all['handlers']:,}, sessions {self._all['connects']:,}, "
            f"arrived {self._all['arrived']:,}"
        )
        longest = ", ".join(f"{what} {took:.3f}" for what, took in sorted(self._longest.items()))
        print(f"longest calls, in seconds: {longest}")
        print(f"{self.begun} scenarios, {len(self.failed)} failed {self.failed or ''}")
